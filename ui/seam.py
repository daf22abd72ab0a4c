"""What the screen needs of the app, so that both can be tested alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rag.answering.explain.values import Explanation, SentenceQuestion
    from rag.app.app import AppState
    from rag.config import Settings
    from rag.ingestion.uploads import Added
    from rag.storage.chats import Chats
    from rag.storage.vectors.manager import PreviousIndex
    from rag.text.messages import Text
    from rag.types.answers import AskMode, Event, Message, TypedDraft
    from rag.types.documents import DocumentStatus
    from rag.types.hardware import Sample


class MachineLike(Protocol):
    """The machine in the last hour."""

    def history(self, seconds: float) -> tuple[Sample, ...]:
        """Return the samples of the last seconds, oldest first."""
        ...

    def report(self, folder: Path) -> dict[str, Any]:
        """Write what the machine did; the result names the ``files``.

        Raises:
            ConfigError: the folder cannot be written.
        """
        ...


class AppLike(Protocol):
    """The part of ``rag.app.app.App`` that the screen talks to."""

    settings: Settings
    chats: Chats

    @property
    def machine(self) -> MachineLike:
        """What the panel shows."""
        ...

    def state(self) -> AppState:
        """Return one cheap snapshot; polled once a second."""
        ...

    def documents(self) -> list[DocumentStatus]:
        """Return every document, failed ones included, by name."""
        ...

    def add_files(self, files: Sequence[tuple[str, Path]]) -> list[Added]:
        """Copy ``(wanted name, temporary file)`` pairs into the folder and ask for a sync."""
        ...

    def older(self) -> set[str]:
        """Return the ids of documents that a newer version has taken the place of."""
        ...

    def unlock(self, document_id: str, password: str, *, remember: bool) -> Text | None:
        """Open a locked document; return why the password could not be kept, if so.

        Raises:
            UnknownDocument: there is no such document.
            UnreadableDocument: the password does not open it.
        """
        ...

    def rebuild_soon(self) -> None:
        """Ask for what is stale to be rebuilt; returns at once."""
        ...

    def forget(self, document_id: str) -> None:
        """Remove a document from everything the app derived; the file stays.

        Raises:
            RagError: there is no such document, or it cannot be removed.
        """
        ...

    def remember(self, path: str) -> None:
        """Let a forgotten document in again, and read it soon.

        Raises:
            RagError: no forgotten document has this path.
        """
        ...

    def kept_index(self) -> PreviousIndex | None:
        """Return what ``roll_back_soon`` leads to; ``None`` where there is nothing."""
        ...

    def roll_back_soon(self) -> None:
        """Ask for the kept index to answer again; returns at once."""
        ...

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Collection[str] | None = None,
        mode: AskMode = "auto",
        cancelled: Callable[[], bool],
    ) -> Iterator[Event]:
        """Yield Retrieved, then Deltas, then Finished; waits for the model if it must.

        The passages' boxes come with one more Retrieved, among the Deltas or after them.

        Where documents are read whole, ``Reading`` comes again and again in place of
        ``Retrieved``; ``mode`` forces or forbids that.

        Raises:
            RagError: with what happened and what to do.
        """
        ...

    def typed(self, draft: TypedDraft) -> None:
        """Hear what is being typed, so that its answer starts sooner; returns at once."""
        ...

    def why(self, asked: SentenceQuestion) -> Explanation:
        """Say what became of a sentence that stands in a document.

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
