"""What every embedder must do, and that no passage is ever cut by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rag.app.container import Container
from rag.config import load_settings
from rag.errors import ModelError, OutOfMemory
from rag.protocols import Embedder, Movable
from rag.retrieval.analyser import embedding_text
from rag.retrieval.embedding.bert import BertEmbedder
from rag.retrieval.embedding.sentence_transformers import SentenceTransformerEmbedder
from tests.factories import document

EMBEDDERS = [
    "hashing",
    pytest.param("multilingual-e5-small", marks=pytest.mark.model),
    pytest.param("multilingual-e5-small onnx", marks=pytest.mark.model),
    pytest.param("multilingual-e5-small torch", marks=pytest.mark.model),
    pytest.param("multilingual-e5-small sentence-transformers", marks=pytest.mark.model),
    pytest.param("all-MiniLM-L6-v2", marks=pytest.mark.model),
]
"""Models of the catalogue, and the engine where it is not the one that a CPU gets."""
TEXTS = ["The rent is 950 euros.", "显存带宽是每秒1008GB。", "The rent is 950 euros.", "x"]
ENGLISH = "The Tenant shall pay 1,234.50 euros on the 1st of May 2026, see §4(b). " * 400
CHINESE = "甲方应于二〇二六年五月一日前支付人民币1234.50元，详见第四条（乙）款。" * 400
ODD = "antidisestablishmentarianism" * 300 + "\n" + "|--|" * 900 + "\n" + "🙂👩‍👩‍👧" * 200


@pytest.fixture(scope="session")
def factory_of(models_folder: Path) -> Callable[..., Container]:
    def make(**environment: str) -> Container:
        return Container(
            load_settings(None, {"RAGDESK_MODELS__FOLDER": str(models_folder), **environment})
        )

    return make


@pytest.fixture(scope="module", params=EMBEDDERS)
def name(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def embedder(
    name: str, factory_of: Callable[..., Container], model_path: Callable[[str], Path]
) -> Embedder:
    model, _, engine = name.partition(" ")
    if model != "hashing":
        model_path(model)
    if engine == "sentence-transformers":  # what a GPU and other kinds of models get
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BertEmbedder, "suits", lambda *_, **__: False)
            return factory_of(RAGDESK_EMBEDDER__ENGINE="torch").embedder(model)
    return factory_of(RAGDESK_EMBEDDER__ENGINE=engine or "auto").embedder(model)


def test_rows_are_float32_unit_vectors_in_the_given_order(embedder: Embedder) -> None:
    rows = embedder.embed_passages(TEXTS)
    assert rows.dtype == np.float32
    assert rows.shape == (4, embedder.dim)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert rows[0] @ rows[2] == pytest.approx(1, abs=1e-3)
    assert rows[0] @ rows[1] < 0.99
    alone = np.stack([embedder.embed_passages([text])[0] for text in TEXTS])
    assert (rows * alone).sum(axis=1) == pytest.approx(np.ones(4), abs=2e-3)


def test_many_texts_at_once_get_the_rows_of_each_alone(embedder: Embedder) -> None:
    texts = [f"Clause {n}. " + ENGLISH[: 25 * n] + CHINESE[:n] for n in range(1, 25)]
    rows = embedder.embed_passages(texts)
    alone = np.stack([embedder.embed_passages([text])[0] for text in texts])
    assert (rows * alone).sum(axis=1).min() > 0.998
    assert (rows @ alone.T).argmax(axis=1).tolist() == list(range(24))


def test_no_texts_no_rows(embedder: Embedder) -> None:
    assert embedder.embed_passages([]).shape == (0, embedder.dim)


def test_a_question_is_nearest_to_its_answer(embedder: Embedder) -> None:
    rows = embedder.embed_passages(["The monthly rent is 950 euros.", "Pets are not allowed."])
    query = embedder.embed_query("how much is the monthly rent")
    assert query.shape == (embedder.dim,)
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)
    assert rows[0] @ query > rows[1] @ query


@pytest.mark.model
@pytest.mark.parametrize("name", ["multilingual-e5-small"], scope="module")
def test_chinese_finds_english_and_back(embedder: Embedder) -> None:
    rows = embedder.embed_passages(["The monthly rent is 950 euros.", "Pets are not allowed."])
    assert (rows @ embedder.embed_query("可以养宠物吗？")).argmax() == 1
    assert (rows @ embedder.embed_query("每个月的租金是多少？")).argmax() == 0


@pytest.mark.model
@pytest.mark.parametrize(
    "name",
    ["multilingual-e5-small", "multilingual-e5-small onnx", "all-MiniLM-L6-v2"],
    scope="module",
)
def test_a_text_that_is_too_long_is_refused_rather_than_cut(embedder: Embedder) -> None:
    with pytest.raises(ModelError):
        embedder.embed_passages([ENGLISH])


@pytest.mark.parametrize("tokens", ["230", "8192"])
@pytest.mark.parametrize("text", [ENGLISH, CHINESE, ODD], ids=["english", "chinese", "odd"])
def test_no_passage_is_ever_truncated(
    embedder: Embedder, name: str, factory_of: Callable[..., Container], tokens: str, text: str
) -> None:
    chunker = factory_of(RAGDESK_CHUNK__TOKENS=tokens).chunker(embedder)
    whole = document(
        text[: len(text) // 2], text[len(text) // 2 :], title="A long title 标题 " * 40
    )
    chunks = chunker.split(whole)
    assert len(chunks) > (name != "hashing")
    for chunk in chunks:
        sent = embedding_text(chunk, limit=embedder.max_tokens, count=embedder.count_tokens)
        assert chunk.tokens <= min(int(tokens), embedder.max_tokens)
        assert embedder.count_tokens(sent) <= embedder.max_tokens
        assert "".join(chunk.text.split()) in "".join(sent.split())


@pytest.mark.model
@pytest.mark.parametrize("name", ["multilingual-e5-small"], scope="module")
def test_an_index_version_knows_its_embedder_without_loading_it(
    embedder: Embedder, name: str, factory_of: Callable[..., Container]
) -> None:
    container = factory_of()
    assert embedder.name.split()[0] == container.embedder_id(container.entry(name))


@pytest.mark.model
@pytest.mark.parametrize("model", ["multilingual-e5-small", "all-MiniLM-L6-v2"])
def test_the_forward_pass_of_cpus_gives_the_vectors_of_sentence_transformers(
    model: str, factory_of: Callable[..., Container], model_path: Callable[[str], Path]
) -> None:
    folder = model_path(model)
    ours = factory_of(RAG_EMBEDDER__ENGINE="torch").embedder(model)
    assert isinstance(ours, BertEmbedder)
    prefix = "passage: " if "e5" in model else ""
    theirs = SentenceTransformerEmbedder(folder, name=model, passage_prefix=prefix, device="cpu")
    texts = [*TEXTS, ENGLISH[:400], CHINESE[:150], ODD[:90]]
    agreement = (ours.embed_passages(texts) * theirs.embed_passages(texts)).sum(axis=1)
    assert agreement.min() > 0.999
    assert agreement.mean() > 0.9999


@pytest.mark.model
def test_a_full_card_embeds_in_smaller_batches_and_one_text_too_many_is_told(
    model_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = SentenceTransformerEmbedder(
        model_path("all-MiniLM-L6-v2"), name="all-MiniLM-L6-v2", device="cpu"
    )
    roomy = embedder.embed_passages(TEXTS)
    forward, room = embedder._model.forward, [2]

    def limited(features):
        if len(features["input_ids"]) > room[0]:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(features)

    monkeypatch.setattr(embedder._model, "forward", limited)
    assert (embedder.embed_passages(TEXTS) * roomy).sum(axis=1).min() > 0.9999
    room[0] = 0
    with pytest.raises(OutOfMemory, match="while embedding"):
        embedder.embed_query("rent")


@pytest.mark.model
def test_an_embedder_that_is_not_on_the_card_cannot_leave_it(
    model_path: Callable[[str], Path],
) -> None:
    embedder = SentenceTransformerEmbedder(
        model_path("all-MiniLM-L6-v2"), name="all-MiniLM-L6-v2", device="cpu"
    )
    assert isinstance(embedder, Movable)
    assert embedder.to_cpu() is False
    assert embedder.memory_parts() == {}
    before = embedder.embed_query("rent")
    embedder.to_device()  # which is where it is
    assert (embedder.embed_query("rent") @ before) > 0.9999


@pytest.mark.gpu
@pytest.mark.model
def test_an_embedder_leaves_the_card_and_comes_back(model_path: Callable[[str], Path]) -> None:
    embedder = SentenceTransformerEmbedder(
        model_path("all-MiniLM-L6-v2"), name="all-MiniLM-L6-v2", device="cuda"
    )
    on_card = embedder.embed_query("rent")
    held = torch.cuda.memory_allocated()
    assert embedder.memory_parts()["embedder"] <= held
    assert embedder.to_cpu() is True
    assert torch.cuda.memory_allocated() < held
    assert (embedder.embed_query("rent") @ on_card) > 0.999
    embedder.to_device()
    assert embedder.memory_parts()
