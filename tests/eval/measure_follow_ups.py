"""Measures how well the last question of a conversation finds its page.

    python -m tests.eval.measure_follow_ups --library DIR [--rewrite]

With ``--rewrite`` the language model (RAGDESK_GENERATOR__MODEL) writes each last question anew
first, so that it can be understood alone; long on a CPU.

``follow_ups.jsonl`` holds one conversation a line: ``id``; ``lang``; ``kind`` (``pronoun``,
``ellipsis``, ``entity`` and ``year``, which the last question replaces, ``three`` turns, and
``topic`` for a change of topic); ``turns``, what the person asks; ``pages``, every
``[file name, physical page]`` that answers the last of them; ``unseen``, that the rules were
finished before the question was written. The wording is this project's own.
The library must hold the sets' PDFs (``rag sync``). Nothing is written to it.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from rag.app import wiring
from rag.app.container import Container
from rag.config import load_settings
from rag.protocols import never
from rag.storage.vectors.manager import exact_index
from rag.text.messages import Text
from rag.types.answers import Message, Passage

if TYPE_CHECKING:
    from rag.protocols import Retriever, TextGenerator

QUESTIONS = Path(__file__).with_name("follow_ups.jsonl")
REWRITE = Text(
    "Questions of one conversation, in order:\n{}\n\nWrite the last one so that it can be "
    "understood without the others: put in what it refers to, and change nothing else. Answer with "
    "that one question and nothing else.",
    "以下是同一段对话中依次提出的问题：\n{}\n\n请改写最后一个问题，使其不看前面的问题也能理解：补上它所指的内容，"
    "其他不变。只回答这一个问题，不要写别的。",
)
Way = Literal["alone", "joined", "read"]
WAYS: tuple[Way, ...] = ("alone", "joined", "read")
"""The last question alone; joined to the one before; and as the app reads it."""


@dataclass(frozen=True, slots=True)
class FollowUp:
    id: str
    lang: str
    kind: str
    turns: tuple[str, ...]
    pages: frozenset[tuple[str, int]]
    unseen: bool


def load_follow_ups(path: Path = QUESTIONS) -> list[FollowUp]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    return [
        FollowUp(
            row["id"],
            row["lang"],
            row["kind"],
            tuple(row["turns"]),
            frozenset((name, page) for name, page in row["pages"]),
            row["unseen"],
        )
        for row in rows
    ]


def found(retriever: Retriever, row: FollowUp, way: Way, *, k: int = 10) -> Sequence[Passage]:
    *before, last = row.turns
    if way == "joined":
        return retriever.search(f"{before[-1]} {last}", k=k).passages
    history = [Message("user", turn) for turn in before] if way == "read" else []
    return retriever.search(last, k=k, history=history).passages


def hit(passages: Sequence[Passage], row: FollowUp, *, k: int) -> bool:
    return any(
        passage.document == name and passage.chunk.first_page <= page <= passage.chunk.last_page
        for passage in passages[:k]
        for name, page in row.pages
    )


def measure(retriever: Retriever, rows: Sequence[FollowUp], way: Way) -> dict[str, float]:
    """Return the share of hits among the first five, by kind and language, and over all."""
    hits: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        passages = found(retriever, row, way)
        topic = "same topic" if row.kind != "topic" else "another topic"
        seen = "unseen" if row.unseen else "seen"
        for group in ("all", row.lang, row.kind, topic, seen):
            hits[group].append(hit(passages, row, k=5))
        hits["all @1"].append(hit(passages, row, k=1))
    return {group: sum(values) / len(values) for group, values in hits.items()}


def rewritten(generator: TextGenerator, row: FollowUp) -> FollowUp:
    """Return the conversation with its last question as the model writes it anew."""
    turns = "\n".join(f"{n}. {turn}" for n, turn in enumerate(row.turns, start=1))
    asked = REWRITE.say("zh" if row.lang == "zh" else "en").format(turns)
    pieces = generator.stream(
        [Message("user", asked)], max_tokens=80, temperature=0.0, cancelled=never
    )
    said = "".join(piece.text for piece in pieces).strip().split("\n")[0]
    return replace(row, turns=(*row.turns[:-1], said or row.turns[-1]))


def open_retriever(folder: Path) -> Retriever:
    settings = load_settings(None, {**_models(), "RAGDESK_KNOWLEDGE": str(folder)})
    container = Container(settings)
    ledger = container.ledger(read_only=True)
    version = ledger.active_version()
    assert version is not None, "the library is not synced"
    engines = wiring.index_engines(container, ledger, version)
    return wiring.retriever(container, ledger, engines, exact_index(ledger, version))


def _models() -> dict[str, str]:
    import os

    return {k: v for k, v in os.environ.items() if k.startswith("RAGDESK_MODELS__")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--questions", type=Path, default=QUESTIONS)
    parser.add_argument("--rewrite", action="store_true")
    options = parser.parse_args()
    retriever, rows = open_retriever(options.library), load_follow_ups(options.questions)
    ways: list[tuple[str, Way, Sequence[FollowUp]]] = [(way, way, rows) for way in WAYS]
    if options.rewrite:
        generator = Container(load_settings(None)).generator()
        began = perf_counter()
        anew = [rewritten(generator, row) for row in rows]
        print(f"{(perf_counter() - began) / len(rows):.1f} s a rewrite")
        for row in anew:
            print(row.id, row.turns[-1])
        ways += [("rewritten", "alone", anew), ("rewritten, read", "read", anew)]
    for name, way, asked in ways:
        figures = measure(retriever, asked, way)
        print(name, " ".join(f"{group} {value:.3f}" for group, value in sorted(figures.items())))


if __name__ == "__main__":
    main()
