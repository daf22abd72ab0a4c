"""The models folder: what is installed, and how the rest gets there.

Layout: one folder per catalogue name, with the files, a note of what was verified
(``.manifest.json``), and ``.parts`` while a download is unfinished. A start-up reads the note and
compares sizes; it does not hash a gigabyte each time.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag.config import ModelSettings
from rag.errors import ConfigError, DownloadFailed, ModelMissing, WrongChecksum
from rag.models.catalogue import Catalogue, Entry, load_catalogue
from rag.models.download import (
    Delivered,
    Delivery,
    Download,
    Source,
    SourceName,
    SourceUnavailable,
    from_folder,
    locked,
    sha256_of,
    size,
    whole_model,
)
from rag.text.messages import Text
from rag.types.progress import Progress

logger = logging.getLogger(__name__)

NOTE = ".manifest.json"
FORMAT = 1
WRONG = ".wrong-sha256"
LEAST_COSINE = 0.99
GGUF_MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One verified file."""

    path: str  # relative to ``Manifest.root``
    bytes: int
    sha256: str
    trust: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A model that was verified."""

    name: str
    source: str
    revision: str  # where the bytes come from; two revisions may give different vectors
    root: str  # absolute, or "." for the model's own folder
    loads: str  # relative to ``root``: what an engine opens
    files: tuple[Recorded, ...]

    def path(self, home: Path) -> Path:
        """Return what an engine opens."""
        return (home / self.root / self.loads).resolve()

    def stands(self, home: Path) -> bool:
        """Tell whether every file is still there with its size."""
        root = home / self.root
        try:
            return all((root / f.path).stat().st_size == f.bytes for f in self.files)
        except OSError:
            return False

    def agrees(self, hashes: dict[str, str]) -> bool:
        """Tell whether no file contradicts the catalogue's hashes; "" stands for unknown."""
        return all(
            file.trust == "unpacked" or hashes.get(file.path, "") in {"", file.sha256}
            for file in self.files
        )


def read_note(home: Path) -> Manifest | None:
    """Return the note of the model in ``home``; ``None`` if there is none that can be read."""
    try:
        data: dict[str, Any] = json.loads((home / NOTE).read_text("utf-8"))
        if data.pop("format") != FORMAT:
            return None
        files = tuple(Recorded(**file) for file in data.pop("files"))
        return Manifest(**data, files=files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_note(home: Path, manifest: Manifest) -> None:
    """Write the note as one step: it is there whole, or not at all."""
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1, ensure_ascii=False)
    draft = home / f"{NOTE}.tmp"
    with draft.open("w", encoding="utf-8") as out:
        out.write(text + "\n")
        out.flush()
        os.fsync(out.fileno())
    draft.replace(home / NOTE)


def install(delivery: Delivery, job: Download) -> Manifest:
    """Install what a source delivered.

    Raises:
        WrongChecksum: a file is not the publisher's, or not the one seen at the first download.
    """
    before, entry = read_note(job.home), job.entry
    seen = {file.path: file.sha256 for file in before.files} if before else {}
    same = before is not None and before.revision == delivery.revision
    for arrived in delivery.files:
        expected = arrived.file.sha256 or (seen.get(arrived.file.path, "") if same else "")
        if expected and arrived.sha256 != expected:
            raise _wrong_checksum(
                entry.name, _aside(arrived, job), expected=expected, found=arrived.sha256
            )
    if delivery.unpack:
        files, root = _unpack(delivery, job), "."
    elif delivery.root and delivery.root != job.home:
        files, root = _as_delivered(delivery), str(delivery.root.resolve())
    else:
        files, root = _as_delivered(delivery), "."
        if delivery.root is None:
            _move(job.parts, job.home, files)
    manifest = Manifest(entry.name, delivery.source, delivery.revision, root, entry.loads, files)
    write_note(job.home, manifest)
    shutil.rmtree(job.parts, ignore_errors=True)
    return manifest


def _aside(arrived: Delivered, job: Download) -> Path:
    """Keep the wrong file under a name that nothing loads; forget the parts it was made of."""
    target = job.home / (Path(arrived.file.path).name + WRONG)
    if not arrived.at.is_symlink():  # the hub library's cache is not ours to change
        arrived.at.replace(target)
    shutil.rmtree(job.parts, ignore_errors=True)
    return target


def _as_delivered(delivery: Delivery) -> tuple[Recorded, ...]:
    return tuple(
        Recorded(d.file.path, d.at.stat().st_size, d.sha256, d.trust) for d in delivery.files
    )


def _unpack(delivery: Delivery, job: Download) -> tuple[Recorded, ...]:
    """Build the model's folder out of the delivered file, and try it before it counts."""
    from rag.models.e5_file import cosine_with_reference, unpack

    built = job.parts / "built"
    shutil.rmtree(built, ignore_errors=True)
    built.mkdir(parents=True)
    unpack(delivery.files[0].at, built)
    job.check()
    cosine = cosine_with_reference(built)
    if cosine < LEAST_COSINE:
        raise _unlike_reference(job.entry, cosine)
    paths = [(p, p.relative_to(built).as_posix()) for p in sorted(built.rglob("*")) if p.is_file()]
    files = tuple(
        Recorded(name, path.stat().st_size, sha256_of(path, job), "unpacked")
        for path, name in paths
    )
    _move(built, job.home, files)
    return files


