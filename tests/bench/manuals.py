"""Long manuals to measure throughput on: free documentation that Debian ships as PDF.

    python -m tests.bench.indexing --pdfs "$(python -m tests.bench.manuals)"

`apt-get download` fetches the packages and `dpkg-deb -x` unpacks them into the cache; nothing is
installed. Where there is no such thing the reason is said, and nothing else happens.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from platformdirs import user_cache_path

from tests.bench.child import folder_argument
from tests.bench.corpus import pdfs_below

PACKAGES = (
    "r-doc-pdf", "octave-doc", "c++-annotations-pdf", "db5.3-doc", "ngspice-doc",
    "linuxcnc-doc-zh-cn", "debian-reference-zh-cn", "texlive-lang-chinese",
)  # fmt: skip
"""Some 170 MB; English and Chinese, most of it set by TeX, some by word processors."""
_DONE = ".complete"


class Unavailable(Exception):
    """The manuals cannot be had here; the message says why."""


def manuals(cache: Path, *, debs: Path | None = None) -> Path:
    """Return a folder with the manuals, filled at the first call.

    ``debs`` holds packages that were downloaded before; what is missing there is downloaded.

    Raises:
        Unavailable: this system has no apt-get, or it cannot reach its packages.
    """
    folder = cache / "manuals"
    for package in PACKAGES:
        target = folder / package
        if not (target / _DONE).is_file():
            _fill(target, package, debs)
    return folder


def _fill(target: Path, package: str, debs: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="manuals-") as temporary:
        place = Path(temporary)
        deb = _find(package, debs) or _download(package, place)
        _run(["dpkg-deb", "-x", str(deb), str(place / "tree")], place)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        take_pdfs(place / "tree", target)
    (target / _DONE).touch()


def take_pdfs(tree: Path, target: Path) -> None:
    """Copy every PDF below ``tree``, also packed ones, under names that do not collide."""
    for file in sorted(tree.rglob("*")):
        if not file.is_file() or file.is_symlink():
            continue
        name = "-".join(file.relative_to(tree).parts[-3:])
        if file.suffix == ".pdf":
            shutil.copyfile(file, target / name)
        elif file.name.endswith(".pdf.gz"):
            with gzip.open(file) as packed, (target / name.removesuffix(".gz")).open("wb") as out:
                shutil.copyfileobj(packed, out)


def _find(package: str, debs: Path | None) -> Path | None:
    found = sorted(debs.glob(f"{package}_*.deb")) if debs else []
    return found[-1] if found else None


def _download(package: str, place: Path) -> Path:
    _run(["apt-get", "download", package], place)
    found = _find(package, place)
    if found is None:
        raise Unavailable(f"apt-get downloaded no {package}")
    return found


def _run(
    command: Sequence[str], place: Path, which: Callable[[str], str | None] = shutil.which
) -> None:
    if which(command[0]) is None:
        raise Unavailable(f"{command[0]} is not installed; the manuals are packages of Debian")
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"code {done.returncode}"]
        raise Unavailable(f"{' '.join(command[:2])}: {said[-1]}")


def main() -> None:
    """Print the folder, for another command to take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--debs", type=folder_argument, help="packages downloaded before")
    parser.add_argument(
        "--cache", type=folder_argument, default=user_cache_path("ragdesk", appauthor=False)
    )
    options = parser.parse_args()
    try:
        folder = manuals(options.cache / "bench", debs=options.debs)
    except Unavailable as reason:
        raise SystemExit(f"There are no manuals to measure on: {reason}.") from None
    print(f"{len(pdfs_below(folder))} PDFs", file=sys.stderr)
    print(folder)


if __name__ == "__main__":
    main()
