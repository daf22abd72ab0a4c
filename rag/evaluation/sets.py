"""Evaluation sets: a folder with PDFs and ``questions/*.jsonl``, one object a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from rag.errors import ConfigError
from rag.words import Text

MIN_EVIDENCE_OVERLAP = 0.8
"""Share of the evidence's words that must stand on the named page for the row to count."""

LeftOut = Literal["needs_vision", "no_text_layer", "evidence_not_on_page"]
TakenOut = Literal["", "document", "pages"]
"""What of ``documents[0]`` is hidden while the question is asked; then it has no answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """One row of a set. ``pages`` are physical and 1-based, and may be unknown (empty)."""

    id: str
    set: str  # the file's name without its ending
    language: str
    documents: tuple[str, ...]  # file names; the answer is in the first
    text: str
    answers: tuple[str, ...]  # any one is right
    pages: tuple[int, ...]
    answerable: bool
    kind: str = ""
    evidence: tuple[str, ...] = ()
    taken_out: TakenOut = ""

    def row(self) -> dict[str, Any]:
        """Return it as a line of a set's file."""
        return {
            "id": self.id,
            "set": self.set,
            "lang": self.language,
            "docs": list(self.documents),
            "question": self.text,
            "answers": list(self.answers),
            "pages_1based": list(self.pages),
            "answerable": self.answerable,
            "type": self.kind,
            "evidence": list(self.evidence),
            **({"taken_out": self.taken_out} if self.taken_out else {}),
        }


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


def question_of(row: Mapping[str, Any], *, name: str) -> Question:
    """Return what a line of a set's file holds.

    Raises:
        KeyError, TypeError, ValueError: it is no such line.
    """
    taken_out: TakenOut = row.get("taken_out") or ""
    if taken_out not in get_args(TakenOut):
        raise ValueError(f"taken_out is {taken_out!r}, neither document nor pages")
    return Question(
        id=str(row["id"]),
        set=name,
        language=str(row["lang"]),
        documents=tuple(row["docs"]),
        text=str(row["question"]),
        answers=tuple(str(answer) for answer in row["answers"]),
        pages=tuple(int(page) for page in row.get("pages_1based") or ()),
        answerable=bool(row.get("answerable", True)) and not taken_out,
        kind=str(row.get("type") or ""),
        evidence=tuple(str(text) for text in row.get("evidence") or ()),
        taken_out=taken_out,
    )


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
