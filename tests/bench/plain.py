"""The plain reference: what the usual tutorials build.

pypdf reads page by page, RecursiveCharacterTextSplitter cuts at 1000 characters with 200 of
overlap, sentence-transformers embeds, and ``Chroma.from_documents`` stores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from rag.app.registry import HASHING
from rag.config import load_settings
from rag.models.store import ModelStore
from rag.retrieval.embedding.hashing import HashingEmbedder
from tests.bench.child import cpu_s, finish, folder_argument, since_start_s
from tests.bench.corpus import pdfs_below

CHUNK_CHARS, OVERLAP_CHARS = 1000, 200


class SentenceTransformerEmbeddings(Embeddings):
    """The model with its usual prompt, encoded with the library's own defaults."""

    def __init__(self, name: str) -> None:
        from sentence_transformers import SentenceTransformer

        store = ModelStore.of(load_settings(None).models)
        folder = store.pull(name, progress=lambda _: None, cancelled=lambda: False)
        entry = store.catalogue.get(name)
        assert entry.embedding is not None
        self._prompt = entry.embedding.passage_prefix
        self._model = SentenceTransformer(str(folder), local_files_only=True)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        rows = self._model.encode(
            texts, prompt=self._prompt or None, normalize_embeddings=True, show_progress_bar=False
        )
        found: list[list[float]] = rows.tolist()
        return found

    def embed_query(self, text: str) -> list[float]:
        raise NotImplementedError("nothing is asked here")

    def count_truncated(self, texts: Sequence[str]) -> int:
        """Return how many texts are longer than the model reads; their ends are lost."""
        encoded = self._model.tokenizer([self._prompt + text for text in texts])
        return sum(len(ids) > self._model.max_seq_length for ids in encoded["input_ids"])


class HashingEmbeddings(Embeddings):
    """The embedder without a model, for trying the benchmark itself."""

    def __init__(self) -> None:
        self._embedder = HashingEmbedder()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = self._embedder.embed_passages(texts).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        raise NotImplementedError("nothing is asked here")

    def count_truncated(self, texts: Sequence[str]) -> int:
        return 0


class Timed(Embeddings):
    """Passes on, and adds up the seconds."""

    def __init__(self, inner: Embeddings) -> None:
        self._inner = inner
        self.seconds = 0.0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        began = perf_counter()
        rows = self._inner.embed_documents(texts)
        self.seconds += perf_counter() - began
        return rows

    def embed_query(self, text: str) -> list[float]:
        return self._inner.embed_query(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pdfs", type=folder_argument, required=True)
    parser.add_argument("--embedder", required=True)
    parser.add_argument("--store", type=folder_argument, required=True)
    arguments = parser.parse_args()
    finish(index(arguments.pdfs, embedder=arguments.embedder, store=arguments.store))


def index(folder: Path, *, embedder: str, store: Path) -> dict[str, Any]:
    """Index the PDFs of a folder into a new store."""
    model = HashingEmbeddings() if embedder == HASHING else SentenceTransformerEmbeddings(embedder)
    embeddings = Timed(model)
    load_s = since_start_s()
    began, cpu_began = perf_counter(), cpu_s()
    pages, failed = read(folder)
    read_at = perf_counter()
    splitter = RecursiveCharacterTextSplitter(chunk_size=CHUNK_CHARS, chunk_overlap=OVERLAP_CHARS)
    passages = splitter.split_documents(pages)
    cut_at = perf_counter()
    Chroma.from_documents(passages, embeddings, persist_directory=str(store))
    ended, cpu_ended = perf_counter(), cpu_s()
    return {
        "pages": len(pages),
        "passages": len(passages),
        "truncated": model.count_truncated([passage.page_content for passage in passages]),
        "failed": failed,
        "load_s": load_s,
        "seconds": ended - began,
        "cpu_s": cpu_ended - cpu_began,
        "stages": {
            "read": read_at - began,
            "chunk": cut_at - read_at,
            "embed": embeddings.seconds,
            "write": ended - cut_at - embeddings.seconds,
            "other": 0.0,
        },
    }


def read(folder: Path) -> tuple[list[Document], int]:
    """Return one document per page, and how many files pypdf refused."""
    pages: list[Document] = []
    failed = 0
    for file in pdfs_below(folder):
        try:
            pages.extend(_pages(file))
        except PyPdfError:
            failed += 1
    return pages, failed


def _pages(file: Path) -> Iterator[Document]:
    for number, page in enumerate(PdfReader(file).pages):
        yield Document(page.extract_text(), metadata={"source": str(file), "page": number})


if __name__ == "__main__":
    main()
