"""Reads binary data that may lie about its lengths."""

from __future__ import annotations

import struct
from typing import Any

MAX_COUNT = 2**31  # far above every count in the file: keeps arithmetic on lengths honest


class Malformed(ValueError):
    """The file is not what its layout promises. A bug or an attack: hashes come first."""


class Reader:
    """A cursor that refuses to run past the end."""

    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        self.at = 0

    def take(self, count: int) -> memoryview:
        """Return the next ``count`` bytes."""
        if not 0 <= count <= len(self.data) - self.at:
            raise Malformed(f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """Return what ``struct`` reads by ``layout``, little-endian and without padding."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))
