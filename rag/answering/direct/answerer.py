"""Tells which questions need no model, and answers them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.answering.direct.app_words import about_app, talk
from rag.answering.direct.draft import Draft
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

if TYPE_CHECKING:
    from rag.answering.direct.library import LibraryAnswers
    from rag.answering.direct.places import PlaceQuotes
    from rag.retrieval.query.question_kind import QuestionKind
    from rag.storage.listing import LibraryList
    from rag.types.answers import Answer

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
        proven: Callable[[Answer], Answer],
    ) -> None:
        """``words`` gives the terms of a text that carry weight.

        ``proven`` adds to evidence the boxes on its pages.
        """
        self._words = words
        self._facts = facts
        self._library = library
        self._places = places
        self._listed = listed
        self._proven = proven

    def answer(self, question: str, documents: Collection[str] | None = None) -> Answer | None:
        """Return the answer; ``None`` where the question is one for the documents' content.

        ``documents`` are the ids of those that were picked; ``None`` is all.
        """
        return attempt(
            lambda: self._answer(question, documents),
            instead=None,
            what="what kind of question it is",
        )

    def instead(self, question: str, documents: Collection[str] | None) -> Answer | None:
        """Return what to say where the documents hold no answer, if they are not what is meant."""
        return attempt(
            lambda: self._of_kind(question, loose_kind(question), documents),
            instead=None,
            what="what kind of question it is",
        )

    def _answer(self, question: str, documents: Collection[str] | None) -> Answer | None:
        kind = question_kind(question)
        if kind is None:
            return self._place(question, documents)
        return self._of_kind(question, kind, documents)

    def _of_kind(
        self, question: str, kind: QuestionKind | None, documents: Collection[str] | None
    ) -> Answer | None:
        if isinstance(kind, SmallTalk):
            return Draft(question, "app").say(talk(kind.talk)).answer()
        if isinstance(kind, AboutApp) and documents is None:  # who has picked some asks of these
            return self._about_app(question, kind)
        if isinstance(kind, AboutLibrary):
            answer = self._library.answer(question, kind, documents)
            return self._proven(answer) if answer and kind.about == "topic" else answer
        return None

    def _about_app(self, question: str, kind: AboutApp) -> Answer:
        facts = self._facts
        said = about_app(
            kind.topic, model=facts.model() or "?", folder=facts.folder, leaves=facts.leaves
        )
        draft = Draft(question, "app").say(said)
        asked = self._words(question)
        if asked and (found := self._listed.of_guide(asked, draft.language)):
            draft.quote(found, self._words, set(asked))
        return self._proven(draft.answer())

    def _place(self, question: str, documents: Collection[str] | None) -> Answer | None:
        if not numbered_places(question).places:
            return None
        names = {one.id: (one.name, one.title) for one in self._listed.documents() if one.id}
        named = named_documents(question, names)
        asked = numbered_places(named.question)
        if not asked.bare and not named.ids:
            named = loosely_named(question, names)
            asked = numbered_places(named.question)
        if not asked.bare:
            return None
        chosen = [i for i in named.ids if documents is None or i in documents]
        if (named.ids and not chosen) or not names:
            return None  # of a document that was not picked, or nothing is indexed yet
        scope = chosen if named.ids else documents
        return self._proven(self._places.answer(question, asked.places, scope))
