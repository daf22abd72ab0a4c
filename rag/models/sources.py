"""Where bytes may come from. A source brings files; whether they are right is decided later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from rag.models.catalogue import Entry, File
from rag.models.job import Job
from rag.text.messages import Text

SourceName = Literal["folder", "hub", "wheels"]
Trust = Literal["catalogue", "hub", "first use", "unpacked"]
"""Whom we believe a hash: this program, the hub's word, the first download, our own code."""


class SourceUnavailable(Exception):
    """This source cannot deliver; the next one is asked."""

    def __init__(self, reason: Text, *, hint: Text | None = None) -> None:
        super().__init__(reason.en)
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Place:
    """Folders of one model."""

    folder: Path  # of all models
    home: Path  # of this model
    parts: Path  # of what is not finished


@dataclass(frozen=True, slots=True)
class Delivered:
    """One file as it arrived."""

    file: File  # ``file.sha256`` is what the bytes must have; "" = nobody knows yet
    at: Path
    sha256: str  # what they have
    trust: Trust = "catalogue"


@dataclass(frozen=True, slots=True)
class Delivery:
    """All files of a model."""

    source: SourceName
    revision: str
    files: tuple[Delivered, ...]
    root: Path | None = None  # set: use the files where they stand, below this folder
    unpack: Literal["", "e5"] = ""


class Source(Protocol):
    """One way to come by a model's files."""

    name: SourceName

    def deliver(self, entry: Entry, place: Place, job: Job) -> Delivery:
        """Bring all files of the model to ``place.parts``, or find them on this machine.

        Unfinished files stay in ``place.parts``, and the next call goes on from there.

        Raises:
            SourceUnavailable: ask the next one.
            DownloadFailed: no source can help (disk space, stopped by the person).
        """
        ...
