"""Takes notes while reading, each held against its passages; makes lists and counts of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby, islice
from time import perf_counter
from typing import TYPE_CHECKING

from rag.answering.oom_fallback import Lowering, OutOfMemoryFallback
from rag.answering.whole_document.prompts import (
    Note,
    condense_messages,
    groups,
    note_lines,
    note_messages,
)
from rag.protocols import Cancelled
from rag.text.messages import Language, Text
from rag.types.answers import Passage, Sentence
from rag.verification.linker import link

if TYPE_CHECKING:
    from rag.answering.highlights import Highlighter
    from rag.answering.pipeline import AskSettings
    from rag.answering.whole_document.scope import ReadingPace, ReadingPlan
    from rag.protocols import Analyser, Embedder, TextGenerator, WholeDocuments
    from rag.types.answers import Message


_ALIKE = 0.8  # shared terms over all terms, from which two notes say the same
_DIGITS = re.compile(r"\d[\d.,]*")
_FOUND = Text("{} found:", "共找到 {} 项：")
_FOUND_ONE = Text("1 found:", "共找到 1 项：")


@dataclass(frozen=True, slots=True)
class Listed:
    """A list as text; what lies outside of ``items`` are counts and names of documents."""

    text: str
    items: tuple[tuple[int, int], ...]  # offsets


def listed(notes: Sequence[Note], *, counted: bool, language: Language) -> Listed:
    """Return one item a line, under their documents' names where there are several."""
    lines: list[tuple[str, bool]] = []
    if counted:
        count = len(notes)
        lines.append(((_FOUND_ONE if count == 1 else _FOUND).say(language).format(count), False))
    several = len({note.document for note in notes}) > 1
    for document, own in groupby(notes, key=lambda note: note.document):
        lines += [(f"**{document}**", False)] if several else []
        lines += [(f"- {note.text}", True) for note in own]
    items: list[tuple[int, int]] = []
    at = 0
    for line, item in lines:
        items += [(at, at + len(line))] if item else []
        at += len(line) + 1
    return Listed("\n".join(line for line, _ in lines), tuple(items))


def distinct(notes: Sequence[Note], *, terms: Callable[[str], list[str]]) -> list[Note]:
    """Return the notes without those that say what an earlier one of the document says.

    Notes with different numbers are never the same.
    """
    kept: list[tuple[Note, frozenset[str], frozenset[str]]] = []
    for note in notes:
        said, figures = frozenset(terms(note.text)), frozenset(_DIGITS.findall(note.text))
        if not any(
            other.document == note.document and figures == theirs and _alike(said, before)
            for other, before, theirs in kept
        ):
            kept.append((note, said, figures))
    return [note for note, _, _ in kept]


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= _ALIKE * max(1, len(one | other))


def only_cited(
    sentences: Sequence[Sentence], sources: Sequence[Passage]
) -> tuple[tuple[Sentence, ...], list[Passage]]:
    """Return of all sources those that sentences point to, and sentences that point there."""
    cited = sorted({e.passage for sentence in sentences for e in sentence.evidence})
    places = {old: new for new, old in enumerate(cited)}
    moved = tuple(
        replace(s, evidence=tuple(replace(e, passage=places[e.passage]) for e in s.evidence))
        for s in sentences
    )
    return moved, [sources[old] for old in cited]


GROUP_TOKENS = 1400
"""Longest prompt of one step of reading; see "Reading whole documents" in docs/decisions.md."""
NOTE_TOKENS = 224  # longest notes on one group
_PROVED = frozenset({"supported", "weak"})
_TOGETHER = 12  # notes that are shortened at a time, to half
_SHRINKS = 0.8  # shortening that keeps more than this has not worked


@dataclass(frozen=True, slots=True)
class NoteEngines:
    """What reading needs of the app."""

    shelf: WholeDocuments
    generator: Callable[[Cancelled], TextGenerator | None]  # waits for it; ``None`` = cancelled
    highlighter: Highlighter
    embedder: Embedder
    analyser: Analyser
    settings: AskSettings
    pace: ReadingPace
    fallback: OutOfMemoryFallback = field(default_factory=OutOfMemoryFallback)


