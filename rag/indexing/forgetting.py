"""Documents the person asked to forget, and how they are let in again.

What was derived of them is deleted; their files stay where they are and are passed over.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rag.errors import UnknownDocument
from rag.ingestion.scan import content_id, real_path
from rag.text.messages import Text
from rag.types.documents import FORGOTTEN

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger
    from rag.storage.rows import FileRow

_SHOWN = 3  # paths named when a name is not enough


def find_document(ledger: Ledger, wanted: str) -> str:
    """Return the id of the document with this id, path or name.

    Raises:
        UnknownDocument: there is none, or the name is that of several.
    """
    if wanted in ledger.document_ids():
        return wanted
    row = _named([row for row in ledger.files().values() if row.document_id], wanted)
    assert row.document_id is not None
    return row.document_id


def let_in(ledger: Ledger, folder: Path, wanted: str = "") -> None:
    """Let a forgotten document in again at the next sync; without a name, all of them.

    Raises:
        UnknownDocument: no forgotten document has this path or name.
    """
    passed_over = [row for row in ledger.files().values() if row.reason == FORGOTTEN]
    ids = ledger.forgotten()
    if wanted:
        row = _named(passed_over, wanted)
        try:
            ids = {content_id(real_path(folder, row.path))}
        except OSError as error:
            raise _unknown(wanted) from error
    # The ledger does not know which path held what. Those that stay out are found out again
    # by the next sync; the other way round, a kill in between would leave paths that it skips.
    ledger.remove_files([row.path for row in passed_over])
    ledger.remember(ids)


def _named(rows: Iterable[FileRow], wanted: str) -> FileRow:
    """Return the row with this path, else the one with this name."""
    path = PurePosixPath(unicodedata.normalize("NFC", wanted).replace("\\", "/"))
    known = list(rows)
    found = [row for row in known if row.path == str(path)]
    if not found and len(path.parts) == 1:
        found = [row for row in known if PurePosixPath(row.path).name == path.name]
    if not found:
        raise _unknown(wanted)
    if len({row.document_id or row.path for row in found}) > 1:
        paths = ", ".join(row.path for row in found[:_SHOWN])
        raise UnknownDocument(
            Text(
                f"{len(found)} files are called {wanted}: {paths}.",
                f"有 {len(found)} 个文件名为 {wanted}：{paths}。",
            ),
            hint=Text("Give the path of the one you mean.", "请给出其中一个的路径。"),
        )
    return found[0]


def _unknown(wanted: str) -> UnknownDocument:
    return UnknownDocument(
        Text(f"The library has no document {wanted}.", f"资料库中没有文档 {wanted}。"),
        hint=Text("`rag status` lists all documents.", "`rag status` 可列出所有文档。"),
    )
