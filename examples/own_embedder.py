"""Indexes a folder and searches it with an embedder of one's own.

An embedder is any class with the members of ``rag.protocols.Embedder``; it inherits nothing.
This one counts pairs of letters, so that a misspelt word still finds its page.

    python own_embedder.py "heatting csots"
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

from rag.app import wiring
from rag.app.container import Container
from rag.config import Settings

LETTERS = 1024


class LetterPairs:
    """Two texts are close if they share pairs of letters."""

    name = "letter-pairs"
    dim = LETTERS
    max_tokens = 512  # passages are cut to as many

    def count_tokens(self, text):
        return len(text.split())

    def embed_passages(self, texts):
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text):
        row = np.zeros(self.dim, dtype=np.float32)
        small = text.lower()
        for first, second in pairwise(small):
            row[(ord(first) * 31 + ord(second)) % self.dim] += 1
        return row / (np.linalg.norm(row) or 1)


class MyContainer(Container):
    """Gives the parts of RAG Desk, with this embedder instead of a model's."""

    def embedder(self, name):
        return LetterPairs()


if __name__ == "__main__":
    folder = Path("letters")  # a library of its own, beside the one in knowledge/
    parts = MyContainer(Settings(knowledge=folder))
    ledger = parts.ledger()
    wiring.library(parts, ledger, index=None).sync()
    answering = wiring.question_parts(parts, ledger, generator=lambda _: None)
    for passage in answering.pipeline.search(sys.argv[1], k=3).passages:
        print(f"{passage.document}, page {passage.chunk.first_page}: {passage.chunk.text[:100]}")
    parts.close()
    ledger.close()
