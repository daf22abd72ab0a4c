"""Evaluation sets: folders with PDFs and questions, BEIR folders, files laid out as SQuAD."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag.errors import ConfigError
from rag.indexing.questions.maker import Question, question_of
from rag.text.messages import Text

MIN_EVIDENCE_OVERLAP = 0.8
"""Share of the evidence's words that must stand on the named page for the row to count."""


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """The rows that count, and how many were left out for which reason."""

    name: str
    questions: tuple[Question, ...]
    left_out: Mapping[str, int]

    def with_pages(self) -> tuple[Question, ...]:
        """Return the rows that page retrieval can be judged by."""
        return tuple(q for q in self.questions if q.answerable and q.documents and q.pages)


def load_sets(folder: Path, *, read_by_ocr: Collection[str] = ()) -> list[QuestionSet]:
    """Read all sets below ``folder``/questions, sorted by name.

    Rows that need vision, whose evidence is not on the named page, or whose document has
    no text layer are left out; the last not if ``read_by_ocr`` names the document.

    Raises:
        ConfigError: there is no question, or a line cannot be read.
    """
    files = sorted((folder / "questions").glob("*.jsonl"))
    if not files:
        raise ConfigError(
            Text(
                f"{folder} holds no questions/*.jsonl.", f"{folder} 里没有 questions/*.jsonl 文件。"
            ),
            hint=Text(
                "Name a folder with PDFs and a questions folder.",
                "请给出一个包含 PDF 和 questions 文件夹的目录。",
            ),
        )
    return [load_set(file, read_by_ocr=read_by_ocr) for file in files]


def load_set(file: Path, *, read_by_ocr: Collection[str] = ()) -> QuestionSet:
    """Read one set; an id that comes again gets a number, because results are kept by it.

    Raises:
        ConfigError: a line cannot be read.
    """
    kept: list[Question] = []
    seen: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            question = question_of(row, name=file.stem)
        except (KeyError, TypeError, ValueError) as error:
            raise _bad_line(file, number, error) from error
        seen[question.id] += 1
        if seen[question.id] > 1:
            question = replace(question, id=f"{question.id}#{seen[question.id]}")
        reason = _why_left_out(row, read_by_ocr=read_by_ocr)
        if reason is None:
            kept.append(question)
        else:
            left_out[reason] += 1
    return QuestionSet(file.stem, tuple(kept), dict(left_out))


def without_unread(found: QuestionSet, unread: Mapping[str, Collection[int]]) -> QuestionSet:
    """Leave out the rows all of whose pages are ``unread``: scans whose text nobody has.

    ``unread`` gives page numbers from 1 by file name. A miss there would tell of the reading
    and not of the search; how many there are is counted as ``page_not_read``.
    """
    kept = tuple(q for q in found.questions if not _all_unread(q, unread))
    count = len(found.questions) - len(kept)
    left_out = {**found.left_out, "page_not_read": count} if count else found.left_out
    return replace(found, questions=kept, left_out=left_out)


def _all_unread(question: Question, unread: Mapping[str, Collection[int]]) -> bool:
    if not question.answerable or not question.documents or not question.pages:
        return False
    return set(question.pages) <= set(unread.get(question.documents[0], ()))


def evenly(questions: Sequence[Question], limit: int) -> list[Question]:
    """Return at most ``limit`` questions from all over the set, the same ones every time.

    Those without an answer keep their share. 0 means all.

    >>> evenly([], 3)
    []
    """
    if not limit or len(questions) <= limit:
        return list(questions)
    answerable, others = ([q for q in questions if q.answerable is kind] for kind in (True, False))
    share = round(limit * len(others) / len(questions))
    without = max(share, 1) if others else 0
    chosen = [*_spread(answerable, limit - without), *_spread(others, without)]
    return sorted(chosen, key=questions.index)


