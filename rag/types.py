"""Values that cross module boundaries: frozen, comparable, standard library only.

Pages are physical and 1-based. Offsets are half-open, in characters of
``Document.text``. Boxes are in PDF points from the top left of the page as shown.
Scores: higher is better.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

from rag.machine import MemoryReading
from rag.notice import Notice
from rag.reading import Coverage, Offer, Reading

PAGE_JOIN = "\n"
"""Written between pages in ``Document.text``; offsets count it."""

PageState = Literal["text", "ocr", "empty", "garbled", "failed", "skipped"]
PAGE_STATES: tuple[PageState, ...] = ("text", "ocr", "empty", "garbled", "failed", "skipped")
SEARCHABLE: frozenset[PageState] = frozenset({"text", "ocr"})
NOTHING_TO_READ = frozenset({"blank", "picture"})
"""Reasons of pages that nobody would miss in a search."""
DocumentState = Literal["ready", "partial", "failed"]
Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled"]
Verdict = Literal["supported", "weak", "unsupported", "not_in_documents"]


@dataclass(frozen=True, slots=True)
class Page:
    """One physical page. ``reason`` is a key of ``rag.text.reasons.REASONS``.

    A page with text may have one too: what of it was kept out.
    """

    number: int
    text: str  # "" unless the state is text or ocr
    label: str = ""  # as printed, e.g. "iv"; "" when the file names none
    state: PageState = "text"
    reason: str | None = None
    width: float = 0.0  # points, as shown (rotation applied)
    height: float = 0.0
    recipe: str = ""  # see rag.ingest.recipe; "" when the text is not made of PDFium's characters


@dataclass(frozen=True, slots=True)
class Heading:
    """One entry of the outline."""

    level: int  # 0 is the outermost
    title: str
    page: int


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one PDF, page by page. Lives only during ingestion."""

    id: str  # sha256 of the file's bytes, hex: identity is content, not name
    title: str
    pages: tuple[Page, ...]
    headings: tuple[Heading, ...] = ()
    reader: str = ""  # name and version of what read it

    @property
    def text(self) -> str:
        """All pages, joined by ``PAGE_JOIN``; every offset refers to this string."""
        return PAGE_JOIN.join(page.text for page in self.pages)

    def page_starts(self) -> list[int]:
        """Return the offset at which each page's text begins."""
        lengths = (len(page.text) + len(PAGE_JOIN) for page in self.pages[:-1])
        return list(accumulate(lengths, initial=0))

    def page_at(self, offset: int) -> int:
        """Return the number of the page that holds character ``offset``."""
        return self.pages[bisect_right(self.page_starts(), offset) - 1].number


@dataclass(frozen=True, slots=True)
class Chunk:
    """A contiguous slice of a document: ``document.text[start:end] == text``."""

    document_id: str
    start: int
    end: int
    first_page: int
    last_page: int
    text: str
    heading: str = ""  # "document title › chapter › section"
    tokens: int = 0  # in the embedder's own tokens, prefix included
    context: str = ""  # caption and header row of the table that the passage begins inside of


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where each leg placed a passage, 1-based; ``None`` when it did not find it."""

    dense: int | None = None
    lexical: int | None = None
    rerank: int | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as found for a question. Its rank is its place in the list."""

    id: int  # the chunk's row in the ledger
    chunk: Chunk
    document: str  # file name
    path: str  # relative to the knowledge folder, POSIX
    label: str = ""  # printed label of the first page
    score: float = 0.0
    ranks: Ranks = Ranks()
    boxes: tuple[Box, ...] = ()


