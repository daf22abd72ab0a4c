"""The questions of the benchmark: passages of the shipped guide, the same ones for every row.

Passages were cut from the guide's PDFs as `rag sync` cuts them, and are kept here, so that a
run needs no library and compares with a run of last month.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ConfigError
from rag.generation.prompt import build_messages
from rag.text.messages import Text
from rag.types.answers import Message, Passage
from rag.types.documents import Chunk
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.indexing.questions.maker import Question


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question about passages. ``answers`` are known for short questions, any one right."""

    question: str
    passages: Sequence[Mapping[str, Any]]
    follow_up: str = ""
    answers: Sequence[str] = ()

    def shortened(self) -> Prompt:
        """Return the question over its first passage alone."""
        return replace(self, passages=self.passages[:1])

    def messages(self, *, mark: str = "") -> list[Message]:
        """Return the prompt as the app lays it out.

        ``mark`` goes before everything else: a prompt that begins otherwise finds nothing of
        an earlier one already computed.
        """
        return self._laid_out(self.question, mark=mark)

    def follow_up_messages(self, answer: str, *, mark: str = "") -> list[Message]:
        """Return the next turn of that conversation, over the same passages."""
        history = (Message("user", self.question), Message("assistant", answer))
        return self._laid_out(self.follow_up, history, mark=mark)

    def _laid_out(
        self, question: str, history: Sequence[Message] = (), *, mark: str
    ) -> list[Message]:
        passages = [_passage(number, values) for number, values in enumerate(self.passages)]
        first, *rest = build_messages(question, passages, history, at=0)
        content = f"{mark}\n{first.content}" if mark else first.content
        return [Message(first.role, content), *rest]


def speed_prompts() -> tuple[Prompt, ...]:
    """Return one prompt to warm up with, then others that share no passage."""
    return tuple(_prompt(row) for row in _rows("speed.jsonl"))


def quality_prompts(limit: int) -> tuple[Prompt, ...]:
    """Return at most ``limit`` short questions, English and Chinese, spread over all."""
    known = [_prompt(row) for row in _rows("questions.jsonl")]
    count = min(limit, len(known))
    return tuple(known[i * len(known) // count] for i in range(count))


def prompts_of_set(
    settings: Settings, folder: Path, limit: int, *, report: Callable[[Progress], None]
) -> Sequence[Prompt]:
    """Return at most ``limit`` short questions of a set, with the passages the app finds.

    Passages are found once; every row gets the same ones.

    Raises:
        ConfigError: the folder holds no question with a short answer.
    """
    from rag.evaluation.library import brought, opened

    chosen = _short(folder, limit)
    with opened(settings, folder, report=report) as (container, ledger):
        search = brought(folder, container, ledger, report).searching()
        return [
            Prompt(
                question.text,
                tuple(map(_values, search(question.text, settings.retrieve.k, None))),
                answers=question.answers,
            )
            for question in chosen
        ]


def _short(folder: Path, limit: int) -> list[Question]:
    """Return answerable questions with a short answer, spread over all sets."""
    from rag.evaluation.datasets import evenly, load_sets
    from rag.evaluation.scoring import short_answers

    known = [
        question
        for found in load_sets(folder)
        for question in found.questions
        if question.answerable and short_answers(question.answers)
    ]
    if not known:
        raise ConfigError(
            Text(
                f"{folder} has no question with a short answer.",
                f"{folder} 中没有答案简短的问题。",
            ),
            hint=Text(
                "Name a folder that `rag eval` reads, or leave --questions out.",
                "请指定 `rag eval` 能读取的文件夹，或去掉 --questions。",
            ),
        )
    return evenly(known, limit) if limit else []


def _values(passage: Passage) -> dict[str, Any]:
    """Return what a prompt keeps of a passage that was found."""
    return {
        "document": passage.document,
        "pages": [passage.chunk.first_page, passage.chunk.last_page],
        "text": passage.chunk.text,
        "context": passage.chunk.context,
    }


def _passage(number: int, values: Mapping[str, Any]) -> Passage:
    text, (first, last) = str(values["text"]), values["pages"]
    chunk = Chunk("", 0, len(text), first, last, text, context=str(values.get("context", "")))
    return Passage(number, chunk, str(values["document"]), str(values["document"]))


def _prompt(row: Mapping[str, Any]) -> Prompt:
    passages = [_guide()[name] for name in row["passages"]]
    return Prompt(row["question"], passages, row.get("follow_up", ""), row.get("answers", ()))


@cache
def _guide() -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in _rows("guide.jsonl")}


def _rows(name: str) -> list[dict[str, Any]]:
    text = (files("rag.benchmark") / name).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]