def _spread(questions: Sequence[Question], count: int) -> list[Question]:
    count = min(count, len(questions))
    return [questions[i * len(questions) // count] for i in range(count)]


def _why_left_out(row: Mapping[str, Any], *, read_by_ocr: Collection[str]) -> str | None:
    if row.get("needs_vision"):
        return "needs_vision"
    if row.get("doc_has_no_text_layer") and not set(row["docs"][:1]) <= set(read_by_ocr):
        return "no_text_layer"
    overlap = row.get("evidence_overlap_on_page")
    if overlap is not None and float(overlap) < MIN_EVIDENCE_OVERLAP:
        return "evidence_not_on_page"
    return None


def _bad_line(file: Path, number: int, error: Exception) -> ConfigError:
    return ConfigError(
        Text(
            f"{file.name}, line {number}, is no evaluation question: {error!r}.",
            f"{file.name} 第 {number} 行不是有效的评测问题：{error!r}。",
        ),
        hint=Text(
            "Each line needs id, lang, docs, question and answers.",
            "每一行都需要 id、lang、docs、question 和 answers。",
        ),
    )


@dataclass(frozen=True, slots=True)
class Item:
    """One text to be found."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question, and what each right text gains for it."""

    id: str
    text: str
    relevant: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TextCollection:
    """Texts and the questions that are asked of them."""

    name: str
    items: tuple[Item, ...]
    queries: tuple[Query, ...]


def load_beir(folder: Path) -> TextCollection:
    """Read ``corpus.jsonl``, ``queries.jsonl`` and the test judgements of a BEIR folder.

    Each may be packed (``.gz``); the judgements are ``qrels/test.tsv`` or a ``qrels*.tsv``.
    Queries without a judgement are left out, as is usual.

    Raises:
        ConfigError: a file is missing or cannot be read.
    """
    judged: dict[str, dict[str, float]] = {}
    for query, item, gain in _judgements(folder):
        judged.setdefault(query, {})[item] = gain
    items = tuple(
        Item(str(row["_id"]), str(row.get("title") or ""), str(row["text"]))
        for row in _text_rows(folder, "corpus.jsonl")
    )
    queries = tuple(
        Query(str(row["_id"]), str(row["text"]), judged[str(row["_id"])])
        for row in _text_rows(folder, "queries.jsonl")
        if any(judged.get(str(row["_id"]), {}).values())
    )
    if not queries:
        raise _wrong(folder, "no query of it is judged", "其中没有带标注的查询")
    return TextCollection(folder.name, items, queries)


def load_squad(file: Path, *, questions: Path | None = None) -> TextCollection:
    """Read paragraphs and questions in SQuAD's layout (``.json``, ``.json.gz``).

    Each question's own paragraph is the right one. ``questions`` may name the same set in
    another language: its questions are then asked of these paragraphs.

    Raises:
        ConfigError: a file cannot be read, or the two do not belong together.
    """
    paragraphs = list(_paragraphs(file))
    asked = paragraphs if questions is None else list(_paragraphs(questions))
    if len(asked) != len(paragraphs):
        raise _wrong(
            questions or file,
            f"it has {len(asked)} paragraphs, but {file.name} has {len(paragraphs)}",
            f"它有 {len(asked)} 个段落，而 {file.name} 有 {len(paragraphs)} 个",
        )
    items: dict[str, Item] = {}
    number: dict[str, str] = {}  # a paragraph that comes twice is one text
    ids = []
    for index, (title, row) in enumerate(paragraphs):
        text = str(row["context"])
        ids.append(number.setdefault(text, str(index)))
        items.setdefault(ids[-1], Item(ids[-1], title, text))
    queries = tuple(
        Query(str(question["id"]), str(question["question"]), {ids[index]: 1.0})
        for index, (_, row) in enumerate(asked)
        for question in row["qas"]
        if not question.get("is_impossible")
    )
    name = file.name.partition(".json")[0]
    if questions is not None:
        name = f"{questions.name.partition('.json')[0]} -> {name}"
    return TextCollection(name, tuple(items.values()), queries)


def _paragraphs(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with _read(file, "it is not in SQuAD's layout", "不是 SQuAD 格式"):
        for article in json.loads(_text(file))["data"]:
            for paragraph in article["paragraphs"]:
                yield str(article.get("title") or ""), paragraph


def _judgements(folder: Path) -> Iterator[tuple[str, str, float]]:
    found = [folder / "qrels" / "test.tsv", *sorted(folder.glob("qrels*.tsv"))]
    file = next((f for f in found if f.is_file()), None)
    if file is None:
        raise _wrong(folder, "it has no qrels/test.tsv", "缺少 qrels/test.tsv")
    with _read(file, "it cannot be read", "无法读取"):
        for row in csv.reader(file.read_text("utf-8").splitlines()[1:], delimiter="\t"):
            yield row[0], row[1], float(row[2])


def _text_rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    file = folder / name
    if not file.is_file():
        file = folder / f"{name}.gz"
    for number, line in enumerate(_text(file).splitlines(), start=1):
        with _read(file, f"line {number} cannot be read", f"第 {number} 行无法读取"):
            row = json.loads(line)
            yield {"_id": row["_id"], "text": row["text"], "title": row.get("title")}


def _text(file: Path) -> str:
    try:
        raw = file.read_bytes()
        return (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode()
    except (OSError, EOFError, ValueError) as error:
        raise _wrong(file, f"it cannot be read ({error})", f"无法读取（{error}）") from error


@contextmanager
def _read(path: Path, en: str, zh: str) -> Iterator[None]:
    """Say what is wrong with a file that is laid out otherwise."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise _wrong(path, f"{en} ({error!r})", zh) from error


def _wrong(path: Path, en: str, zh: str) -> ConfigError:
    return ConfigError(
        Text(
            f"{path} is no collection that can be measured: {en}.", f"{path} 无法用于评测：{zh}。"
        ),
        hint=Text(
            "Name a BEIR folder with --beir, or a SQuAD file with --squad.",
            "请用 --beir 指定 BEIR 文件夹，或用 --squad 指定 SQuAD 格式的文件。",
        ),
    )
