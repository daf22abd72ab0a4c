"""What one tab shows, as values: the layout keeps them in ``gr.State``, the views draw them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rag.text.messages import Language, Text
from rag.types.answers import (
    AlsoSearched,
    Answer,
    AnswerMessage,
    AskMode,
    Evidence,
    Message,
    Passage,
    ReadingProgress,
    Sentence,
)
from rag.types.progress import Progress

Stage = Literal[
    "queued", "searching", "model", "reading", "writing", "stopping", "done", "stopped", "failed"
]
LAST: frozenset[Stage] = frozenset({"done", "stopped", "failed"})
PageSizes = Mapping[tuple[str, int], tuple[float, float]]
DOCUMENT_ID = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong and what to do. The error itself cannot be copied into a session."""

    message: Text
    hint: Text


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and what became of it."""

    question: str
    stage: Stage = "searching"
    text: str = ""
    passages: tuple[Passage, ...] = ()
    dropped: tuple[Passage, ...] = ()
    checked: tuple[Sentence, ...] = ()  # judged while the rest is being written
    early: Sentence | None = None  # what was quoted before the answer, until that is there
    answer: Answer | None = None
    problem: Problem | None = None
    progress: Progress | None = None  # of the model, while the question waits for it
    reading: ReadingProgress | None = None  # of whole documents
    read: float = 0.0  # share of the passages that the model has read, 0 to 1
    noticed: tuple[
        AnswerMessage, ...
    ] = ()  # what the machine makes different, while it is answered
    documents: tuple[str, ...] = ()  # ids of those that were picked; none = all were searched
    searched: str = ""  # what was searched for, where it is more than the question
    also: AlsoSearched | None = None  # what was searched for besides the question's words
    page_sizes: PageSizes | None = None  # (document id, page) -> (width, height) in points

    @property
    def scope(self) -> int:
        """How many documents were picked; 0 = all were searched."""
        return len(self.documents)

    @property
    def notices(self) -> tuple[AnswerMessage, ...]:
        """What the machine made different."""
        return self.answer.notices if self.answer else self.noticed

    @property
    def quotation(self) -> Sentence | None:
        """The place that was quoted before the answer."""
        return self.answer.quotation if self.answer else self.early

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """The sentences judged so far."""
        return self.answer.sentences if self.answer else self.checked


@dataclass(frozen=True, slots=True)
class Screen:
    """Everything that belongs to one tab."""

    turns: tuple[Turn, ...] = ()
    live: Turn | None = None
    chat: int | None = None  # that keeps it; ``None`` until there is an answer


@dataclass(frozen=True, slots=True)
class Client:
    """What the page tells about itself with each event."""

    language: Language = "en"
    documents: frozenset[str] = frozenset()
    mode: AskMode = "auto"
    chat: int | None = None  # that is to be opened


def client_of(sent: object) -> Client:
    """Read what the page sent; anything unexpected counts as not sent."""
    values: Mapping[str, Any] = sent if isinstance(sent, dict) else {}
    picked, mode, chat = (values.get(key) for key in ("documents", "mode", "chat"))
    return Client(
        language="zh" if values.get("language") == "zh" else "en",
        mode="whole" if mode == "whole" else "passages" if mode == "passages" else "auto",
        chat=chat if isinstance(chat, int) and not isinstance(chat, bool) else None,
        documents=frozenset(
            item
            for item in (picked if isinstance(picked, list) else ())
            if isinstance(item, str) and DOCUMENT_ID.fullmatch(item)
        ),
    )


def history_of(turns: Iterable[Turn]) -> list[Message]:
    """Return the conversation as the model should see it: only turns that were answered."""
    messages: list[Message] = []
    for turn in turns:
        if turn.text:
            messages += [Message("user", turn.question), Message("assistant", turn.text)]
    return messages


def passage_of(passages: Sequence[Passage], evidence: Evidence) -> Passage | None:
    """Return the passage that ``evidence`` points to; ``None`` if there is no such passage."""
    return passages[evidence.passage] if 0 <= evidence.passage < len(passages) else None
