"""Guesses how an answer goes on: answers copy from their prompt.

A model checks several guessed tokens in one pass, at little more than the cost of one; what
it would have said itself is kept, so guessing changes the speed and not the text. This module
knows nothing about models: it deals in token ids and in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Guess = Literal["exact", "always", "never"]
"""Whether to guess what the answer copies from the prompt; exact: where no answer changes."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What makes answers come sooner. Unless told to always guess, they stay the same."""

    guess: Guess = "exact"
    reuse: bool = True  # keep the computed beginning of a prompt for the next


FASTEST = Speed()


LONGEST_MATCH = 16  # tokens looked back; a longer agreement says no more
LENGTHS = (3, 7, 15, 31)
"""Lengths that are guessed. Few, so that the cost of each is soon known. A pass checks one token
more: on CPUs one of 2 or 3 tokens may take longer than one of 4, and multiples of 16 suit the
matrix units (docs/decisions.md, "Answers of the transformers engine")."""


class Lookup:
    """Finds where the last tokens stood before, and reads on from there.

    The longest agreement wins; among equals the place that was being copied from, then one in
    the passages before one in the rules, then the latest.
    """

    def __init__(self, prompt: Sequence[int], *, passages_from: int = 0) -> None:
        """``prompt[passages_from:]`` is what answers are taken from; the rules stand before it."""
        self._ids: list[int] = []
        self._ends: dict[int, list[int]] = {}  # token -> where it stands, in order
        self._passages_from = passages_from
        self._following = -1  # the place that the last guess was read from, moving along
        self.extend(prompt)

    def extend(self, ids: Sequence[int]) -> None:
        """Add what was said; later guesses may copy from it, too."""
        for token in ids:
            self._ends.setdefault(token, []).append(len(self._ids))
            self._ids.append(token)
            if self._following >= 0:
                self._following += 1

    def match(self) -> tuple[int, int]:
        """Return the length of the best agreement and the place after it; (0, 0) if none."""
        ids, last = self._ids, len(self._ids) - 1
        best: tuple[int, bool, bool, int] = (0, False, False, 0)
        for end in self._ends.get(ids[last], ()) if ids else ():
            if end == last:
                break
            length = 1
            while (
                length < LONGEST_MATCH and length <= end and ids[end - length] == ids[last - length]
            ):
                length += 1
            after = end + 1
            best = max(best, (length, after == self._following, end >= self._passages_from, after))
        return best[0], best[3]

    def read(self, place: int, most: int) -> list[int]:
        """Return up to ``most`` ids that stand at ``place``, and follow that place from now on."""
        self._following = place
        return self._ids[place : place + most]


class Pace:
    """Decides how many tokens to guess, from how guesses fared and what they cost.

    For each length of agreement the share of guessed tokens that proved right is counted; for
    each length of guess the seconds of a pass. Where no guess is expected to bring more
    tokens per second than a pass with none, none is made. Old counts and times fade, so that
    what did not pay is tried again now and then.
    """

    def __init__(self) -> None:
        self._right = dict(_EXPECTED)
        self._tried = dict.fromkeys(_EXPECTED, 1.0)
        self._seconds: dict[int, deque[float]] = {n: deque(maxlen=7) for n in (0, *LENGTHS)}
        self._choices = 0

    def length(self, agreement: int, most: int) -> int:
        """Return how many tokens to guess after an agreement of that many tokens; 0 = none."""
        self._choices += 1
        if self._choices % _FORGET_EVERY == 0:
            self._forget()
        if agreement == 0:
            return 0
        kind = _kind(agreement)
        right = self._right[kind] / self._tried[kind]
        fitting = [n for n in LENGTHS if n <= most]
        return max((0, *fitting), key=lambda n: _expected_tokens(right, n) / self._cost(n))

    def learn(self, agreement: int, guessed: int, right: int) -> None:
        """Take how many of the guessed tokens were right."""
        kind = _kind(agreement)
        self._right[kind] = _FADE * self._right[kind] + right
        self._tried[kind] = _FADE * self._tried[kind] + min(right + 1, guessed)

    def took(self, guessed: int, seconds: float) -> None:
        """Take the time of one pass with that many guessed tokens."""
        known = self._seconds.get(guessed)
        if known is not None:  # a guess that was cut short says nothing about its length
            known.append(seconds)

    def _cost(self, guessed: int) -> float:
        """Return the seconds of a pass with that many guesses, in passes without."""
        plain = self._seconds[0]
        if not guessed:
            return 1.0
        measured = [n for n in LENGTHS if self._seconds[n]] if plain else []
        if not measured:
            return _FIRST_COST + _COST * guessed
        nearest = min(measured, key=lambda n: abs(n - guessed))
        cost = max(1.0, median(self._seconds[nearest]) / median(plain))
        return max(1.0, cost + _COST * (guessed - nearest))

    def _forget(self) -> None:
        for n in LENGTHS:
            if self._seconds[n]:
                self._seconds[n].popleft()
        for kind, expected in _EXPECTED.items():
            self._right[kind] = _REMEMBER * self._right[kind] + (1 - _REMEMBER) * expected
            self._tried[kind] = _REMEMBER * self._tried[kind] + (1 - _REMEMBER)


_EXPECTED = {1: 0.3, 2: 0.5, 3: 0.7, 5: 0.85, 9: 0.93}
"""Share of right tokens to start from, by the least length of agreement."""
_FADE = 0.9  # of what is known, at each new observation
_FORGET_EVERY, _REMEMBER = 32, 0.8  # choices, and what of the counts is left then
# Of a pass that checks guesses, in passes without, until one was measured, and for each token
# more: float32 by oneDNN (4 tokens 1.35, 8 1.5, 16 1.9, 32 2.5); bfloat16 costs less.
_FIRST_COST, _COST = 1.25, 0.04


def _kind(agreement: int) -> int:
    return max(least for least in _EXPECTED if least <= agreement)


def _expected_tokens(right: float, guessed: int) -> float:
    """Return the tokens of one pass: the right ones up to the first wrong, and the model's own."""
    return sum(right**n for n in range(guessed + 1))
