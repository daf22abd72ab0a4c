"""The embedder without a model."""

from __future__ import annotations

import numpy as np

from rag.retrieval.embedding.hashing import HashingEmbedder

embedder = HashingEmbedder()


def test_rows_are_float32_of_norm_one_even_for_empty_texts():
    rows = embedder.embed_passages(["显存带宽", "memory bandwidth", "", "!?"])
    assert rows.dtype == np.float32
    assert rows.shape == (4, embedder.dim)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_no_text_gives_no_rows():
    assert embedder.embed_passages([]).shape == (0, 256)


def test_texts_that_share_words_are_closer_in_both_languages():
    rows = embedder.embed_passages(
        ["The card has 24 GB of memory", "Contracts end in May", "显存带宽很高", "合同五月到期"]
    )
    english = rows @ embedder.embed_query("How much memory has the card?")
    chinese = rows @ embedder.embed_query("显存带宽是多少？")
    assert english.argmax() == 0
    assert chinese.argmax() == 2


def test_the_same_text_always_gets_the_same_vector():
    other = HashingEmbedder()
    assert (other.embed_query("显存 4090") == embedder.embed_query("显存 4090")).all()


def test_the_name_tells_sizes_apart():
    assert HashingEmbedder(64).name != embedder.name