def _move(source: Path, home: Path, files: tuple[Recorded, ...]) -> None:
    for file in files:
        target = home / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        (source / file.path).replace(target)


def open_source(name: SourceName) -> Source:
    """Return the source of that name; its libraries are imported only now."""
    if name == "hub":
        from rag.models.sources.hub import from_hub

        return from_hub
    if name == "wheels":
        from rag.models.sources.wheels import from_wheels

        return from_wheels
    return from_folder


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _ignore(_: Text) -> None:
    """Say nothing."""


class ModelStore:
    """Weights on this machine."""

    def __init__(
        self,
        folder: Path,
        *,
        sources: Sequence[SourceName] = ("folder", "hub", "wheels"),
        offline: bool = False,
        catalogue: Catalogue | None = None,
        open_source: Callable[[SourceName], Source] = open_source,
        free_bytes: Callable[[Path], int] = _free_bytes,
    ) -> None:
        self.folder = folder
        self.catalogue = catalogue or load_catalogue()
        self._sources = tuple(sources)
        self._offline = offline
        self._open_source = open_source
        self._free_bytes = free_bytes

    @classmethod
    def of(cls, settings: ModelSettings) -> ModelStore:
        """Return the store that the settings describe."""
        return cls(settings.folder.expanduser(), sources=settings.sources, offline=settings.offline)

    def installation(self, name: str) -> Manifest | None:
        """Return what was verified, if it still stands; compares sizes, does not hash.

        Raises:
            UnknownModel: the catalogue has no such name.
        """
        entry = self.catalogue.get(name)
        home = self.folder / entry.name
        manifest = read_note(home)
        if manifest is None or not manifest.stands(home):
            return None
        hashes = {file.path: file.sha256 for file in entry.files}
        return manifest if manifest.agrees(hashes) else None

    def installed(self, name: str) -> Path | None:
        """Return what an engine opens (a .gguf file or a folder); ``None`` if it is not here.

        Raises:
            UnknownModel: the catalogue has no such name.
        """
        manifest = self.installation(name)
        return manifest.path(self.folder / manifest.name) if manifest else None

    def may_fetch(self, entry: Entry) -> bool:
        """Tell whether the settings allow a source that has the model; none is asked."""
        if self._offline:
            return False
        return bool(
            ("hub" in self._sources and entry.hub) or ("wheels" in self._sources and entry.wheels)
        )

    def resolve(self, name_or_path: str) -> Path:
        """Return what an engine opens for a catalogue name, a .gguf file, or a folder.

        Raises:
            ModelMissing: the name is known, but the weights are not here.
            UnknownModel: it is neither a name nor a path.
            ConfigError: the path holds no model that can be used.
        """
        entry = self.catalogue.find(name_or_path)
        if entry is None:
            path = Path(name_or_path).expanduser()
            if not path.exists():
                self.catalogue.get(name_or_path)
            return _usable(path)
        if found := self.installed(entry.name):
            return found
        raise _missing(entry, self.folder)

    def pull(
        self,
        name: str,
        *,
        progress: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        notify: Callable[[Text], None] = _ignore,
    ) -> Path:
        """Make sure that the model is here and verified; return what an engine opens.

        Asks the sources in their order. ``notify`` hears why a source was passed over. What
        an interrupted pull has fetched is kept and used by the next.

        Raises:
            UnknownModel: the catalogue has no such name.
            DownloadCancelled: ``cancelled()`` became true.
            DownloadFailed: no source could deliver, or the disk is full or read-only.
            WrongChecksum: the bytes are not the publisher's; they were set aside.
        """
        entry = self.catalogue.get(name)
        if found := self.installed(entry.name):
            return found
        job = Download(
            entry, self.folder, progress, cancelled, notify, self._free_bytes, self._offline
        )
        try:
            job.home.mkdir(parents=True, exist_ok=True)
            with locked(job):
                if found := self.installed(entry.name):  # another process was quicker
                    return found
                manifest = install(self._fetch(job), job)
        except OSError as error:
            raise _unwritable(job.home, error) from error
        logger.info("installed %s from %s", entry.name, manifest.revision)
        return manifest.path(job.home)

    def _fetch(self, job: Download) -> Delivery:
        tried: list[tuple[SourceName, SourceUnavailable]] = []
        for name in self._sources:
            job.check()
            try:
                return self._open_source(name)(job)
            except SourceUnavailable as error:
                logger.info("%s: %s cannot deliver: %s", job.entry.name, name, error.reason.en)
                if name != "folder":
                    job.notify(_source_says(name, error.reason))
                tried.append((name, error))
        raise _nothing_delivered(job, tried)


