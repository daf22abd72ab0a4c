"""What is said of a sentence that no indexed text holds: its file, its page, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rag.answering.explain.outcomes import of_reason, outcome
from rag.answering.explain.values import Outcome
from rag.ingestion.scan import FoundFile, scan
from rag.text.messages import Text, shown
from rag.types.documents import NOTHING_TO_READ

if TYPE_CHECKING:
    from rag.answering.explain.finding import Finder, Sighting
    from rag.answering.explain.values import SentencePlace
    from rag.storage.documents import StoredTexts, UnreadPage
    from rag.storage.rows import FileRow


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
