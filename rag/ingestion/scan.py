"""What lies in the knowledge folder, and what in it cannot be taken, with the reason."""

from __future__ import annotations

import errno
import hashlib
import os
import time
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

_BLOCK = 1 << 20
_TRAILER_BYTES = 1024  # a whole PDF ends with %%EOF in its last 1024 bytes (ISO 32000-1, annex H)
RECENT_S = 60.0  # a file that nobody has written to for so long is not being copied any more


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One PDF, or something that cannot be taken: then ``reason`` says why.

    ``path`` is relative, POSIX, NFC; ``real`` opens it.
    """

    path: str
    real: Path
    size: int = 0
    mtime_ns: int = 0
    reason: str | None = None  # a key of rag.text.reasons.REASONS


def scan(folder: Path) -> list[FoundFile]:
    """Return all PDFs below ``folder`` and all that cannot be taken, sorted by path.

    Hidden files and folders are left out, and so are links to folders inside, whose files
    are found where they are.
    """
    root = Path(os.path.realpath(folder))
    return sorted(_distinct(_walk(root), root), key=lambda found: found.path)


def _walk(root: Path) -> Iterator[FoundFile]:
    waiting = [str(root)]  # not recursive: folders may be nested deeper than calls
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except FileNotFoundError:
            continue  # it went between the listing and the look
        except OSError as error:
            yield _refused(folder, root, _why(error, "folder_unreadable"))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                if entry.is_dir(follow_symlinks=False) and not _leads_out(entry, root):
                    waiting.append(entry.path)
                elif found := _look(entry, root):
                    yield found
            except FileNotFoundError:
                continue
            except OSError as error:
                yield _refused(entry.path, root, _why(error, "unreadable"))


def _look(entry: os.DirEntry[str], root: Path) -> FoundFile | None:
    """Return a PDF, or a link that is not followed; ``None`` for everything else."""
    pdf = entry.name.lower().endswith(".pdf")
    linked = entry.is_symlink() or entry.is_dir(follow_symlinks=False)
    if linked and (pdf or entry.is_dir()) and _leads_out(entry, root):
        return _refused(entry.path, root, "link_outside")
    if not pdf:
        return None
    if entry.is_symlink() and not entry.is_file():
        return None if entry.is_dir() else _refused(entry.path, root, "link_outside")
    if not entry.is_file():
        return None
    stat = entry.stat()
    name = _relative_name(entry.path, root)
    return FoundFile(name, Path(entry.path), stat.st_size, stat.st_mtime_ns)


def _leads_out(entry: os.DirEntry[str], root: Path) -> bool:
    # Windows has junctions, which are folders to everybody but os.path.realpath
    if not entry.is_symlink() and os.name != "nt":
        return False
    return not Path(os.path.realpath(entry.path)).is_relative_to(root)


def _refused(path: str, root: Path, reason: str) -> FoundFile:
    return FoundFile(_relative_name(path, root), Path(path), reason=reason)


def _why(error: OSError, otherwise: str) -> str:
    return "path_too_long" if error.errno == errno.ENAMETOOLONG else otherwise


def _distinct(found: Iterable[FoundFile], root: Path) -> Iterator[FoundFile]:
    """Yield each file under a path of its own, also where two differ only in their encoding."""
    taken: dict[str, FoundFile] = {}
    for file in found:
        other = taken.get(file.path)
        if other is None:
            taken[file.path] = file
            continue
        exact = str(file.real.relative_to(root)) == file.path
        first, second = (file, other) if exact else (other, file)
        taken[file.path] = first
        yield replace(second, path=_text(second.real.relative_to(root).as_posix()))
    yield from taken.values()


def _relative_name(path: str, root: Path) -> str:
    """Return ``path`` below ``root`` as it is kept in the ledger: POSIX separators, NFC."""
    name = path[len(str(root)) + 1 :] or "."
    return unicodedata.normalize("NFC", _text(name.replace(os.sep, "/")))


def _text(name: str) -> str:
    """Return a file's name as text; bytes that are none are spelled out."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "surrogateescape" if os.name != "nt" else "surrogatepass")
        return raw.decode("utf-8", "backslashreplace")
    return name


def real_path(folder: Path, name: str) -> Path:
    """Return where the file of a ledger's path is, however its name is encoded there."""
    direct = folder / name
    if os.path.lexists(direct):
        return direct
    at = folder
    for part in name.split("/"):
        try:
            entries = sorted(entry.name for entry in at.iterdir())
        except OSError:
            return direct
        known = (e for e in entries if part in {_text(e), unicodedata.normalize("NFC", _text(e))})
        found = next(known, None)
        if found is None:
            return direct
        at = at / found
    return at


def looks_whole(file: FoundFile) -> bool:
    """Tell whether a file may be read at once.

    One that was written to a moment ago and does not end like a PDF may still be growing.
    """
    if abs(time.time() - file.mtime_ns / 1e9) > RECENT_S:
        return True
    try:
        with file.real.open("rb") as opened:
            opened.seek(max(0, file.size - _TRAILER_BYTES))
            return b"%%EOF" in opened.read(_TRAILER_BYTES)
    except OSError:
        return True  # whoever reads it next says why


def look_again(file: FoundFile) -> FoundFile | None:
    """Return the file as it is now; ``None`` if it is gone."""
    try:
        stat = file.real.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return replace(file, reason=_why(error, "unreadable"))
    return replace(file, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def content_id(path: Path) -> str:
    """Return the sha256 of the file's bytes, hex.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
