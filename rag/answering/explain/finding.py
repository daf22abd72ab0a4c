"""Finds the sentence: in what was read, else in the files themselves; or says why it is nowhere.

White space, line breaks, hyphens, full and half width, quotation marks and case do not
count. A small difference is forgiven, a different number never: the same sentence about
another year is another sentence.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from rapidfuzz import fuzz

from rag.answering.explain.outcomes import of_reason, outcome
from rag.answering.explain.values import Outcome, SentencePlace
from rag.errors import IngestError
from rag.ingestion.pdf.offset_map import read_recipe
from rag.ingestion.scan import FoundFile, real_path, scan
from rag.text.messages import Text, shown
from rag.types.documents import NOTHING_TO_READ

if TYPE_CHECKING:
    from rag.protocols import LexicalIndex
    from rag.storage.ledger import FileRow
    from rag.storage.passages import LedgerPassages, PageText, StoredTexts, UnreadPage


ALIKE = 0.85
"""Likeness from which on a text is taken for the sentence; below it is only the nearest."""
_FAR = 0.5  # below it, nothing is near
_DASHES = dict.fromkeys("-\u00ad\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d\ufffe\x02")
_MARKS = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "`": "'", **_DASHES})
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Match:
    """``text[start:end]`` is the sentence, or what comes nearest to it.

    ``likeness`` is 1 where nothing differs that counts. ``same_numbers`` says that both hold
    the same ones.
    """

    start: int
    end: int
    likeness: float
    same_numbers: bool = True

    @property
    def found(self) -> bool:
        """Whether this is the sentence itself."""
        return self.likeness >= ALIKE and self.same_numbers


class Quotation:
    """A sentence to be looked for in many texts."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        self.bare = bare(sentence)
        self._numbers = Counter(_numbers(sentence))

    def places(self, text: str, *, nearer_than: float = 0.0) -> list[Match]:
        """Return every place where the sentence stands; else the one nearest text, if any.

        A text that is only near, and not nearer than ``nearer_than``, is left out.
        """
        folded = bare(text)
        if not self.bare or not folded:
            return []
        if self.bare in folded:
            letters, offsets = _letters(text)
            exact = [
                Match(offsets[at], offsets[at + len(self.bare) - 1] + 1, 1.0)
                for at in _all(letters, self.bare)
            ]
            if exact:  # letter by letter, marks that combine with others may differ
                return exact
        if self._likeness(folded) <= min(nearer_than, ALIKE):
            return []
        near = self._near(text)
        return [near] if near else []

    def _likeness(self, letters: str) -> float:
        """Return how like the sentence a part of a text is; 0 below what counts as near."""
        compare = fuzz.ratio if len(letters) <= len(self.bare) else fuzz.partial_ratio
        return compare(self.bare, letters, score_cutoff=100 * _FAR) / 100

    def _near(self, text: str) -> Match | None:
        letters, offsets = _letters(text)
        likeness, start, end = self._likeness(letters), 0, len(letters)
        if end > len(self.bare):
            found = fuzz.partial_ratio_alignment(self.bare, letters)
            start, end = (found.dest_start, found.dest_end) if found else (0, 0)
        if not likeness or start >= end:
            return None
        first, last = _whole_words(text, offsets[start], offsets[end - 1] + 1)
        same = Counter(_numbers(text[first:last])) == self._numbers
        return Match(first, last, likeness, same)


def bare(text: str) -> str:
    r"""Return ``text`` without all that does not count.

    >>> bare("ＲＴＸ 4090 has “1,008 GB/s” of band-\nwidth.")
    'rtx4090has"1,008gb/s"ofbandwidth.'
    """
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_MARKS)
    return "".join(folded.split())


def _letters(text: str) -> tuple[str, list[int]]:
    """Return ``bare(text)`` and where in ``text`` each of its characters stands."""
    letters: list[str] = []
    offsets: list[int] = []
    for place, char in enumerate(text):
        for letter in _folded(char):
            letters.append(letter)
            offsets.append(place)
    return "".join(letters), offsets


@lru_cache(maxsize=1 << 14)
def _folded(char: str) -> str:
    return bare(char)


