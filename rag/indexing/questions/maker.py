"""Questions made from a person's own documents, whose answers are known by where they stand.

Every document gives as many as the others, as far as it has any; the same seed gives the same
questions, whatever the index is like, because they are made from the pages' text.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from rag.indexing.questions.facts import KINDS, Fact, Kind, facts_of
from rag.indexing.questions.wording import worded
from rag.text.language import is_cjk
from rag.text.parse_errors import attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from rag.storage.ledger import Ledger
    from rag.types.documents import Document, Page


_HIDDEN = 4  # every fourth question is asked without its document
_HIDDEN_DOCUMENTS = 5  # every fifth document is taken out; with fewer, pages are
_PAGES = 5  # of a document that are looked at for each question wanted of it
_PLACES = 3  # pages that say the same; more is a header, or is said everywhere
_WORDS, _CHARACTERS = 8, 12  # of a question about a sentence
_UNEVEN = 2  # times its share: what a document gives at most where others give too little
_SHORT_TRACE = {"en": 16, "zh": 8}  # letters: shorter pieces stand in many documents


OWN = "own"
"""The name of the set of questions made from the person's own documents."""
TakenOut = Literal["", "document", "pages"]
"""What of ``documents[0]`` is hidden while the question is asked; then it has no answer."""


_COLUMNS = {
    "language": "lang",
    "documents": "docs",
    "text": "question",
    "pages": "pages_1based",
    "kind": "type",
}
"""What a line of a set's file calls what a question calls otherwise."""


@dataclass(frozen=True, slots=True)
class Question:
    """One row of a set. ``pages`` are physical and 1-based, and may be unknown (empty)."""

    id: str
    set: str  # the file's name without its ending
    language: str
    documents: tuple[str, ...]  # file names; the answer is in the first
    text: str
    answers: tuple[str, ...]  # any one is right
    pages: tuple[int, ...]
    answerable: bool
    kind: str = ""
    evidence: tuple[str, ...] = ()
    taken_out: TakenOut = ""

    def row(self) -> dict[str, Any]:
        """Return it as a line of a set's file."""
        row = {_COLUMNS.get(name, name): value for name, value in asdict(self).items()}
        if not self.taken_out:
            del row["taken_out"]
        return row


