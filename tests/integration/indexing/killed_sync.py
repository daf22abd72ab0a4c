"""Run by test_kill.py in a process of its own: a rebuild, which begins with a sync, no model."""

from __future__ import annotations

import sys
from pathlib import Path

from rag.app import wiring
from tests.factories import settings
from tests.integration.indexing.kills import owned, tell


def main() -> None:
    chosen = settings(
        Path(sys.argv[1]), RAGDESK_CHUNK__TOKENS=sys.argv[2], RAGDESK_RETRIEVE__INDEX=sys.argv[3]
    )
    with owned(chosen) as (container, library, index):
        library.rebuild(wanted=lambda version: wiring.is_wanted(container, version), report=tell)
        print("index", flush=True)
        index.for_writing()


if __name__ == "__main__":
    main()
