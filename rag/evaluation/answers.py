"""Answer figures: is the right page cited, is a short answer right, is a refusal in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from rag.evaluation.scoring import AnswerScore, score_answer, tokens
from rag.indexing.questions.maker import Question
from rag.types.answers import Answer, Evidence

SHORT = 12  # words or characters; rules do not judge longer answers as people do
Ask = Callable[[Question], Answer]


@dataclass(frozen=True, slots=True)
class Answered:
    """What one answer came to. ``None``: not judged by this."""

    question: Question
    answer: Answer
    seconds: float
    right_page: bool | None  # its first citation; None: nothing was cited
    score: AnswerScore | None  # against short answers only

    @property
    def refused(self) -> bool:
        """Whether the app said that the documents do not hold the answer."""
        return self.answer.verdict == "not_in_documents"


@dataclass(frozen=True, slots=True)
class AnswerFigures:
    """A set's answers."""

    name: str
    answered: tuple[Answered, ...]


def measure_answers(
    name: str,
    questions: Sequence[Question],
    ask: Ask,
    *,
    told: Callable[[int, int], None] = lambda _done, _total: None,
) -> AnswerFigures:
    """Ask every question and judge what comes back."""
    found = []
    for number, question in enumerate(questions, start=1):
        began = perf_counter()
        answer = ask(question)
        found.append(judge(question, answer, seconds=perf_counter() - began))
        told(number, len(questions))
    return AnswerFigures(name, tuple(found))


def judge(question: Question, answer: Answer, *, seconds: float) -> Answered:
    """Compare an answer with what is known to be right."""
    first = next((s.evidence[0] for s in answer.sentences if s.evidence), None)
    short = [gold for gold in question.answers if 0 < len(tokens(gold)) <= SHORT]
    judged = question.answerable and bool(short)
    return Answered(
        question,
        answer,
        seconds,
        None if first is None else _is_right(first, question),
        score_answer(answer.text, short) if judged else None,
    )


def _is_right(evidence: Evidence, question: Question) -> bool:
    return evidence.document in question.documents[:1] and evidence.page in question.pages


def evenly(questions: Sequence[Question], limit: int) -> list[Question]:
    """Return at most ``limit`` questions from all over the set, the same ones every time.

    Those without an answer keep their share. 0 means all.

    >>> evenly([], 3)
    []
    """
    if not limit or len(questions) <= limit:
        return list(questions)
    groups = [[q for q in questions if q.answerable is kind] for kind in (True, False)]
    share = round(limit * len(groups[1]) / len(questions))
    kept_without = max(share, 1) if groups[1] else 0
    chosen = [
        *_spread(groups[0], limit - kept_without),
        *_spread(groups[1], kept_without),
    ]
    return sorted(chosen, key=questions.index)


def _spread(questions: Sequence[Question], count: int) -> list[Question]:
    count = min(count, len(questions))
    return [questions[i * len(questions) // count] for i in range(count)]
