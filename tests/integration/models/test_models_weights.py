"""The real weights: they are here, they are the right ones, and they do what they should."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.models.catalogue import load_catalogue
from rag.models.store import ModelStore

pytestmark = pytest.mark.model

REFERENCE = Path(__file__).parents[2] / "data" / "e5_reference.json"
"""Vectors of the engine for which the 4-bit file was made; token counts with prefix."""
EMBEDDED = (
    "multilingual-e5-small",
    "all-MiniLM-L6-v2",
    "SmolLM2-135M-Instruct-Q4_1",
    "Qwen2.5-Coder-0.5B-Instruct-Q4_K_M",
    pytest.param("Qwen2.5-Coder-1.5B-Instruct-Q4_K_M", marks=pytest.mark.slow),
)

Pull = Callable[[str], Path]


@pytest.fixture(scope="module")
def references() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(REFERENCE.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def e5(model_path: Pull) -> Any:
    from sentence_transformers import SentenceTransformer

    folder = model_path("multilingual-e5-small")
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_weights_have_the_publishers_bytes(
    model_path: Pull, models_folder: Path, name: str
) -> None:
    path = model_path(name)
    store = ModelStore(models_folder)
    assert store.installed(name) == path
    manifest = store.installation(name)
    assert manifest
    for file in manifest.files:
        whole = models_folder / manifest.name / manifest.root / file.path
        with whole.open("rb") as stream:
            assert file_digest(stream, "sha256").hexdigest() == file.sha256
    assert manifest.revision in {
        load_catalogue().get(name).revision(files)
        for files in (load_catalogue().get(name).files, load_catalogue().get(name).wheel_files)
    }


def test_the_unpacked_e5_gives_the_vectors_of_the_engine_it_was_made_for(
    e5: Any, references: list[dict[str, Any]]
) -> None:
    assert len(references) >= 8
    for item in references:
        encode = e5.encode_query if item["kind"] == "query" else e5.encode_document
        found, wanted = encode(item["text"]), np.array(item["vector"])
        cosine = float(found @ wanted / np.linalg.norm(found) / np.linalg.norm(wanted))
        assert cosine > 0.999, (cosine, item["text"])
        assert abs(float(np.linalg.norm(found)) - 1) < 1e-5


def test_the_unpacked_tokenizer_counts_as_that_engine_does(
    e5: Any, references: list[dict[str, Any]]
) -> None:
    prefixes = {"query": "query: ", "passage": "passage: "}
    for item in references:
        ids = e5.tokenizer(prefixes[item["kind"]] + item["text"])["input_ids"]
        assert len(ids) == item["tokens"], item["text"]


def test_a_chinese_question_is_nearest_to_its_own_passage(e5: Any) -> None:
    passages = [
        "The power limit of the graphics card is 450 W.",
        "本合同自双方签字盖章之日起生效，有效期三年。",
        "把 PDF 文件拖到页面上，或复制到 knowledge 文件夹，即可添加文档。",
    ]
    vectors = e5.encode_document(passages)
    assert int(np.argmax(vectors @ e5.encode_query("如何添加文档？"))) == 2
    assert int(np.argmax(vectors @ e5.encode_query("显卡的功耗上限是多少？"))) == 0


def test_minilm_loads_from_its_folder_without_a_network(model_path: Pull) -> None:
    from sentence_transformers import SentenceTransformer

    folder = model_path("all-MiniLM-L6-v2")
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    near, far = model.encode(["A cat sits on the mat.", "Bond yields rose."])
    assert float(model.encode("The cat is on a rug.") @ near) > float(near @ far) + 0.3


def test_the_converted_llama_model_answers_sensibly(model_path: Pull) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = model_path("SmolLM2-135M-Instruct")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert model.config.architectures == ["LlamaForCausalLM"]
    messages = [{"role": "user", "content": "What is the capital of France? One sentence."}]
    prompt = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt"
    )
    out = model.generate(**prompt, max_new_tokens=8, do_sample=False)
    answer = tokenizer.decode(out[0][prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert "Paris" in answer
