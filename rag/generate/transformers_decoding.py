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

    def __init__(
        self, model: Any, *, chunk_tokens: int, clock: Callable[[], float] = perf_counter
    ) -> None:
        """``chunk_tokens`` of a prompt are read in one pass; between two it can be cancelled."""
        self._model = model
        self._chunk_tokens = chunk_tokens
        self._pace = Pace()
        self._clock = clock
        self._trims = "logits_to_keep" in inspect.signature(model.forward).parameters

    def read(
        self,
        prompt: Sequence[int],
        cache: WatchedCache,
        progress: Callable[[float], None] | None = None,
    ) -> torch.Tensor:
        """Compute what of ``prompt`` is not in ``cache``; return the scores after its end.

        Chunks begin at multiples of their size, whatever the cache holds: so the numbers are the
        same to the last bit with a kept beginning and without.

        Raises:
            Cancelled: the watch struck.
        """
        cache.reading = True
        began = done = cache.get_seq_length()
        while True:
            end = min(len(prompt), done - done % self._chunk_tokens + self._chunk_tokens)
            scores = self._pass(prompt[done:end], cache, keep=1)
            done = end
            if done == len(prompt):
                cache.reading = False
                return scores
            if progress is not None:
                progress((done - began) / (len(prompt) - began))

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
        count = 1
        while count < limit:
            last = said[-1]
            agreement, guess = _guess(lookup, self._pace, said, most=limit - count - 1)
            began = self._clock()
            chosen = choose(self._pass([last, *guess], cache, keep=1 + len(guess))).tolist()
            self._pace.took(len(guess), self._clock() - began)
            right = _agreeing(guess, chosen)
            if guess:
                self._pace.learn(agreement, len(guess), right)
                cache.crop(right - len(guess))
            said = chosen[: right + 1]
            count += len(said)
            yield from said

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


def _guess(
    lookup: Lookup | None, pace: Pace, said: Sequence[int], *, most: int
) -> tuple[int, list[int]]:
    """Return the length of the agreement and what is guessed to follow."""
    if lookup is None:
        return 0, []
    lookup.extend(said)
    agreement, place = lookup.match()
    length = pace.length(agreement, most)
    return agreement, lookup.read(place, length) if length else []


def _agreeing(guess: Sequence[int], chosen: Sequence[int]) -> int:
    """Return how many guessed ids the model would have said itself."""
    right = 0
    while right < len(guess) and guess[right] == chosen[right]:
        right += 1
    return right
