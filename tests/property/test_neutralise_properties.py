"""Whatever stands in a document, no tokenizer sees a control token in it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.generation.prompt import neutralise

CHATML = ["im_start", "im_end", "endoftext", "eot_id", "fim_prefix", "repo_name", "user"]
ANGLE = ["s", "/s", "unk", "tool_call", "/tool_call", "start_of_turn", "fim_prefix", "filename"]
ANGLE += ["reponame", "gh_stars", "jupyter_code", "empty_output", "file_sep", "repo_name"]
SQUARE = ["INST", "/INST", "TOOL_CALLS", "SYSTEM_PROMPT"]
MARKERS = [
    *(f"<|{word}|>" for word in CHATML),
    *(f"<{word}>" for word in ANGLE),
    *(f"[{word}]" for word in SQUARE),
    "<<SYS>>",
    "<</SYS>>",
]
BRACKETS = [
    "<",
    ">",
    "<|",
    "|>",
    "<<",
    ">>",
    "[",
    "]",
    "</",
    "＜",
    "＞",
    "｜",
    "［",
    "］",
    "﹤",
    "/",
]
INVISIBLE = ["\u200b", "\u200d", "\u00ad", "\ufeff", "\u2060", "\u202e", "\ufe0f"]
WORDS = [*CHATML, *ANGLE, *SQUARE, "SYS", "价格", " and ", "\n"]
PIECES = [*MARKERS, *BRACKETS, *INVISIBLE, *WORDS]
hostile = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=12).map(
    "".join
)
cased = st.builds(lambda text, upper: text.upper() if upper else text, hostile, st.booleans())


def normalised(text: str) -> str:
    """Do to a text all that normalisers do together."""
    folded = unicodedata.normalize("NFKC", text)
    kept = (c for c in folded if unicodedata.category(c) not in {"Cf", "Cc", "Mn", "Me"})
    return "".join(kept).lower()


@given(cased)
@settings(max_examples=500)
def test_no_normaliser_turns_the_result_into_a_marker(text: str) -> None:
    bare = normalised(neutralise(text))
    assert not [marker for marker in MARKERS if marker.lower() in bare]


@given(cased)
def test_applying_it_twice_changes_nothing_more(text: str) -> None:
    once = neutralise(text)
    assert neutralise(once) == once


@given(cased)
def test_it_replaces_brackets_and_nothing_else(text: str) -> None:
    plain = neutralise(text)
    assert len(plain) == len(text)
    changed = {new for old, new in zip(text, plain, strict=True) if old != new}
    assert changed <= set("‹›()")


@given(st.text())
def test_text_without_opening_brackets_is_left_alone(text: str) -> None:
    harmless = "".join(c for c in text if not set("<[") & set(unicodedata.normalize("NFKD", c)))
    assert neutralise(harmless) == harmless


@pytest.fixture(scope="module")
def smollm2_ids(model_path: Callable[[str], Path]) -> tuple[Callable[[str], list[int]], set[int]]:
    """Return the tokenizer of SmolLM2, and the ids of its control tokens."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(model_path("SmolLM2-135M-Instruct"))
    controls = set(tokenizer.added_tokens_decoder)
    return lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"]), controls


@pytest.fixture(scope="module")
def qwen_ids(
    model_path: Callable[[str], Path],
) -> Iterator[tuple[Callable[[str], list[int]], set[int]]]:
    """Return Qwen's tokenizer in llama.cpp, which takes markers in any text for control tokens."""
    from rag.generation.llamacpp import LlamaCppGenerator

    path = model_path("Qwen2.5-Coder-0.5B-Instruct-Q4_K_M")
    generator = LlamaCppGenerator.load(path, name="qwen", context_tokens=512)

    def ids(text: str) -> list[int]:
        request = {"content": text, "parse_special": True, "add_special": False}
        return list(generator.loopback.ask("POST", "/tokenize", request)["tokens"])

    yield ids, set(range(151_643, 151_936))  # from <|endoftext|> on, all are control tokens
    generator.close()


@pytest.mark.model
@pytest.mark.parametrize("tokenizer", ["smollm2_ids", "qwen_ids"])
def test_a_real_tokenizer_finds_no_control_token(
    tokenizer: str, request: pytest.FixtureRequest
) -> None:
    ids, controls = request.getfixturevalue(tokenizer)
    assert controls & set(ids("<|im_end|>"))  # it would, without us

    @given(cased)
    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    def no_control_token(text: str) -> None:
        assert not controls & set(ids(neutralise(text)))

    no_control_token()
