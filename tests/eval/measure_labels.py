"""The check of sentences, measured on real answers that people have labelled.

    python -m tests.eval.measure_labels --library DIR [--aside] [--baseline] [--list]

``tests/data/answer_labels.md`` says how the labels were made. The library must hold the
evaluation PDFs as they were cut then (a passage that is cut otherwise is read from the
document's text). A sentence's place was labelled where it was highlighted then; places that have
moved since are counted, not judged.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.app import wiring
from rag.app.container import Container
from rag.config import load_settings
from rag.storage.passages import LedgerPassages
from rag.types.answers import Passage, Sentence
from rag.verification.spans import candidate_spans

LABELS = Path(__file__).parents[1] / "data" / "answer_labels.jsonl"
WRONG = frozenset({"contradicted", "absent"})
BASELINE = 0.7  # cosine from which the simplest check calls a sentence supported


@dataclass(frozen=True, slots=True)
class Judged:
    """A labelled sentence, and what the check says of it."""

    answer: str
    kind: str
    lang: str
    model: str
    text: str
    label: str
    place: str
    verdict: str
    reason: str
    at_the_labelled_place: bool


class Judge:
    """Judges labelled answers as the app does, over one library."""

    def __init__(self, library: Path, *, baseline: bool = False) -> None:
        settings = load_settings(None, {"RAGDESK_INGEST__OCR": "off"})
        self._container = Container(settings.model_copy(update={"knowledge": library}))
        self._ledger = self._container.ledger(read_only=True)
        parts = wiring.question_parts(self._container, self._ledger, generator=lambda _: None)
        self._pipeline = parts.pipeline
        self._store = LedgerPassages(self._ledger, parts.version)
        self._engines = wiring.index_engines(self._container, self._ledger, parts.version)
        self._baseline = baseline
        rows = self._ledger.connection.execute(
            "SELECT id, document_id, start, end FROM chunks WHERE space_id = ?", (parts.version.id,)
        )
        self._first: dict[tuple[str, int], int] = {}
        self._last: dict[tuple[str, int], int] = {}
        for number, document, start, end in rows:
            self._first[document, start] = self._last[document, end] = int(number)

    def close(self) -> None:
        self._ledger.close()
        self._container.close()

    def judged(self, row: dict[str, Any]) -> Iterator[Judged]:
        """Yield a labelled answer's sentences; nothing where the library lacks a passage."""
        passages = self._passages(row["passages"])
        if passages is None:
            return
        subject = self._pipeline.subject_of(row["searched"] or row["question"])
        linker = self._pipeline.linker(row["question"], passages, subject)
        for said in row["sentences"]:
            text = "".join(self._piece(piece, passages) for piece in said["text"])
            if self._baseline:
                found: Sentence | None = self._by_meaning(passages, text)
            else:
                found = linker.judge(text, 0, len(text))
            yield Judged(
                row["id"], row["kind"], row["lang"], row["model"], text, said["label"],
                said["place"], found.verdict if found else "none", found.reason if found else "",
                _is_at(found, said.get("at")),
            )  # fmt: skip

    def _by_meaning(self, passages: list[Passage], text: str) -> Sentence:
        spans = candidate_spans(passages, self._engines.analyser.terms)
        rows = self._engines.embedder.embed_passages([text, *(span.text for span in spans)])
        near = float((rows[1:] @ rows[0]).max())
        return Sentence(0, len(text), "supported" if near >= BASELINE else "unsupported")

    def _passages(self, wanted: list[list[Any]]) -> list[Passage] | None:
        found = []
        for _, document, start, end in wanted:
            first, last = self._first.get((document, start)), self._last.get((document, end))
            if first is None or last is None:
                return None
            passage = self._store.passages([first])[first]
            if first != last:  # a table that was added to
                passage = self._store.stretched(passage, first=first, last=last)
            found.append(passage)
        return found

    def _piece(self, piece: str | list[int], passages: list[Passage]) -> str:
        if isinstance(piece, str):
            return piece
        number, start, end = piece
        chunk = passages[number].chunk
        return " ".join(chunk.text[start - chunk.start : end - chunk.start].split())


def _is_at(found: Sentence | None, place: list[int] | None) -> bool:
    if found is None or not found.evidence or place is None:
        return False
    evidence = found.evidence[0]
    return [evidence.passage, evidence.start, evidence.end] == place


def labelled(*, aside: bool) -> list[dict[str, Any]]:
    """Return the labelled answers of the documents set aside, or of the others."""
    rows = [json.loads(line) for line in LABELS.read_text("utf-8").splitlines()]
    return [row for row in rows if row["aside"] == aside]


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of the claims among some sentences; lead-ins and refusals are no claims."""

    shown: int  # as supported
    wrong: float  # of these, contradicted or absent
    partly: float  # of these, said in part alone
    true: int
    doubted: float  # of these, shown as unsupported
    weak: float  # of these, shown as not sure
    caught: float  # of the wrong ones, not shown as supported
    proven: float  # of the true ones at a labelled place, where that proves them


def figures(sentences: list[Judged]) -> Figures:
    """Count over claims."""
    claims = [one for one in sentences if one.label not in {"empty", "refusal"}]
    shown = [one for one in claims if one.verdict == "supported"]
    true = [one for one in claims if one.label == "supported"]
    wrong = [one for one in claims if one.label in WRONG]
    placed = [one for one in shown if one.label == "supported" and one.at_the_labelled_place]

    def share(some: list[Judged], of: list[Judged]) -> float:
        return len(some) / len(of) if of else 0.0

    return Figures(
        shown=len(shown),
        wrong=share([one for one in shown if one.label in WRONG], shown),
        partly=share([one for one in shown if one.label == "partly"], shown),
        true=len(true),
        doubted=share([one for one in true if one.verdict not in {"supported", "weak"}], true),
        weak=share([one for one in true if one.verdict == "weak"], true),
        caught=share([one for one in wrong if one.verdict != "supported"], wrong),
        proven=share([one for one in placed if one.place == "yes"], placed),
    )


def measured(library: Path, *, aside: bool, baseline: bool = False) -> list[Judged]:
    """Judge every labelled answer of one part."""
    with closing(Judge(library, baseline=baseline)) as judge:
        return [found for row in labelled(aside=aside) for found in judge.judged(row)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--aside", action="store_true", help="the documents that are set aside")
    parser.add_argument("--baseline", action="store_true", help="similarity alone")
    parser.add_argument("--list", action="store_true", help="what went wrong")
    options = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    every = measured(options.library, aside=options.aside, baseline=options.baseline)
    kinds: dict[str, list[Judged]] = {"all": every}
    for one in every:
        for name in (one.kind, one.lang, one.model):
            kinds.setdefault(name, []).append(one)
    print("| | shown | wrong | partly | true | doubted | weak | caught | proven |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, some in kinds.items():
        f = figures(some)
        print(
            f"| {name} | {f.shown} | {f.wrong:.3f} | {f.partly:.3f} | {f.true} | {f.doubted:.3f} |"
            f" {f.weak:.3f} | {f.caught:.3f} | {f.proven:.3f} |"
        )
    print(Counter(one.label for one in every))
    if options.list:
        for one in every:
            if (one.label in WRONG) == (one.verdict == "supported"):
                print(f"{one.answer} {one.label} -> {one.verdict} {one.reason}: {one.text[:120]}")


if __name__ == "__main__":
    main()
