"""Asks a loaded model and looks at the clock. Runs in the process of the row alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from rag.benchmark.prompts import Prompt
from rag.benchmark.rows import Reading
from rag.evaluation.scoring import AnswerScore, score_answer
from rag.protocols import TextGenerator, never
from rag.types import Message

WARM_UP_TOKENS = 8
SHORT_ANSWER_TOKENS = 48
_FIRST_ONLY = 2  # tokens of a follow-up; only its first counts


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer as it came in. Times are seconds since the question was put."""

    text: str
    tokens: int
    first_s: float  # first piece with a token
    first_tokens: int  # tokens behind that piece
    last_s: float  # last piece with a token


def listen(
    generator: TextGenerator,
    messages: Sequence[Message],
    *,
    max_tokens: int,
    clock: Callable[[], float] = perf_counter,
) -> Heard:
    """Put a question at temperature 0 and time its pieces."""
    began = clock()
    first = last = None
    tokens = first_tokens = 0
    pieces = []
    for delta in generator.stream(
        messages, max_tokens=max_tokens, temperature=0.0, cancelled=never
    ):
        pieces.append(delta.text)
        if delta.tokens:
            last = clock() - began
            if first is None:
                first, first_tokens = last, delta.tokens
            tokens += delta.tokens
    whole = clock() - began
    return Heard("".join(pieces), tokens, first or whole, first_tokens, last or whole)


def time_answers(
    generator: TextGenerator,
    prompts: Sequence[Prompt],
    *,
    new_tokens: int,
    clock: Callable[[], float] = perf_counter,
) -> Iterator[Reading]:
    """Warm up on the first prompt, then time one answer and one follow-up for each other.

    Each prompt begins with a mark of its own, so that nothing of it is already computed: not
    even the rules, which the app's prompts share.
    """
    warm, *timed = prompts
    listen(generator, warm.messages(mark="Run 0."), max_tokens=WARM_UP_TOKENS, clock=clock)
    for number, prompt in enumerate(timed, start=1):
        mark = f"Run {number}."
        messages = prompt.messages(mark=mark)
        heard = listen(generator, messages, max_tokens=new_tokens, clock=clock)
        follow_up_s = None
        if prompt.follow_up:
            again = prompt.follow_up_messages(heard.text, mark=mark)
            follow_up_s = listen(generator, again, max_tokens=_FIRST_ONLY, clock=clock).first_s
        yield Reading(
            prompt_tokens=generator.count_tokens(messages),
            first_token_s=heard.first_s,
            new_tokens=heard.tokens,
            decoded=heard.tokens - heard.first_tokens,
            decode_s=heard.last_s - heard.first_s,
            follow_up_s=follow_up_s,
        )


def score_answers(
    generator: TextGenerator, prompts: Sequence[Prompt]
) -> Iterator[tuple[Prompt, str, AnswerScore]]:
    """Ask short questions with known answers; yield what was said and how right it is."""
    for prompt in prompts:
        heard = listen(generator, prompt.messages(), max_tokens=SHORT_ANSWER_TOKENS)
        yield prompt, heard.text, score_answer(heard.text, prompt.answers)
