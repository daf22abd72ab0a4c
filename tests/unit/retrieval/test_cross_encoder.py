"""Reading question and passage together: the model's own scores, in order, on any device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertForSequenceClassification

from rag.errors import ModelError, OutOfMemory
from rag.protocols import HoldsParts, Movable
from rag.retrieval.analyser import lexical_text
from rag.retrieval.embedding import sentence_transformers as on_card
from rag.retrieval.reranker import CPU_BATCH, CrossEncoderReranker
from rag.types.answers import Passage, Ranks
from tests.factories import passage
from tests.tiny_encoder import write_tiny_reranker
from tests.tiny_models import byte_tokenizer

QUESTION = "how much is the rent"
TEXTS = ["The rent is 950 euros.", "Pets.", "每月租金950元。", "x" * 200, "The rent is 950 euros."]


def passages(*texts: str) -> list[Passage]:
    return [replace(passage(text, id=i), ranks=Ranks(dense=i)) for i, text in enumerate(texts, 1)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_reranker(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def reranker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> CrossEncoderReranker:
    # bfloat16 rounds away what little tells these scores apart
    monkeypatch.setattr(on_card, "cpu_dtype", lambda: torch.float32)
    return CrossEncoderReranker(folder, name="tiny", device="cpu")


def test_the_order_is_that_of_the_models_own_scores(
    folder: Path, reranker: CrossEncoderReranker
) -> None:
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = byte_tokenizer(template=None)
    wanted = {}
    for one in passages(*TEXTS):
        with torch.inference_mode():
            pair = tokenizer(QUESTION, lexical_text(one.chunk), return_tensors="pt")
            logit = model(**pair).logits
        wanted[one.id] = float(logit.sigmoid())
    found = reranker.rerank(QUESTION, passages(*TEXTS))
    assert [one.id for one in found] == sorted(wanted, key=lambda i: -wanted[i])
    assert [one.ranks.rerank for one in found] == [1, 2, 3, 4, 5]
    for one in found:
        assert one.score == pytest.approx(wanted[one.id], abs=1e-5)
        assert one.ranks.dense == one.id, "what the retrievers said is kept"
    assert len({round(one.score, 6) for one in found}) == 4, "the same text, the same score"


def test_a_question_decides_the_order(reranker: CrossEncoderReranker) -> None:
    orders = {
        tuple(one.id for one in reranker.rerank(question, passages(*TEXTS)))
        for question in (QUESTION, "宠物", "?", "who may keep a dog, and which one")
    }
    assert len(orders) > 1


def test_the_heading_is_read_with_the_passage(reranker: CrossEncoderReranker) -> None:
    bare, headed = passages("950", "950")
    headed = replace(headed, chunk=replace(headed.chunk, heading="Lease › Rent"))
    first, second = reranker.rerank(QUESTION, [bare, headed])
    assert first.score != second.score


def test_no_passages_no_scores_and_a_very_long_one_is_no_error(
    reranker: CrossEncoderReranker,
) -> None:
    assert reranker.rerank(QUESTION, []) == []
    assert len(reranker.rerank(QUESTION, passages("word " * 2000, "short"))) == 2


def test_a_full_card_gets_smaller_batches_and_then_an_error_in_words(
    reranker: CrossEncoderReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict, tried, most = reranker._model.predict, [], 2

    def as_if_small(pairs: Any, *, batch_size: int, **options: Any) -> Any:
        tried.append(batch_size)
        if batch_size > most:
            raise torch.OutOfMemoryError
        return predict(pairs, batch_size=batch_size, **options)

    before = [one.id for one in reranker.rerank(QUESTION, passages(*TEXTS))]
    monkeypatch.setattr(reranker._model, "predict", as_if_small)
    assert [one.id for one in reranker.rerank(QUESTION, passages(*TEXTS))] == before
    assert tried == [CPU_BATCH, CPU_BATCH // 2, CPU_BATCH // 4]
    most = 0
    with pytest.raises(OutOfMemory) as error:
        reranker.rerank(QUESTION, passages(*TEXTS))
    assert "reranker.device" in error.value.hint.en
    assert "reranker.device" in error.value.hint.zh


def test_what_is_on_no_card_holds_nothing_there_and_cannot_leave(
    reranker: CrossEncoderReranker,
) -> None:
    assert isinstance(reranker, Movable)
    assert isinstance(reranker, HoldsParts)
    assert reranker.memory_parts() == {}
    assert reranker.to_cpu() is False
    before = reranker.rerank(QUESTION, passages(*TEXTS))
    reranker.to_device()
    assert reranker.rerank(QUESTION, passages(*TEXTS)) == before


@pytest.mark.gpu
def test_a_reranker_leaves_the_card_and_comes_back(folder: Path) -> None:
    reranker = CrossEncoderReranker(folder, name="tiny", device="cuda")
    on_card = [one.id for one in reranker.rerank(QUESTION, passages(*TEXTS))]
    assert reranker.memory_parts()["reranker"] > 0
    assert reranker.to_cpu() is True
    assert reranker.memory_parts() == {}
    assert [one.id for one in reranker.rerank(QUESTION, passages(*TEXTS))] == on_card
    reranker.to_device()
    assert reranker.memory_parts()


@pytest.mark.parametrize("damage", ["empty", "labels", "weights"])
def test_a_folder_that_holds_no_reranker_is_named_with_a_remedy(
    folder: Path, tmp_path: Path, damage: str
) -> None:
    if damage == "empty":
        folder = tmp_path / "nothing"
        folder.mkdir()
    elif damage == "labels":
        write_tiny_reranker(folder, labels=3)
    else:
        (folder / "model.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(ModelError) as error:
        CrossEncoderReranker(folder, name="tiny", device="cpu")
    assert str(folder) in error.value.message.en
    assert "reranker.model" in error.value.hint.en


def test_scores_in_the_type_of_this_machine_are_nearly_those_of_float32(
    folder: Path, reranker: CrossEncoderReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = {one.id: one.score for one in reranker.rerank(QUESTION, passages(*TEXTS))}
    monkeypatch.undo()
    here = CrossEncoderReranker(folder, name="tiny", device="cpu")
    for one in here.rerank(QUESTION, passages(*TEXTS)):
        assert one.score == pytest.approx(exact[one.id], abs=0.02)
