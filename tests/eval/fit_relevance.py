"""Fits the coefficients of ``rag.retrieval.relevance`` on the evaluation sets.

    python -m tests.eval.fit_relevance --library DIR

The library must hold the sets' PDFs; two more are made of XQuAD's paragraphs, one in each
language. Answerable: each library's own questions, XQuAD's also asked in the other language.
Not answerable: the questions of the other libraries. Each group weighs the same, and the
answerable twice as much as the others: a false refusal is worse than a question too many
for the model. Prints the coefficients and what a threshold does with each group;
``rag.retrieval.relevance`` holds the numbers.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from rag.evaluation.datasets import load_sets
from rag.protocols import Embedder
from rag.retrieval.relevance import Signs, relevance
from rag.retrieval.retriever import HybridRetriever
from tests.eval.measure_retrieval import PAGE_SETS, Bench, eval_folder
from tests.libraries import PageLibrary

T = TypeVar("T")
PER_GROUP = 200
ANSWERABLE_WEIGHT = 2.0
THRESHOLDS = (0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True, slots=True)
class Row:
    group: str
    answerable: bool
    signs: Signs


def rows(bench: Bench, sets: Path, scratch: Path) -> Iterator[Row]:
    """Yield the signs of up to ``PER_GROUP`` questions of each group, chosen at random."""
    retriever = bench.retriever
    assert isinstance(retriever, HybridRetriever)
    loaded = [found for found in load_sets(sets) if found.name in PAGE_SETS]
    for found in loaded:
        for question in sample(found.with_pages()):
            yield Row(found.name, True, retriever.signs(question.text))
    xquad = {language: load_xquad(sets, language) for language in ("en", "zh")}
    for language, (_, questions) in xquad.items():
        for text in sample(questions):
            yield Row(f"PDFs < xquad {language}", False, retriever.signs(text))
    for language, (paragraphs, _) in xquad.items():
        library = PageLibrary(scratch / language, bench.embedder)
        library.add(
            "xquad", [part for text in paragraphs for part in fitting(text, bench.embedder)]
        )
        for asked, (_, questions) in xquad.items():
            for text in sample(questions):
                yield Row(f"xquad {language} < {asked}", True, library.retriever.signs(text))
            others = [q.text for found in loaded for q in found.with_pages() if q.language == asked]
            for text in sample(others):
                yield Row(f"xquad {language} < PDFs {asked}", False, library.retriever.signs(text))


def fitting(text: str, embedder: Embedder) -> list[str]:
    """Halve a paragraph until the embedder can read each part."""
    if embedder.count_tokens(text) <= embedder.max_tokens:
        return [text]
    middle = len(text) // 2
    return fitting(text[:middle], embedder) + fitting(text[middle:], embedder)


def load_xquad(sets: Path, language: str) -> tuple[list[str], list[str]]:
    """Return paragraphs and questions."""
    with gzip.open(sets / "retrieval" / "xquad" / f"xquad.{language}.json.gz", "rt") as file:
        articles = json.load(file)["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    questions = [row["question"] for paragraph in paragraphs for row in paragraph["qas"]]
    return [paragraph["context"] for paragraph in paragraphs], questions


def sample(items: Sequence[T]) -> list[T]:
    chosen = list(items)
    random.Random(1).shuffle(chosen)
    return chosen[:PER_GROUP]


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
        with tempfile.TemporaryDirectory() as scratch:
            found = list(rows(bench, eval_folder(), Path(scratch)))
    finally:
        bench.close()
    features = np.array(
        [[r.signs.coverage, r.signs.headroom, float(r.signs.across_languages)] for r in found]
    )
    labels = np.array([float(row.answerable) for row in found])
    sizes = Counter(row.group for row in found)
    weights = np.array(
        [(ANSWERABLE_WEIGHT if r.answerable else 1.0) / max(50, sizes[r.group]) for r in found]
    )
    coefficients = fit(features, labels, 100 * weights)
    sys.stdout.write(f"intercept, coverage, headroom, across: {coefficients.round(2).tolist()}\n")
    sys.stdout.write("share of questions refused, with the coefficients in use, at\n")
    for group, size in sizes.items():
        chances = np.array([relevance(row.signs) for row in found if row.group == group])
        shares = "  ".join(f"{t}: {float(np.mean(chances < t)):.3f}" for t in THRESHOLDS)
        kind = "answerable" if any(r.answerable for r in found if r.group == group) else "not"
        sys.stdout.write(f"{group:20} {kind:10} n={size:4}  {shares}\n")


if __name__ == "__main__":
    main()
