"""What an explanation says: frozen, for the command line and the screen alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rag.text.messages import Text
from rag.types.answers import Message

Stage = Literal[
    "file", "page", "text", "passage", "words", "meaning", "fusion", "pages",
    "reranker", "k", "gate", "budget", "answer",
]  # fmt: skip
Number = float | int | str | None


@dataclass(frozen=True, slots=True)
class SentenceQuestion:
    """What is to be explained.

    ``document`` names where the sentence stands, if that is known. ``documents`` are the ids
    that the question was limited to. ``answer`` asks the model as well. ``history`` are the
    turns before, for a follow-up.
    """

    question: str
    sentence: str
    document: str | None = None
    documents: Collection[str] | None = None
    answer: bool = False
    history: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class SentencePlace:
    """Where the sentence stands, or what comes nearest to it.

    ``start`` and ``end`` are in characters of the document's text.
    """

    document_id: str
    document: str  # file name
    path: str
    page: int
    start: int
    end: int
    quote: str
    likeness: float  # 0 to 1
    found: bool = True  # False: only the nearest text
    same_numbers: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One stage: whether the sentence passed it; ``None`` where it only tells something."""

    stage: Stage
    what: Text
    numbers: Mapping[str, Number] = field(default_factory=dict)
    passed: bool | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the sentence, and what to do. ``code`` is a key of ``OUTCOMES``."""

    code: str
    what: Text
    remedy: Text
    searchable: bool = True  # False: it stands where nothing can be searched, or may do so


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole explanation."""

    question: str
    sentence: str
    outcome: Outcome
    place: SentencePlace | None
    steps: tuple[Step, ...]
