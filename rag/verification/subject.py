"""Whether a place is about what was asked: a true figure of something else is no answer.

From passages about other things a small model answers all the same, in words that stand there.
So the words of the question, weighted by how rare they are in the library, are looked for where
the evidence stands; and its names in the whole document.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from rag.text.language import is_cjk

Holds = Callable[[str, str], bool]
"""``holds(document_id, term)``: whether a document has an index term anywhere."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a question is about, in index terms."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """What each of the question's words tells, by its rarity in the library."""
    names: Collection[str] = ()
    """Those of the words that are, or are part of, a name."""
    holds: Holds = lambda _document, _term: True
    telling: Callable[[str], Collection[str]] = lambda _text: ()
    """The terms of a text that say what it is about."""

    def share(self, held: Collection[str]) -> float:
        """Return the share, by weight, of the question's words among ``held``; 1 without any."""
        total = sum(self.weights.values())
        return sum(w for term, w in self.weights.items() if term in held) / total if total else 1.0

    def added(self, sentence: str) -> float:
        """Return how many words a sentence says beside the question's and its figures.

        A pair of Chinese characters counts half.
        """
        own = set(self.telling(sentence)) - self.weights.keys()
        return sum(0.5 if is_cjk(term[0]) else 1 for term in own if not any(map(str.isdigit, term)))

    def known(self, document_id: str) -> float:
        """Return the share, by weight, of the question's words that a document has anywhere."""
        return self.share([term for term in self.weights if self.holds(document_id, term)])

    def foreign(self, document_id: str, held: Collection[str]) -> tuple[str, ...]:
        """Return the names that neither ``held`` nor the whole document has."""
        return tuple(
            name for name in self.names if name not in held and not self.holds(document_id, name)
        )


def rarity(frequency: int, total: int) -> float:
    """Return ln(1 + (N - n + .5) / (n + .5)), as BM25 weighs a term of n of the N passages."""
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))
