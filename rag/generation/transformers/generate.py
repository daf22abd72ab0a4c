"""Calls the library's ``generate``, and turns its token ids into text as they come."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Any, Literal

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from rag.generation.detokenize import TextOfTokens
from rag.generation.transformers.cache import Watch, WatchedCache
from rag.types.answers import Delta, FinishReason

Emit = Callable[[Delta], None]

TOP_K, TOP_P, MIN_P = 40, 0.95, 0.05
"""As the llama.cpp engine; without effect at temperature 0."""
LOOKUP_TOKENS, LOOKUP_NGRAM = 7, 3
"""How many tokens are copied from where the last so many stood before; docs/decisions.md,
"The library's own generate"."""


Guess = Literal["exact", "always", "never"]
"""Whether to guess what the answer copies from the prompt; exact: where no answer changes."""


class Reply(BaseStreamer):  # type: ignore[misc] # transformers comes without types
    """Takes the ids of an answer from ``generate`` and emits their text, token by token."""

    def __init__(self, tokenizer: Any, emit: Emit, *, ends: Collection[int], watch: Watch) -> None:
        """``ends`` are the ids that close an answer."""
        self._text = TextOfTokens(
            lambda ids: tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )
        self._emit = emit
        self._ends = frozenset(ends)
        self._watch = watch
        self._begun = False
        self.reason: FinishReason | None = None

    def put(self, value: torch.Tensor) -> None:
        """Take the prompt, which comes first and is left out, or tokens that were decoded."""
        if not self._begun:
            self._begun = True
            return
        for place, token in enumerate(value.flatten().tolist()):
            if self.reason or (place and self._watch.look()):
                return  # what was guessed beyond is not said
            self._emit(Delta(self._text.push([token]), 1))
            if token in self._ends:
                self.reason = "stop"

    def end(self) -> None:
        """Emit the last delta."""
        if self.reason is None:
            self.reason = "cancelled" if self._watch.struck else "length"
        self._emit(Delta(self._text.flush(), 0, self.reason))


class _Stop(StoppingCriteria):  # type: ignore[misc]
    """Asked by ``generate`` after each pass."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __call__(self, input_ids: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        """Return for each answer of the batch, here one, whether it ends."""
        return torch.full(
            (input_ids.shape[0],), self._watch.look(), dtype=torch.bool, device=input_ids.device
        )


def settings(
    *, ends: Collection[int], limit: int, temperature: float, lookup: bool
) -> GenerationConfig:
    """Return how an answer of up to ``limit`` tokens is made.

    The likeliest token at temperature 0, else one that is drawn. ``lookup`` copies guesses from
    the prompt; not for drawn answers, where the library filters the vocabulary for each guess.
    """
    chosen: dict[str, Any] = {"do_sample": False}
    if temperature > 0:
        chosen = {"do_sample": True, "temperature": float(temperature)}
        chosen |= {"top_k": TOP_K, "top_p": TOP_P, "min_p": MIN_P}
    elif lookup:
        chosen["prompt_lookup_num_tokens"] = LOOKUP_TOKENS
        chosen["max_matching_ngram_size"] = LOOKUP_NGRAM
    return GenerationConfig(
        max_new_tokens=limit, eos_token_id=sorted(ends), pad_token_id=0, **chosen
    )


def read(
    model: Any,
    prompt: Sequence[int],
    ends: Sequence[int],
    cache: WatchedCache,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Compute the parts of a prompt that are not in ``cache``, all but the last one.

    ``ends`` are those of the parts, each read in one pass. ``generate`` can cut a prompt itself,
    but not where guesses are made, nor does it tell how far it is.

    Raises:
        Cancelled: the cache's watch struck.
    """
    began = done = cache.get_seq_length()
    trims = "logits_to_keep" in inspect.signature(model.forward).parameters
    for end in (end for end in ends[:-1] if end > done):
        model(
            input_ids=torch.tensor([prompt[done:end]], device=model.device),
            past_key_values=cache,
            use_cache=True,
            **({"logits_to_keep": 1} if trims else {}),
        )
        done = end
        progress((done - began) / (len(prompt) - began))


def answer(
    model: Any,
    prompt: Sequence[int],
    cache: WatchedCache,
    reply: Reply,
    *,
    how: GenerationConfig,
    watch: Watch,
) -> None:
    """Let ``generate`` read what is not in ``cache`` and decode an answer into ``reply``."""
    ids = torch.tensor([prompt], device=model.device)
    model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        generation_config=how,
        past_key_values=cache,
        streamer=reply,
        stopping_criteria=StoppingCriteriaList([_Stop(watch)]),
    )


def go_on_from_caches(model: Any) -> None:
    """Let ``generate`` with guesses compute only what is not in the cache that it is given.

    Without guesses it does; with them its first pass takes the whole prompt again (transformers
    5.23, ``_assisted_decoding``: ``next_sequence_length`` is ``None`` in the first iteration).
    """
    prepare = model.prepare_inputs_for_generation

    @wraps(prepare)  # generate reads its signature
    def prepare_new(
        input_ids: torch.Tensor, next_sequence_length: int | None = None, **rest: Any
    ) -> Any:
        cache = rest.get("past_key_values")
        if next_sequence_length is None and cache is not None:
            next_sequence_length = input_ids.shape[1] - cache.get_seq_length()
        return prepare(input_ids, next_sequence_length=next_sequence_length, **rest)

    model.prepare_inputs_for_generation = prepare_new
