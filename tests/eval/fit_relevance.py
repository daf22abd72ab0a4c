"""Fits the coefficients of ``rag.retrieve.relevance`` on the evaluation sets.

    python -m tests.eval.fit_relevance --library DIR

The library must hold the sets' PDFs. Answerable: the sets' questions. Not answerable:
XQuAD's questions, English and Chinese, whose paragraphs are in none of the PDFs. Each set
weighs the same, and the answerable twice as much as the others: a false refusal is worse
than a question too many for the model. Prints the coefficients and what a threshold does;
``rag.retrieve.relevance`` holds the numbers.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from rag.measure.sets import load_sets
from rag.retrieve.relevance import Signs
from rag.retrieve.retriever import HybridRetriever
from tests.eval.measure_retrieval import PAGE_SETS, Bench, eval_folder

T = TypeVar("T")
PER_SET = 200
ANSWERABLE_WEIGHT = 2.0
THRESHOLDS = (0.03, 0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True)
class Row:
    set: str
    answerable: bool
    signs: Signs


def rows(bench: Bench, sets: Path) -> Iterator[Row]:
    """Yield the signs of up to ``PER_SET`` questions of each set, chosen at random."""
    retriever = bench.retriever
    assert isinstance(retriever, HybridRetriever)
    for found in load_sets(sets):
        if found.name in PAGE_SETS:
            for question in sample(found.with_pages()):
                yield Row(found.name, True, retriever.signs(question.text))
    for language in ("en", "zh"):
        for text in sample(xquad_questions(sets, language)):
            yield Row(f"xquad_{language}", False, retriever.signs(text))


def sample(items: Sequence[T]) -> list[T]:
    chosen = list(items)
    random.Random(1).shuffle(chosen)
    return chosen[:PER_SET]


def xquad_questions(sets: Path, language: str) -> list[str]:
    with gzip.open(sets / "retrieval" / "xquad" / f"xquad.{language}.json.gz", "rt") as file:
        articles = json.load(file)["data"]
    return [
        row["question"]
        for article in articles
        for paragraph in article["paragraphs"]
        for row in paragraph["qas"]
    ]


def fit(features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return intercept and coefficients of a weighted logistic regression (Newton's method)."""
    design = np.column_stack([np.ones(len(features)), features])
    found = np.zeros(design.shape[1])
    ridge = 1e-3 * np.eye(len(found))
    for _ in range(50):
        chances = 1 / (1 + np.exp(-design @ found))
        slope = design.T @ (weights * (labels - chances)) - ridge @ found
        bend = (design * (weights * chances * (1 - chances))[:, None]).T @ design + ridge
        found += np.linalg.solve(bend, slope)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True, help="a synced knowledge folder")
    bench = Bench(parser.parse_args().library)
    try:
        found = list(rows(bench, eval_folder()))
    finally:
        bench.close()
    features = np.array([[row.signs.coverage, row.signs.headroom] for row in found])
    labels = np.array([float(row.answerable) for row in found])
    sizes = {name: sum(row.set == name for row in found) for name in {r.set for r in found}}
    weights = np.array(
        [(ANSWERABLE_WEIGHT if row.answerable else 1.0) / max(50, sizes[row.set]) for row in found]
    )
    coefficients = fit(features, labels, 100 * weights)
    chances = 1 / (1 + np.exp(-(coefficients[0] + features @ coefficients[1:])))
    sys.stdout.write(f"intercept, coverage, headroom: {coefficients.round(2).tolist()}\n")
    sys.stdout.write("share of questions refused at a threshold of\n")
    for name in sorted(sizes):
        own = np.array(
            [chance for chance, row in zip(chances, found, strict=True) if row.set == name]
        )
        shares = "  ".join(f"{t}: {float(np.mean(own < t)):.3f}" for t in THRESHOLDS)
        sys.stdout.write(f"{name:14} n={sizes[name]:4}  {shares}\n")


if __name__ == "__main__":
    main()