def question_of(row: Mapping[str, Any], *, name: str) -> Question:
    """Return what a line of a set's file holds.

    Raises:
        KeyError, TypeError, ValueError: it is no such line.
    """
    taken_out: TakenOut = row.get("taken_out") or ""
    if taken_out not in get_args(TakenOut):
        raise ValueError(f"taken_out is {taken_out!r}, neither document nor pages")
    return Question(
        id=str(row["id"]),
        set=name,
        language=str(row["lang"]),
        documents=tuple(row["docs"]),
        text=str(row["question"]),
        answers=tuple(str(answer) for answer in row["answers"]),
        pages=tuple(int(page) for page in row.get("pages_1based") or ()),
        answerable=bool(row.get("answerable", True)) and not taken_out,
        kind=str(row.get("type") or ""),
        evidence=tuple(str(text) for text in row.get("evidence") or ()),
        taken_out=taken_out,
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """A document that questions are made of."""

    id: str
    file: str
    name: str  # as a question calls it


def make_questions(
    ledger: Ledger,
    *,
    size: int,
    seed: int,
    told: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Question]:
    """Return at most ``size`` questions; a quarter has its answer taken out of the index.

    Fewer if the documents do not hold enough that rules can ask about.
    """
    sources = _sources(ledger)
    random.Random(seed).shuffle(sources)  # noqa: S311 - not for secrets
    maker = _Maker(ledger, seed)
    hidden, rest = _apart(maker, sources, size // _HIDDEN)
    found = list(hidden)
    share = size - len(hidden)
    most = -(-_UNEVEN * share // max(1, len(rest)))
    for question in islice(maker.questions(rest, most=most), share):
        found.append(question)
        told(len(found), size)
    return found


def questions_apart(ledger: Ledger, *, most: int, seed: int) -> Iterator[tuple[Question, str]]:
    """Yield up to ``most`` questions, each answered in one document alone, with that one's id.

    In a library of a few documents each is answered on some pages alone.
    """
    sources = _sources(ledger)
    random.Random(seed).shuffle(sources)  # noqa: S311 - not for secrets
    hidden: TakenOut = "document" if len(sources) >= _HIDDEN_DOCUMENTS else "pages"
    ids = {source.file: source.id for source in sources}
    for question in islice(_Maker(ledger, seed).questions(sources, most=most, hidden=hidden), most):
        yield question, ids[question.documents[0]]


def _apart(
    maker: _Maker, sources: Sequence[_Source], share: int
) -> tuple[list[Question], Sequence[_Source]]:
    """Return questions whose documents are taken out, and the documents that stay.

    More documents go than every fifth one if those give too few questions, but not more than
    half of them. In a library of a few documents pages go instead, and all documents stay.
    """
    apart = len(sources) // _HIDDEN_DOCUMENTS
    if not apart:
        most = -(-_UNEVEN * share // max(1, len(sources)))
        return list(islice(maker.questions(sources, most=most, hidden="pages"), share)), sources
    most = -(-_UNEVEN * share // apart)
    found = list(islice(maker.questions(sources[:apart], most=most, hidden="document"), share))
    while len(found) < share and apart < len(sources) // 2:
        left = share - len(found)
        found += islice(maker.questions([sources[apart]], most=left, hidden="document"), left)
        apart += 1
    return found, sources[apart:]


def _sources(ledger: Ledger) -> list[_Source]:
    files = {row.document_id: Path(path).name for path, row in ledger.files().items()}
    names = Counter(files.values())  # a question names its document by its file's name alone
    rows = ledger.connection.execute("SELECT id, title FROM documents ORDER BY id").fetchall()
    return [
        _Source(number, files[number], _called(title, files[number]))
        for number, title in rows
        if number in files and names[files[number]] == 1
    ]


def _called(title: str, file: str) -> str:
    """Return what a person would call a document: its file's name, unless that is no name."""
    name = re.sub(r"[_\s]+", " ", Path(file).stem)
    nameless = re.fullmatch(r"[0-9a-f-]{16,}|[\W\d]*", name) and re.search(r"[^\W\d]{3}", title)
    return (title if nameless else name).strip(" 《》")


class _Maker:
    """Makes questions of documents in turn."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self._ledger = ledger
        self._seed = seed
        self._asked: set[str] = set()

    def questions(
        self, sources: Sequence[_Source], *, most: int, hidden: TakenOut = ""
    ) -> Iterator[Question]:
        """Yield one question of each document, then a second one of each, ``most`` at most."""
        turns = [
            (source, self._facts(source, first=number % len(KINDS), hidden=bool(hidden)))
            for number, source in enumerate(sources)
        ]
        for _ in range(most):
            left = []
            for source, facts in turns:
                question = next(filter(None, (self._ask(source, f, hidden) for f in facts)), None)
                if question is not None:
                    yield question
                    left.append((source, facts))
            turns = left

    def _facts(self, source: _Source, *, first: int, hidden: bool) -> Iterator[Fact]:
        """Yield facts of pages at random, one kind after the other, beginning with ``first``."""
        document = self._ledger.load_document(source.id)
        if document is None:
            return
        chance = random.Random(f"{self._seed}|{source.id}")  # noqa: S311 - not for secrets
        pages = [page for page in document.pages if page.state == "text"]
        chance.shuffle(pages)
        waiting: dict[Kind, list[Fact]] = {kind: [] for kind in KINDS}
        turn = first
        for start in range(0, len(pages), _PAGES):
            for page in pages[start : start + _PAGES]:
                found = self._of_page(document, page)
                chance.shuffle(found)
                for fact in found:
                    waiting[fact.kind].append(fact)
            # an outline has far more entries than people ask about, and says less
            kinds = KINDS[:-1] if hidden else KINDS
            while any(waiting[kind] for kind in kinds):
                kind = kinds[turn % len(kinds)]
                turn += 1
                if waiting[kind]:
                    yield waiting[kind].pop(0)

    def _of_page(self, document: Document, page: Page) -> list[Fact]:
        here = [heading for heading in document.headings if heading.page == page.number]
        before = [heading for heading in document.headings if heading.page < page.number]
        topic = before[-1].title if before else ""
        return attempt(
            lambda: facts_of(page.text, page.number, here, topic=topic),
            instead=[],
            what="what a page states",
        )

    def _ask(self, source: _Source, fact: Fact, hidden: TakenOut) -> Question | None:
        elsewhere = self._pages_with(fact)
        own = sorted({fact.page, *elsewhere.pop(source.id, ())})
        common = bool(elsewhere) or len(fact.trace) < _SHORT_TRACE[fact.language]
        if (common and (hidden or fact.kind in {"sentence", "heading"})) or len(own) > _PLACES:
            return None  # other documents or pages may answer it as well
        text = attempt(
            lambda: worded(fact, seed=str(self._seed), document=source.name if common else ""),
            instead="",
            what="a question of a page",
        )
        if text in self._asked or not _is_clear(text, fact):
            return None
        self._asked.add(text)
        return Question(
            id=sha256(f"{source.id} {fact.page} {text}".encode()).hexdigest()[:16],
            set=OWN,
            language=fact.language,
            documents=(source.file,),
            text=text,
            answers=(fact.answer,) if fact.answer else (),
            pages=tuple(own),
            answerable=not hidden,
            kind=fact.kind,
            evidence=(fact.text,),
            taken_out=hidden,
        )

    def _pages_with(self, fact: Fact) -> dict[str, list[int]]:
        """Return the pages of each document on which the same is said."""
        wanted = [fact.text if fact.kind == "definition" else fact.trace]
        rows = self._ledger.connection.execute(
            "SELECT document_id, number, text FROM pages WHERE instr(text, ?)", wanted
        )
        found: dict[str, list[int]] = {}
        for document, number, text in rows:
            pages = found.setdefault(document, [])
            if fact.trace in text and (fact.kind != "table" or fact.answer in text):
                pages.append(number)
        return found


def _is_clear(question: str, fact: Fact) -> bool:
    """Say whether a question says enough to be answered, and not the answer itself."""
    if not question or (fact.answer and fact.answer in question):
        return False
    if fact.kind != "sentence":
        return True
    if fact.language == "zh":
        return sum(map(is_cjk, question)) >= _CHARACTERS
    return len(question.split()) >= _WORDS and not question.endswith((" the?", " of?", " a?"))
