"""How many tokens a prompt has, for models whose tokenizer is not at hand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from langchain_core.language_models import BaseChatModel, BaseLanguageModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

Turns = Sequence[Mapping[str, str]]
Count = Callable[[Turns], int]

TEMPLATE_TOKENS = 96
"""What chat templates add of their own at most: a default system prompt, a date."""

TURN_TOKENS = 12
"""Marks around one turn: who speaks, where it ends."""

_WORD = re.compile(r"[a-z]+")
_BEFORE_WORD = re.compile(r" (?=[A-Za-z])")  # is part of the word's first token
_SPEAKERS = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
_OF_THE_BASE = (BaseLanguageModel, BaseChatModel)


def count_of(model: BaseChatModel) -> Count:
    """Return what counts for a model: its own counting, else an estimate that errs upwards.

    LangChain's fallback counts with GPT-2's tokenizer, which it would download, and which is
    not the model's: it is not used.
    """
    own = type(model).get_num_tokens_from_messages
    if any(own is vars(base).get("get_num_tokens_from_messages") for base in _OF_THE_BASE):
        ids = type(model).get_token_ids
        has_ids = model.custom_get_token_ids is not None or not any(
            ids is vars(base).get("get_token_ids") for base in _OF_THE_BASE
        )
        if not has_ids:
            return estimate
        return lambda turns: _framed(turns, lambda text: len(model.get_token_ids(text)))
    return lambda turns: model.get_num_tokens_from_messages(messages_of(turns))


def counted_by_text(count_text: Callable[[str], int]) -> Count:
    """Return what counts where only the tokens of plain text are known, not of the template."""
    return lambda turns: _framed(turns, count_text)


def estimate(turns: Turns) -> int:
    """Estimate tokens, never too few for the tokenizers of today's models.

    Two small Latin letters are a token; every capital, digit, mark and line break is one, and
    every other character as many as its bytes. English prose has half as many, so this wastes
    room; it is used only where nobody can count.
    """
    return _framed(turns, _upper_bound)


def _upper_bound(text: str) -> int:
    letters = sum(math.ceil(len(word) / 2) for word in _WORD.findall(text))
    others = _WORD.sub("", _BEFORE_WORD.sub("", text))
    return letters + len(others.encode())


def _framed(turns: Turns, count_text: Callable[[str], int]) -> int:
    texts = sum(count_text(turn["content"]) for turn in turns)
    return texts + TURN_TOKENS * len(turns) + TEMPLATE_TOKENS


def messages_of(turns: Turns) -> list[BaseMessage]:
    """Return turns as LangChain takes them."""
    return [_SPEAKERS[turn["role"]](turn["content"]) for turn in turns]
