"""What the file system or SQLite refused, in words that say what to do."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

from rag.errors import LibraryBusy, StoreError
from rag.text.messages import Text

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_OPENING = ("SQLITE_CANTOPEN", "SQLITE_IOERR")
_TOO_MANY = {errno.EMFILE, errno.ENFILE}
_A_CONNECTION = (
    4  # files that SQLite may open for one: the ledger, its log, their index, the folder
)


def store_failure(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    """Return what to raise for a failure to open, read or write the library at ``path``."""
    name = getattr(error, "sqlite_errorname", "")
    number = error.errno if isinstance(error, OSError) else None
    if number in _TOO_MANY or (name.startswith(_OPENING) and _no_handles()):
        return _too_many_files(path)
    # what SQLite says where a file may not grow
    cut_short = name.startswith("SQLITE_IOERR") and _no_room(path)
    if name == "SQLITE_FULL" or number in _FULL or cut_short:
        return _full(path)
    if _refused(name, path) or number in _READ_ONLY:
        return _read_only(path)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LibraryBusy(
            Text(f"The library {path} is in use.", f"资料库 {path} 正在被使用。"),
            hint=Text("Try again in a moment.", "请稍后重试。"),
        )
    return StoreError(
        Text(
            f"The library {path} cannot be opened or written: {error}.",
            f"无法打开或写入资料库 {path}：{error}。",
        ),
        hint=Text(
            "Run `rag doctor`; if it is damaged, move the .rag folder away and sync again.",
            "运行 `rag doctor`；如已损坏，请移走 .rag 文件夹后重新同步。",
        ),
    )


def _refused(name: str, path: Path) -> bool:
    if name.startswith("SQLITE_CANTOPEN"):
        return not writable(path.parent)
    return name.startswith(("SQLITE_READONLY", "SQLITE_PERM"))


def disk_failure(error: Exception) -> StoreError | None:
    """Return the words for a full or read-only disk, wherever it was met; else ``None``."""
    if isinstance(error, sqlite3.OperationalError):
        return store_failure(Path("library.db"), error)
    if isinstance(error, OSError) and error.errno in _FULL | {errno.EROFS}:
        return store_failure(Path(error.filename or "."), error)
    return None


def _full(path: Path) -> StoreError:
    return StoreError(
        Text(
            f"There is no room left on the disk of {path.parent}.",
            f"{path.parent} 所在的磁盘已满。",
        ),
        hint=Text(
            "Make room and sync again; what was indexed so far is kept.",
            "请清理磁盘空间后重新同步；已建立的索引会保留。",
        ),
    )


def _too_many_files(path: Path) -> StoreError:
    return StoreError(
        Text(
            f"The library {path} cannot be opened now: this program has as many files open as "
            "the system allows.",
            f"暂时无法打开资料库 {path}：本程序打开的文件数已达系统上限。",
        ),
        hint=Text(
            "Nothing is damaged. Close RAG Desk and start it again; `ulimit -n 4096` before that "
            "allows more.",
            "数据没有损坏。请关闭 RAG Desk 后重新启动；启动前运行 `ulimit -n 4096` 可提高上限。",
        ),
    )


def _read_only(path: Path) -> StoreError:
    return StoreError(
        Text(
            f"The folder {path.parent} cannot be written.",
            f"文件夹 {path.parent} 不可写入。",
        ),
        hint=Text(
            "RAG Desk keeps its index in .rag inside it: allow writing there, or copy the PDFs "
            "to a folder of your own.",
            "RAG Desk 的索引保存在其中的 .rag：请允许写入，或把 PDF 复制到自己的文件夹。",
        ),
    )


def _no_handles() -> bool:
    """Tell whether the system gives this program too few files to open a ledger.

    SQLite does not say so, and has closed those that it could open.
    """
    opened: list[int] = []
    try:
        while len(opened) < _A_CONNECTION:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in _TOO_MANY
    finally:
        for handle in opened:
            os.close(handle)
    return False


def _no_room(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < 1 << 20
    except OSError:
        return False


def writable(folder: Path) -> bool:
    """Tell whether this user may write into a folder."""
    effective = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK, effective_ids=effective)
