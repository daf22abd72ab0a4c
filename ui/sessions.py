"""Who may ask, and who wants to stop: one answer at a time, one per tab."""

from __future__ import annotations

from threading import Event, Lock

from rag.text.messages import Language


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
