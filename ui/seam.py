"""What the screen needs of the engine room, so that both can be tested alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from rag.config import Settings
from rag.types import DocumentStatus, Event, MemoryReading, Message, Progress, Usage
from rag.words import Text

ModelState = Literal["none", "downloading", "loading", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class DeskState:
    """One cheap snapshot of everything that changes by itself."""

    model_state: ModelState
    model_name: str
    model_progress: Progress | None  # while downloading or loading
    model_note: Text | None  # why it failed, or a hint
    sync_progress: Progress | None  # while a sync runs
    sync_note: Text | None  # why the last sync failed
    documents_revision: int  # changes whenever documents() would differ
    memory: MemoryReading
    last_usage: Usage | None  # of the last answer


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one file that was dropped onto the screen."""

    name: str  # as the person named it
    path: str | None  # where it landed, relative to the folder, POSIX; None if refused
    note: Text | None  # renamed, already there, or refused


class DeskLike(Protocol):
    """The part of ``rag.desk.Desk`` that the screen talks to."""

    settings: Settings

    def state(self) -> DeskState:
        """Return one cheap snapshot; polled once a second."""
        ...

    def documents(self) -> list[DocumentStatus]:
        """Return every document, failed ones included, by name."""
        ...

    def add_files(self, files: Sequence[tuple[str, Path]]) -> list[Added]:
        """Copy ``(wanted name, temporary file)`` pairs into the folder and ask for a sync."""
        ...

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Collection[str] | None = None,
        cancelled: Callable[[], bool],
    ) -> Iterator[Event]:
        """Yield Retrieved, then Deltas, then Finished; waits for the model if it must.

        Raises:
            RagError: with what happened and what to do.
        """
        ...

    def page_image(self, document_id: str, *, page: int, width: int) -> bytes:
        """Return a page as PNG, ``width`` pixels wide.

        Raises:
            UnknownDocument: no such document.
            IngestError: the page cannot be drawn.
        """
        ...

    def page_size(self, document_id: str, page: int) -> tuple[float, float]:
        """Return width and height of a page in points.

        Raises:
            UnknownDocument: no such document or page.
        """
        ...

    def start(self) -> None:
        """Load the model, sync and watch the folder, all in the background."""
        ...
