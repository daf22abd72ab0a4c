"""What tabs bring along: questions, of which one is answered at a time, and dropped files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock
from typing import Any

from rag.config import Settings
from rag.errors import RagError
from rag.ingestion.uploads import Added
from rag.text.messages import Language, Text
from ui.seam import AppLike


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


def take(app: AppLike, sent: object, *, folder: Path) -> list[Added]:
    """Give the files in Gradio's ``sent`` to the app under the names the person sees.

    The temporary copies are deleted whatever becomes of them: the knowledge folder is the
    only place where a document stays. What does not lie in ``folder`` is none of ours and is
    left alone, whatever the request says.
    """
    return [one for name, path in _files(sent, folder.resolve()) for one in _take(app, name, path)]


def _take(app: AppLike, name: str, path: Path) -> list[Added]:
    try:
        return app.add_files([(name, path)])
    except RagError as error:
        return [Added(name, None, Text(error.say("en"), error.say("zh")))]
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
