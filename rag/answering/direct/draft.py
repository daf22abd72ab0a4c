"""An answer that code writes, piece by piece, with what each piece leads to."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from rag.text.language import detect_language
from rag.text.messages import Text
from rag.text.sentences import split_prose
from rag.types.answers import (
    Answer,
    AnswerSource,
    Checked,
    Delta,
    Event,
    Evidence,
    Finished,
    Passage,
    Retrieved,
    Sentence,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rag.text.messages import Language

_QUOTED = 300  # characters of a passage that a link to a document shows


class Draft:
    """Text, and its sentences with their evidence."""

    def __init__(self, question: str, source: AnswerSource) -> None:
        self.question = question
        self.source: AnswerSource = source
        self.language: Language = detect_language(question)
        self.text = ""
        self.passages: list[Passage] = []
        self.sentences: list[Sentence] = []
        self._began = perf_counter()

    def say(self, words: Text) -> Draft:
        """Add words of the app's own, in the question's language."""
        self.text += words.say(self.language)
        return self

    def absent(self, words: Text) -> None:
        """Say that what was asked for is not there."""
        begin = len(self.text)
        self.say(words)
        self.sentences.append(Sentence(begin, len(self.text), "not_in_documents"))

    def add(self, text: str) -> Draft:
        """Add text as it is."""
        self.text += text
        return self

    def link(self, text: str, passage: Passage | None) -> Draft:
        """Add text that leads to where a document begins; as it is where there is no passage."""
        if passage is not None:
            end = min(passage.chunk.end, passage.chunk.start + _QUOTED)
            self.prove(text, passage, passage.chunk.start, end)
            return self
        return self.add(text)

    def quote(self, passage: Passage, terms: Callable[[str], list[str]], asked: set[str]) -> None:
        """Add the sentence of a passage that holds most of what is asked, and where it stands.

        Of one that only asks the same, as headings of a guide do, the sentence after it.
        """
        text, at = passage.chunk.text, passage.chunk.start
        spans = split_prose(text)
        held = [set(terms(text[start:end])) for start, end in spans]
        best = max(range(len(spans)), key=lambda i: len(asked & held[i]))
        if held[best] <= asked and best + 1 < len(spans):
            best += 1
        start, end = spans[best]
        self.add("\n\n")
        self.prove(f"“{' '.join(text[start:end].split())}”", passage, at + start, at + end)
        page = passage.chunk.first_page
        self.say(Text(f" ({passage.document}, p. {page})", f"（{passage.document}，第 {page} 页）"))

    def prove(self, text: str, passage: Passage, start: int, end: int) -> None:
        """Add a sentence that ``start`` to ``end`` of the document's text says."""
        if passage not in self.passages:
            self.passages.append(passage)
        at = passage.chunk.start
        evidence = Evidence(
            passage=self.passages.index(passage),
            document=passage.document,
            page=passage.chunk.first_page,
            quote=passage.chunk.text[max(0, start - at) : end - at],
            start=start,
            end=end,
            score=1.0,
        )
        begin = len(self.text)
        self.text += text
        self.sentences.append(Sentence(begin, len(self.text), "supported", (evidence,)))

    def answer(self) -> Answer:
        """Return the finished answer."""
        absent = any(one.verdict == "not_in_documents" for one in self.sentences)
        seconds = perf_counter() - self._began
        return Answer(
            question=self.question,
            text=self.text,
            language=self.language,
            verdict="not_in_documents" if absent else "supported",
            passages=tuple(self.passages),
            sentences=tuple(self.sentences),
            usage=Usage(retrieve_s=seconds, total_s=seconds),
            source=self.source,
        )


def events(answer: Answer, prove: Callable[[Answer], Answer] | None = None) -> Iterator[Event]:
    """Yield the events of an answer that is there already.

    ``prove`` adds to its evidence the boxes on its pages. That may take long, so the text comes
    first.
    """
    if answer.passages:
        yield Retrieved(answer.passages, placed=True)
    yield Delta(answer.text, 0, "stop")
    if answer.passages and prove is not None:
        answer = prove(answer)
        yield from map(Checked, answer.sentences)
    yield Finished(answer)
