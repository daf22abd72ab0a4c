"""Reads the header of a GGUF file: what the model is, and how large each of its tensors is.

The weights themselves are never touched, so it costs the same for 0.5 and for 50 GB: the
``gguf`` package builds an array for every word of the vocabulary, which takes seconds.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_KEPT = 1024  # numbers of an array: one for each layer, never one for each word
_MOST_DIMENSIONS = 8
_BLOCKS: Mapping[int, tuple[int, int]] = {
    0: (1, 4), 1: (1, 2), 30: (1, 2),  # F32, F16, BF16
    2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),  # Q4_0 to Q8_0
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),  # Q2_K to Q6_K
}  # fmt: skip
"""Weights in a block, and bytes of it, by ggml's number of the kind."""


class DamagedGguf(ValueError):
    """The file is not what a GGUF file promises to be: cut off, or never one."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor's name and size. ``bytes`` is what it takes in the file."""

    name: str
    numbers: int
    bytes: int
    kind: int = 0  # ggml's number of how its weights are written; 0 = float32


@dataclass(frozen=True, slots=True)
class Gguf:
    """What a header says. ``values`` has scalars, strings and short arrays of numbers."""

    file_bytes: int
    values: Mapping[str, Any]
    lengths: Mapping[str, int]  # of all arrays, the long ones included
    tensors: tuple[Tensor, ...]

    @property
    def architecture(self) -> str:
        """The kind of model, as llama.cpp calls it; "" if the file does not say."""
        return str(self.values.get("general.architecture", ""))

    def of_architecture(self, key: str) -> Any:
        """Return ``values["ARCHITECTURE.key"]``; ``None`` if the file does not say."""
        return self.values.get(f"{self.architecture}.{key}")


def read_gguf(path: Path) -> Gguf:
    """Read a header.

    Raises:
        OSError: the file cannot be read.
        DamagedGguf: it is no GGUF file, or shorter than its own header says.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        if size < len(MAGIC) or file.read(len(MAGIC)) != MAGIC:
            raise DamagedGguf("it does not begin like a GGUF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Header(data).read()


class _Header:
    """A cursor over the file that refuses to run past its end."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._size = len(data)
        self._at = len(MAGIC)

    def read(self) -> Gguf:
        version = self._number("I")
        if version not in _VERSIONS:
            raise DamagedGguf(f"its version is {version}")
        tensors, pairs = self._number("Q"), self._number("Q")
        values: dict[str, Any] = {}
        lengths: dict[str, int] = {}
        for _ in range(pairs):
            key = self._string()
            kind = self._number("I")
            if kind == _ARRAY:
                lengths[key], value = self._array()
            else:
                value = self._value(kind)
            if value is not None:
                values[key] = value
        found = [self._tensor() for _ in range(tensors)]
        alignment = int(values.get("general.alignment", 32)) or 32
        return Gguf(self._size, values, lengths, self._sized(found, alignment))

    def _tensor(self) -> tuple[str, int, int, int]:
        """Return name, numbers, kind and offset."""
        name, dimensions = self._string(), self._number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise DamagedGguf(f"{name[:80]!r} has {dimensions} dimensions")
        numbers = prod(self._number("Q") for _ in range(dimensions))
        return name, numbers, self._number("I"), self._number("Q")

    def _sized(self, found: list[tuple[str, int, int, int]], alignment: int) -> tuple[Tensor, ...]:
        begin = -(-self._at // alignment) * alignment
        starts = sorted({offset for *_, offset in found})
        following = dict(zip(starts, [*starts[1:], self._size - begin], strict=True))
        sized = []
        for name, numbers, kind, offset in found:
            per, size = _BLOCKS.get(kind, (0, 0))
            bytes_ = numbers // per * size if per else following[offset] - offset
            if begin + offset + bytes_ > self._size or bytes_ < 0:
                raise DamagedGguf(f"it ends inside of {name[:80]!r}")
            sized.append(Tensor(name, numbers, bytes_, kind))
        return tuple(sized)

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind not in _SCALARS:
            raise DamagedGguf(f"it holds a value of the unknown kind {kind}")
        return self._number(_SCALARS[kind])

    def _array(self) -> tuple[int, tuple[Any, ...] | None]:
        """Return how long it is, and what it holds where that is short."""
        kind, length = self._number("I"), self._number("Q")
        if kind == _STRING:
            for _ in range(length):
                self._skip(self._number("Q"))
            return length, None
        if kind not in _SCALARS:
            raise DamagedGguf(f"it holds an array of the unknown kind {kind}")
        layout = f"<{length if length <= _KEPT else 0}{_SCALARS[kind]}"
        at = self._at
        self._skip(length * struct.calcsize(f"<{_SCALARS[kind]}"))
        return length, struct.unpack_from(layout, self._data, at) or None

    def _string(self) -> str:
        length = self._number("Q")
        at = self._at
        self._skip(length)
        return self._data[at : at + length].decode("utf-8", "replace")

    def _number(self, layout: str) -> Any:
        at = self._at
        self._skip(struct.calcsize(f"<{layout}"))
        return struct.unpack_from(f"<{layout}", self._data, at)[0]

    def _skip(self, count: int) -> None:
        if count > self._size - self._at:
            raise DamagedGguf(f"it ends after {self._size} bytes, inside of its header")
        self._at += count