class Neighbour(NamedTuple):
    """A passage beside another, as far as it is needed to see whether a table goes on."""

    id: int
    context: str  # caption and header row of the table that it begins inside of


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """Seconds spent in each stage of a search."""

    embed: float = 0.0
    dense: float = 0.0
    lexical: float = 0.0
    fuse: float = 0.0
    rerank: float = 0.0


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Ranked passages, and whether they look like an answer is among them."""

    question: str
    passages: tuple[Passage, ...]
    relevance: float  # 0 to 1: how likely the passages hold the answer
    seconds: SearchTimes = SearchTimes()
    searched: str = ""  # what was searched for, where it is more than the question
    lines: str = ""  # of financial statements, searched for as well


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of streamed text. ``finish`` is set on the last one only."""

    text: str  # may be "" while a multi-byte character is incomplete
    tokens: int  # model tokens behind this piece, never len(text)
    finish: FinishReason | None = None
    prompt_read: float | None = None  # share of the prompt computed, before the first token


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span of a shown passage that supports a sentence."""

    passage: int  # index into Answer.passages
    document: str
    page: int
    quote: str
    start: int  # offsets into the document's text
    end: int
    score: float  # 0 to 1: overlap of words and meaning
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer: ``answer.text[start:end]``, with what supports it."""

    start: int
    end: int
    verdict: Verdict
    evidence: tuple[Evidence, ...] = ()  # of an unsupported one: where it was looked for
    reason: str = ""  # why it is not supported: a key of ``rag.doubts.DOUBTS``, ":", a detail


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    retrieve_s: float = 0.0
    first_token_s: float = 0.0  # from asking the model to the first token of what was answered
    total_s: float = 0.0
    failed_s: float = 0.0  # of the whole: attempts that ran out of memory

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed, without retrieval, failed attempts and prompt processing."""
        decode_s = self.total_s - self.retrieve_s - self.failed_s - self.first_token_s
        return self.completion_tokens / decode_s if decode_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer with everything needed to check it."""

    question: str
    text: str
    language: str  # of the question: "en" or "zh"
    verdict: Verdict
    passages: tuple[Passage, ...]  # what the model saw, in prompt order
    dropped: tuple[Passage, ...] = ()  # found, but cut by the budget
    sentences: tuple[Sentence, ...] = ()
    usage: Usage = Usage()
    model: str = ""
    finish: FinishReason = "stop"
    memory: MemoryReading | None = None
    left_out: int = 0  # unsupported sentences that were not shown
    coverage: Coverage | None = None  # where documents were read whole
    offer: Offer | None = None  # to read them, where that would take long
    notices: tuple[Notice, ...] = ()
    relevance: float | None = None  # 0 to 1: how likely the passages hold the answer


@dataclass(frozen=True, slots=True)
class Retrieved:
    """First event of an answer: what will be shown to the model."""

    passages: tuple[Passage, ...]
    dropped: tuple[Passage, ...] = ()
    searched: str = ""  # a follow-up's question as completed from the turns before
    lines: str = ""  # of financial statements, that were searched for as well
    placed: bool = False  # the same once more, with the boxes that were found meanwhile


@dataclass(frozen=True, slots=True)
class Checked:
    """A sentence has ended and is judged, while the rest is still being written."""

    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Finished:
    """Last event of an answer."""

    answer: Answer


Event = Retrieved | Reading | Notice | Delta | Checked | Finished


@dataclass(frozen=True, slots=True)
class Space:
    """One way to cut and embed; passages and vectors of different spaces never mix."""

    id: int
    embedder: str  # name, revision, pooling and prefixes
    dim: int
    chunking: str
    analyser: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sync, rebuild or download is. ``total`` is ``None`` while unknown."""

    stage: str  # scan | read | ocr | embed | write | check | download | verify | load
    done: int = 0
    total: int | None = None
    unit: str = ""  # pages | passages | bytes | documents | questions
    item: str = ""  # the file in work
    per_second: float = 0.0

    @property
    def minutes_left(self) -> int | None:
        """Estimate of what takes long enough to ask: a minute at least."""
        if self.stage != "ocr" or not self.total or self.per_second <= 0:
            return None
        return round((self.total - self.done) / self.per_second / 60) or None
