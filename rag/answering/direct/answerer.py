"""Tells which questions need no model, and answers them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.answering.direct.app_words import about_app, talk
from rag.answering.direct.draft import Draft, events
from rag.protocols import Cancelled, never
from rag.retrieval.query.follow_ups import readings
from rag.retrieval.query.named_places import loosely_named, named_documents
from rag.retrieval.query.numbered_places import numbered_places
from rag.retrieval.query.question_kind import (
    AboutApp,
    AboutLibrary,
    SmallTalk,
    loose_kind,
    question_kind,
)
from rag.text.messages import Text
from rag.text.parse_errors import attempt
from rag.types.answers import Message

if TYPE_CHECKING:
    from rag.answering.direct.library import LibraryAnswers
    from rag.answering.direct.places import PlaceQuotes
    from rag.retrieval.query.numbered_places import PlaceQuestion
    from rag.retrieval.query.question_kind import QuestionKind
    from rag.storage.listing import LibraryList
    from rag.types.answers import Answer, Event

Proven = Callable[["Answer", Cancelled], "Answer"]
"""Adds to evidence the boxes on its pages, unless nobody waits for them any more."""
HERE = Text(
    "Your documents and questions stay on this computer; a network is needed only to download "
    "models.",
    "你的文档和问题都留在这台电脑上，只有下载模型时才需要联网。",
)


@dataclass(frozen=True, slots=True)
class AppFacts:
    """What the app says of itself that is not always so."""

    model: Callable[[], str]
    folder: str
    leaves: Text = HERE  # what leaves this computer


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer, and whether it quotes: then its evidence is marked on its pages."""

    answer: Answer
    boxed: bool = False


class DirectAnswerer:
    """Answers by code what is not for the model."""

    def __init__(
        self,
        facts: AppFacts,
        library: LibraryAnswers,
        places: PlaceQuotes,
        listed: LibraryList,
        *,
        words: Callable[[str], list[str]],
        proven: Proven,
    ) -> None:
        """``words`` gives the terms of a text that carry weight."""
        self._words = words
        self._facts = facts
        self._library = library
        self._places = places
        self._listed = listed
        self._proven = proven

    def answer(
        self,
        question: str,
        documents: Collection[str] | None = None,
        *,
        history: Sequence[Message] = (),
        cancelled: Cancelled = never,
    ) -> Iterator[Event] | None:
        """Return the answer's events; ``None`` where the documents' content is asked for.

        ``documents`` are the ids of those that were picked; ``None`` is all. ``history`` are the
        turns before: a place that names no document may be of the one that they are about.
        """
        found = attempt(
            lambda: self._answer(question, documents, history),
            instead=None,
            what="what kind of question it is",
        )
        return self._events(found, cancelled)

    def instead(
        self, question: str, documents: Collection[str] | None, cancelled: Cancelled
    ) -> Iterator[Event] | None:
        """Return what to say where the documents hold no answer, if they are not what is meant."""
        found = attempt(
            lambda: self._of_kind(question, loose_kind(question), documents),
            instead=None,
            what="what kind of question it is",
        )
        return self._events(found, cancelled)

    def _events(self, found: _Said | None, cancelled: Cancelled) -> Iterator[Event] | None:
        if found is None:
            return None
        if not found.boxed:
            return events(found.answer)
        return events(found.answer, lambda answer: self._proven(answer, cancelled))

    def _answer(
        self, question: str, documents: Collection[str] | None, history: Sequence[Message]
    ) -> _Said | None:
        kind = question_kind(question)
        if kind is None:
            return self._place(question, documents, history)
        return self._of_kind(question, kind, documents)

    def _of_kind(
        self, question: str, kind: QuestionKind | None, documents: Collection[str] | None
    ) -> _Said | None:
        if isinstance(kind, SmallTalk):
            return _Said(Draft(question, "app").say(talk(kind.talk)).answer())
        if isinstance(kind, AboutApp) and documents is None:  # who has picked some asks of these
            return self._about_app(question, kind)
        if isinstance(kind, AboutLibrary):
            answer = self._library.answer(question, kind, documents)
            return _Said(answer, boxed=kind.about == "topic") if answer else None
        return None

    def _about_app(self, question: str, kind: AboutApp) -> _Said:
        facts = self._facts
        said = about_app(
            kind.topic, model=facts.model() or "?", folder=facts.folder, leaves=facts.leaves
        )
        draft = Draft(question, "app").say(said)
        asked = self._words(question)
        if asked and (found := self._listed.of_guide(asked, draft.language)):
            draft.quote(found, self._words, set(asked))
        return _Said(draft.answer(), boxed=True)

    def _place(
        self, question: str, documents: Collection[str] | None, history: Sequence[Message]
    ) -> _Said | None:
        if not numbered_places(question).places:
            return None
        names = {one.id: (one.name, one.title) for one in self._listed.documents() if one.id}
        ids, asked = _of_document(question, names)
        if not asked.bare or not names:
            return None  # or nothing is indexed yet
        chosen = [i for i in ids if documents is None or i in documents]
        if ids and not chosen:
            return None  # of a document that was not picked
        if not ids:
            before = _before(question, history, names)
            chosen = [i for i in before if documents is None or i in documents]
        scope = chosen or documents
        return _Said(self._places.answer(question, asked.places, scope), boxed=True)


Names = Mapping[str, "tuple[str, str]"]
"""File name and title of each document, by id."""
_BACK = 10  # questions before one that may lend it their document


def _of_document(question: str, names: Names) -> tuple[tuple[str, ...], PlaceQuestion]:
    """Return the documents that a question names, if need be by part of a name; and its places."""
    named = named_documents(question, names)
    asked = numbered_places(named.question)
    if not asked.bare and not named.ids:
        named = loosely_named(question, names)
        asked = numbered_places(named.question)
    return named.ids, asked


def _before(question: str, history: Sequence[Message], names: Names) -> tuple[str, ...]:
    """Return the documents that a question names no more, because one before it did.

    It goes on from that one by its words ("and clause 8?", 那第八条呢), or because both ask for a
    numbered place.
    """
    asked = [turn.content for turn in history if turn.role == "user"][-_BACK:]
    ids: tuple[str, ...] = ()
    for number, earlier in enumerate(asked):
        own, places = _of_document(earlier, names)
        if own and (places.bare or named_documents(earlier, names).ids):
            ids = own
        elif not _goes_on(earlier, asked[:number]):
            ids = ()
    return ids if ids and _goes_on(question, asked) else ()


def _goes_on(question: str, asked: Sequence[str]) -> bool:
    if not asked:
        return False
    if numbered_places(question).places and numbered_places(asked[-1]).places:
        return True
    return readings(question, [Message("user", asked[-1])]).says_so
