"""What a person should know of an answer, told while it is being written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rag.text.messages import Text

NoticeKind = Literal["unsure", "lowered", "skipped", "raised", "heat"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence for the person who waits.

    ``anew`` says that the text so far is void: the answer begins again.
    """

    kind: NoticeKind
    text: Text
    step: str = ""  # a key of ``rag.ladder.STEPS``; "" for what is no step
    anew: bool = False


UNSURE = Notice(
    "unsure",
    Text(
        "Your documents may not hold the answer: the passages match the question only in part. "
        "Look at them before you rely on it.",
        "文档中可能没有答案：找到的段落只与问题部分相符。采用之前请先查看这些段落。",
    ),
)
"""Told before an answer whose passages are neither clearly right nor clearly wrong."""
