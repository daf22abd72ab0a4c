"""Values of reading whole documents: what is asked, how far it is, what was left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AskMode = Literal["auto", "passages", "whole"]
"""Who decides whether documents are read whole: the question, or the person."""
Task = Literal["summary", "list", "count", "compare", "answer"]
"""What a question wants of whole documents; ``answer`` is any question, on demand."""
ReadingStep = Literal["read", "condense", "compose"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of what a question is about was read."""

    read: int  # passages
    of: int
    documents: tuple[str, ...]  # file names, in the order they are read
    pages: int = 0  # of these documents
    left_out: int = 0  # documents of the library that are not among them


@dataclass(frozen=True, slots=True)
class Reading:
    """An event: how far reading is. The first one says what will be read."""

    coverage: Coverage
    step: ReadingStep = "read"
    seconds_left: float | None = None  # of reading; ``None`` until the model's speed is known


@dataclass(frozen=True, slots=True)
class Offer:
    """What reading everything would take, where that was not done without being asked."""

    passages: int
    documents: int
    pages: int
    seconds: float | None  # ``None``: this model's speed is not known yet


@dataclass(frozen=True, slots=True)
class Readable:
    """A document that can be read whole."""

    id: str
    name: str  # file name
    title: str
    pages: int
    passages: int
    tokens: int  # of all passages, as the embedder counts
