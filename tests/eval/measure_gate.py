"""The gate before the model, with what each library knows of itself and without.

    python -m tests.eval.measure_gate FOLDER [FOLDER ...]

Each folder is synced, and is a library of its own; two more are made of XQuAD's articles, one
in each language. Every question of the evaluation sets about its documents is asked twice: as
the library is, and with the document hidden that answers it. Prints, for each set, the share of
answerable questions that are refused, the share of the others, and F1 of refusing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rag.evaluation.datasets import load_sets
from rag.indexing import calibration as calibrating
from rag.indexing.calibration import kept, when_due
from rag.indexing.questions.maker import Question
from rag.protocols import Embedder, never
from rag.retrieval.relevance import UNKNOWN, Calibration, Trial
from tests.bench.child import folder_argument
from tests.eval.fit_relevance import fitting, sample
from tests.eval.measure_retrieval import PAGE_SETS, Bench, eval_folder
from tests.libraries import PageLibrary

GATE = float(np.log(0.3 / 0.7))


def of_folder(bench: Bench) -> Iterator[tuple[str, str, list[Trial]]]:
    """Yield set, language and trials."""
    for found in load_sets(eval_folder()):
        asked = [q for q in found.with_pages() if q.documents[0] in bench.documents]
        if found.name in PAGE_SETS and asked:
            for language in ("en", "zh"):
                chosen = sample([q for q in asked if q.language == language])
                trials = [
                    calibrating.ask(
                        bench.retriever,  # type: ignore[arg-type]
                        bench.store,
                        replace(question, taken_out="document"),
                        bench.documents[question.documents[0]],
                    )
                    for question in chosen
                ]
                yield found.name, language, [trial for trial in trials if trial]


def xquad(embedder: Embedder, language: str, folder: Path) -> tuple[PageLibrary, list[Trial]]:
    """Make a library of XQuAD's articles that has been asked about itself; ask it XQuAD's own."""
    library = PageLibrary(folder, embedder)
    with gzip.open(
        eval_folder() / "retrieval" / "xquad" / f"xquad.{language}.json.gz", "rt"
    ) as file:
        articles = json.load(file)["data"]
    asked: list[Question] = []
    for number, article in enumerate(articles):
        texts: list[str] = []
        for paragraph in article["paragraphs"]:
            parts = fitting(paragraph["context"], embedder)
            pages = tuple(range(len(texts) + 1, len(texts) + len(parts) + 1))
            texts += parts
            for row in paragraph["qas"]:
                name = (f"article {number}",)
                asked.append(
                    Question("", "xquad", language, name, row["question"], (), pages, False)
                )
        library.add(f"article {number}", texts)
    when_due(library.ledger, lambda _: library.retriever, lambda _: None, never)
    found = [
        calibrating.ask(
            library.retriever,
            library.store,
            replace(question, taken_out="document"),
            question.documents[0],
        )
        for question in sample(asked)
    ]
    return library, [trial for trial in found if trial]


def refusals(trials: Sequence[Trial], calibration: Calibration) -> tuple[float, float, float]:
    """Return the share of wrong refusals, of right ones, and F1."""
    there = np.array([calibration.log_odds(trial.there) for trial in trials])
    hidden = np.array([calibration.log_odds(trial.hidden) for trial in trials])
    wrong, right = float(np.mean(there < GATE)), float(np.mean(hidden < GATE))
    return wrong, right, 2 * right / (1 + wrong + right)


def say(library: str, name: str, trials: Sequence[Trial], calibration: Calibration) -> None:
    before, after = (
        " ".join(f"{figure:.3f}" for figure in refusals(trials, one))
        for one in (UNKNOWN, calibration)
    )
    sys.stdout.write(
        f"{library:14} {name:16} n={len(trials):4}  {before}  ->  {after}  ({calibration})\n"
    )
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.eval.measure_gate", description=__doc__)
    parser.add_argument("folders", type=folder_argument, nargs="+", help="synced folders")
    folders = parser.parse_args().folders
    for folder in folders:
        bench = Bench(folder)
        known = kept(bench.ledger, bench.version)
        for name, language, trials in of_folder(bench):
            if trials:
                calibration = known.get(language, UNKNOWN)  # type: ignore[call-overload]
                say(folder.name, f"{name} {language}", trials, calibration)
        bench.close()
    bench = Bench(folders[0])
    for language in ("en", "zh"):
        with tempfile.TemporaryDirectory() as scratch:
            library, trials = xquad(bench.embedder, language, Path(scratch))
            known = kept(library.ledger, library.version)
            say("xquad", language, trials, known.get(language, UNKNOWN))  # type: ignore[call-overload]
    bench.close()


if __name__ == "__main__":
    main()
