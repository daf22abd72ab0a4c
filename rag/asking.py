"""What one answer may use, what is added to the passages found, and the verdict on the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.types.answers import Passage, Sentence, Verdict


def overall(sentences: Sequence[Sentence]) -> Verdict:
    """Return the verdict on a whole answer: as good as its sentences are.

    Sentences that only say that the documents are silent count when nothing else is said.
    """
    claims = [s.verdict for s in sentences if s.verdict != "not_in_documents"]
    if not claims:
        return "not_in_documents" if sentences else "unsupported"
    if all(verdict == "supported" for verdict in claims):
        return "supported"
    return "unsupported" if all(verdict == "unsupported" for verdict in claims) else "weak"


Complete = Callable[[Sequence[Passage]], tuple[Passage, ...]]
"""Adds to passages what belongs to them."""


@dataclass(frozen=True, slots=True)
class AskSettings:
    """What one answer may use."""

    k: int = 5
    max_tokens: int = 512
    temperature: float = 0.0
    min_relevance: float = 0.3
    sure_relevance: float = 0.8
    drop_unsupported: bool = False
