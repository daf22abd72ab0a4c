"""Questions, searches and answers, and the events that tell of an answer while it is made.

Pages are physical and 1-based. Offsets are half-open, in characters of ``Document.text``. Boxes
are in PDF points from the top left of the page as shown. Scores: higher is better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from rag.text.messages import Language, Text
from rag.types.documents import Box, Chunk
from rag.types.hardware import MemoryReading

AnswerMessageKind = Literal["unsure", "lowered", "skipped", "raised", "heat"]


@dataclass(frozen=True, slots=True)
class AnswerMessage:
    """One sentence for the person who waits.

    ``anew`` says that the text so far is void: the answer begins again.
    """

    kind: AnswerMessageKind
    text: Text
    step: str = ""  # a key of ``rag.answering.oom_fallback.STEPS``; "" for what is no step
    anew: bool = False


UNSURE = AnswerMessage(
    "unsure",
    Text(
        "Your documents may not hold the answer: the passages match the question only in part. "
        "Look at them before you rely on it.",
        "文档中可能没有答案：找到的段落只与问题部分相符。采用之前请先查看这些段落。",
    ),
)
"""Told before an answer whose passages are neither clearly right nor clearly wrong."""


AskMode = Literal["auto", "passages", "whole"]
"""Who decides whether documents are read whole: the question, or the person."""
Task = Literal["summary", "list", "count", "compare", "answer"]
"""What a question wants of whole documents; ``answer`` is any question, on demand."""
ReadingStep = Literal["read", "condense", "compose"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of what a question is about was read."""

    read: int  # passages
    of: int
    documents: tuple[str, ...]  # file names, in the order they are read
    pages: int = 0  # of these documents
    left_out: int = 0  # documents of the library that are not among them


@dataclass(frozen=True, slots=True)
class ReadingProgress:
    """An event: how far reading is. The first one says what will be read."""

    coverage: Coverage
    step: ReadingStep = "read"
    seconds_left: float | None = None  # of reading; ``None`` until the model's speed is known


@dataclass(frozen=True, slots=True)
class Offer:
    """What reading everything would take, where that was not done without being asked."""

    passages: int
    documents: int
    pages: int
    seconds: float | None  # ``None``: this model's speed is not known yet


@dataclass(frozen=True, slots=True)
class Readable:
    """A document that can be read whole."""

    id: str
    name: str  # file name
    title: str
    pages: int
    passages: int
    tokens: int  # of all passages, as the embedder counts


Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled"]
AnswerSource = Literal["documents", "place", "library", "app"]
"""What an answer is made from: passages by a model; a numbered place, quoted by code; the list of
documents; what the app says of itself."""
Verdict = Literal["supported", "weak", "unsupported", "not_in_documents"]


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where each retriever placed a passage, 1-based; ``None`` when it did not find it."""

    dense: int | None = None
    lexical: int | None = None
    rerank: int | None = None


_TAIL = 0.25  # of a passage on its first page, or less: it is opened where most of it stands


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

    @property
    def main_page(self) -> int:
        """The page to open it at: its first, unless hardly any of it stands there.

        A balance sheet that follows on the last line of the page before is shown, not that line.
        """
        area: dict[int, float] = {}
        for box in self.boxes:
            area[box.page] = area.get(box.page, 0.0) + (box.x1 - box.x0) * (box.y1 - box.y0)
        first = self.chunk.first_page
        if not area or area.get(first, 0.0) > _TAIL * sum(area.values()):
            return first
        return max(area, key=lambda page: (area[page], -page))


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
class AlsoSearched:
    """What a question was searched for besides its own words."""

    kind: Literal["computed_from", "also_called", "spelled"]
    """Lines of a figure; other names of a thing; words as the documents have them."""
    text: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Ranked passages, and whether they look like an answer is among them."""

    question: str
    passages: tuple[Passage, ...]
    relevance: float  # 0 to 1: how likely the passages hold the answer
    seconds: SearchTimes = SearchTimes()
    searched: str = ""  # what was searched for, where it is more than the question
    also: AlsoSearched | None = None


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
    reason: str = (
        ""  # why it is not supported: a key of ``rag.verification.reasons.DOUBTS``, ":", a detail
    )


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
    notices: tuple[AnswerMessage, ...] = ()
    relevance: float | None = None  # 0 to 1: how likely the passages hold the answer
    source: AnswerSource = "documents"
    quotation: Sentence | None = None  # the place that was shown before the answer

    @property
    def beside_documents(self) -> bool:
        """Whether it says nothing of what documents hold, so that no question goes on from it."""
        return self.source in {"library", "app"}

    @property
    def unproven(self) -> bool:
        """Whether it was written to its end and no sentence of it stands in the documents."""
        return bool(self.sentences) and self.verdict == "unsupported" and self.finish == "stop"

    @property
    def explainable(self) -> bool:
        """Whether a missing sentence can be explained: where passages were searched."""
        searched = self.source == "documents" and not self.coverage
        return searched and self.finish != "cancelled"


@dataclass(frozen=True, slots=True)
class Retrieved:
    """First event of an answer: what will be shown to the model."""

    passages: tuple[Passage, ...]
    dropped: tuple[Passage, ...] = ()
    searched: str = ""  # a follow-up's question as completed from the turns before
    also: AlsoSearched | None = None
    placed: bool = False  # the same once more, with the boxes that were found meanwhile


@dataclass(frozen=True, slots=True)
class Quoted:
    """The place that best answers the question, before the model has read anything."""

    sentence: Sentence  # of no text of the answer: its evidence is the quotation


@dataclass(frozen=True, slots=True)
class Checked:
    """A sentence has ended and is judged, while the rest is still being written."""

    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Finished:
    """Last event of an answer."""

    answer: Answer


Event = Retrieved | Quoted | ReadingProgress | AnswerMessage | Delta | Checked | Finished


@dataclass(frozen=True, slots=True)
class TypedDraft:
    """A question as far as it is typed."""

    question: str
    history: tuple[Message, ...] = ()
    documents: frozenset[str] = frozenset()  # empty: all
    mode: AskMode = "auto"
    language: Language = "en"  # of the page; an empty draft has none of its own
