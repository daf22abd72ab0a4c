"""The seams. An engine is any class with these methods; it inherits nothing.

All of them are optional: an engine that cannot do a thing lacks the method, or says no.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from rag.types.hardware import Holder, MemoryReading

if TYPE_CHECKING:
    import numpy as np

    from rag.types.answers import Delta, Message, Passage, Readable, SearchResult
    from rag.types.documents import Box, Chunk, Document
    from rag.types.recognised_text import RecognisedPage

    Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
    Vector = np.ndarray[tuple[int], np.dtype[np.float32]]


Cancelled = Callable[[], bool]
"""Long work asks it now and then, and stops soon once it is true."""


def never() -> bool:
    """Do not cancel."""
    return False


OPENING, EXTRAS = 0, -1
"""Parts of a document beside its pages: opening it; and its labels, title and outline."""
Enter = Callable[[int], str | None]
"""A reader calls it with the part it comes to: a page's number, ``OPENING`` or ``EXTRAS``.
A reason in return means that the part was at fault before, and is to be left out."""


def all_of_it(part: int) -> str | None:  # noqa: ARG001 - the signature is the seam's
    """Leave nothing out."""
    return None


class PageReader(Protocol):
    """Turns a file into a document. Runs in a worker process."""

    name: str  # libraries and versions, e.g. "pypdfium2/5.15.2"; kept with the document

    def read(
        self,
        path: Path,
        *,
        document_id: str,
        passwords: Sequence[str] = (),
        enter: Enter = all_of_it,
    ) -> Document:
        """Return every physical page in order, each with its state and reason.

        ``passwords`` are tried on a file that opens without none.

        Raises:
            UnreadableDocument: the file is damaged, encrypted, empty, or of another kind.
        """
        ...


class Recogniser(Protocol):
    """Reads the letters of a drawn page. Runs in a worker process, loaded once."""

    name: str  # library, version, resolution; kept with the page

    def read(self, path: Path, *, page: int, passwords: Sequence[str] = ()) -> RecognisedPage:
        """Return what stands on the page, and what becomes of it.

        Raises:
            UnreadableDocument: the file cannot be opened or drawn.
        """
        ...


class PageViewer(Protocol):
    """Draws pages and says where text stands on them."""

    def boxes(
        self,
        path: Path,
        spans: Sequence[tuple[int, int, int]],
        *,
        recipes: Mapping[int, str] | None = None,
    ) -> list[tuple[Box, ...]]:
        """Return, for each ``(page, start, end)`` in characters of that page's text, its boxes.

        ``recipes`` holds ``Page.recipe`` by page; a page without one has no boxes.
        """
        ...

    def render(self, path: Path, *, page: int, width: int) -> bytes:
        """Return the page as PNG, ``width`` pixels wide."""
        ...


class Chunker(Protocol):
    """Cuts a document into passages."""

    name: str  # strategy and sizes, e.g. "recursive/230/0"; part of the index version

    def split(self, document: Document) -> list[Chunk]:
        """Return passages in document order, none of them blank, none too long to embed."""
        ...


class Embedder(Protocol):
    """Maps text to unit vectors, so that a dot product is a cosine."""

    name: str  # model, revision, pooling and prefixes; part of the index version
    dim: int
    max_tokens: int  # what the model takes, prefix and special tokens included

    def count_tokens(self, text: str) -> int:
        """Count tokens as ``embed_passages`` would send them, prefix and specials included."""
        ...

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 rows of norm 1, shape ``(len(texts), dim)``, in the given order."""
        ...

    def embed_query(self, text: str) -> Vector:
        """Return one float32 vector of norm 1, shape ``(dim,)``."""
        ...


