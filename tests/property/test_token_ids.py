"""sentencepiece cuts text into the same ids as the tokenizer that a model came with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from rag.errors import ModelError
from rag.retrieval.embedding.token_embedder import Plain, TokenIds, Unigram, load_token_ids

E5 = "multilingual-e5-small"
GUIDES = sorted((Path(__file__).parents[2] / "knowledge").glob("*.pdf"))
# likelihoods that are not multiples of one another: no two ways to cut a text are equally good
PIECES = [
    ("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.1), ("▁a", -4.17),
    ("a", -5.03), ("b", -5.29), ("c", -6.11), ("ab", -6.83), ("bc", -7.37), ("▁abc", -9.71),
    ("文", -5.57), ("文字", -8.09), ("字", -7.93), ("1", -4.91), ("10", -6.31), (".", -3.97),
]  # fmt: skip


def small() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram(PIECES, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("unigram")
    small().save(str(made / "tokenizer.json"))
    return made


@pytest.fixture(scope="module")
def both(folder: Path) -> tuple[TokenIds, TokenIds]:
    found = load_token_ids(folder)
    assert isinstance(found, Unigram)
    return found, Plain(small())


@settings(deadline=None)
@given(text=st.text(st.sampled_from("abc文字10. \n\t　Ａ龘▁\u200b\U0001f600"), max_size=30))
@example(text="")
@example(text="  a")
@example(text="龘龘 龘a龘")
def test_any_text_is_cut_alike(both: tuple[TokenIds, TokenIds], text: str) -> None:
    cut, plain = both
    assert cut.one(text) == plain.one(text)
    assert cut.each([text, "ab"]) == [cut.one(text), cut.one("ab")]


def other(written: dict[str, Any], what: str) -> None:
    if what == "bytes":
        written["model"]["byte_fallback"] = True
    elif what == "across words":
        written["model"]["vocab"].append(["a▁b", -3.0])
    elif what == "no ends":
        written["post_processor"] = None
    elif what == "spaces kept":
        written["pre_tokenizer"]["prepend_scheme"] = "never"
    else:
        written["normalizer"] = None


@pytest.mark.parametrize("what", ["bytes", "across words", "no ends", "spaces kept", "as it is"])
def test_what_sentencepiece_would_cut_otherwise_it_does_not_get(
    folder: Path, tmp_path: Path, what: str
) -> None:
    written = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    other(written, what)
    (tmp_path / "tokenizer.json").write_text(json.dumps(written), "utf-8")
    assert isinstance(load_token_ids(tmp_path), Plain)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match=tmp_path.name):
        load_token_ids(tmp_path)


@pytest.mark.slow
@pytest.mark.model
def test_the_real_model_reads_the_guides_alike(model_path: Callable[[str], Path]) -> None:
    source = model_path(E5)
    cut, plain = load_token_ids(source), Plain(Tokenizer.from_file(str(source / "tokenizer.json")))
    assert isinstance(cut, Unigram)
    pages = [page.extract_text() for guide in GUIDES for page in PdfReader(guide).pages]
    texts = [
        "passage: " + text for text in [*pages, "３.２亿 ＝ 320 million", "ﬁne\u00ad～10", "😀龘"]
    ]
    assert len(texts) > 10
    assert cut.each(texts) == plain.each(texts)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident")
def test_it_takes_a_fraction_of_the_memory(model_path: Callable[[str], Path]) -> None:
    """295 MB by the package tokenizers, 50 as it is: anything above 120 has gone wrong."""
    code = f"""
import tokenizers
from pathlib import Path
from rag.retrieval.embedding.token_embedder import load_token_ids

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

before = resident()
tokens = load_token_ids(Path({str(model_path(E5))!r}))
print((resident() - before) // 10**6)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(done.stdout) < 120
