"""Short answers of a model from what retrieval finds, beside answers from the right page.

    RAGDESK_GENERATOR__MODEL=NAME python -m tests.eval.measure_answers --library DIR [--each 12]

The library must hold the sets' PDFs (``rag sync``); OHR and FinanceBench are asked of the right
document, the others of all. Each question is asked in every way before the next one, so that a
run that is broken off says as much of each. ``contains``: a right answer stands in the text.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from rag.app import wiring
from rag.app.container import Container
from rag.config import load_settings
from rag.evaluation.datasets import load_sets
from rag.evaluation.scoring import SHORT, score_answer, tokens
from rag.generation.prompt import build_messages
from rag.indexing.questions.maker import Question
from rag.protocols import never
from rag.retrieval.query.content_words import content_terms
from rag.text.sentences import split_prose
from rag.types.answers import Passage
from rag.verification.wording import is_refusal
from tests.eval.measure_retrieval import PAGE_SETS, eval_folder

if TYPE_CHECKING:
    from rag.answering.pipeline import RagPipeline
    from rag.protocols import Analyser, TextGenerator

SINGLE = ("ohr_finance", "ohr_law", "financebench")
MAX_TOKENS = 120


@dataclass(frozen=True, slots=True)
class Way:
    """A list of passages that a question is answered from."""

    name: str
    passages: Sequence[Passage]


def chosen(each: int, seed: int) -> Iterator[Question]:
    """Yield questions with short answers, one of each set in turn."""
    sets = []
    for found in load_sets(eval_folder()):
        if found.name in PAGE_SETS:
            short = [q for q in found.with_pages() if len(tokens(min(q.answers, key=len))) <= SHORT]
            random.Random(seed).shuffle(short)
            sets.append(short[:each])
    for number in range(each):
        yield from (found[number] for found in sets if number < len(found))


def ways(
    pipeline: RagPipeline, question: Question, document: str, everything: Sequence[Passage]
) -> Iterator[Way]:
    """Yield what our retrieval finds, few and many, and the passages of the right pages."""
    scope = [document] if question.set in SINGLE else None
    found = pipeline.search(question.text, k=8, documents=scope)
    for k in (5, 3, 8):
        few = replace(found, passages=found.passages[:k])
        yield Way(f"ours, {k}", pipeline.made_whole(few).passages)
    five = pipeline.made_whole(replace(found, passages=found.passages[:5])).passages
    yield Way("ours, 5, best last", five[::-1])
    right = [
        passage
        for passage in everything
        if any(passage.chunk.first_page <= n <= passage.chunk.last_page for n in question.pages)
    ]
    yield Way("the right pages alone", right[:8])


def answered(generator: TextGenerator, question: str, passages: Sequence[Passage]) -> str:
    pieces = generator.stream(
        build_messages(question, passages), max_tokens=MAX_TOKENS, temperature=0.0, cancelled=never
    )
    return "".join(piece.text for piece in pieces)


def sentence_for(analyser: Analyser, question: str, passages: Sequence[Passage]) -> str:
    """Return the sentence or line that holds most of the question's words: no model writes it."""
    asked = set(content_terms(question, analyser))
    lines = [
        paragraph[start:end]
        for passage in passages
        for paragraph in passage.chunk.text.split("\n")
        for start, end in split_prose(paragraph)
    ]
    return max(lines, key=lambda line: len(asked & set(analyser.terms(line))), default="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--each", type=int, default=12, help="questions of a set")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--json", type=Path, required=True, help="a line for each answer")
    options = parser.parse_args()
    settings = load_settings(None).model_copy(update={"knowledge": options.library})
    container = Container(settings)
    ledger = container.ledger(read_only=True)
    generator = container.generator()
    pipeline = wiring.question_parts(
        container,
        ledger,
        generator=lambda _: generator,
    ).pipeline
    version = ledger.active_version()
    assert version is not None, "the folder is synced"
    from rag.storage.passages import LedgerDocuments

    shelf = LedgerDocuments(ledger, version)
    ids = {Path(p).name: row.document_id for p, row in ledger.files().items() if row.document_id}
    with options.json.open("w", encoding="utf-8") as file:
        for question in chosen(options.each, options.seed):
            document = ids[question.documents[0]]
            texts = []
            for way in ways(pipeline, question, document, shelf.passages([document])):
                began = perf_counter()
                texts.append((way.name, answered(generator, question.text, way.passages), began))
                if way.name == "ours, 5":
                    line = sentence_for(container.analyser, question.text, way.passages)
                    texts.append(("a sentence of ours, 5", line, perf_counter()))
            for name, text, began in texts:
                score = score_answer(text, question.answers)
                row = {
                    "set": question.set,
                    "way": name,
                    "grade": score.grade,
                    "contains": score.contains,
                    "refused": is_refusal(text),
                    "question": question.text,
                    "answers": question.answers,
                    "text": text,
                    "began": round(began, 1),
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
    generator.close()
    sys.stdout.write(summary(options.json))
    container.close()
    ledger.close()


def summary(file: Path) -> str:
    """Return the means of each way, over all and for each set."""
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    lines = []
    for way in dict.fromkeys(row["way"] for row in rows):
        own = [row for row in rows if row["way"] == way]
        parts = [f"{way:24} n={len(own):3}"]
        for name in ("", *dict.fromkeys(row["set"] for row in rows)):
            some = [row for row in own if not name or row["set"] == name]
            right = sum(row["contains"] for row in some) / max(1, len(some))
            parts.append(f"{name or 'all'} {right:.2f}")
        refused = sum(row["refused"] for row in own) / len(own)
        parts.append(f"refused {refused:.2f}")
        lines.append("  ".join(parts))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
