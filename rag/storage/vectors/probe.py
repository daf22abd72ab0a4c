"""Opens a Chroma collection in a process of its own, because a torn one can crash it.

``python -m rag.storage.vectors.probe FOLDER COLLECTION`` prints the number of rows, having read
every id and asked one question; any other ending means that the collection is not sound.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROBE_TIMEOUT_S = 120


def is_sound(folder: Path, *, collection: str) -> bool:
    """Return whether a child process could open, list and search the collection."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "rag.storage.vectors.probe", str(folder), collection],
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> None:
    """Probe what the command line names."""
    import numpy as np

    from rag.storage.vectors.chroma import ChromaIndex

    folder, collection = sys.argv[1:3]
    index = ChromaIndex(Path(folder), collection=collection)
    ids = index.ids()
    dim = index.dim()
    if ids and dim:
        query = np.full(dim, dim**-0.5, dtype=np.float32)
        if not index.search(query, k=1):
            raise SystemExit(1)
    index.close()
    sys.stdout.write(f"{len(ids)}\n")


if __name__ == "__main__":
    main()
