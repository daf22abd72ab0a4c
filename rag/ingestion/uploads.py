"""Files dropped onto the page, and how they land in the knowledge folder.

Under a safe name, whole or not at all, and never in place of another file.
"""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
import uuid
from dataclasses import dataclass
from pathlib import Path

from rag.ingestion.scan import content_id
from rag.text.messages import Text

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]')
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)$")  # names Windows keeps for itself
_MAX_NAME_BYTES = 200  # most file systems allow 255; leave room for " (2)"
_HEADER_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one dropped file."""

    name: str  # as it was called
    path: str | None  # where it landed, relative to the knowledge folder; None if refused
    note: Text | None = None


def safe_name(name: str) -> str:
    """Return a file name without folders, controls or signs that a file system refuses.

    >>> safe_name("../../合同（最终版）.pdf"), safe_name("a<b>.PDF"), safe_name(".pdf")
    ('合同（最终版）.pdf', 'a_b_.PDF', 'document.pdf')
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    stem, dot, suffix = _UNSAFE.sub("_", last).rpartition(".")
    stem = stem.strip(" .") or "document"
    if _RESERVED.match(stem):
        stem = f"_{stem}"
    while len(stem.encode()) > _MAX_NAME_BYTES:
        stem = stem[:-1]
    return f"{stem}{dot}{suffix}"


def add_file(folder: Path, name: str, source: Path) -> Added:
    """Copy ``source`` into ``folder``.

    Raises:
        OSError: the folder cannot be written.
    """
    if refusal := _refusal(name, source):
        return Added(name, None, refusal)
    identity = content_id(source)
    wanted = safe_name(name)
    target = folder / wanted
    number = 1
    while target.exists():
        if target.is_file() and content_id(target) == identity:
            already = Text(f"{name} is already there.", f"{name} 已经在库中。")
            return Added(name, target.name, already)
        number += 1
        target = folder / f"{Path(wanted).stem} ({number}){Path(wanted).suffix}"
    _place(source, target)
    if number == 1:
        return Added(name, target.name)
    renamed = Text(
        f"Another file is called {wanted}; this one was added as {target.name}.",
        f"已有同名文件 {wanted}，此文件已另存为 {target.name}。",
    )
    return Added(name, target.name, renamed)


def _refusal(name: str, source: Path) -> Text | None:
    if not name.lower().endswith(".pdf"):
        return Text(f"{name} is not a PDF and was not added.", f"{name} 不是 PDF，未添加。")
    with source.open("rb") as file:
        if b"%PDF" in file.read(_HEADER_BYTES):
            return None
    return Text(
        f"{name} is called .pdf but holds something else; it was not added.",
        f"{name} 虽以 .pdf 结尾，但内容不是 PDF，未添加。",
    )


def _place(source: Path, target: Path) -> None:
    part = target.with_name(f".{uuid.uuid4().hex}.part")  # hidden: the watcher does not look
    try:
        shutil.copyfile(source, part)
        os.replace(part, target)  # noqa: PTH105 - one call, atomic on one file system
    finally:
        part.unlink(missing_ok=True)
