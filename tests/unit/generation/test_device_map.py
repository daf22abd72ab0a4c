"""A model is divided among devices without a part being left over, whatever its family."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from rag.generation.transformers.weights import CPU, device_map
from rag.models.shape import FAMILIES
from tests.tiny_models import llama_folder, weightless


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("tied", [False, True])
def test_every_weight_of_every_known_family_has_a_place(kind: str, tied: bool) -> None:
    model = weightless(kind, layers=4, tie_word_embeddings=tied)
    placed = device_map((2, 1), layers=4, tied=tied)
    for name, _ in [*model.named_parameters(), *model.named_buffers()]:
        assert any(name == part or name.startswith(f"{part}.") for part in placed), name


def test_layers_fill_the_cards_in_their_order_and_the_rest_waits() -> None:
    placed = device_map((2, 0, 1), layers=5, tied=False)
    assert [placed[f"model.layers.{number}"] for number in range(5)] == [0, 0, 2, CPU, CPU]
    assert (placed["model.embed_tokens"], placed["lm_head"]) == (0, 2)
    assert device_map((2, 0, 1), layers=5, tied=True)["lm_head"] == 0


def test_one_card_needs_no_list_and_need_not_be_the_first() -> None:
    assert device_map((0, 40), layers=40, tied=False) == {"": 1}


def test_transformers_takes_such_a_map(tmp_path: Path) -> None:
    folder = llama_folder(tmp_path / "tiny")
    placed = dict.fromkeys(device_map((1, 1), layers=2, tied=False), "cpu")
    model = AutoModelForCausalLM.from_pretrained(folder, device_map=placed)
    assert {str(weight.device) for weight in model.parameters()} == {"cpu"}


@pytest.mark.gpu
def test_a_model_that_is_divided_says_what_it_says_on_one_device(tmp_path: Path) -> None:
    folder = llama_folder(tmp_path / "tiny")
    ids = torch.tensor([[5, 6, 7, 8]])
    whole = AutoModelForCausalLM.from_pretrained(folder, device_map={"": 0})
    placed = device_map((1,), layers=2, tied=False)
    split = AutoModelForCausalLM.from_pretrained(folder, device_map=placed)
    with torch.inference_mode():
        ours, theirs = split(ids.to(0)).logits, whole(ids.to(0)).logits
    assert torch.allclose(ours.cpu(), theirs.cpu(), atol=1e-5)
