from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from rag.errors import ConfigError, RagError, UnreadableDocument
from rag.text.language import detect_language, is_cjk, reads_as
from rag.text.messages import Language, Text
from rag.text.reasons import reason_text, reasons

ROOT = Path(__file__).parents[3]


def test_an_error_says_what_happened_and_what_to_do_in_both_languages() -> None:
    error = ConfigError(Text("It broke.", "坏了。"), hint=Text("Mend it.", "修好它。"))
    assert error.say("en") == "It broke.\n  → Mend it."
    assert error.say("zh") == "坏了。\n  → 修好它。"
    assert str(error) == error.say("en")


def test_errors_cross_process_borders_whole() -> None:
    error = UnreadableDocument(Text("a", "甲"), hint=Text("b", "乙"), reason="encrypted")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is UnreadableDocument
    assert (back.message, back.hint, back.reason) == (error.message, error.hint, "encrypted")


def test_every_reason_has_words_and_a_remedy_in_both_languages() -> None:
    for code, reason in reasons().items():
        for text in (reason.what, reason.remedy):
            assert text.en.endswith("."), code
            assert any(is_cjk(char) for char in text.zh), code


def test_an_unknown_reason_is_shown_rather_than_hidden() -> None:
    assert reason_text("cosmic_ray", "zh") == "cosmic_ray"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the power consumption of the RTX 3090?", "en"),
        ("TensorRT-LLM在RTX 4090上的吞吐量是多少？", "zh"),
        ("显存", "zh"),
        ("vLLM加PagedAttention的延迟是每个token多少毫秒？", "zh"),
        ("", "en"),
        ("1234 5678", "en"),
        ("Who wrote 红楼梦, the famous Chinese novel?", "en"),
    ],
)
def test_the_language_of_a_question(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_every_error_class_stands_in_the_tree_of_the_docstring() -> None:
    import rag.errors

    tree = rag.errors.__doc__ or ""
    named = set(re.findall(r"[├└]─ (\w+)", tree)) | {"RagError"}
    classes = {
        name
        for name, value in vars(rag.errors).items()
        if isinstance(value, type) and issubclass(value, RagError)
    }
    assert classes == named


@pytest.mark.parametrize(
    ("language", "text", "reads"),
    [
        ("zh", "这是中文。", True),
        ("zh", "model.generate(max_new_tokens=512) # 推理示例", True),
        ("zh", "The notes are an integral part of these statements.", False),
        ("zh", "", False),
        ("en", "The notes are part of these statements.", True),
        ("en", "显存带宽是多少", False),
        ("en", "model.generate(max_new_tokens=512) # 推理", True),
    ],
)
def test_code_with_a_few_chinese_words_can_be_searched_in_either_language(
    language: Language, text: str, reads: bool
) -> None:
    assert reads_as(language, text) is reads
