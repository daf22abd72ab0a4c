"""Reads a prompt and decodes an answer with a causal language model, several tokens a pass.

This module knows nothing about text: it deals in token ids. It calls the model's forward pass
by the library's own interface and nothing else of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from rag.generate.drafting import Lookup, Pace
from rag.generate.transformers_cache import WatchedCache

Choose = Callable[[torch.Tensor], torch.Tensor]
"""From scores ``(tokens, vocabulary)`` to the ids ``(tokens,)`` that are said."""


TOP_K, TOP_P, MIN_P = 40, 0.95, 0.05
"""As the llama.cpp engine; without effect at temperature 0."""
_ROUNDINGS = 4  # steps of the number format by which two ways of computing a score may differ


def chooser(temperature: float) -> Choose:
    """Return how ids are chosen: the likeliest at temperature 0, else drawn.

    Of what a checkpoint itself recommends nothing is taken: a repetition penalty, for one,
    punishes quoting the passages.
    """
    if temperature <= 0:
        return _likeliest
    shaped = LogitsProcessorList(
        [
            TemperatureLogitsWarper(float(temperature)),
            TopKLogitsWarper(TOP_K),
            TopPLogitsWarper(TOP_P),
            MinPLogitsWarper(MIN_P),
        ]
    )

    def draw(scores: torch.Tensor) -> torch.Tensor:
        likely: torch.Tensor = shaped(None, scores.float()).softmax(
            dim=-1
        )  # these do not look at the ids
        drawn: torch.Tensor = likely.multinomial(1)[:, 0]
        return drawn

    return draw


class Decoder:
    """Runs one model."""

    def __init__(self, model: Any, *, clock: Callable[[], float] = perf_counter) -> None:
        self._model = model
        self._pace = Pace()
        self._clock = clock
        self._trims = "logits_to_keep" in inspect.signature(model.forward).parameters

    def read(
        self,
        prompt: Sequence[int],
        ends: Sequence[int],
        cache: WatchedCache,
        progress: Callable[[float], None] | None = None,
    ) -> torch.Tensor:
        """Compute what of ``prompt`` is not in ``cache``; return the scores after its end.

        ``ends`` are those of its parts, each read in one pass; between two it can be cancelled.

        Raises:
            Cancelled: the watch struck.
        """
        cache.reading = True
        began = done = cache.get_seq_length()
        for end in (end for end in ends[:-1] if end > done):
            self._pass(prompt[done:end], cache, keep=1)
            done = end
            if progress is not None:
                progress((done - began) / (len(prompt) - began))
        scores = self._pass(prompt[done:], cache, keep=1)
        cache.reading = False
        return scores

    def decode(
        self,
        scores: torch.Tensor,
        cache: WatchedCache,
        *,
        choose: Choose,
        lookup: Lookup | None,
        limit: int,
    ) -> Iterator[int]:
        """Yield up to ``limit`` ids, the first from ``scores``; the caller knows when to stop.

        ``lookup`` holds the prompt; what it guesses is checked by the model. ``None``, or a
        cache that cannot be cut back, guesses nothing.
        """
        lookup = lookup if cache.whole else None
        said = choose(scores).tolist()
        yield said[0]
        count, alone = 1, False
        last = said[0]
        while count < limit:
            if lookup is not None:
                lookup.extend(said)
            agreement, guess = (0, []) if alone else self._guess(lookup, limit - count - 1)
            began = self._clock()
            scores = self._pass([last, *guess], cache, keep=1 + len(guess))
            chosen = choose(scores).tolist()
            self._pace.took(len(guess), self._clock() - began)
            right = _agreeing(guess, chosen)
            sure = _sure(scores[: right + 1]) if guess and choose is _likeliest else right + 1
            said = chosen[:sure]
            alone = len(said) <= right  # the doubtful one is asked for by itself
            if guess:
                self._pace.learn(agreement, len(guess), max(0, len(said) - 1))
                cache.crop(len(said) - 1 - len(guess))
            count += len(said)
            last = said[-1] if said else last
            yield from said

    def _guess(self, lookup: Lookup | None, most: int) -> tuple[int, list[int]]:
        """Return the length of the agreement and what is guessed to follow."""
        if lookup is None:
            return 0, []
        agreement, place = lookup.match()
        length = self._pace.length(agreement, most)
        return agreement, lookup.read(place, length) if length else []

    def _pass(self, ids: Sequence[int], cache: WatchedCache, *, keep: int) -> torch.Tensor:
        """Return the scores after each of the last ``keep`` ids, shape ``(keep, vocabulary)``."""
        output = self._model(
            input_ids=torch.tensor([ids], device=self._model.device),
            past_key_values=cache,
            use_cache=True,
            **({"logits_to_keep": keep} if self._trims else {}),
        )
        scores: torch.Tensor = output.logits[0, -keep:]
        return scores


def _likeliest(scores: torch.Tensor) -> torch.Tensor:
    return scores.argmax(dim=-1)


def _sure(scores: torch.Tensor) -> int:
    """Return how many of the first rows have a clear winner.

    In 16 bits a pass over several tokens rounds otherwise than a pass over one; where the lead is
    no larger than that, the one pass alone decides, as it would without guesses.
    """
    if scores.dtype == torch.float32:
        return len(scores)
    first, second = scores.float().topk(2).values.unbind(dim=-1)
    doubtful = first - second < _ROUNDINGS * torch.finfo(scores.dtype).eps * first.abs()
    found: list[int] = doubtful.nonzero()[:1].flatten().tolist()
    return found[0] if found else len(scores)


def _agreeing(guess: Sequence[int], chosen: Sequence[int]) -> int:
    """Return how many guessed ids the model would have said itself."""
    right = 0
    while right < len(guess) and guess[right] == chosen[right]:
        right += 1
    return right
