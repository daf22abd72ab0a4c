"""How long a question takes while documents are indexed, beside the same question without that.

    python -m tests.bench.overtaking KNOWLEDGE --pdfs FOLDER --model FILE.gguf

Opens the whole app without its screen over a copy of a synced folder, asks some questions, adds
PDFs, and asks the same ones once passages are being embedded; all of this twice. The prompts of
the past are forgotten in between, so both sides compute the same. A batch is what is embedded
between two looks whether somebody is asking.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from rag.app.app import App
from rag.config import Settings, load_settings
from rag.generation import llamacpp
from rag.types.answers import Delta, Finished
from tests.bench.answers import questions_about
from tests.bench.child import folder_argument

ANSWER_TOKENS = 24
SHOWN = 2


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.overtaking", description=__doc__)
    parser.add_argument("knowledge", type=folder_argument, help="a synced folder")
    parser.add_argument("--pdfs", type=folder_argument, required=True, help="what is added")
    parser.add_argument("--model", type=Path, required=True, metavar="FILE.gguf")
    parser.add_argument("--questions", type=int, default=6)
    options = parser.parse_args(arguments)
    llamacpp.PROMPTS_MIB = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch) / "knowledge"
        shutil.copytree(options.knowledge, folder)
        questions = questions_about(folder, options.questions)
        found = measure(folder, options.pdfs, options.model, questions)
    print(json.dumps(found))


def measure(folder: Path, pdfs: Path, model: Path, questions: Sequence[str]) -> dict[str, object]:
    settings = load_settings(None)
    generator = settings.generator.model_copy(
        update={"model": str(model), "max_tokens": ANSWER_TOKENS, "read_ahead": False}
    )
    retrieve = settings.retrieve.model_copy(update={"k": SHOWN})
    chosen: Settings = settings.model_copy(
        update={"knowledge": folder, "generator": generator, "retrieve": retrieve}
    )
    app = App.open(chosen)
    try:
        app.start()
        until(lambda: app.state().model_state == "ready" and app.state().sync_progress is None)
        ask(app, questions[-1])  # loads what a first question loads
        idle = [ask(app, question) for question in questions]
        added = sorted(pdfs.glob("*.pdf"))
        for number, pdf in enumerate(added):
            shutil.copy2(pdf, folder / f"added {number}.pdf")
        app.sync_soon()
        busy, stages = [], []
        until(lambda: embedding(app))
        for question in questions:
            until(lambda: embedding(app) or app.state().sync_progress is None)
            progress = app.state().sync_progress
            stages.append(progress.stage if progress else "none")
            busy.append(ask(app, question))
        return {
            "idle_s": [round(seconds, 2) for seconds in idle],
            "indexing_s": [round(seconds, 2) for seconds in busy],
            "stages": stages,
            "ratios": [round(b / a, 2) for a, b in zip(idle, busy, strict=True)],
            "median_ratio": round(median(b / a for a, b in zip(idle, busy, strict=True)), 3),
            "median_more_s": round(median(b - a for a, b in zip(idle, busy, strict=True)), 2),
        }
    finally:
        app.close()


def embedding(app: App) -> bool:
    """Say whether passages are being embedded."""
    progress = app.state().sync_progress
    return progress is not None and progress.stage in {"embed", "write"}


def ask(app: App, question: str) -> float:
    """Return the seconds to the first token."""
    began = perf_counter()
    first = 0.0
    for event in app.ask(question, mode="passages", cancelled=lambda: False):
        if isinstance(event, Delta) and event.tokens and not first:
            first = perf_counter() - began
        if isinstance(event, Finished):
            break
    return first or perf_counter() - began


def until(done: Callable[[], bool], *, seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "the background did not get there"
        time.sleep(0.05)


if __name__ == "__main__":
    main()
