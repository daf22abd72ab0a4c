from __future__ import annotations

import pytest

from rag.evaluation.asking import judge, measure_answers, of_answer
from rag.evaluation.datasets import evenly
from rag.evaluation.runs import counted, value
from rag.indexing.questions.maker import Question
from rag.types.answers import Answer, Evidence, Sentence, Verdict


def question(
    text: str = "?", *, answers: tuple[str, ...] = (), answerable: bool = True
) -> Question:
    return Question(text, "s", "en", ("a.pdf",), text, answers, (2,), answerable)


def answer(
    text: str, *, page: int | None = None, document: str = "a.pdf", verdict: Verdict = "supported"
) -> Answer:
    evidence = () if page is None else (Evidence(0, document, page, "q", 0, 1, 1.0),)
    sentences = (Sentence(0, 1, "unsupported"), Sentence(1, 2, "supported", evidence))
    return Answer("?", text, "en", verdict, (), sentences=sentences)


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (answer("x", page=2), True),
        (answer("x", page=3), False),
        (answer("x", page=2, document="b.pdf"), False),
        (answer("x"), None),
    ],
)
def test_the_first_citation_is_judged(given: Answer, right: bool | None) -> None:
    assert judge(question(), given, seconds=0).right_page is right


def test_only_short_answers_to_answerable_questions_are_scored() -> None:
    right = judge(question(answers=("950 euros", "950")), answer("950"), seconds=0)
    assert right.score is not None
    assert (right.score.exact, right.score.f1) == (1.0, 1.0)
    long = " ".join(f"word{n}" for n in range(13))
    assert judge(question(answers=(long,)), answer("word1"), seconds=0).score is None
    none = question(answers=("950",), answerable=False)
    assert judge(none, answer("950"), seconds=0).score is None


def test_refusals_are_compared_with_the_questions_that_have_no_answer() -> None:
    asked = [
        question("refused rightly", answerable=False),
        question("made up", answerable=False),
        question("refused wrongly", answers=("950",)),
        question("answered", answers=("950",)),
    ]

    def ask(asked: Question) -> Answer:
        refused = asked.text.startswith("refused")
        return answer("950", verdict="not_in_documents" if refused else "supported")

    names = [f"abstention.{name}" for name in ("precision", "recall", "f1", "false_refusals")]
    found = [of_answer(one) for one in measure_answers(asked, ask)]
    assert [value(found, name) for name in names] == [0.5, 0.5, 0.5, 0.5]
    assert counted(found, "abstention.recall") == 2
    nothing = [of_answer(one) for one in measure_answers(asked[3:], ask)]
    assert [value(nothing, name) for name in names] == [None, None, None, 0]


def test_a_sample_comes_from_all_over_the_set_and_keeps_those_without_an_answer() -> None:
    asked = [question(str(n), answerable=n % 5 > 0) for n in range(100)]
    chosen = evenly(asked, 10)
    assert len(chosen) == 10
    assert sum(not q.answerable for q in chosen) == 2
    assert [int(q.text) for q in chosen] == sorted(int(q.text) for q in chosen)
    assert int(chosen[-1].text) > 80
    assert evenly(asked, 10) == chosen
    assert evenly(asked, 0) == evenly(asked, 100) == asked
