"""Searching as the app does, remembering what the gate before the model would have said."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.protocols import Retriever
    from rag.types import Passage


class Searching:
    """A retriever, its passages, and which questions it would not let through to a model."""

    def __init__(self, retriever: Retriever, *, min_relevance: float) -> None:
        """``min_relevance`` is that of the settings."""
        self._retriever = retriever
        self._min_relevance = min_relevance
        self._refused: dict[str, bool] = {}

    def __call__(
        self, question: str, k: int, documents: Collection[str] | None
    ) -> Sequence[Passage]:
        """Return at most ``k`` passages, best first; satisfies ``Search``."""
        found = self._retriever.search(question, k=k, documents=documents)
        if documents is None:
            weak = found.relevance < self._min_relevance
            self._refused[question] = weak or not found.passages
        return found.passages

    def refuses(self, question: str) -> bool:
        """Say whether the app would answer, without a model, that the documents are silent."""
        if question not in self._refused:
            self(question, 1, None)
        return self._refused[question]
