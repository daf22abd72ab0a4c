from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from rag.errors import ConfigError
from rag.evaluation.datasets import Item, load_beir, load_squad


def write_beir(folder: Path, *, judged: str = "1\ta\t1\n2\tb\t2\n2\ta\t0\n3\tb\t0\n") -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    texts = [{"_id": "a", "title": "Rent", "text": "950 euros"}, {"_id": "b", "text": "No pets"}]
    packed = "\n".join(map(json.dumps, texts)).encode()
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(packed))
    queries = [{"_id": str(n), "text": f"question {n}"} for n in (1, 2, 3, 4)]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    return folder


def write_squad(file: Path, texts: Sequence[str], *, ask: str = "about {n}?") -> Path:
    paragraphs = [
        {"context": text, "qas": [{"id": f"q{n}", "question": ask.format(n=n)}]}
        for n, text in enumerate(texts)
    ]
    file.write_text(json.dumps({"data": [{"title": "T", "paragraphs": paragraphs}]}))
    return file


def test_a_beir_folder_gives_texts_and_the_queries_that_are_judged(tmp_path: Path) -> None:
    found = load_beir(write_beir(tmp_path / "tiny"))
    assert found.name == "tiny"
    assert found.items == (Item("a", "Rent", "950 euros"), Item("b", "", "No pets"))
    assert [(q.id, q.relevant) for q in found.queries] == [
        ("1", {"a": 1.0}),
        ("2", {"b": 2.0, "a": 0.0}),
    ]


@pytest.mark.parametrize("missing", ["qrels/test.tsv", "corpus.jsonl.gz", "queries.jsonl"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = write_beir(tmp_path / "tiny")
    (folder / missing).unlink()
    with pytest.raises(ConfigError, match=missing.partition(".")[0]):
        load_beir(folder)


@pytest.mark.parametrize("judged", ["", "1\ta\t0\n", "1\ta\tmuch\n", "1\ta\n"])
def test_judgements_that_judge_nothing_are_refused(tmp_path: Path, judged: str) -> None:
    with pytest.raises(ConfigError):
        load_beir(write_beir(tmp_path / "tiny", judged=judged))


def test_a_paragraph_that_comes_twice_is_one_text(tmp_path: Path) -> None:
    found = load_squad(write_squad(tmp_path / "s.json", ["one", "two", "one"]))
    assert [item.text for item in found.items] == ["one", "two"]
    assert [dict(q.relevant) for q in found.queries] == [{"0": 1.0}, {"1": 1.0}, {"0": 1.0}]


def test_questions_of_another_language_are_asked_of_the_same_paragraphs(tmp_path: Path) -> None:
    english = write_squad(tmp_path / "set.en.json", ["one", "two"])
    chinese = write_squad(tmp_path / "set.zh.json", ["一", "二"], ask="第{n}段？")
    found = load_squad(english, questions=chinese)
    assert found.name == "set.zh -> set.en"
    assert [(q.text, dict(q.relevant)) for q in found.queries] == [
        ("第0段？", {"0": 1.0}),
        ("第1段？", {"1": 1.0}),
    ]


def test_two_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    one = write_squad(tmp_path / "a.json", ["one", "two"])
    other = write_squad(tmp_path / "b.json", ["one"])
    with pytest.raises(ConfigError, match=r"1 paragraphs, but a\.json has 2"):
        load_squad(one, questions=other)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"data": [{}]}', "\x1f\x8b broken"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "odd.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"odd\.json"):
        load_squad(file)