class NoteTaker:
    """Reads passages in order and keeps what can be proved of what the model notes down."""

    def __init__(
        self,
        parts: NoteEngines,
        model: TextGenerator,
        plan: ReadingPlan,
        passages: Sequence[Passage],
        cancelled: Cancelled,
    ) -> None:
        self.model = model
        self.notes: list[Note] = []
        self.seen = 0  # passages
        self.stopped = False
        self.prompt_tokens = 0
        self.dropped = 0  # notes that nothing supported
        means = Lowering(1, NOTE_TOKENS, model.context_tokens)
        self.context_tokens = parts.fallback.means(means).context_tokens
        self._parts = parts
        self._plan = plan
        self._passages = passages
        self._cancelled = cancelled
        self._longest = min(NOTE_TOKENS, self.context_tokens // 4)

    def read(self, left: int) -> Iterator[tuple[int, int]]:
        """Read everything; yield how many passages are read, and how many tokens are left."""
        places = {passage.id: place for place, passage in enumerate(self._passages)}
        seen: set[int] = set()
        build = partial(note_messages, self._plan.task, self._plan.question)
        budget = min(GROUP_TOKENS, self.context_tokens - self._longest)
        count = self.model.count_tokens
        for group in groups(self._passages, budget=budget, build=build, count=count):
            began = perf_counter()
            said = ""
            for text, share in self._say(build(group)):
                said += text
                if share is not None and not text:
                    yield self.seen + int(share * len({p.id for p in group} - seen)), left
            if self.stopped:
                return
            self._keep(said, group, [places[passage.id] for passage in group])
            fresh = {p.id: p.chunk.tokens for p in group if p.id not in seen}
            seen |= fresh.keys()
            self.seen = len(seen)
            left -= sum(fresh.values())
            self._parts.pace.tell(tokens=sum(fresh.values()), seconds=perf_counter() - began)
            yield self.seen, left

    def condense(self) -> None:
        """Shorten the notes by a fifth at least: the model does, or every second one goes."""
        waiting = iter(self.notes)
        shorter: list[Note] = []
        while batch := list(islice(waiting, _TOGETHER)):
            shorter += self._condensed(batch) if len(batch) > 1 else batch
            if self.stopped:
                return
        worked = len(shorter) <= _SHRINKS * len(self.notes)
        self.notes = shorter if worked else self.notes[::2]

    def _condensed(self, batch: list[Note]) -> list[Note]:
        messages = condense_messages(batch, keep=(len(batch) + 1) // 2)
        if self.model.count_tokens(messages) > self.context_tokens - self._longest:
            return batch[::2]
        said = "".join(text for text, _ in self._say(messages))
        places = sorted({place for note in batch for place in note.sources})
        before, self.notes = self.notes, []
        self._keep(said, [self._passages[place] for place in places], places)
        kept, self.notes = self.notes, before
        kept.sort(key=lambda note: note.sources)
        return kept if 0 < len(kept) <= _SHRINKS * len(batch) else batch[::2]

    def sources(self) -> list[Passage]:
        """Return the passages that the notes were taken from, in reading order."""
        places = sorted({place for note in self.notes for place in note.sources})
        return [self._passages[place] for place in places]

    def _say(self, messages: list[Message]) -> Iterator[tuple[str, float | None]]:
        """Yield pieces of what the model writes, and the share of the prompt it has read."""
        self.prompt_tokens += self.model.count_tokens(messages)
        for delta in self.model.stream(
            messages,
            max_tokens=self._longest,
            temperature=self._parts.settings.temperature,
            cancelled=self._cancelled,
        ):
            self.stopped = self.stopped or delta.finish == "cancelled"
            yield delta.text, delta.prompt_read

    def _keep(self, said: str, passages: Sequence[Passage], places: Sequence[int]) -> None:
        """Add the notes that a passage supports, with their sources."""
        lines = note_lines(said)
        linked = link(
            "\n".join(lines),
            passages,
            terms=self._parts.analyser.terms,
            embed=self._parts.embedder.embed_passages,
            page_of=lambda *_: 0,  # notes are not shown
        )
        start = 0
        for line in lines:
            end = start + len(line)
            own = [s for s in linked if start <= s.start < end and s.verdict in _PROVED]
            sources = {places[e.passage]: None for s in own for e in s.evidence}
            if sources:
                document = self._passages[min(sources)].document
                self.notes.append(Note(line, document, tuple(sources)))
            else:
                self.dropped += 1
            start = end + 1
