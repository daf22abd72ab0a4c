"""Who may ask, and who wants to stop: one answer at a time, one per tab."""

from __future__ import annotations

from threading import Event, Lock

from rag.words import Language


class Ticket:
    """One tab's right to ask one question."""

    def __init__(self, desk: Lock) -> None:
        self._desk = desk
        self._stopped = Event()
        self._held = False
        self.discarded = False  # the conversation was left; nothing of it may be shown

    def wait(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for the desk to be free; true once it is ours."""
        self._held = self._held or self._desk.acquire(timeout=seconds)
        return self._held

    def stop(self) -> None:
        """Ask whoever answers to stop; safe from any thread, any number of times."""
        self._stopped.set()

    def stopped(self) -> bool:
        """Say whether Stop was pressed or the tab was closed."""
        return self._stopped.is_set()

    def release(self) -> None:
        """Stop, and let the next question have the desk."""
        self._stopped.set()
        if self._held:
            self._held = False
            self._desk.release()


class Sessions:
    """The open tabs, by the session hash that Gradio gives them."""

    def __init__(self) -> None:
        self._desk = Lock()
        self._tickets: dict[str, Ticket] = {}
        self._languages: dict[str, Language] = {}

    def ticket(self, session: str) -> Ticket:
        """Return a new ticket; the tab's earlier one is stopped."""
        self.stop(session)
        ticket = self._tickets[session] = Ticket(self._desk)
        return ticket

    def stop(self, session: str) -> Ticket | None:
        """Stop what this tab is asking, if anything, and return its ticket."""
        ticket = self._tickets.pop(session, None)
        if ticket:
            ticket.stop()
        return ticket

    def discard(self, session: str) -> None:
        """Stop what this tab is asking and show nothing of it any more."""
        ticket = self.stop(session)
        if ticket:
            ticket.discarded = True

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
