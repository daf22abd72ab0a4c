"""Measures how well every turn of a conversation finds its page.

    python -m tests.eval.measure_conversations --library DIR [--aside]

``conversations.jsonl`` holds the conversations; see conversations.md. A turn that stands alone is
compared with the same question asked fresh. The library must hold the evaluation PDFs (``rag
sync``); nothing is written to it. ``--aside`` measures the third that is looked at only at the end.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.types.answers import Message
from tests.bench.corpus import eval_sets
from tests.eval.measure_follow_ups import open_retriever

if TYPE_CHECKING:
    from rag.protocols import Retriever

CONVERSATIONS = Path(__file__).with_name("conversations.jsonl")


@dataclass(frozen=True, slots=True)
class Turn:
    text: str
    kind: str  # alone | follow_up
    lang: str
    pages: frozenset[tuple[str, int]]
    history: tuple[str, ...]


def load_turns(sets: Path, *, aside: bool) -> Iterator[Turn]:
    """Yield every turn but the first of the conversations that are set aside, or of the others."""
    known = _questions(sets)
    for line in CONVERSATIONS.read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["aside"] is not aside:
            continue
        before: list[str] = []
        for turn in row["turns"]:
            found = known[turn["from"]["set"], turn["from"]["id"]] if "from" in turn else turn
            text = found["question"] if "from" in turn else turn["text"]
            pages = found["pages_1based"] if "from" in turn else turn["pages"]
            places = frozenset((name, page) for name in found["docs"] for page in pages)
            if before:
                yield Turn(text, turn["kind"], row["lang"], places, tuple(before))
            before.append(text)


def _questions(sets: Path) -> Mapping[tuple[str, str], dict[str, Any]]:
    return {
        (path.stem, row["id"]): row
        for path in (sets / "questions").glob("*.jsonl")
        for row in map(json.loads, path.read_text("utf-8").splitlines())
    }


def found(retriever: Retriever, turn: Turn, *, fresh: bool) -> bool:
    """Return whether one of the first five passages lies on a page that answers the turn."""
    history = [] if fresh else [Message("user", text) for text in turn.history]
    passages = retriever.search(turn.text, k=5, history=history).passages
    return any(
        passage.document == name and passage.chunk.first_page <= page <= passage.chunk.last_page
        for passage in passages
        for name, page in turn.pages
    )


def measure(retriever: Retriever, turns: Iterator[Turn]) -> dict[str, tuple[float, float, int]]:
    """Return by kind and language hit@5 in the conversation, hit@5 asked fresh, and how many."""
    hits: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for turn in turns:
        both = found(retriever, turn, fresh=False), found(retriever, turn, fresh=True)
        for group in (turn.kind, f"{turn.kind} {turn.lang}"):
            hits[group].append(both)
    return {
        group: (
            sum(one for one, _ in both) / len(both),
            sum(other for _, other in both) / len(both),
            len(both),
        )
        for group, both in sorted(hits.items())
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--aside", action="store_true")
    options = parser.parse_args()
    turns = load_turns(eval_sets(), aside=options.aside)
    for group, figures in measure(open_retriever(options.library), turns).items():
        print(group, *(f"{value:.3f}" for value in figures[:2]), figures[2])


if __name__ == "__main__":
    main()
