"""What of the passages a model reads on a processor."""

from __future__ import annotations

from rag.answering.excerpts import WHOLE, Excerpts, tokens_in
from rag.answering.prompt_reuse import Fitted, PromptReuse
from rag.retrieval.analyser import BilingualAnalyser
from rag.types.answers import Message, Passage
from tests.factories import passage

TERMS = BilingualAnalyser().terms
FILLER = " ".join(
    f"Clause {n} speaks of other things at some length, as clauses do." for n in range(30)
)
LEASE = passage(
    f"{FILLER} The monthly rent is 950 euros. It is paid on the first day. {FILLER}", id=1
)
TABLE = passage(
    "Years ended December 31, 2018 2017\n"
    + "\n".join(f"Line {n} of the report $ {n}00 $ {n}11" for n in range(40))
    + "\nRent of offices $ 32,765 $ 31,657",
    id=2,
)
CHINESE = passage("房租每月九百五十欧元，每月一日支付。" * 30, id=3)


def excerpts(tokens: int) -> Excerpts:
    return Excerpts(TERMS, TERMS, tokens)


def texts(found: tuple[Passage, ...]) -> list[str]:
    return [each.chunk.text for each in found]


def test_the_sentence_that_is_asked_for_stays_whole_with_its_neighbour():
    (left,) = excerpts(80).of("How much is the monthly rent?", [LEASE])
    words = "as clauses do. The monthly rent is 950 euros. It is paid on the first day."
    assert words in left.chunk.text
    assert "Clause 9 " not in left.chunk.text
    assert tokens_in(left.chunk.text) <= 80


def test_a_row_keeps_its_header():
    (left,) = excerpts(60).of("How high was the rent of offices?", [TABLE])
    assert "Rent of offices $ 32,765 $ 31,657" in left.chunk.text
    assert left.chunk.text.startswith("Years ended December 31, 2018 2017")


def test_what_fits_stays_as_it_is():
    short = passage("The rent is 950 euros.", id=4)
    assert excerpts(600).of("rent?", [short]) == (short,)
    assert WHOLE.of("rent?", [LEASE, TABLE]) == (LEASE, TABLE)


def test_a_passage_in_another_language_is_not_cut_by_words():
    left = excerpts(80).of("How much is the monthly rent?", [LEASE, CHINESE])
    assert CHINESE.chunk.text in texts(left)


def test_the_passages_found_come_back_whole_and_what_was_read_is_in_the_prompt():
    reuse = PromptReuse()
    messages, kept, dropped, _ = reuse.fit(
        "How much is the monthly rent?",
        [LEASE, TABLE],
        history=(),
        budget=10_000,
        count=lambda messages: sum(len(m.content) for m in messages) // 4,
        excerpts=excerpts(100),
    )
    assert kept == (LEASE, TABLE)
    assert dropped == ()
    assert "The monthly rent is 950 euros." in messages[-1].content
    assert len(messages[-1].content) < len(LEASE.chunk.text)


def test_a_follow_up_goes_on_only_where_all_it_needs_was_read():
    reuse, cut = PromptReuse(), excerpts(100)
    question = "How much is the monthly rent?"
    history = (Message("user", question), Message("assistant", "950 euros."))

    def fitted(asked: str, turns: tuple[Message, ...]) -> Fitted:
        return reuse.fit(
            asked, [LEASE, TABLE], history=turns, budget=10_000, count=lambda _: 1, excerpts=cut
        )

    reuse.asked(question, fitted(question, ()), ())
    again = fitted("How much is the monthly rent, please?", history).messages
    other = fitted("What was the rent of offices in 2018?", history).messages
    assert "950 euros" in again[1].content, "the passages stand where they stood"
    assert "Rent of offices" in other[-1].content, "the passages are laid out anew"
