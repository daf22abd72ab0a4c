"""Run by test_kill.py in a process of its own: one sync, without a model."""

from __future__ import annotations

import sys
from pathlib import Path

from rag import wiring
from rag.factory import Factory
from rag.store.live_index import LiveIndex
from rag.store.owner import Owner
from tests.factories import settings


def main() -> None:
    chosen = settings(Path(sys.argv[1]))
    owner = Owner(chosen.data)
    factory = Factory(chosen)
    ledger = factory.ledger()
    index = LiveIndex(ledger, chosen.data / "chroma", engine="chroma")
    library = wiring.library(factory, ledger, index=index.for_writing)
    report = library.sync(report=lambda p: print(p.stage, p.done, flush=True))
    print("finished", report.files, flush=True)
    index.close()
    factory.close()
    ledger.close()
    owner.release()


if __name__ == "__main__":
    main()
