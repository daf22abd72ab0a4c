"""Text recognition that answers at once. It runs in worker processes, by dotted name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rag.errors import unreadable
from rag.ingestion.ocr.page_text import Placed, page_of
from rag.types.index_version import ocr_name
from rag.types.recognised_text import RecognisedPage

OBEDIENT = "tests.fake_recognisers:ObedientRecogniser"
LOCKED = "tests.fake_recognisers:LockedRecogniser"


class ObedientRecogniser:
    """Does what the file ``PDF.orders`` says: a word for each page.

    ``crash`` dies, ``hang`` never ends, ``picture`` sees no letters, ``poor`` sees few; any
    other word stands on the page. Each page that is read is noted in ``PDF.log``.
    """

    name = ocr_name()  # it stands for today's version

    def __init__(self, *, threads: int) -> None:
        assert threads >= 1

    def read(self, path: Path, *, page: int, passwords: Sequence[str] = ()) -> RecognisedPage:
        with path.with_suffix(".log").open("a") as log:
            log.write(f"{page}\n")
        word = path.with_suffix(".orders").read_text("utf-8").split()[page - 1]
        if word == "crash":
            os.abort()
        while word == "hang":
            pass
        if word == "picture":
            return RecognisedPage(page, "empty", "picture", engine=self.name)
        line = "po" if word == "poor" else f"{word} stands here"
        place = Placed(line, 100.0, 200.0, 180.0, 212.0)
        text, lines = page_of([(place, [(word, (100.0, 130.0))])])
        return RecognisedPage(page, "ocr", None, text, lines, self.name)


class LockedRecogniser:
    """Opens no file without a password, and dies of each that it opens."""

    name = ocr_name()

    def __init__(self, *, threads: int) -> None:
        assert threads >= 1

    def read(self, path: Path, *, page: int, passwords: Sequence[str] = ()) -> RecognisedPage:
        if not passwords:
            raise unreadable(path, "encrypted")
        os.abort()
