"""What questions made of a library's own text say about searches in it.

The same question is asked as the library is, and with its answer hidden. Where the two lie
apart is where the gate before the model belongs: contracts that share their words answer
unanswerable questions with far nearer passages than encyclopaedia articles do. And an embedder
that does not find what words find at once has not learnt the language. The figures behind the
constants are in docs/decisions.md, "A gate and a fusion for each library".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rag.text.messages import Language

LEAST = 12
"""Questions of a language; fewer say nothing."""
_EASIER = 4.5  # log-odds; people's questions share fewer words with their answers than these do
_KEPT, _REFUSED = 0.05, 0.95  # shares: of the answerable at most, of the others as many as need be
_LOWEST = -2.2  # log-odds, a probability of .1; below it nothing is refused on this account
_GATE = math.log(0.3 / 0.7)  # the default of retrieve.min_relevance
_HALF = 0.5
_UNKNOWN, _KNOWN = 0.2, 0.4  # hit@1 by meaning as a share of that by words: none and full trust


@dataclass(frozen=True, slots=True)
class Trial:
    """What one question showed: log-odds of an answer, with it and without; first hits."""

    language: Language
    there: float
    hidden: float
    by_words: bool  # the answer's passage was the first that words found
    by_meaning: bool
    astray: bool = False  # the nearest in meaning were passages of another language


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of one library and one language.

    ``threshold`` is where the log-odds of an answer, as fitted on other libraries, tell apart
    what this one holds and what it does not; ``None`` leaves them as they are. ``meaning`` is
    how far the list found by meaning is trusted, 0 to 1.
    """

    threshold: float | None = None
    meaning: float = 1.0
    questions: int = 0

    @property
    def knows_the_language(self) -> bool:
        """Whether the embedder does; else what lies near a question says nothing."""
        return self.meaning >= _HALF

    def log_odds(self, fitted: float) -> float:
        """Return log-odds that pass the gate where this library's questions do.

        ``fitted`` are those of other libraries.
        """
        return fitted if self.threshold is None else fitted - self.threshold + _GATE


UNKNOWN = Calibration()
Calibrations = Mapping[Language, Calibration]


def calibrate(trials: Sequence[Trial]) -> dict[Language, Calibration]:
    """Return what trials tell, for each language with ``LEAST`` of them.

    The threshold refuses no more than it must to refuse nineteen of twenty questions whose
    answer is hidden, and stays well below all but the lowest twentieth of the others.
    """
    found: dict[Language, Calibration] = {}
    languages: tuple[Language, ...] = ("en", "zh")
    for language in languages:
        own = [trial for trial in trials if trial.language == language]
        if len(own) < LEAST:
            continue
        words = sum(t.by_words for t in own)
        share = sum(t.by_meaning for t in own) / words if words else 1.0
        meaning = min(1.0, max(0.0, (share - _UNKNOWN) / (_KNOWN - _UNKNOWN)))
        found[language] = Calibration(_threshold(own), meaning, len(own))
    return found


def _threshold(own: Sequence[Trial]) -> float | None:
    """Return where the gate lies; ``None`` if too many questions were led astray to tell."""
    straight = [trial for trial in own if not trial.astray]
    if len(straight) < LEAST:
        return None
    there, hidden = sorted(t.there for t in straight), sorted(t.hidden for t in straight)
    last = len(straight) - 1
    refused = hidden[min(last, math.ceil(_REFUSED * len(straight)))]
    return max(_LOWEST, min(there[int(_KEPT * len(straight))] - _EASIER, refused))


def as_rows(found: Calibrations) -> dict[str, dict[str, Any]]:
    """Return it as JSON has it."""
    return {language: asdict(one) for language, one in found.items()}


def of_rows(rows: Mapping[Language, Mapping[str, Any]]) -> Calibrations:
    """Return what ``as_rows`` gave.

    Raises:
        TypeError: it is of another make.
    """
    return {language: Calibration(**row) for language, row in rows.items()}
