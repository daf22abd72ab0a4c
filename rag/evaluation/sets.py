"""Evaluation sets: a folder with PDFs and ``questions/*.jsonl``, one object a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rag.errors import ConfigError
from rag.indexing.questions.maker import Question, question_of
from rag.text.messages import Text

MIN_EVIDENCE_OVERLAP = 0.8
"""Share of the evidence's words that must stand on the named page for the row to count."""

LeftOut = Literal["needs_vision", "no_text_layer", "evidence_not_on_page"]


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """The rows that count, and how many were left out for which reason."""

    name: str
    questions: tuple[Question, ...]
    left_out: Mapping[LeftOut, int]

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
    left_out: Counter[LeftOut] = Counter()
    for number, row in _rows(file):
        try:
            question = question_of(row, name=file.stem)
            seen[question.id] += 1
            if seen[question.id] > 1:
                question = replace(question, id=f"{question.id}#{seen[question.id]}")
        except (KeyError, TypeError, ValueError) as error:
            raise _bad_line(file, number, error) from error
        reason = _why_left_out(row, read_by_ocr=read_by_ocr)
        if reason is None:
            kept.append(question)
        else:
            left_out[reason] += 1
    return QuestionSet(file.stem, tuple(kept), dict(left_out))


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise _bad_line(file, number, error) from error


def _why_left_out(row: Mapping[str, Any], *, read_by_ocr: Collection[str]) -> LeftOut | None:
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
