"""What prompt lookup and kept prompts bring: our transformers engine against plain ``generate``.

Both answer the same prompts, in turn, at temperature 0: the questions of the evaluation sets
over a synced folder, with the passages that retrieval finds. A follow-up is a second
question over the same passages.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, get_args

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from rag.app import wiring
from rag.app.container import Container
from rag.config import Settings, load_settings
from rag.evaluation.datasets import load_sets
from rag.generation.prompt import build_messages
from rag.generation.transformers.engine import TransformersGenerator
from rag.generation.transformers.loading import load_model
from rag.generation.transformers.weights import Quantization
from rag.text.language import detect_language
from rag.text.messages import Text
from rag.types.answers import Message, Passage
from tests.bench import machine
from tests.bench.child import folder_argument
from tests.bench.corpus import eval_sets

FOLLOW_UP = Text("Where does it say so?", "依据在哪里？")


@dataclass(frozen=True, slots=True)
class Run:
    """One answer."""

    text: str
    tokens: int
    prompt_tokens: int
    first_s: float
    decode_s: float  # from the first token to the last


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    loaded = load_model(options.model, quantization=options.quantization, device="auto")
    ours = TransformersGenerator(
        loaded, name=options.model.name, context_tokens=4096, kv_bits=options.kv_bits
    )
    rows = []
    for question, passages in found(options.knowledge, options.questions, k=options.k):
        rows.append(_pair(ours, question, passages, most=options.tokens))
        print(json.dumps(_figures(rows[-1:])), flush=True)
    figures = _figures(rows)
    Console(width=110).print(_table(figures))
    if options.json:
        report = {
            "machine": machine.describe(),
            "model": options.model.name,
            "quantization": options.quantization,
            "figures": figures,
            "rows": [{name: asdict(run) for name, run in row.items()} for row in rows],
        }
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.answers", description=__doc__)
    parser.add_argument("knowledge", type=folder_argument, help="a folder that has been synced")
    parser.add_argument("--model", type=folder_argument, required=True, help="a folder of weights")
    parser.add_argument("--quantization", choices=get_args(Quantization), default="none")
    parser.add_argument("--kv-bits", type=int, choices=(8, 16), default=16)
    parser.add_argument("--questions", type=int, default=10)
    parser.add_argument("--k", type=int, default=5, help="passages in a prompt (default 5)")
    parser.add_argument("--tokens", type=int, default=120, help="longest answer (default 120)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return parser


def found(knowledge: Path, questions: int, *, k: int) -> Iterator[tuple[str, tuple[Passage, ...]]]:
    """Yield questions about documents of the folder, with the passages that are found for them."""
    settings = Settings(knowledge=knowledge, models=load_settings(None).models)
    container = Container(settings)
    ledger = container.ledger(read_only=True)
    try:
        pipeline = wiring.question_parts(
            container,
            ledger,
            generator=lambda _: None,
        ).pipeline
        for text in questions_about(knowledge, questions):
            yield text, pipeline.search(text, k=k).passages
    finally:
        container.close()
        ledger.close()


def questions_about(knowledge: Path, count: int) -> list[str]:
    """Return questions of the evaluation sets that documents of the folder answer, spread."""
    present = {path.name for path in knowledge.rglob("*.pdf")}
    asked = [
        question.text
        for one in load_sets(eval_sets())
        for question in one.questions
        if present.issuperset(question.documents) and question.answers
    ]
    return asked[:: max(1, len(asked) // count)][:count]


def _pair(
    ours: TransformersGenerator, question: str, passages: Sequence[Passage], *, most: int
) -> dict[str, Run]:
    messages = build_messages(question, passages)
    later = build_messages(FOLLOW_UP.say(detect_language(question)), passages)
    ours.forget()
    first = _ours(ours, messages, most)
    return {
        "ours": first,
        "follow_up": _ours(ours, later, 1),
        "plain": _plain(ours, messages, most),
    }


def _ours(generator: TransformersGenerator, messages: Sequence[Message], most: int) -> Run:
    began = perf_counter()
    text, tokens, first_s, last_s = "", 0, 0.0, 0.0
    for delta in generator.stream(
        messages, max_tokens=most, temperature=0, cancelled=lambda: False
    ):
        if delta.tokens:
            last_s = perf_counter() - began
            first_s = first_s or last_s
        text += delta.text
        tokens += delta.tokens
    return Run(text, tokens, generator.count_tokens(messages), first_s, last_s - first_s)


def _plain(generator: TransformersGenerator, messages: Sequence[Message], most: int) -> Run:
    """Answer with the library alone, on the same weights."""
    ids = torch.tensor([generator._encode(messages)])
    times: list[float] = []

    class Clock:
        def put(self, value: Any) -> None:
            times.append(perf_counter())

        def end(self) -> None: ...

    began = perf_counter()
    with torch.inference_mode():
        output = generator._model.generate(
            ids.to(generator._model.device),
            attention_mask=torch.ones_like(ids),
            max_new_tokens=most,
            do_sample=False,
            repetition_penalty=1.0,
            eos_token_id=sorted(generator._ends),
            pad_token_id=0,
            streamer=Clock(),
        )
    said = output[0, ids.shape[1] :]
    text = generator._tokenizer.decode(said, skip_special_tokens=True)
    first_s = times[1] - began  # the prompt itself is put first
    return Run(text, len(said), ids.shape[1], first_s, times[-1] - times[1])


def _figures(rows: Sequence[dict[str, Run]]) -> dict[str, float]:
    long = [row for row in rows if min(row["ours"].tokens, row["plain"].tokens) > 1]
    rates = {
        side: sum(row[side].tokens - 1 for row in long)
        / (sum(row[side].decode_s for row in long) or 1)
        for side in ("ours", "plain")
    }
    return {
        "answers": len(rows),
        # the library shows a character that the last token cut in two; we leave it out
        "identical": sum(row["ours"].text == row["plain"].text.rstrip("\ufffd") for row in rows),
        "prompt_tokens": median(row["ours"].prompt_tokens for row in rows),
        "answer_tokens": median(row["ours"].tokens for row in rows),
        "ours_tokens_per_s": round(rates["ours"], 2),
        "plain_tokens_per_s": round(rates["plain"], 2),
        "decode_ratio": round(rates["ours"] / (rates["plain"] or 1), 2),
        "first_token_ratio": round(
            median(row["ours"].first_s / row["plain"].first_s for row in rows), 2
        ),
        "follow_up_share": round(
            median(row["follow_up"].first_s / row["ours"].first_s for row in rows), 3
        ),
    }


def _table(figures: dict[str, float]) -> Table:
    shown = Table(box=box.MARKDOWN)
    shown.add_column("figure")
    shown.add_column("value", justify="right")
    for name, value in figures.items():
        shown.add_row(name.replace("_", " "), str(value))
    return shown


if __name__ == "__main__":
    raise SystemExit(main())
