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
    names: Mapping[str, str] = field(default_factory=dict)
    """Those of the words that are, or are part of, a name, and how the question writes them."""
    holds: Holds = lambda _document, _term: True
    telling: Callable[[str], Collection[str]] = lambda _text: ()
    """The terms of a text that say what it is about."""

    def share(self, held: Collection[str]) -> float:
        """Return the share, by weight, of the question's words among ``held``; 1 without any."""
        total = sum(self.weights.values())
        return sum(w for term, w in self.weights.items() if term in held) / total if total else 1.0

    def added(self, sentence: str) -> float:
        """Return how many words a sentence says beside the question's and its figures.

        A pair of Chinese characters counts half. Endless where the question tells nothing.
        """
        if not self.weights:
            return math.inf
        own = set(self.telling(sentence)) - self.weights.keys()
        return sum(0.5 if is_cjk(term[0]) else 1 for term in own if not any(map(str.isdigit, term)))

    def known(self, document_id: str) -> float:
        """Return the share, by weight, of the question's words that a document has anywhere."""
        return self.share([term for term in self.weights if self.holds(document_id, term)])

    def foreign(
        self, document_id: str, held: Collection[str], *, across: bool = False
    ) -> tuple[str, ...]:
        """Return the names of the question if neither ``held`` nor the whole document has any.

        Of two that are compared each stands in a document of its own. ``across`` languages only
        those with a digit are the same.
        """
        wanted = [t for t in self.names if not across or any(map(str.isdigit, t))]
        if any(term in held or self.holds(document_id, term) for term in wanted):
            return ()
        return tuple(self.names[term] for term in wanted)
