"""What an answer does differently because of the machine, told while it is being written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rag.words import Text

NoticeKind = Literal["lowered", "skipped", "raised", "heat"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence for the person who waits.

    ``anew`` says that the text so far is void: the answer begins again.
    """

    kind: NoticeKind
    text: Text
    step: str = ""  # a key of ``rag.ladder.STEPS``; "" for what is no step
    anew: bool = False
