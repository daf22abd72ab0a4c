"""The built-in catalogue holds together, and names are found as people write them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from rag.config import Settings
from rag.errors import UnknownModel
from rag.models.catalogue import Entry, load_catalogue
from rag.models.planning.subjects import (
    CARD_GENERATORS,
    CPU_GENERATOR,
    RAM_GENERATORS,
    SMALL_GENERATOR,
)

MODELS = list(load_catalogue())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_can_be_fetched_and_recognised(model: Entry) -> None:
    assert model.hub or model.wheels
    assert model.files or (model.hub and model.hub.patterns)
    for file in (*model.files, *model.wheel_files):
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256), file
        assert file.bytes > 0
        assert not PurePosixPath(file.path).is_absolute()
        assert ".." not in PurePosixPath(file.path).parts
    if model.hub:
        assert re.fullmatch(r"[0-9a-f]{40}", model.hub.revision)
    assert model.bytes > 0
    assert model.good_for.en.endswith(".")
    assert model.good_for.zh.endswith("。")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_only_formats_that_cannot_run_code_are_taken(model: Entry) -> None:
    taken = [file.path for file in (*model.files, *model.wheel_files)]
    taken += model.hub.patterns if model.hub else ()
    assert not [name for name in taken if name.endswith((".pt", ".pth", ".pkl", "_model.bin"))]
    weights = [name for name in taken if name.endswith((".gguf", ".safetensors", "q4.bin"))]
    assert weights


@pytest.mark.parametrize(
    "model", [model for model in MODELS if model.wheels], ids=lambda model: model.name
)
def test_a_wheel_recipe_says_where_in_the_wheel_the_files_are(model: Entry) -> None:
    assert model.wheels
    assert bool(model.wheels.member) != bool(model.wheels.folder)
    assert len(set(model.wheels.distributions)) == model.wheels.count
    if model.wheels.member:
        assert len(model.wheel_files) == 1


def test_embedders_and_only_embedders_say_how_they_embed() -> None:
    assert {m.name for m in MODELS if m.embedding} == {
        m.name for m in MODELS if m.kind == "embedder"
    }
    assert all(m.embedding.max_tokens <= m.context_tokens for m in MODELS if m.embedding)


def test_the_defaults_are_in_the_catalogue_and_need_no_permission() -> None:
    names = {CPU_GENERATOR, SMALL_GENERATOR, Settings().embedder.model}
    names |= {*CARD_GENERATORS, *RAM_GENERATORS}
    found = [load_catalogue().get(name) for name in names]
    assert not any(model.gated for model in found)
    assert load_catalogue().get("Llama-2-13b-chat").gated


def test_the_models_of_a_first_start_are_known_to_run() -> None:
    for name in (CPU_GENERATOR, SMALL_GENERATOR, Settings().embedder.model):
        assert load_catalogue().get(name).run_here
    assert not load_catalogue().get("Qwen3-8B").run_here


def test_the_default_models_of_a_cpu_also_come_in_wheels() -> None:
    for name in (CPU_GENERATOR, SMALL_GENERATOR, Settings().embedder.model):
        assert load_catalogue().get(name).wheels


def test_a_name_is_found_in_any_case_and_a_wrong_one_brings_suggestions() -> None:
    assert load_catalogue().get("ALL-minilm-l6-V2").name == "all-MiniLM-L6-v2"
    with pytest.raises(UnknownModel) as caught:
        load_catalogue().get("e5-small")
    assert "multilingual-e5-small" in caught.value.hint.en
    assert "multilingual-e5-small" in caught.value.hint.zh
    with pytest.raises(UnknownModel) as caught:
        load_catalogue().get("zzzzzzzz")
    assert "rag models list" in caught.value.hint.en


def test_the_same_bytes_have_the_same_revision_whichever_source_they_come_from() -> None:
    model = load_catalogue().get("all-MiniLM-L6-v2")
    assert model.revision(model.wheel_files) == model.revision(model.files)
    e5 = load_catalogue().get("multilingual-e5-small")
    assert e5.revision(e5.wheel_files) != e5.revision(e5.files)
