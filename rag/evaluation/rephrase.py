"""Questions said in other words by a language model, and kept only if they still can be answered.

The rules' own wording stays wherever the model's is no question, loses a number, gives the
answer away, or cannot be answered from the passage by the same model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rag.evaluation.scoring import contains
from rag.generation.prompt import build_messages
from rag.indexing.questions.maker import Question
from rag.text.language import detect_language
from rag.text.messages import Text
from rag.types.answers import Message, Passage
from rag.types.documents import Chunk

if TYPE_CHECKING:
    from rag.protocols import TextGenerator

_ASKED = Text(
    "Say this question in other words. Keep every name and number. Answer with one question"
    " and nothing else.\n\n{}",
    "把下面的问题换一种说法。保留所有名称和数字。只回答一个问题，不要写别的。\n\n{}",
)
_LONGEST = 2.5  # times the question it was made of
_TOKENS = 80
_AROUND = 600  # characters on each side of what the question was made of
PageText = Callable[[str, int], str]
"""The text of a page, by the file's name and the page's number."""


def rephrased(
    questions: Sequence[Question],
    generator: TextGenerator,
    *,
    page_text: PageText,
    told: Callable[[int, int], None] = lambda _done, _total: None,
) -> Iterator[Question]:
    """Yield each question, in the model's words where those are good."""
    for number, question in enumerate(questions, start=1):
        said = _said(generator, [Message("user", _prompt(question))], tokens=_TOKENS)
        other = said.strip().split("\n")[0].strip(' "“”')
        good = keeps(question, other) and _answerable(question, other, generator, page_text)
        yield replace(question, text=other) if good else question
        told(number, len(questions))


def keeps(question: Question, other: str) -> bool:
    """Say whether another wording asks the same, as far as rules can tell.

    >>> asked = "What were sales in 2018?"
    >>> asked = Question("1", "own", "en", ("a.pdf",), asked, ("5",), (1,), answerable=True)
    >>> keeps(asked, "How much was sold in 2018?"), keeps(asked, "How much was sold?")
    (True, False)
    """
    given_away = any(answer and contains(other, answer) for answer in question.answers)
    same_numbers = set(re.findall(r"\d+", question.text)) <= set(re.findall(r"\d+", other))
    term = question.evidence[0] if question.kind == "definition" else ""
    return (
        other.endswith(("?", "？"))
        and other != question.text
        and len(other) <= _LONGEST * len(question.text)
        and detect_language(other) == question.language
        and same_numbers
        and not given_away
        and term.lower() in other.lower()
    )


def _answerable(
    question: Question, other: str, generator: TextGenerator, page_text: PageText
) -> bool:
    if question.kind not in {"sentence", "table"}:
        return True  # there is no short answer to compare with
    passage = _passage(question, page_text)
    answer = _said(generator, build_messages(other, [passage]), tokens=_TOKENS)
    return any(contains(answer, gold) for gold in question.answers)


def _passage(question: Question, page_text: PageText) -> Passage:
    page, file = question.pages[0], question.documents[0]
    text = page_text(file, page)
    at = max(0, text.find(question.evidence[0][:12]) if question.evidence else 0)
    start, end = max(0, at - _AROUND), at + _AROUND
    chunk = Chunk("", start, end, page, page, text[start:end])
    return Passage(0, chunk, file, file)


def _said(generator: TextGenerator, messages: Sequence[Message], *, tokens: int) -> str:
    pieces = generator.stream(messages, max_tokens=tokens, temperature=0.0, cancelled=lambda: False)
    return "".join(piece.text for piece in pieces)


def _prompt(question: Question) -> str:
    return _ASKED.say(detect_language(question.text)).format(question.text)
