"""Measures page retrieval document by document, beside BM25 over whole pages.

    python -m tests.eval.by_document --library DIR [--sets NAME,...] [--questions FILE]

What helps one document can cost another, and a set's mean hides both. The library must hold
the sets' PDFs (``rag sync``), or those of the questions in FILE. Nothing is written to it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.evaluation.datasets import QuestionSet, load_set, load_sets
from rag.evaluation.scoring import first_hit
from rag.indexing.questions.maker import Question
from rag.protocols import Analyser
from rag.retrieval.relevance import rarity
from rag.storage.ledger import Ledger
from tests.eval.measure_retrieval import MODES, PAGE_SETS, Bench, Mode, eval_folder

K = 5
_K1, _B = 0.9, 0.4  # those of the bundle's own reference figures
BELOW = 0.01
"""How far no document may fall below BM25 over whole pages."""


class PageBm25:
    """BM25 over the words of whole pages, all words of the question counted."""

    def __init__(self, ledger: Ledger, analyser: Analyser) -> None:
        self._analyser = analyser
        self._holding: defaultdict[str, list[tuple[tuple[str, int], int]]] = defaultdict(list)
        self._length: dict[tuple[str, int], int] = {}
        rows = ledger.connection.execute(
            "SELECT document_id, number, text FROM pages WHERE text != ''"
        )
        for document, number, text in rows:
            counts = Counter(analyser.terms(text))
            self._length[document, number] = counts.total()
            for term, count in counts.items():
                self._holding[term].append(((document, number), count))
        self._mean = sum(self._length.values()) / max(1, len(self._length))

    def search(self, question: str, *, document: str | None) -> list[tuple[str, int]]:
        """Return the first five pages as ``(document id, page)``; of one document if named."""
        scores: defaultdict[tuple[str, int], float] = defaultdict(float)
        total = len(self._length)
        for term in dict.fromkeys(self._analyser.terms(question)):
            holding = self._holding.get(term, [])
            weight = rarity(len(holding), total)
            for page, count in holding:
                if document is None or page[0] == document:
                    share = self._length[page] / self._mean
                    scores[page] += weight * count / (count + _K1 * (1 - _B + _B * share))
        return sorted(scores, key=lambda page: (-scores[page], page))[:K]


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """Questions about one document, and how many of them each way finds, by mode."""

    set: str
    document: str
    count: int
    ours: dict[Mode, float]
    pages: dict[Mode, float]

    @property
    def below(self) -> bool:
        """Whether whole pages find more, in either mode."""
        return any(self.ours[mode] < self.pages[mode] - BELOW for mode in MODES)


def rows_of(bench: Bench, sets: Iterable[QuestionSet]) -> Iterator[DocumentRow]:
    """Yield a row for each document that questions are asked about, set by set."""
    pages = PageBm25(bench.ledger, bench.analyser)
    for found in sets:
        by_document: defaultdict[str, list[Question]] = defaultdict(list)
        for question in found.with_pages():
            if question.documents[0] in bench.documents:
                by_document[question.documents[0]].append(question)
        for name, questions in sorted(by_document.items()):
            yield _row(bench, pages, found.name, name, questions)


def _row(
    bench: Bench, pages: PageBm25, set_name: str, name: str, questions: Sequence[Question]
) -> DocumentRow:
    own = bench.documents[name]
    ours: dict[Mode, float] = {}
    whole: dict[Mode, float] = {}
    for mode in MODES:
        chosen = own if mode == "single" else None
        only = None if chosen is None else [chosen]
        ours[mode] = _share(
            first_hit(
                bench.retriever.search(q.text, k=K, documents=only).passages,
                document=name,
                pages=q.pages,
            )
            is not None
            for q in questions
        )
        whole[mode] = _share(
            any((own, page) in pages.search(q.text, document=chosen) for page in q.pages)
            for q in questions
        )
    return DocumentRow(set_name, name, len(questions), ours, whole)


def _share(hits: Iterable[bool]) -> float:
    found = list(hits)
    return sum(found) / len(found)


def line(row: DocumentRow) -> str:
    """Return a row as it is printed: shared and single, ours and of whole pages."""
    figures = "  ".join(f"{way[mode]:.3f}" for mode in MODES for way in (row.ours, row.pages))
    return f"{row.set:14} {row.document[:48]:48} {row.count:4}  {figures}  {'<' * row.below}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True, help="a synced knowledge folder")
    parser.add_argument("--sets", default=",".join(PAGE_SETS), help="comma-separated names")
    parser.add_argument("--questions", type=Path, help="a file of questions in place of the sets")
    arguments = parser.parse_args()
    if arguments.questions:
        sets = [load_set(arguments.questions)]
    else:
        names = arguments.sets.split(",")
        sets = [found for found in load_sets(eval_folder()) if found.name in names]
    bench = Bench(arguments.library)
    try:
        sys.stdout.write(f"{'':63}   n  shared, pages  single, pages (hit@{K})\n")
        for row in rows_of(bench, sets):
            sys.stdout.write(f"{line(row)}\n")
            sys.stdout.flush()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
