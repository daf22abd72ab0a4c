"""What OpenVINO makes of a GGUF: which files it can read, and the copy that it loads in seconds.

Reading a GGUF takes OpenVINO 10 to 20 seconds, loading what it made of it 3. So that is kept in a
hidden folder beside the file, which goes when the model's folder goes. This module loads nothing.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rag.system.process import remove_left
from rag.text.messages import Text
from rag.types.gguf import Gguf

logger = logging.getLogger(__name__)

FOLDER = ".openvino"
"""Beside the GGUF; in it a folder for each file, named like it."""
PACKAGE = "openvino-genai"

_DRAFT = "draft-"  # then the process that writes it, and the file
_NOTE = "made.json"
_FORMAT = 1  # of what is kept; another number makes it anew
_MODEL = "openvino_model.bin"
_ROOM_SHARE, _ROOM_BYTES = 1.5, 1 << 30  # of the file, and left on the disk beside it

_ARCHITECTURES = ("llama", "qwen2", "qwen3")
_KINDS = {0, 1, 2, 3, 8, 12, 14}
"""F32, F16, Q4_0, Q4_1, Q8_0, Q4_K and Q6_K, by ggml's numbers. Q5_0, which Qwen2.5 0.5B has in
its Q4_K_M, is refused by the library; the others were not tried."""
_BPE = "gpt2"  # SentencePiece vocabularies end in an error of its own ("unordered_map::at")
_UNREAD = ("rope.scaling.type", "rope.scaling.factor", "expert_count")
"""What a reader of plain Llamas would pass over, and then compute something else."""


def unfit(header: Gguf) -> Text | None:
    """Return why OpenVINO cannot run a GGUF; ``None`` if it should be able to."""
    values = header.values
    if header.architecture not in _ARCHITECTURES or any(map(header.of_architecture, _UNREAD)):
        kind = header.architecture or "?"
        return Text(
            f"OpenVINO does not read models of the kind '{kind}'.",
            f"OpenVINO 不支持“{kind}”类模型。",
        )
    if values.get("tokenizer.ggml.model") != _BPE or not values.get("tokenizer.chat_template"):
        return Text(
            "OpenVINO does not read its vocabulary, or it has no chat template.",
            "OpenVINO 不支持其词表，或文件中没有对话模板。",
        )
    strange = {tensor.kind for tensor in header.tensors} - _KINDS
    if strange or any(tensor.name.startswith("rope_") for tensor in header.tensors):
        return Text(
            "OpenVINO does not read weights that are written like that.",
            "OpenVINO 不支持其权重格式。",
        )
    return None


def installed_version(package: str = PACKAGE) -> str | None:
    """Return the version of the library, or of another; ``None`` where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def copy_of(gguf: Path) -> Path:
    """Return the folder in which the copy of a GGUF is kept, whether it is there or not."""
    return gguf.parent / FOLDER / gguf.stem  # the library takes a name in .gguf for a file


def has_copy(gguf: Path) -> bool:
    """Tell whether there is a copy that was made of this very file, by this very version."""
    folder = copy_of(gguf)
    try:
        found = json.loads((folder / _NOTE).read_text("utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in found["files"]}
        return bool(found["of"] == _origin(gguf) and found["files"] == sizes)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def keep_copy(gguf: Path, write: Callable[[Path], None]) -> bool:
    """Have ``write(link)`` put a copy beside ``link``, and keep it; false where that cannot be.

    The copy is there whole, or not at all.
    """
    target = copy_of(gguf)
    draft = target.with_name(f"{_DRAFT}{os.getpid()}-{target.name}")
    drop_drafts(gguf)
    try:
        size = gguf.stat().st_size
        target.parent.mkdir(exist_ok=True)
        if shutil.disk_usage(target.parent).free < _ROOM_SHARE * size + _ROOM_BYTES:
            logger.warning("no room on the disk to keep what OpenVINO makes of %s", gguf.name)
            return False
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        link = draft / "model.gguf"
        _link(gguf, link)
        write(link)
        link.unlink()
        _note(draft, gguf)
        drop_copy(gguf)
        draft.rename(target)
    except OSError as error:
        logger.warning("what OpenVINO makes of %s cannot be kept: %s", gguf.name, error)
        return has_copy(gguf)  # another process may have been first
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):
            target.parent.rmdir()  # if nothing is in it
    return True


def drop_drafts(gguf: Path) -> None:
    """Remove what processes that were killed had begun: each is as large as the model."""
    remove_left(copy_of(gguf).parent, _DRAFT)


def drop_copy(gguf: Path) -> None:
    """Remove a copy, if there is one."""
    shutil.rmtree(copy_of(gguf), ignore_errors=True)


def _link(gguf: Path, link: Path) -> None:
    """Give the file a second name: what is written comes to stand beside that."""
    try:
        link.symlink_to(gguf.resolve())
    except OSError:  # Windows lets not everybody
        link.hardlink_to(gguf)


def _note(folder: Path, gguf: Path) -> None:
    files = {each.name: each.stat().st_size for each in folder.iterdir()}
    if not files.get(_MODEL):
        raise OSError(f"no {_MODEL} was written")
    text = json.dumps({"of": _origin(gguf), "files": files}, indent=1)
    (folder / _NOTE).write_text(text, "utf-8")


def _origin(gguf: Path) -> dict[str, object]:
    """Return what a copy depends on."""
    found = gguf.stat()
    return {
        "format": _FORMAT,
        PACKAGE: installed_version(),
        "bytes": found.st_size,
        "modified_ns": found.st_mtime_ns,
    }
