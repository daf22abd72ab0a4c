"""Run by test_kill.py in a process of its own: a rebuild, which begins with a sync, no model."""

from __future__ import annotations

import sys
from pathlib import Path

from rag import wiring
from rag.factory import Factory
from rag.store.live_index import LiveIndex
from rag.store.owner import Owner
from tests.factories import settings


def main() -> None:
    chosen = settings(
        Path(sys.argv[1]), RAG_CHUNK__TOKENS=sys.argv[2], RAG_RETRIEVE__INDEX=sys.argv[3]
    )
    owner = Owner(chosen.data)
    factory = Factory(chosen)
    ledger = factory.ledger()
    index = LiveIndex(ledger, chosen.data / "chroma", engine=chosen.retrieve.index)
    library = wiring.library(factory, ledger, index=index.for_writing)
    wanted = lambda space: wiring.is_wanted(factory, space)  # noqa: E731
    library.rebuild(wanted=wanted, report=lambda p: print(p.stage, p.done, flush=True))
    print("index", flush=True)
    index.for_writing()
    index.close()
    factory.close()
    ledger.close()
    owner.release()
    print("finished", flush=True)


if __name__ == "__main__":
    main()
