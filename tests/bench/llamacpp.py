"""What the app adds to llama.cpp, and when the first word comes.

    python -m tests.bench.llamacpp KNOWLEDGE --model FILE.gguf

For each question, in turn on the same weights: our whole pipeline (search, prompt, streaming,
the check of each sentence) and one plain call of xllamacpp with the same messages; then the
question again after it was read ahead, and a follow-up over the same passages. Nothing of the
prompt is cached before the first two.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from rag.answering.pipeline import RagPipeline
from rag.app import wiring
from rag.app.container import Container
from rag.config import Settings, load_settings
from rag.generation import llamacpp
from rag.generation.llamacpp import LlamaCppGenerator
from rag.generation.prompt import build_messages, plain_turns
from rag.text.language import detect_language
from rag.text.messages import Text
from rag.types.answers import Answer, Delta, Finished, Message, TypedDraft
from tests.bench import machine
from tests.bench.answers import questions_about
from tests.bench.child import folder_argument

FOLLOW_UP = Text("Where does it say so?", "依据在哪里？")


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds of one question; ``first`` is the time to the first token."""

    question: str
    prompt_tokens: int
    tokens: int
    ours_s: float
    inside_s: float  # of them inside llama.cpp; the same on a busy machine and on a quiet one
    direct_s: float
    same_text: bool
    first_s: float
    first_ahead_s: float
    first_follow_up_s: float


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    llamacpp.PROMPTS_MIB = 0  # a question that was asked before is to be new again
    generator = LlamaCppGenerator.load(
        options.model, name=options.model.stem, context_tokens=4096, threads=options.threads
    )
    generator._holder[0] = _Timed(generator._holder[0])
    rows: list[Row] = []
    with _pipeline(options.knowledge, generator, k=options.k, tokens=options.tokens) as pipeline:
        for text in questions_about(options.knowledge, options.questions):
            row = _measure(pipeline, generator, text, ours_first=len(rows) % 2 == 0)
            if row is not None:
                rows.append(row)
                print(json.dumps(asdict(row), ensure_ascii=False), flush=True)
    print(json.dumps(_figures(rows)))
    if options.json:
        report = {"machine": machine.describe(), "model": options.model.stem, "k": options.k}
        report |= {"figures": _figures(rows), "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    generator.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.llamacpp", description=__doc__)
    parser.add_argument("knowledge", type=folder_argument, help="a folder that has been synced")
    parser.add_argument("--model", type=Path, required=True, help="a .gguf file")
    parser.add_argument("--questions", type=int, default=6)
    parser.add_argument("--k", type=int, default=5, help="passages in a prompt (default 5)")
    parser.add_argument("--tokens", type=int, default=64, help="longest answer (default 64)")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return parser


@contextmanager
def _pipeline(
    knowledge: Path, generator: LlamaCppGenerator, *, k: int, tokens: int
) -> Iterator[RagPipeline]:
    chosen = {"retrieve": {"k": k}, "generator": {"max_tokens": tokens}}
    models = load_settings(None).models
    settings = Settings.model_validate({"knowledge": knowledge, "models": models, **chosen})
    container = Container(settings)
    ledger = container.ledger(read_only=True)
    try:
        yield wiring.question_parts(
            container,
            ledger,
            generator=lambda _: generator,
        ).pipeline
    finally:
        container.close()
        ledger.close()


def _measure(
    pipeline: RagPipeline, generator: LlamaCppGenerator, text: str, *, ours_first: bool
) -> Row | None:
    messages = pipeline.ahead(TypedDraft(text), generator)
    if messages is None:
        return None
    ours: tuple[Answer, float, float] | None = None
    direct: tuple[str, float] = ("", 0.0)
    timed, inside = generator._holder[0], 0.0
    for mine in (True, False) if ours_first else (False, True):
        _forget(generator)
        if mine:
            timed.seconds = 0.0
            ours = _ask(pipeline, text)
            inside = timed.seconds
        else:
            direct = _direct(generator, messages, pipeline.settings.max_tokens)
    assert ours is not None
    answer, seconds, first = ours
    _forget(generator)
    generator.prepare(messages, cancelled=lambda: False)
    ahead = _ask(pipeline, text)
    history = [Message("user", text), Message("assistant", ahead[0].text)]
    later = build_messages(FOLLOW_UP.say(detect_language(text)), answer.passages, history, at=0)
    return Row(
        text,
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
        seconds,
        inside,
        direct[1],
        direct[0].strip() == answer.text.strip(),
        first,
        ahead[2],
        _first(lambda: generator.stream(later, max_tokens=1, temperature=0, cancelled=_never)),
    )


class _Timed:
    """llama.cpp's server, and how long it was at work on conversations."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.seconds = 0.0

    def handle_chat_completions(self, *given: Any) -> Any:
        began = perf_counter()
        try:
            return self._server.handle_chat_completions(*given)
        finally:
            self.seconds += perf_counter() - began

    def handle_completions(self, request: dict[str, Any]) -> Any:
        return self._server.handle_completions(request)


def _ask(pipeline: RagPipeline, text: str) -> tuple[Answer, float, float]:
    """Return the answer, its seconds, and those to its first token, all from the question on."""
    began, first = perf_counter(), 0.0
    for event in pipeline.ask(text):
        if isinstance(event, Delta) and event.tokens:
            first = first or perf_counter() - began
        if isinstance(event, Finished):
            return event.answer, perf_counter() - began, first
    raise AssertionError("no answer")


def _direct(
    generator: LlamaCppGenerator, messages: Sequence[Message], tokens: int
) -> tuple[str, float]:
    began = perf_counter()
    request = {"messages": plain_turns(messages), "max_tokens": tokens, "temperature": 0}
    answer: dict[str, Any] = generator._holder[0].handle_chat_completions(request)
    return answer["choices"][0]["message"]["content"], perf_counter() - began


def _first(stream: Callable[[], Iterator[Delta]]) -> float:
    began = perf_counter()
    for delta in stream():
        if delta.tokens:
            return perf_counter() - began
    return perf_counter() - began


def _forget(generator: LlamaCppGenerator) -> None:
    generator._holder[0].handle_completions({"prompt": "a", "max_tokens": 1})


def _never() -> bool:
    return False


def _figures(rows: Sequence[Row]) -> dict[str, Any]:
    if not rows:
        return {}
    return {
        "questions": len(rows),
        "prompt_tokens": median(row.prompt_tokens for row in rows),
        "speed_of_direct": round(median(row.direct_s / row.ours_s for row in rows), 3),
        "inside_share": round(median(row.inside_s / row.ours_s for row in rows), 3),
        "same_text": sum(row.same_text for row in rows),
        "first_s": round(median(row.first_s for row in rows), 2),
        "first_ahead_s": round(median(row.first_ahead_s for row in rows), 2),
        "ahead_share": round(median(row.first_ahead_s / row.first_s for row in rows), 3),
        "follow_up_share": round(median(row.first_follow_up_s / row.first_s for row in rows), 3),
    }


if __name__ == "__main__":
    raise SystemExit(main())
