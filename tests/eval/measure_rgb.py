"""RGB: Chinese passages from the web, with noise and without an answer; facts that were changed.

    python -m tests.eval.measure_rgb --work DIR [--parts retrieval,gate,answers]

All passages of the 300 Chinese questions are indexed together in DIR, as they would be in one
library. ``retrieval``: how well the right ones are found. ``gate``: which questions are refused
before a model is asked when only their wrong passages are searched, and when the right ones are
there as well. ``answers``: a model answers as many questions as fit into ``--seconds``, from what
our retrieval finds, from right passages alone, beside fewer and fewer right ones, and from wrong
ones; an answer is right if an expected one stands in it, and supported if every sentence of it
is. And the English facts that were changed in every passage: does it repeat them?
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from time import perf_counter
from typing import Any

from rag.app import wiring
from rag.app.container import Container
from rag.config import load_settings
from rag.evaluation.asking import Searching, index_texts, measure_texts
from rag.evaluation.datasets import Item, Query, TextCollection
from rag.evaluation.runs import QuestionOutcome, intervals, value
from rag.evaluation.scoring import contains
from rag.generation.prompt import build_messages
from rag.protocols import Retriever, TextGenerator, never
from rag.storage.vectors.manager import exact_index
from rag.types.answers import Passage
from rag.types.documents import Chunk
from rag.verification.linker import Embed, link
from rag.verification.spans import Terms
from rag.verification.wording import is_refusal
from tests.eval.measure_retrieval import eval_folder

SHOWN = 5  # passages
NOISE = {"right only": 5, "noise .4": 3, "noise .8": 1, "wrong only": 0}  # right ones among them
MAX_TOKENS = 120


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    query: str
    answers: tuple[str, ...]
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    changed: tuple[str, ...] = ()
    fake: str = ""


def load(file: Path) -> list[Row]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Row(
            str(row["id"]),
            row["query"],
            tuple(flat(row["answer"])),
            tuple(dict.fromkeys(flat(row["positive"]))),
            tuple(dict.fromkeys(flat(row["negative"]))),
            tuple(flat(row.get("positive_wrong", []))),
            str(row.get("fakeanswer", "")),
        )
        for row in rows
    ]


def flat(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    else:
        for one in found:
            yield from flat(one)


def pooled(rows: Iterable[Row]) -> TextCollection:
    """Return every passage once; those that are right for a question gain 1."""
    rows = list(rows)
    number: dict[str, str] = {}
    for row in rows:
        for text in (*row.right, *row.wrong):
            number.setdefault(text, str(len(number)))
    items = tuple(Item(name, "", text) for text, name in number.items())
    queries = tuple(Query(r.id, r.query, {number[t]: 1.0 for t in r.right}) for r in rows)
    return TextCollection("rgb_zh", items, queries)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def show_retrieval(collection: TextCollection, search: Searching, item_of: dict[str, str]) -> None:
    outcomes = measure_texts(collection, search, item_of=item_of)
    bounds = intervals(outcomes)
    for figure in ("ndcg@10", "recall@100", "hit@1", "hit@5", "seconds.search"):
        low, high = bounds[figure]
        say(f"{figure:16} {value(outcomes, figure):.3f}  ({low:.3f} to {high:.3f})")


def show_gate(rows: Sequence[Row], retriever: Retriever, ids: dict[str, str], least: float) -> None:
    outcomes = []
    for row in rows:
        for name, texts in (("wrong only", row.wrong), ("all of its own", row.right + row.wrong)):
            found = retriever.search(row.query, k=SHOWN, documents=[ids[t] for t in texts])
            refused = float(not found.passages or found.relevance < least)
            outcomes.append(
                QuestionOutcome("gate", f"{row.id} {name}", "zh", {name: (refused, 1.0)})
            )
    bounds = intervals(outcomes)
    for name, (low, high) in bounds.items():
        share = value(outcomes, name)
        say(f"refused before the model, {name:15} {share:.3f}  ({low:.3f} to {high:.3f})")


def shown(texts: Sequence[str]) -> list[Passage]:
    return [
        Passage(n, Chunk(str(n), 0, len(text), 1, 1, text), f"{n}.pdf", f"{n}.pdf")
        for n, text in enumerate(texts, start=1)
    ]


def answer(generator: TextGenerator, question: str, passages: Sequence[Passage]) -> str:
    pieces = generator.stream(
        build_messages(question, passages), max_tokens=MAX_TOKENS, temperature=0.0, cancelled=never
    )
    return "".join(piece.text for piece in pieces)


def mixed(row: Row, right: int) -> list[str]:
    """Return five passages with ``right`` right ones spread among them."""
    good, bad = row.right[:right], row.wrong[: SHOWN - min(right, len(row.right))]
    return [text for pair in zip_longest(bad, good) for text in pair if text is not None]


def asked(row: Row, retriever: Retriever) -> Iterator[tuple[str, list[Passage]]]:
    """Yield the passages that a question is answered from, by the name of the way."""
    yield "our retrieval", list(retriever.search(row.query, k=SHOWN).passages)
    for name, right in NOISE.items():
        yield name, shown(mixed(row, right))


@dataclass(frozen=True, slots=True)
class Judged:
    """How one answer came out."""

    right: bool
    refused: bool
    supported: bool  # every sentence


class Asker:
    """Answers questions over given passages and judges the answers."""

    def __init__(self, generator: TextGenerator, terms: Terms, embed: Embed) -> None:
        self._generator = generator
        self._terms = terms
        self._embed = embed

    def __call__(self, question: str, passages: Sequence[Passage], gold: Iterable[str]) -> Judged:
        text = answer(self._generator, question, passages)
        judged = link(
            text, passages, terms=self._terms, page_of=lambda passage, _: passage.chunk.first_page,
            embed=self._embed, question=question,
        )  # fmt: skip
        return Judged(
            any(contains(text, one) for one in gold),
            is_refusal(text),
            bool(judged) and all(sentence.verdict == "supported" for sentence in judged),
        )


def show_answers(
    rows: Sequence[Row], facts: Sequence[Row], retriever: Retriever, ask: Asker, seconds: float
) -> None:
    """Ask each question in every way before the next one, until the time is up."""
    until = perf_counter() + seconds
    counts: dict[str, list[Judged]] = defaultdict(list)
    for row, fact in zip(rows, facts, strict=False):
        ways = [
            (name, row.query, passages, row.answers) for name, passages in asked(row, retriever)
        ]
        ways.append(("facts changed, as changed", fact.query, shown(fact.changed), (fact.fake,)))
        for name, question, passages, gold in ways:
            if perf_counter() < until:
                counts[name].append(ask(question, passages, gold))
    for name, judged in counts.items():
        right = [one for one in judged if one.right]
        others = [one for one in judged if not one.right and not one.refused]
        say(
            f"{name:26} n={len(judged)}  right {len(right)} (supported "
            f"{sum(one.supported for one in right)})  something else {len(others)} (supported "
            f"{sum(one.supported for one in others)})  refused {sum(o.refused for o in judged)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="where the passages are indexed")
    parser.add_argument("--parts", default="retrieval,gate", help="separated by commas")
    parser.add_argument("--seconds", type=float, default=200.0, help="for answers")
    parser.add_argument("--every", type=int, default=1, help="gate: one question of so many")
    arguments = parser.parse_args()
    settings = load_settings(None, {**os.environ, "RAGDESK_KNOWLEDGE": str(arguments.work)})
    folder = eval_folder() / "generation" / "rgb"
    rows, facts = load(folder / "zh_refine.jsonl.gz"), load(folder / "en_fact.jsonl.gz")
    collection = pooled(rows)
    container = Container(settings)
    ledger = container.ledger()
    try:
        known = [s for s in ledger.versions().values() if wiring.is_wanted(container, s)]
        engines = wiring.index_engines(container, ledger, known[0] if known else None)
        item_of = index_texts(
            ledger, engines, collection.items, report=lambda _: None, cancelled=never
        )
        retriever = wiring.retriever(
            container, ledger, engines, exact_index(ledger, engines.version)
        )
        least = settings.retrieve.min_relevance
        parts = arguments.parts.split(",")
        if "retrieval" in parts:
            show_retrieval(collection, Searching(retriever, min_relevance=least), item_of)
        if "gate" in parts:
            texts = {item.id: item.text for item in collection.items}
            ids = {texts[item]: document for document, item in item_of.items()}
            show_gate(rows[:: arguments.every], retriever, ids, least)
        if "answers" in parts:
            generator = container.generator()
            ask = Asker(generator, container.analyser.terms, engines.embedder.embed_passages)
            show_answers(rows, facts, retriever, ask, arguments.seconds)
            generator.close()
    finally:
        ledger.close()
        container.close()


if __name__ == "__main__":
    main()
