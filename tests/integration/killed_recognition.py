"""Run by test_kill.py in a process of its own: a sync that recognises text, no other model."""

from __future__ import annotations

import sys
from pathlib import Path

from rag import wiring
from rag.factory import Factory
from rag.store.live_index import LiveIndex
from rag.store.owner import Owner
from tests.factories import settings


def main() -> None:
    chosen = settings(Path(sys.argv[1]), RAG_RETRIEVE__INDEX="numpy")
    owner = Owner(chosen.data)
    factory = Factory(chosen)
    ledger = factory.ledger()
    index = LiveIndex(ledger, chosen.data / "chroma", engine="numpy")
    library = wiring.library(factory, ledger, index=index.for_writing)
    library.sync(ocr="auto", report=lambda p: print(p.stage, p.done, flush=True))
    index.close()
    factory.close()
    ledger.close()
    owner.release()
    print("finished", flush=True)


if __name__ == "__main__":
    main()