def _usable(path: Path) -> Path:
    if path.is_dir() and whole_model(path):
        return path
    if path.is_file():
        with path.open("rb") as stream:
            if stream.read(len(GGUF_MAGIC)) == GGUF_MAGIC:
                return path
    raise _unusable(path)


# -- what is said when it fails ---------------------------------------------------------------

_SOURCES: dict[SourceName, Text] = {
    "folder": Text("models folder", "模型文件夹"),
    "hub": Text("model hub", "模型库"),
    "wheels": Text("package index", "软件包索引"),
}


def _source_says(source: SourceName, reason: Text) -> Text:
    """Return what a source answered, with its name before it."""
    word = _SOURCES[source]
    return Text(f"{word.en}: {reason.en}", f"{word.zh}：{reason.zh}")


def _nothing_delivered(
    job: Download, tried: Sequence[tuple[SourceName, SourceUnavailable]]
) -> DownloadFailed:
    """Return the failure of all sources: each with its reason, and the best hint of them."""
    entry = job.entry
    reasons = [_source_says(source, error.reason) for source, error in tried]
    en = "; ".join(reason.en for reason in reasons) or "no source is allowed"
    zh = "；".join(reason.zh for reason in reasons) or "没有启用任何来源"
    hints = [error.hint for _, error in tried if error.hint]
    files = entry.files[0].path if len(entry.files) == 1 else ""
    what = files or "the files"
    by_hand = Text(
        f"Check the network and pull again, or copy {what} ({size(entry.bytes)}) from another"
        f" computer into {job.home}.",
        f"请检查网络后重试，或从另一台电脑把 {files or '模型文件'}（{size(entry.bytes)}）复制到"
        f" {job.home}。",
    )
    return DownloadFailed(
        Text(f"{entry.name} could not be fetched. {en}.", f"无法获取 {entry.name}。{zh}。"),
        hint=hints[0] if hints else by_hand,
    )


def _wrong_checksum(name: str, path: Path, *, expected: str, found: str) -> WrongChecksum:
    """Return the failure for bytes that are not the publisher's; ``path`` is where they are."""
    return WrongChecksum(
        Text(
            f"{path.name} of {name} has the wrong content: sha256 should be {expected} but is"
            f" {found}. It was set aside and is not used.",
            f"{name} 的文件 {path.name} 内容不对：sha256 应为 {expected}，实际为 {found}。"
            "该文件已移到一旁，不会使用。",
        ),
        hint=Text(
            f"Pull again; it is fetched anew. You may delete {path}. If it happens again, the"
            " source is not to be trusted: change models.sources.",
            f"请重新下载。{path} 可以删除。如果再次发生，说明该来源不可信：请修改 models.sources。",
        ),
    )


def _missing(entry: Entry, folder: Path) -> ModelMissing:
    """Return the failure for a model that is known but not on this machine."""
    return ModelMissing(
        Text(
            f"{entry.name} is not on this computer yet (looked in {folder}).",
            f"本机还没有 {entry.name}（已查看 {folder}）。",
        ),
        hint=Text(
            f"Run `rag models pull {entry.name}` ({size(entry.download_bytes)}).",
            f"请运行 `rag models pull {entry.name}`（{size(entry.download_bytes)}）。",
        ),
    )


def _unusable(path: Path) -> ConfigError:
    """Return the failure for a path that holds no model."""
    return ConfigError(
        Text(f"{path} holds no model that can be used.", f"{path} 中没有可用的模型。"),
        hint=Text(
            "Name a .gguf file, or a folder with config.json and *.safetensors. Other formats"
            " (.bin, .pt) can run code when they are opened and are not read.",
            "请指定 .gguf 文件，或含有 config.json 和 *.safetensors 的文件夹。"
            "其他格式（.bin、.pt）打开时可能执行代码，因此不读取。",
        ),
    )


def _unwritable(folder: Path, error: OSError) -> DownloadFailed:
    """Return the failure of the disk itself."""
    return DownloadFailed(
        Text(f"{folder} cannot be written: {error}.", f"无法写入 {folder}：{error}。"),
        hint=Text(
            "Check the folder's permissions and the disk, or set models.folder to another place.",
            "请检查文件夹权限和磁盘，或把 models.folder 设到其他位置。",
        ),
    )


def _unlike_reference(entry: Entry, cosine: float) -> WrongChecksum:
    """Return the failure of a model that was built here and gives other vectors than it must."""
    return WrongChecksum(
        Text(
            f"{entry.name} was unpacked but gives wrong vectors (cosine {cosine:.3f}, at least"
            " 0.99 expected). It is not used.",
            f"{entry.name} 已解包，但向量不正确（余弦 {cosine:.3f}，应不低于 0.99），不会使用。",
        ),
        hint=Text(
            "This is a fault of the program or of an installed library's version: report it,"
            " and choose another embedder meanwhile (`rag models list`).",
            "这是程序或所装库版本的问题：请反馈，并暂时换用其他嵌入模型（`rag models list`）。",
        ),
    )
