"""The rest of a table comes with the passage that was cut out of it, once, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from rag.app import wiring
from rag.app.container import Container
from rag.config import load_settings
from rag.generation.echo import EchoGenerator
from rag.retrieval.analyser import BilingualAnalyser
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.retrieval.table_expansion import REACH, with_whole_tables
from rag.storage.ledger import DocumentRow, FileRow, IndexedChunks, Ledger
from rag.storage.passages import LedgerPassages
from rag.types.answers import Passage, TypedDraft
from rag.types.documents import Chunk
from tests.factories import document

PROSE, TABLE, OTHER = "", "Income | 2018 | 2017", "Costs | 2018 | 2017"
PIECES = [
    ("Before the table.", PROSE),
    ("Income | 2018 | 2017\nSales 9 8", PROSE),  # the table begins in it
    ("Rent 7 6", TABLE),
    ("Tax 5 4", TABLE),
    ("Wages 3 2\nCosts | 2018 | 2017", TABLE),  # another begins at its end
    ("Paper 1 0", OTHER),
    ("After the tables.", PROSE),
]


class Pieces:
    """A document of these pieces, a page each two, in a real ledger."""

    def __init__(self, folder: Path, pieces: Sequence[tuple[str, str]]) -> None:
        embedder = HashingEmbedder()
        self.ledger = Ledger(folder / "library.db")
        version = self.ledger.create_version(
            embedder=embedder.name,
            dim=embedder.dim,
            chunking="recursive/230/0/3",
            analyser=BilingualAnalyser().name,
        )
        self.ledger.activate(version)
        texts = [text for text, _ in pieces]
        pages = ["\n".join(texts[i : i + 2]) for i in range(0, len(texts), 2)]
        self.made = document(*pages, id="d", title="")
        chunks, starts = [], self.made.page_starts()
        for n, (text, context) in enumerate(pieces):
            page = n // 2 + 1
            start = self.made.text.index(text, starts[page - 1])
            chunks.append(Chunk("d", start, start + len(text), page, page, text, "", 5, context))
        rows = embedder.embed_passages(texts)
        indexed = IndexedChunks(
            chunks,
            [" ".join(BilingualAnalyser().terms(text)) for text in texts],
            [bytes([n]) * 32 for n in range(len(chunks))],
            rows,
        )
        self.ids, _ = self.ledger.commit_document(
            DocumentRow(self.made, "en", "ready", None, [FileRow("d.pdf", 1, 1, "d")]),
            version,
            indexed,
        )
        self.store = LedgerPassages(self.ledger, version)

    def read(self, *numbers: int) -> list[str]:
        return [passage.chunk.text for passage in self.whole(*numbers)]

    def whole(self, *numbers: int) -> tuple[Passage, ...]:
        known = self.store.passages(self.ids)
        return with_whole_tables([known[self.ids[n]] for n in numbers], self.store)


@pytest.fixture
def pieces(tmp_path: Path) -> Pieces:
    return Pieces(tmp_path, PIECES)


def test_a_passage_inside_a_table_brings_it_from_its_first_row_to_its_last(pieces: Pieces) -> None:
    (found,) = pieces.read(3)
    assert found.startswith("Income | 2018 | 2017\nSales 9 8")
    assert found.endswith("Wages 3 2\nCosts | 2018 | 2017")
    assert "Rent 7 6" in found
    assert "Before" not in found
    assert "Paper" not in found


def test_what_is_added_is_a_slice_of_the_document_with_its_pages(pieces: Pieces) -> None:
    (found,) = pieces.whole(3)
    chunk = found.chunk
    assert pieces.made.text[chunk.start : chunk.end] == chunk.text
    assert (chunk.first_page, chunk.last_page) == (1, 3)
    assert chunk.tokens == 20
    assert chunk.context == "", "the table's header row is in the text now"
    assert found.id == pieces.ids[3]


def test_a_passage_that_ends_in_a_table_brings_what_follows(pieces: Pieces) -> None:
    assert pieces.read(4)[0].endswith("Paper 1 0")
    (found,) = pieces.read(1)
    assert found.startswith("Income")
    assert found.endswith("Wages 3 2\nCosts | 2018 | 2017")


def test_prose_stays_as_it_is(pieces: Pieces) -> None:
    assert pieces.read(0, 6) == ["Before the table.", "After the tables."]
    assert [passage.id for passage in pieces.whole(6, 0)] == [pieces.ids[6], pieces.ids[0]]


@pytest.mark.parametrize("order", [(2, 4), (4, 2), (1, 3), (3, 2, 1), (2, 5)])
def test_no_text_comes_twice(pieces: Pieces, order: tuple[int, ...]) -> None:
    spans = sorted((p.chunk.start, p.chunk.end) for p in pieces.whole(*order))
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_long_table_does_not_fill_the_prompt(tmp_path: Path) -> None:
    rows = [(f"Row {n} {n}", TABLE) for n in range(40)]
    found = Pieces(tmp_path, rows).read(20)[0]
    assert found.startswith(f"Row {20 - REACH} ")
    assert found.endswith(f"Row {20 + REACH} {20 + REACH}")


def test_a_passage_that_is_gone_meanwhile_stays_as_it_was_found(pieces: Pieces) -> None:
    known = pieces.store.passages(pieces.ids)[pieces.ids[3]]
    pieces.ledger.connection.execute("DELETE FROM chunks")
    assert with_whole_tables([known], pieces.store) == (known,)
    assert pieces.store.stretched(known, first=pieces.ids[1], last=pieces.ids[4]) == known


def test_it_is_what_the_model_reads(tmp_path: Path) -> None:
    pieces = Pieces(tmp_path / ".rag", PIECES)
    settings = load_settings(
        None,
        {
            "RAGDESK_KNOWLEDGE": str(tmp_path),
            "RAGDESK_EMBEDDER__MODEL": "hashing",
            "RAGDESK_RETRIEVE__MIN_RELEVANCE": "0",
            "RAGDESK_RETRIEVE__K": "1",
        },
    )
    pipeline = wiring.question_parts(
        Container(settings),
        pieces.ledger,
        generator=lambda _: None,
    ).pipeline
    found = pipeline.search("Tax 5 4", k=1).passages
    assert [passage.chunk.text for passage in found] == ["Tax 5 4"], "a search shows what it found"
    prompt = pipeline.ahead(TypedDraft("Tax 5 4"), EchoGenerator())
    assert prompt is not None
    assert "Sales 9 8" in prompt[-1].content
    assert "Wages 3 2" in prompt[-1].content
    assert "Before the table" not in prompt[-1].content
