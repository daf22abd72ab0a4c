"""Every failure a user can meet, and what they can do about it.

RagError
├─ ConfigError            a setting or an argument is wrong
├─ IngestError            one document could not be read (never stops a batch)
│  └─ UnreadableDocument  damaged, encrypted, empty, or not a PDF; carries a reason code
├─ TooMuchToRead          a question about whole documents that names none of many
├─ StoreError             the library cannot be opened, read or written
│  ├─ LibraryBusy         another process holds the library
│  ├─ LibraryTooNew       written by a newer version of this program
│  ├─ IndexMismatch       the index was made by another embedder than the one installed
│  ├─ UnknownDocument     no such document in the library
│  └─ UnknownChat         no such chat among those that are kept
└─ ModelError             a model could not be had, loaded or run
   ├─ UnknownModel        no such name in the catalogue
   ├─ ModelMissing        the weights are not on this machine yet
   ├─ DownloadFailed      no source could deliver the weights
   ├─ WrongChecksum       the bytes are not the publisher's; set aside, not used
   ├─ MissingDependency   a package the chosen engine needs is not installed
   ├─ OutOfMemory         the device ran out of memory
   ├─ PromptTooLong       the question alone exceeds the context window
   └─ ServerUnreachable   the server that answers is not there now; it may be later
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rag.text.messages import Language, Text
from rag.text.reasons import reasons


class RagError(Exception):
    """Base class: what happened, and one sentence on what to do, both in two languages."""

    def __init__(self, message: Text, *, hint: Text) -> None:
        super().__init__(message.en)
        self.message = message
        self.hint = hint

    def say(self, language: Language) -> str:
        """Return ``message``, then ``→ hint``."""
        return f"{self.message.say(language)}\n  → {self.hint.say(language)}"

    @property
    def text(self) -> Text:
        """Message and hint as ``say`` gives them."""
        return Text(self.say("en"), self.say("zh"))

    def __str__(self) -> str:
        return self.say("en")

    def __reduce__(self) -> tuple[Any, ...]:
        # errors cross process borders, and the default would call __init__ without the hint
        return _revive, (type(self), self.__dict__.copy())


def _revive(kind: type[RagError], state: dict[str, Any]) -> RagError:
    error = kind.__new__(kind)
    error.args = (state["message"].en,)
    error.__dict__.update(state)
    return error


class ConfigError(RagError):
    """A setting or an argument is wrong."""


class IngestError(RagError):
    """One document could not be read; the batch goes on without it."""


class UnreadableDocument(IngestError):
    """The file is damaged, encrypted, empty, or not a PDF.

    ``reason`` is a key of ``rag/text/reasons.toml``.
    """

    def __init__(self, message: Text, *, hint: Text, reason: str) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class TooMuchToRead(RagError):
    """A question is about whole documents, and more of them than are read unasked."""


class StoreError(RagError):
    """The library cannot be opened, read or written."""


class LibraryBusy(StoreError):
    """Another process holds the library for writing."""


class LibraryTooNew(StoreError):
    """The library was written by a newer version of this program."""


class IndexMismatch(StoreError):
    """The index was made by an embedder that is not the one installed now."""


class UnknownDocument(StoreError):
    """No such document in the library."""


class UnknownChat(StoreError):
    """No such chat among those that are kept."""


class ModelError(RagError):
    """A model could not be had, loaded or run."""


class UnknownModel(ModelError):
    """No such name in the catalogue."""


class ModelMissing(ModelError):
    """The weights are not on this machine yet."""


class DownloadFailed(ModelError):
    """No source could deliver the weights."""


class WrongChecksum(ModelError):
    """The bytes are not the publisher's. They are set aside and not used."""


class MissingDependency(ModelError):
    """A package the chosen engine needs is not installed."""


class OutOfMemory(ModelError):
    """The device ran out of memory."""


class PromptTooLong(ModelError):
    """The question alone exceeds the context window."""


class ServerUnreachable(ModelError):
    """The server that answers is not there now; it may be later."""


def no_page(document_id: str, page: int) -> UnknownDocument:
    """Return the error for a page that is not there."""
    return UnknownDocument(
        Text(
            f"The library has no page {page} of {document_id[:12]}.",
            f"资料库中没有 {document_id[:12]} 的第 {page} 页。",
        ),
        hint=Text("It may have been removed; ask again.", "它可能已被移除，请重新提问。"),
    )


def unreadable(path: Path, reason: str) -> UnreadableDocument:
    """Return the error that says why a file cannot be read."""
    words = reasons()[reason]
    return UnreadableDocument(
        Text(f"{path.name}: {words.what.en}", f"{path.name}：{words.what.zh}"),
        hint=words.remedy,
        reason=reason,
    )
