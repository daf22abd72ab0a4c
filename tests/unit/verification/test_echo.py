"""A sentence that only repeats the question supports nothing."""

from __future__ import annotations

import pytest

from rag.retrieval.analyser import BilingualAnalyser
from rag.types.answers import Passage
from rag.types.documents import Chunk
from rag.verification.linker import Linker
from rag.verification.wording import only_repeats

TEXT = "The kelp paper was written by Ada Vogt and Lin Wei. It costs 12 euros."


def verdict(question: str, sentence: str) -> tuple[str, str]:
    chunk = Chunk("d" * 64, 0, len(TEXT), 1, 1, TEXT)
    passage = Passage(1, chunk, "kelp paper.pdf", "kelp paper.pdf")
    linker = Linker([passage], terms=BilingualAnalyser().terms, question=question)
    judged = linker.judge(sentence, 0, len(sentence))
    assert judged is not None
    return judged.verdict, judged.reason


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("Who wrote the kelp paper?", "It was written by the author of kelp paper.pdf."),
        (
            "Who wrote the kelp paper?",
            "The kelp paper was written by the author of it.",
        ),
        ("What does the kelp paper cost?", "The kelp paper costs the following."),
        ("海带论文是谁写的？", "海带论文是由作者写的。"),
    ],
)
def test_an_echo_is_not_supported(question: str, sentence: str) -> None:
    assert verdict(question, sentence) == ("unsupported", "echo")


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("Who wrote the kelp paper?", "The kelp paper was written by Ada Vogt and Lin Wei."),
        ("What does the kelp paper cost?", "It costs 12 euros."),
        ("Does the kelp paper cost 12 euros?", "The kelp paper costs 12 euros."),
    ],
)
def test_an_answer_is_no_echo(question: str, sentence: str) -> None:
    assert verdict(question, sentence)[0] == "supported"


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("Who pays the deposit, the tenant or the landlord?", "The landlord pays the deposit."),
        ("Is subletting permitted when the landlord agrees?", "It is permitted when he agrees."),
        ("谁支付押金，房东还是租客？", "房东支付押金。"),
        ("几乎所有员工都有保险吗？", "所有员工都有保险。"),
        ("What happens if pets are kept?", "It does not happen."),
        ("显存带宽是多少？", "显存带宽是1008GB每秒。"),
        ("谁签的字？", "张三签的字。"),
        ("合同什么时候到期？", "合同到期日是2026年。"),
        ("What is the colour of the garage?", "The colour of the garage is green."),
    ],
)
def test_one_new_word_or_number_is_enough(question: str, sentence: str) -> None:
    assert not only_repeats(question, sentence, BilingualAnalyser().terms)
