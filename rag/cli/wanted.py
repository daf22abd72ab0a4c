"""What ``rag eval`` is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ConfigError
from rag.words import Text

if TYPE_CHECKING:
    from rag.evaluation.answers import AnswerFigures
    from rag.evaluation.runs import Comparison, Run


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured, and what is made of it."""

    folder: Path | None = None
    beir: bool = False
    squad: Path | None = None
    questions: Path | None = None
    sets: tuple[str, ...] = ()  # none named: all
    limit: int = 20  # answers a set
    single: bool = False
    answers: bool = True
    own: bool = False
    size: int = 100  # questions made
    seed: int = 1
    rephrase: bool = False
    write: Path | None = None
    compare: bool = False
    against: str = ""
    name: str = ""

    @property
    def compares(self) -> bool:
        """Whether an earlier run is looked at."""
        return self.compare or bool(self.against)

    @property
    def source(self) -> Path:
        """The folder or file that is measured.

        Raises:
            ConfigError: nothing is named.
        """
        found = self.squad or self.folder
        if found is None:
            raise ConfigError(
                Text("Nothing is named to be measured.", "没有指定评测集。"),
                hint=Text(
                    "Name a folder with PDFs and questions/*.jsonl, a file with --squad, or --own"
                    " for your own documents.",
                    "请给出包含 PDF 和 questions/*.jsonl 的文件夹，用 --squad 指定文件，"
                    "或用 --own 评测你自己的文档。",
                ),
            )
        return found


@dataclass(frozen=True, slots=True)
class Measured:
    """A run with what is shown beside it."""

    run: Run
    space: Mapping[str, Any]
    model: str | None
    comparison: Comparison | None = None
    answered: Sequence[AnswerFigures] = ()
    number: int = 0  # of the run in the ledger
    unkept: Text | None = None  # why it could not be written there
