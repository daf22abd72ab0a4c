"""Questions of a set for ``rag bench``: passages are found once, every row gets the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rag.cli.context import Context
from rag.errors import ConfigError
from rag.words import Text

if TYPE_CHECKING:
    from rag.benchmark.prompts import Prompt
    from rag.evaluation.sets import Question


def prompts_of_set(context: Context, folder: Path, *, limit: int) -> Sequence[Prompt]:
    """Return at most ``limit`` short questions of a set, with the passages the app finds.

    Raises:
        ConfigError: the folder holds no question with a short answer.
    """
    from rag.benchmark.prompts import Prompt, passage_values
    from rag.cli.measuring import brought, opened
    from rag.evaluation.measuring import searching

    chosen = _short(folder, limit)
    with opened(context, folder) as (factory, ledger, report):
        bench = brought(folder, factory, ledger, report)
        search = searching(bench.factory, bench.ledger, bench.engines)
        k = context.settings.retrieve.k
        return [
            Prompt(
                question.text,
                tuple(map(passage_values, search(question.text, k, None))),
                answers=question.answers,
            )
            for question in chosen
        ]


def _short(folder: Path, limit: int) -> list[Question]:
    """Return answerable questions with a short answer, spread over all sets."""
    from rag.evaluation.answers import SHORT, evenly
    from rag.evaluation.scoring import tokens
    from rag.evaluation.sets import load_sets

    known = [
        question
        for found in load_sets(folder)
        for question in found.questions
        if question.answerable and any(0 < len(tokens(a)) <= SHORT for a in question.answers)
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
