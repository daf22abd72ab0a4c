"""A generator without a model: it repeats the best passage. For demos and tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from rag.generation.engine_errors import prompt_too_long
from rag.text.language import detect_language
from rag.text.messages import Text
from rag.types.answers import Delta, Message

_FIRST_PASSAGE = re.compile(r"^\[1\] .*\n(?P<text>(?:.+\n?)*)", re.MULTILINE)
_TOKEN = re.compile(r"\s*(?:[\u3400-\u9fff]|[^\s\u3400-\u9fff]+)|\s+\Z")
"""A word or a Chinese character, with the white space before it: together the whole text."""

_NOTHING = Text("No passages were given.", "没有给出任何段落。")


class EchoGenerator:
    """Answers with the text of passage ``[1]``, word by word."""

    name = "echo"
    context_tokens = 4096

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count words and Chinese characters."""
        return sum(len(_TOKEN.findall(message.content)) for message in messages)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        cancelled: Callable[[], bool],
    ) -> Iterator[Delta]:
        """Yield one word at a time.

        Raises:
            PromptTooLong: there are more words than ``context_tokens``.
        """
        del temperature  # there is nothing to choose from
        length = self.count_tokens(messages)
        if length >= self.context_tokens:
            raise prompt_too_long(length, self.context_tokens)
        asked = "\n\n".join(message.content for message in messages if message.role == "user")
        quoted = list(_FIRST_PASSAGE.finditer(asked))  # a follow-up may leave them where they were
        text = quoted[-1]["text"].strip() if quoted else _NOTHING.say(detect_language(asked))
        tokens = _TOKEN.findall(text)
        for token in tokens[:max_tokens]:
            if cancelled():
                yield Delta("", 0, "cancelled")
                return
            yield Delta(token, 1)
        yield Delta("", 0, "length" if len(tokens) > max_tokens else "stop")

    def prepare(self, messages: Sequence[Message], *, cancelled: Callable[[], bool]) -> None:
        """Do nothing: there is nothing to compute."""

    def memory_bytes(self) -> None:
        """Return ``None``: there is no model on any device."""

    def close(self) -> None:
        """Do nothing: there are no weights."""
