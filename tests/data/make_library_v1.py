"""Makes tests/data/library_v1: what this version of RAG Desk leaves in a person's folder.

Two PDFs, their ledger (hashing embedder, schema 8) and two chats. Later versions must open it as
it is: when the schema changes, it is not made anew, and a later one is made beside it.

    python -m tests.data.make_library_v1
"""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from rag.app import wiring
from rag.app.container import Container
from rag.storage.chats import Chats
from rag.storage.vectors.manager import VectorIndexManager
from rag.types.answers import Finished
from tests.factories import settings
from tests.pdfs import write_pdf

PLACE = Path(__file__).with_name("library_v1")
QUESTIONS = ("What is the monthly rent?", "显存带宽是多少？")


def make(folder: Path) -> Path:
    """Fill a knowledge folder as `rag sync` and `rag ask --chat` do; return its ledger."""
    write_pdf(
        folder / "lease.pdf",
        [
            "The monthly rent is 950 euros.\nIt is due on the third day of each month.",
            "Pets are not allowed.\nThe notice period is three months.",
        ],
        title="Lease",
        outline=[(0, "Rent", 1), (0, "Rules", 2)],
    )
    write_pdf(
        folder / "显卡手册.pdf", ["显存带宽是每秒1008GB。", "", "功耗是450瓦。"], title="显卡手册"
    )
    chosen = settings(folder, RAG_RETRIEVE__INDEX="numpy")
    container = Container(chosen)
    ledger = container.ledger()
    index = VectorIndexManager(ledger, chosen.data / "chroma", engine="numpy")
    wiring.library(container, ledger, index=index).sync()
    generator = container.generator()
    pipeline = wiring.question_parts(
        container, ledger, index=index.for_reading(), generator=lambda _: generator
    ).pipeline
    for question in QUESTIONS:
        *_, last = pipeline.ask(question)
        assert isinstance(last, Finished)
        Chats(ledger).add(None, last.answer)
    index.close()
    container.close()
    ledger.close()
    return chosen.data / "library.db"


def main() -> None:
    """Write the folder."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "knowledge"
        file = make(folder)
        PLACE.mkdir()
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (PLACE / "library.db.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
        for pdf in folder.glob("*.pdf"):
            shutil.copy(pdf, PLACE)


if __name__ == "__main__":
    main()
