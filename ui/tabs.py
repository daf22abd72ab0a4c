"""What belongs to one tab: what it shows, its right to ask, and the files dropped on it.

What is shown are values: the layout keeps them in ``gr.State``, the views draw them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Literal

from rag.config import Settings
from rag.errors import RagError
from rag.ingestion.uploads import Added
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

if TYPE_CHECKING:
    from rag.app.app import App

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
    """Return the conversation as the model should see it: what documents have answered."""
    messages: list[Message] = []
    for turn in turns:
        if turn.text and not (turn.answer and turn.answer.beside_documents):
            messages += [Message("user", turn.question), Message("assistant", turn.text)]
    return messages


def passage_of(passages: Sequence[Passage], evidence: Evidence) -> Passage | None:
    """Return the passage that ``evidence`` points to; ``None`` if there is no such passage."""
    return passages[evidence.passage] if 0 <= evidence.passage < len(passages) else None


class Ticket:
    """One tab's right to ask one question."""

    def __init__(self, app: Lock) -> None:
        self._app = app
        self._stopped = Event()
        self._changing = Lock()
        self._held = self._released = self._discarded = False

    def wait(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for the app to be free; true once it is ours."""
        self._held = self._held or self._app.acquire(timeout=seconds)
        return self._held

    def stop(self) -> None:
        """Ask whoever answers to stop; safe from any thread, any number of times."""
        self._stopped.set()

    def stopped(self) -> bool:
        """Say whether Stop was pressed or the conversation was left."""
        return self._stopped.is_set()

    def discard(self) -> bool:
        """Stop, and have nothing of the conversation shown any more.

        False if the answer was over before; then its last screen has been drawn already.
        """
        with self._changing:
            self._discarded = not self._released
        self._stopped.set()
        return self._discarded

    @property
    def discarded(self) -> bool:
        """Say whether the conversation was left."""
        return self._discarded

    def release(self) -> bool:
        """Let the next question have the app; say whether the conversation was left."""
        self._stopped.set()
        with self._changing:
            self._released = True
        if self._held:
            self._held = False
            self._app.release()
        return self._discarded


class Sessions:
    """The open tabs, by the session hash that Gradio gives them."""

    def __init__(self) -> None:
        self._app = Lock()
        self._tickets: dict[str, Ticket] = {}
        self._languages: dict[str, Language] = {}

    def ticket(self, session: str) -> Ticket:
        """Return a new ticket; the tab's earlier one is stopped."""
        self.stop(session)
        ticket = self._tickets[session] = Ticket(self._app)
        return ticket

    def stop(self, session: str) -> None:
        """Stop what this tab is asking, if anything."""
        if ticket := self._tickets.pop(session, None):
            ticket.stop()

    def discard(self, session: str) -> bool:
        """Stop what this tab is asking and show nothing of it; false if nothing was asked."""
        ticket = self._tickets.pop(session, None)
        return ticket is not None and ticket.discard()

    def close(self, session: str) -> None:
        """Forget a tab that was closed."""
        self.discard(session)
        self._languages.pop(session, None)

    def speak(self, session: str, language: Language) -> None:
        """Remember the tab's language; an answer under way switches with it."""
        self._languages[session] = language

    def language(self, session: str) -> Language:
        """Return the tab's language."""
        return self._languages.get(session, "en")


def upload_folder(settings: Settings) -> Path:
    """Return where files wait between the browser and the knowledge folder."""
    return settings.data / "uploads"


def take(app: App, sent: object, *, folder: Path) -> list[Added]:
    """Give the files in Gradio's ``sent`` to the app under the names the person sees.

    The temporary copies are deleted whatever becomes of them: the knowledge folder is the
    only place where a document stays. What does not lie in ``folder`` is none of ours and is
    left alone, whatever the request says.
    """
    return [one for name, path in _files(sent, folder.resolve()) for one in _take(app, name, path)]


def _take(app: App, name: str, path: Path) -> list[Added]:
    try:
        return app.add_files([(name, path)])
    except RagError as error:
        return [Added(name, None, error.text)]
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return [
            Added(
                name,
                None,
                Text(
                    f"{name} was not added, the folder could not be written: {reason}.",
                    f"未添加 {name}，文件夹无法写入：{reason}。",
                ),
            )
        ]
    finally:
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()  # Gradio makes one folder for each file


def _files(sent: object, folder: Path) -> Iterator[tuple[str, Path]]:
    for item in sent if isinstance(sent, list) else []:
        values: Mapping[str, Any] = item if isinstance(item, dict) else {}
        path = Path(str(values.get("path") or "")).resolve()
        if path.is_file() and path.is_relative_to(folder):
            yield str(values.get("orig_name") or path.name), path
