"""Readers that misbehave on one page. They run in worker processes, named by dotted name."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from rag.protocols import Enter, all_of_it
from rag.types.documents import Document, Page

PAGES = 6
CLEAN = "tests.fake_readers:CleanReader"
CRASHING = "tests.fake_readers:CrashingReader"
HANGING = "tests.fake_readers:HangingReader"
BLOATED = "tests.fake_readers:BloatedReader"
RAISING = "tests.fake_readers:RaisingReader"
DOOMED = "tests.fake_readers:DoomedReader"


class CleanReader:
    """Reads ``PAGES`` pages out of nothing; ``trouble`` is told each page before."""

    name = "fake/1"

    def read(
        self,
        path: Path,
        *,
        document_id: str,
        passwords: Sequence[str] = (),
        enter: Enter = all_of_it,
    ) -> Document:
        pages = []
        for number in range(1, PAGES + 1):
            if reason := enter(number):
                pages.append(Page(number, "", "", "failed", reason))
                continue
            self.trouble(number)
            pages.append(Page(number, f"page {number}"))
        return Document(document_id, path.stem, tuple(pages))

    def trouble(self, number: int) -> None:
        """Misbehave."""


class CrashingReader(CleanReader):
    """Dies of a bad memory access on pages 2 and 5."""

    def trouble(self, number: int) -> None:
        if number in {2, 5}:
            ctypes.string_at(0)


class HangingReader(CleanReader):
    """Never comes back from native code on page 3."""

    def trouble(self, number: int) -> None:
        if number == 3:
            ctypes.PyDLL(None).pause() if os.environ.get("HOLD") else ctypes.CDLL(None).pause()


class BloatedReader(CleanReader):
    """Fills memory on page 4."""

    def trouble(self, number: int) -> None:
        hoard = []
        while number == 4:
            hoard.append(bytes(8 << 20))


class RaisingReader(CleanReader):
    """Has a bug on page 1."""

    def trouble(self, number: int) -> None:
        if number == 1:
            raise ZeroDivisionError


class DoomedReader(CleanReader):
    """Dies before it reaches any page."""

    def read(
        self,
        path: Path,
        *,
        document_id: str,
        passwords: Sequence[str] = (),
        enter: Enter = all_of_it,
    ) -> Document:
        os.abort()