def _all(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _numbers(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text)
    return [number.replace(",", "") for number in _NUMBER.findall(folded)]


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen a span to the ends of the words and numbers it cuts; Chinese has none to cut."""
    while start > 0 and _joined(text[start - 1], text[start]):
        start -= 1
    while end < len(text) and _joined(text[end - 1], text[end]):
        end += 1
    return start, end


def _joined(left: str, right: str) -> bool:
    if left.isdigit() or right.isdigit():
        return (left.isdigit() or left in ".,") and (right.isdigit() or right in ".,")
    return left.isascii() and left.isalpha() and right.isascii() and right.isalpha()


logger = logging.getLogger(__name__)
_LIKELY = 60  # passages whose pages are looked at closely
_MOST_PLACES = 50
_MOST_PAGES = 400  # looked at in the files themselves, some milliseconds each
_AT_ONCE = 50  # pages a worker is asked for


class RawText(Protocol):
    """Gives all letters of a file's pages, with those that are kept out of their text."""

    def __call__(self, path: Path, *, pages: Sequence[int]) -> dict[int, str]:
        """Return each page's letters by its number.

        Raises:
            UnreadableDocument: the file cannot be opened.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sighting:
    """The sentence stands on a page of a file, though in no text."""

    path: str
    document_id: str | None
    page: int
    kept: float  # share of its letters that the page's text has, in whatever order


class Finder:
    """Looks for one sentence at a time."""

    def __init__(
        self,
        folder: Path,
        whereabouts: StoredTexts,
        store: LedgerPassages,
        lexical: LexicalIndex,
        raw: RawText,
    ) -> None:
        self._folder = folder
        self._whereabouts = whereabouts
        self._store = store
        self._lexical = lexical
        self._raw = raw

    def in_texts(self, sentence: str, documents: Collection[str] | None) -> list[SentencePlace]:
        """Return where the sentence stands, likest first; else at most the one nearest text.

        ``documents`` limits the look; ``None`` looks everywhere.
        """
        quotation = Quotation(sentence)
        found = self._among(quotation, self._likely_pages(sentence, documents))
        if not any(match.found for match, _ in found) and documents is None:
            found += self._among(quotation, self._pages_holding(quotation.bare))
        found.sort(key=lambda item: (not item[0].found, -item[0].likeness))
        sure = [item for item in found if item[0].found][:_MOST_PLACES]
        places = [self._place(match, page) for match, page in sure or found[:1]]
        return list(dict.fromkeys(places))

    def _among(
        self, quotation: Quotation, pages: Iterable[PageText]
    ) -> list[tuple[Match, PageText]]:
        found: list[tuple[Match, PageText]] = []
        nearest = 0.0
        for page in pages:
            for match in quotation.places(page.text, nearer_than=nearest):
                found.append((match, page))
                nearest = max(nearest, match.likeness)
        return found

    def _likely_pages(self, sentence: str, documents: Collection[str] | None) -> Iterator[PageText]:
        if documents is not None:
            for document_id in documents:
                yield from self._whereabouts.pages(document_id)
            return
        hits = self._lexical.search(sentence, k=_LIKELY, documents=None)
        wanted: dict[str, set[int]] = {}
        for passage in self._store.passages([chunk_id for chunk_id, _ in hits]).values():
            chunk = passage.chunk
            numbers = wanted.setdefault(chunk.document_id, set())
            # a sentence that was cut may begin on the page before
            numbers |= set(range(chunk.first_page - 1, chunk.last_page + 1))
        for document_id, numbers in wanted.items():
            yield from self._whereabouts.pages(document_id, sorted(numbers))

    def _pages_holding(self, letters: str) -> Iterator[PageText]:
        """Yield the pages that hold the sentence letter by letter, wherever they are."""
        if not letters:
            return
        for document_id, number, text in self._whereabouts.every_page():
            if letters in bare(text):
                yield from self._whereabouts.pages(document_id, [number])

    def _place(self, match: Match, page: PageText) -> SentencePlace:
        start, end = page.start + match.start, page.start + match.end
        path = self._store.path(page.document_id) or page.document_id
        return SentencePlace(
            page.document_id,
            PurePosixPath(path).name,
            path,
            self._whereabouts.page_at(page.document_id, start),
            start,
            end,
            page.text[match.start : match.end],
            match.likeness,
            found=match.found,
            same_numbers=match.same_numbers,
        )

    def in_files(
        self, sentence: str, files: Iterable[tuple[str, str | None, Sequence[int]]]
    ) -> Sighting | None:
        """Look on pages as PDFium gives them, with what is kept out of their text.

        ``files`` holds path, document id (``None`` where it was not read) and page numbers.
        """
        quotation, left = Quotation(sentence), _MOST_PAGES
        for path, document_id, numbers in files:
            for at in range(0, min(len(numbers), left), _AT_ONCE):
                asked = numbers[at : at + _AT_ONCE]
                left -= len(asked)
                for page, text in self._letters(path, asked).items():
                    match = next((m for m in quotation.places(text) if m.found), None)
                    if match is not None:
                        kept = self._kept(document_id, page, match)
                        return Sighting(path, document_id, page, kept)
        return None

    def _letters(self, path: str, pages: Sequence[int]) -> dict[int, str]:
        try:
            return self._raw(real_path(self._folder, path), pages=pages)
        except IngestError as error:
            logger.warning("%s cannot be looked into: %s", path, error.message)
            return {}

    def _kept(self, document_id: str | None, page: int, match: Match) -> float:
        """Return which share of PDFium's characters went into the page's text."""
        if document_id is None:
            return 0.0
        recipe = self._store.recipes(document_id, [page]).get(page, "")
        places = set(read_recipe(recipe)) if recipe else set()
        return len(places & set(range(match.start, match.end))) / (match.end - match.start)


_MOSTLY = 0.5  # of the letters: then the page's text has the words, in another order
_FIRST_PAGES = 50  # of a file that was not read yet
_NEARBY = 3  # pages before and after
_NAMED = 12  # pages named one by one


class Outside:
    """Knows the folder beside the index."""

    def __init__(self, folder: Path, whereabouts: StoredTexts, finder: Finder) -> None:
        self._folder = folder
        self._whereabouts = whereabouts
        self._finder = finder

    def document(self, name: str) -> tuple[list[str], Outcome | None]:
        """Return the ids of the documents that ``name`` means, or why there is none to search."""
        rows = self._whereabouts.files(name)
        if not rows:
            return [], self._unknown(name)
        complete = self._whereabouts.complete()
        ready = [
            row.document_id
            for row in rows
            if row.document_id in complete and not self._whereabouts.failure(row.document_id)
        ]
        return (ready, None) if ready else ([], self._unready(rows[0]))

    def _unknown(self, name: str) -> Outcome:
        wanted = name.replace("\\", "/")
        found = [f for f in scan(self._folder) if wanted in {f.path, PurePosixPath(f.path).name}]
        if not found:
            return outcome("no_document", document=shown(name))
        return self._unread(found[0])

    def _unread(self, file: FoundFile) -> Outcome:
        if file.reason:
            return of_reason("file", file.reason, _whole(shown(file.path)))
        return outcome("not_indexed", document=shown(file.path))

    def _unready(self, row: FileRow) -> Outcome:
        reason = row.reason
        if row.document_id is not None:
            reason = self._whereabouts.failure(row.document_id) or reason
        if reason:
            return of_reason("file", reason, _whole(shown(row.path)))
        return outcome("not_embedded", document=shown(row.path))

    def whereabouts(
        self, sentence: str, documents: Collection[str] | None, nearest: SentencePlace | None
    ) -> Outcome:
        """Say why no indexed text holds the sentence.

        ``documents`` are those it should stand in; ``None`` means that nobody knows.
        """
        rows = {
            row.document_id: row
            for row in self._whereabouts.files()
            if row.document_id and (documents is None or row.document_id in documents)
        }
        seen = self._finder.in_files(sentence, self._to_look_at(rows, documents, nearest))
        if seen is not None:
            return self._sighted(sentence, seen)
        changed = self._changed(rows.values()) if documents is not None else None
        if changed is not None:
            return changed
        return self._nowhere(documents)

    def _to_look_at(
        self,
        rows: dict[str, FileRow],
        documents: Collection[str] | None,
        nearest: SentencePlace | None,
    ) -> Iterator[tuple[str, str | None, Sequence[int]]]:
        """Yield path, id and pages, the likeliest first: unread pages, then whole documents."""
        if documents is None:
            known = {row.path for row in self._whereabouts.files()}
            for file in scan(self._folder):
                if file.path not in known and file.reason is None:
                    yield file.path, None, range(1, _FIRST_PAGES + 1)
        unread = [page for page in self._whereabouts.unread() if page.document_id in rows]
        for document_id in dict.fromkeys(page.document_id for page in unread):
            numbers = [page.number for page in unread if page.document_id == document_id]
            yield rows[document_id].path, document_id, numbers
        likely = documents or ([nearest.document_id] if nearest else [])
        for document_id in likely:
            pages = self._whereabouts.pages(document_id)
            if document_id in rows:
                yield rows[document_id].path, document_id, [page.number for page in pages]

    def _sighted(self, sentence: str, seen: Sighting) -> Outcome:
        name = shown(PurePosixPath(seen.path).name)
        if seen.document_id is None:
            return outcome("not_indexed", document=name)
        unread = {page.number: page for page in self._whereabouts.unread(seen.document_id)}
        page = unread.get(seen.page)
        reason = page.reason or "" if page else ""
        hidden = reason.startswith(("hidden", "only_hidden"))
        if hidden and not self._comes_back(sentence, seen):
            return outcome("hidden", page=seen.page, document=name)
        if page is not None and not page.searchable:
            return of_reason("page", reason or page.state, _on_page(name, (seen.page,)))
        code = "scattered" if seen.kept >= _MOSTLY else "furniture"
        return outcome(code, page=seen.page, document=name)

    def _comes_back(self, sentence: str, seen: Sighting) -> bool:
        """Tell whether pages nearby say the same, as they do in a running header."""
        nearby = list(range(max(1, seen.page - _NEARBY), seen.page + _NEARBY + 1))
        nearby.remove(seen.page)
        return self._finder.in_files(sentence, [(seen.path, seen.document_id, nearby)]) is not None

    def _changed(self, rows: Collection[FileRow]) -> Outcome | None:
        known = {row.path: row for row in rows}
        for file in scan(self._folder):
            row = known.get(file.path)
            if row and (row.size, row.mtime_ns) != (file.size, file.mtime_ns):
                return outcome("changed", document=shown(file.path))
        return None

    def _nowhere(self, documents: Collection[str] | None) -> Outcome:
        gaps = [page for page in self._whereabouts.unread() if _is_gap(page)]
        if documents is None:
            failed = self._whereabouts.failures()
            lost = outcome("nowhere", gaps=_gaps(len(gaps), failed))
            return replace(lost, searchable=not gaps and not failed)
        mine = [page for page in gaps if page.document_id in documents]
        if not mine:
            return outcome("nowhere", gaps="")
        path = next(
            r.path for r in self._whereabouts.files() if r.document_id == mine[0].document_id
        )
        reasons = [page.reason or page.state for page in mine]
        commonest = max(reasons, key=reasons.count)
        numbers = tuple(page.number for page in mine)
        return of_reason("page", commonest, _maybe(shown(PurePosixPath(path).name), numbers))


def _is_gap(page: UnreadPage) -> bool:
    return not page.searchable and page.reason not in NOTHING_TO_READ


def _gaps(pages: int, files: int) -> Text:
    if not pages and not files:
        return Text("", "")
    return Text(
        f"; but there are pages ({pages}) and files ({files}) that cannot be searched"
        " (`rag status --pages`)",
        f"；但有 {pages} 页和 {files} 个文件无法检索（`rag status --pages`）",
    )


def _whole(name: str) -> Text:
    return Text(name, name)


def _on_page(name: str, pages: tuple[int, ...]) -> Text:
    listed = ", ".join(map(str, pages[:_NAMED])) + ("…" if len(pages) > _NAMED else "")
    plural = "s" if len(pages) > 1 else ""
    return Text(f"{name}, page{plural} {listed}", f"{name} 第 {listed} 页")


def _maybe(name: str, pages: tuple[int, ...]) -> Text:
    where = _on_page(name, pages)
    return Text(
        f"It stands in no text that was read. It may stand where nothing can be searched:"
        f" {where.en}",
        f"已读取的文本中没有这句话，它可能在无法检索的页面：{where.zh}",
    )
