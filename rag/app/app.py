"""The running app: it owns the library, keeps it equal to the folder, holds the model.

Opening is fast and loads nothing; ``start`` begins the slow work in threads of its own.
The screen only draws what it finds here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rag.app import wiring
from rag.app.container import Container
from rag.app.machine_monitor import MachineMonitor
from rag.app.model_loader import ModelLoader, ModelState
from rag.app.questions import Forecast, Forecaster, Questions
from rag.app.supervisor import Part, Scheduler, Supervisor
from rag.app.sync_worker import SyncWorker, WorkerHooks
from rag.errors import no_page
from rag.hardware.memory import tidy
from rag.ingestion.scan import real_path
from rag.ingestion.uploads import Added, add_file
from rag.protocols import parts_of
from rag.storage.chats import Chats
from rag.storage.jobs import Jobs
from rag.storage.lock import LibraryLock
from rag.storage.status import document_statuses, page_size
from rag.storage.vectors.manager import PreviousIndex, VectorIndexManager, kept_index
from rag.text.messages import Text
from rag.types.answers import Event, Finished, Message, Usage
from rag.types.documents import DocumentStatus
from rag.types.hardware import MemoryReading
from rag.types.progress import Progress
from rag.types.server_address import Address

if TYPE_CHECKING:
    from rag.answering.explain.values import Explanation, SentenceQuestion
    from rag.answering.whole_document.scope import ReadingPace
    from rag.app.wiring import QuestionParts
    from rag.config import Settings
    from rag.protocols import VectorIndex
    from rag.types.answers import AskMode, TypedDraft
    from rag.types.hardware import Holder


@dataclass(frozen=True, slots=True)
class AppState:
    """The app at one moment. Cheap to take; the screen asks once a second."""

    model_state: ModelState
    model_name: str
    model_progress: Progress | None
    model_note: Text | None
    sync_progress: Progress | None
    sync_note: Text | None
    documents_revision: int
    memory: MemoryReading
    last_usage: Usage | None
    reading_ahead: bool = False
    stale: Text | None = None  # what a rebuild would mend, and what it costs
    server: Address | None = None  # that answers, where the model does not run in this program
    model_offer: Text | None = None  # a model that would answer better here
    lowered: tuple[Text, ...] = ()  # what answers do without, for want of memory
    heat: Text | None = None  # why answers come with pauses
    forecast: Forecast | None = None  # of the next question, where a model is loaded here
    failures: tuple[Text, ...] = ()  # background parts that do not work now, why, and a remedy

    @property
    def doing(self) -> ModelState | Literal["verify", "indexing", "prefetch"]:
        """The app in one word: the model first, for without it nothing is answered."""
        if self.model_state != "ready":
            verified = self.model_progress is not None and self.model_progress.stage == "verify"
            return "verify" if verified and self.model_state != "failed" else self.model_state
        if self.sync_progress:
            return "indexing"
        return "prefetch" if self.reading_ahead else "ready"


_MODEL = Text("Loading the model", "加载模型")
_LIBRARY = Text("Reading the folder", "读取文件夹")
_ERRANDS = Text("Removing and re-admitting documents", "移除或恢复文档")
_WATCH = Text("Watching the folder", "监视文件夹")
_AHEAD = Text("Reading ahead", "提前读取")


class App:
    """One library, one model, any number of browser tabs."""

    def __init__(self, settings: Settings, owner: LibraryLock) -> None:
        self.settings = settings
        self._owner = owner
        self._stopping = threading.Event()
        stopped = self._stopping.is_set
        self._model = ModelLoader(stopped)
        self._container = Container(settings, report=self._model.tell, cancelled=stopped)
        self._ledger = self._container.ledger()
        self.chats = Chats(self._ledger)
        self.machine = MachineMonitor(
            self._container.readings(), self._parts, answers=self.chats.since
        )
        self._index = VectorIndexManager(
            self._ledger, settings.data / "chroma", engine=settings.retrieve.index
        )
        self._scheduler = Scheduler(idle=lambda: tidy(self._container.allocator))
        self.supervisor = Supervisor(self._stopping)
        library = wiring.library(self._container, self._ledger, index=self._index)
        self._jobs = Jobs(self._ledger)
        self._worker = SyncWorker(
            library,
            self._jobs,
            settings.knowledge,
            hooks=self._hooks(),
            stopping=self._stopping,
        )
        self._unlock = partial(library.unlocking.unlock, settings.knowledge, self._worker.sync_soon)
        self._wire_questions()

    def _load_model(self) -> None:
        self._model.load(self._container)
        if self._model.state == "ready":
            self._container.compare_engines(
                self._stopping.is_set, asking=lambda: self._scheduler.asking
            )

    def _wire_questions(self) -> None:
        settings = self.settings
        self._last_usage: Usage | None = None
        self._direct = wiring.direct_answerer(
            self._container, self._ledger, model=lambda: self._model.name
        )
        self._questions = Questions(
            self._ledger,
            self._index,
            self._model,
            wire=self._question_parts,
            direct=self._direct,
        )
        self._forecaster = Forecaster(settings, self._container.plans)
        self._ahead = self._questions.read_ahead(
            stopping=self._stopping,
            syncing=lambda: self._worker.progress is not None,
            asking=lambda: self._scheduler.asking,
            on=settings.generator.read_ahead,
        )

    @classmethod
    def open(cls, settings: Settings) -> App:
        """Take the library.

        Raises:
            LibraryBusy: another process holds it.
            StoreError: it cannot be opened.
        """
        owner = LibraryLock(settings.data)  # which makes the folders
        try:
            return cls(settings, owner)
        except BaseException:
            owner.release()
            raise

    def start(self) -> None:
        """Load the model, sync the folder and watch it, all in the background."""
        for part in (
            Part("model", _MODEL, self._load_model, again=False),
            Part("library", _LIBRARY, self._worker.run),
            Part("errands", _ERRANDS, self._worker.run_quick),
            Part("watch", _WATCH, self._worker.watch),
            Part("ahead", _AHEAD, self._ahead.run),
            self.machine.part(self._stopping),
        ):
            self.supervisor.start(part)

    def close(self) -> None:
        """Stop the background work and let go of everything."""
        self._stopping.set()
        self._worker.wake()
        self.supervisor.join(timeout_s=30)
        self._index.close()
        self._model.close()
        self._container.close()
        self._ledger.close()
        self._owner.release()

    # -- what the screen reads -------------------------------------------------------------

    def state(self) -> AppState:
        """Return the app as it is now."""
        model, now = self._model, self.machine.reading()
        return AppState(
            model_state=model.state,
            model_name=model.name,
            model_progress=model.progress,
            model_note=model.note,
            model_offer=model.offer,
            sync_progress=self._worker.progress,
            sync_note=self._worker.note,
            documents_revision=self._worker.revision,
            memory=now,
            last_usage=self._last_usage,
            reading_ahead=self._ahead.busy,
            stale=self._worker.stale,
            server=self.settings.generator.asked_server(),
            lowered=self._container.fallback.lowered,
            heat=self.machine.heat.note,
            forecast=self._forecaster.next_question(model.loaded, now, self._last_usage),
            failures=self.supervisor.failures,
        )

    def documents(self) -> list[DocumentStatus]:
        """Return all documents with what became of them, sorted by path."""
        return document_statuses(self._ledger)

    def page_image(self, document_id: str, *, page: int, width: int) -> bytes:
        """Return a page as PNG.

        Raises:
            UnknownDocument: the library has no such document or page.
            UnreadableDocument: the file cannot be drawn.
        """
        self.page_size(document_id, page)
        path = next(
            (r.path for r in self._ledger.files().values() if r.document_id == document_id), None
        )
        if path is None:
            raise no_page(document_id, page)
        real = real_path(self.settings.knowledge, path)
        return self._container.pool().render(real, page=page, width=width)

    def page_size(self, document_id: str, page: int) -> tuple[float, float]:
        """Return width and height of a page in points, as shown.

        Raises:
            UnknownDocument: the library has no such document or page.
        """
        size = page_size(self._ledger, document_id, page)
        if size is None:
            raise no_page(document_id, page)
        return size

    # -- what the screen asks for ----------------------------------------------------------

    def add_files(self, files: Sequence[tuple[str, Path]]) -> list[Added]:
        """Copy dropped files into the knowledge folder, and sync soon."""
        added = [add_file(self.settings.knowledge, name, path) for name, path in files]
        self.sync_soon()
        return added

    def older(self) -> set[str]:
        """Return the ids of documents that a newer version has taken the place of."""
        return set(self._ledger.superseded())

    def rebuild_soon(self) -> None:
        """Ask for what is stale to be rebuilt; returns at once."""
        self._jobs.file("rebuild", {"screen": True})
        self._worker.wake()

    def kept_index(self) -> PreviousIndex | None:
        """Return what ``roll_back_soon`` leads to; ``None`` where there is nothing."""
        return kept_index(self._ledger)

    def roll_back_soon(self) -> None:
        """Ask for the kept index to answer again; returns at once."""
        self._jobs.file("rollback", {"screen": True})
        self._worker.wake()

    def forget(self, document_id: str) -> None:
        """Remove a document from everything the app derived; the file stays.

        Raises:
            RagError: there is no such document, or it cannot be removed.
        """
        self._worker.ask("forget", document_id)

    def remember(self, path: str) -> None:
        """Let a forgotten document in again, and read it soon.

        Raises:
            RagError: no forgotten document has this path.
        """
        self._worker.ask("remember", path)

    def unlock(self, document_id: str, password: str, *, remember: bool) -> Text | None:
        """Open a locked document; return why the password could not be kept, if so.

        Raises:
            UnknownDocument: there is no such document.
            UnreadableDocument: the password does not open it.
        """
        return self._unlock(document_id, password, remember=remember)

    def sync_soon(self) -> None:
        """Ask for a sync; returns at once."""
        self._worker.sync_soon()

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Collection[str] | None = None,
        mode: AskMode = "auto",
        cancelled: Callable[[], bool],
    ) -> Iterator[Event]:
        """Yield Retrieved, then Deltas, then Finished; waits for the model if it is still loading.

        The passages' boxes come with one more Retrieved, among the Deltas or after them. Where
        documents are read whole, ReadingProgress comes in place of Retrieved; ``mode`` forces or
        forbids that.

        Raises:
            RagError: nothing is indexed, or the model cannot be loaded or run.
        """
        with self._scheduler.question():
            self._ahead.asked()
            events = self._questions.ask(
                question,
                history=history,
                documents=documents,
                mode=mode,
                cancelled=self.machine.heat.watched(cancelled),
            )
            for event in self.machine.told(events):
                if isinstance(event, Finished) and event.answer.usage.prompt_tokens:
                    self._last_usage = event.answer.usage
                yield event

    def typed(self, draft: TypedDraft) -> None:
        """Hear what is being typed; the model may read ahead for it. Returns at once."""
        self._ahead.typed(draft)

    def why(self, asked: SentenceQuestion) -> Explanation:
        """Say what became of a sentence; the model is not asked, and counts only if idle.

        Raises:
            RagError: nothing is indexed.
        """
        idle = not self._scheduler.asking
        with self._scheduler.question():
            return self._questions.explainer(with_model=idle).explain(asked)

    def _parts(self) -> dict[Holder, int]:
        return parts_of(self._container.movable()) | self._model.parts()

    def _hooks(self) -> WorkerHooks:
        return WorkerHooks(
            wanted=lambda version: wiring.is_wanted(self._container, version),
            prepare=self._open_index,
            give_way=lambda: self._scheduler.give_way(self._stopping.is_set),
            report=self.machine.report,
            stale=lambda: wiring.stale_words(self._container, self._ledger),
            ocr=self.settings.ingest.ocr == "auto",
        )

    def _question_parts(self, index: VectorIndex, pace: ReadingPace) -> QuestionParts:
        return wiring.question_parts(
            self._container,
            self._ledger,
            generator=self._model.wait,
            index=index,
            pace=pace,
            instead=self._direct.instead,
        )

    def _open_index(self) -> None:
        if self._ledger.active_version() is not None:
            self._index.for_writing()
