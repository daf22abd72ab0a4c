"""Run by test_kill.py in a process of its own: a sync that recognises text, no other model."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.factories import settings
from tests.integration.indexing.kills import owned, tell


def main() -> None:
    with owned(settings(Path(sys.argv[1]), RAGDESK_RETRIEVE__INDEX="numpy")) as (
        _,
        library,
        _index,
    ):
        library.sync(ocr="auto", report=tell)


if __name__ == "__main__":
    main()