class VectorIndex(Protocol):
    """Nearest neighbours among one index version's vectors. A cache: the ledger is the truth."""

    def put(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Insert or replace rows."""
        ...

    def delete(self, ids: Collection[int]) -> None:
        """Remove rows; unknown ids are ignored."""
        ...

    def search(self, query: Vector, *, k: int) -> list[tuple[int, float]]:
        """Return at most ``k`` ``(id, cosine)`` pairs, best first."""
        ...

    def ids(self) -> set[int]:
        """Return the ids of all rows."""
        ...

    def close(self) -> None:
        """Write what is pending and let go of the files."""
        ...


class PassageStore(Protocol):
    """What retrieval reads from the ledger."""

    def passages(self, ids: Sequence[int]) -> dict[int, Passage]:
        """Return the passages that still exist and belong to a current document."""
        ...

    def places(self, ids: Sequence[int]) -> dict[int, tuple[str, int]]:
        """Return document id and first page of those that ``passages`` would return."""
        ...

    def on_pages(self, pages: Sequence[int], documents: Collection[str]) -> list[int]:
        """Return ids of what stands on these pages, by number or printed label; -1: the last."""
        ...

    def on_places(
        self, places: Sequence[tuple[str, str]], documents: Collection[str] | None
    ) -> dict[str, list[int]]:
        """Return by document the ids of what begins a place of such a kind and number.

        See ``rag.text.anchors``; ``None`` looks in all documents.
        """
        ...

    def match(
        self, terms: Sequence[str], *, k: int, documents: Collection[str] | None
    ) -> list[tuple[int, float]]:
        """Return at most ``k`` ``(chunk id, BM25 score)`` pairs, best first.

        ``terms`` are analysed; a chunk matches if it holds any of them. ``documents`` limits
        the search to these document ids; ``None`` searches all.
        """
        ...

    def document_frequency(
        self, terms: Sequence[str], documents: Collection[str] | None = None
    ) -> tuple[dict[str, int], int]:
        """Return in how many chunks each term occurs, and how many chunks there are.

        Of all chunks, or of those of ``documents`` alone.
        """
        ...

    def beginning(self, letters: str) -> dict[str, int]:
        """Return the terms that begin so, and in how many chunks each occurs."""
        ...

    def analysed(self, ids: Sequence[int]) -> dict[int, str]:
        """Return each chunk's analysed terms, separated by spaces."""
        ...

    def vectors(self, documents: Collection[str]) -> tuple[list[int], Vectors]:
        """Return chunk ids and their rows for these documents in the active index version."""
        ...


class WholeDocuments(Protocol):
    """The documents of a library, to be read whole."""

    def names(self) -> dict[str, tuple[str, str]]:
        """Return file name and title of each document, by id; cheap."""
        ...

    def documents(self) -> list[Readable]:
        """Return all documents that have passages, by path."""
        ...

    def passages(self, documents: Sequence[str]) -> list[Passage]:
        """Return every passage of these ids, document by document, in reading order."""
        ...


class LexicalIndex(Protocol):
    """Finds passages by their words."""

    def search(
        self, question: str, *, k: int, documents: Collection[str] | None
    ) -> list[tuple[int, float]]:
        """Return at most ``k`` ``(chunk id, score)`` pairs, best first."""
        ...


class Retriever(Protocol):
    """Finds passages for a question."""

    def search(
        self,
        question: str,
        *,
        k: int,
        documents: Collection[str] | None = None,
        history: Sequence[Message] = (),
    ) -> SearchResult:
        """Return at most ``k`` passages, best first; ``documents`` limits to these ids.

        A follow-up is searched with what it refers to in ``history``.
        """
        ...


class Reranker(Protocol):
    """Orders passages anew by reading question and passage together."""

    name: str

    def rerank(self, question: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return the same passages, rescored, best first."""
        ...


class TextGenerator(Protocol):
    """A language model, loaded."""

    name: str
    context_tokens: int

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count tokens as ``stream`` would send them, chat template included."""
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        cancelled: Callable[[], bool],
    ) -> Iterator[Delta]:
        """Yield text as it is decoded; the last delta carries ``finish``.

        Stops within one token once ``cancelled()`` is true or the iterator is closed. What
        the engine raises is raised here.

        Raises:
            OutOfMemory: the device ran out of memory.
        """
        ...

    def prepare(self, messages: Sequence[Message], *, cancelled: Cancelled) -> None:
        """Compute a prompt ahead of time, so that a ``stream`` that begins like it starts sooner.

        Changes no answer. Waits for nobody: returns at once while the model is in use, and
        soon after a ``stream`` wants it. Where nothing is kept between prompts, does nothing.
        """
        ...

    def memory_bytes(self) -> int | None:
        """Return device memory held by weights and cache; ``None`` when on the CPU."""
        ...

    def close(self) -> None:
        """Free the weights."""
        ...


class Analyser(Protocol):
    """Turns text into index terms; one analyser for passages and questions."""

    name: str  # part of the index version

    def terms(self, text: str) -> list[str]:
        """Return terms in order, repeats included; no term holds white space or quotes."""
        ...


@dataclass(frozen=True, slots=True)
class Share:
    """What this process's allocator holds on one card."""

    uuid: str  # as the driver writes it, "GPU-…"; "" where it is not known
    allocated_bytes: int  # by tensors
    reserved_bytes: int  # from the driver; what is not allocated is kept for the next tensor


class Allocator(Protocol):
    """The memory of the cards, as this process divides it."""

    def shares(self) -> Sequence[Share]:
        """Return what is held, in CUDA's order; nothing without a card in use."""
        ...

    def empty(self) -> None:
        """Give back what is kept for the next tensor."""
        ...


@runtime_checkable
class HoldsParts(Protocol):
    """An engine that knows what fills the memory it holds."""

    def memory_parts(self) -> Mapping[Holder, int]:
        """Return bytes on the device by holder; empty on the CPU."""
        ...


@runtime_checkable
class Movable(Protocol):
    """An embedder or reranker that can leave the card, and come back."""

    def to_cpu(self) -> bool:
        """Leave the card; false if it was not there."""
        ...

    def to_device(self) -> None:
        """Come back."""
        ...


@runtime_checkable
class SmallCache(Protocol):
    """A language model that can keep keys and values in 8 bits."""

    def shrink_cache(self, *, small: bool) -> bool:
        """Use 8 bits, or the full type again, from the next answer on; false: it cannot."""
        ...


class GpuReadings(Protocol):
    """Reads the machine. Every field that cannot be read is ``None``; nothing is raised."""

    def read(self, *, parts: Mapping[Holder, int] | None = None) -> MemoryReading:
        """Return the machine at this moment; ``parts`` is what the engines hold on cards."""
        ...


def parts_of(engines: Iterable[object]) -> dict[Holder, int]:
    """Return what engines hold on cards, added up by holder."""
    found: dict[Holder, int] = {}
    for engine in engines:
        if isinstance(engine, HoldsParts):
            for holder, count in engine.memory_parts().items():
                found[holder] = found.get(holder, 0) + count
    return found
