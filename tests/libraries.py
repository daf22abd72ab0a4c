"""A real library made of texts instead of PDFs: one passage a page."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from rag.protocols import Embedder
from rag.retrieval.analyser import BilingualAnalyser, embedding_text, lexical_text
from rag.retrieval.bm25 import BM25Index
from rag.retrieval.retriever import HybridRetriever
from rag.storage.ledger import DocumentRow, FileRow, IndexedChunks, Ledger
from rag.storage.passages import LedgerPassages
from rag.storage.vectors.exact import ExactIndex
from rag.types.documents import Chunk
from tests.factories import document


class PageLibrary:
    """A ledger in ``folder`` with an exact index and the retriever over both."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self.embedder = embedder
        self.analyser = BilingualAnalyser()
        self.ledger = Ledger(folder / "library.db")
        self.version = self.ledger.create_version(
            embedder=embedder.name,
            dim=embedder.dim,
            chunking="page",
            analyser=self.analyser.name,
        )
        self.ledger.activate(self.version)
        self.index = ExactIndex(dim=embedder.dim)
        self.store = LedgerPassages(self.ledger, self.version)
        self.lexical = BM25Index(self.store, self.analyser)
        self.retriever = HybridRetriever(
            self.store, self.lexical, self.index, embedder, candidates=50
        )

    def add(self, name: str, texts: Sequence[str]) -> list[int]:
        """Index ``texts`` as the pages of ``name``.pdf; return the ids of the passages."""
        made = document(*texts, id=name, title="")
        chunks = [
            Chunk(name, start, start + len(text), number, number, text, "", 1)
            for number, (start, text) in enumerate(
                zip(made.page_starts(), texts, strict=True), start=1
            )
        ]
        embedded = [
            embedding_text(c, limit=self.embedder.max_tokens, count=self.embedder.count_tokens)
            for c in chunks
        ]
        rows = self.embedder.embed_passages(embedded)
        indexed = IndexedChunks(
            chunks,
            [" ".join(self.analyser.terms(lexical_text(c))) for c in chunks],
            [hashlib.sha256(text.encode()).digest() for text in embedded],
            rows,
        )
        files = [FileRow(f"{name}.pdf", 1, 1, name)]
        ids, _ = self.ledger.commit_document(
            DocumentRow(made, "en", "ready", None, files), self.version, indexed
        )
        self.index.put(ids, rows)
        return ids
