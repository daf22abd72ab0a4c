"""What the app says of itself; the words stand in ``app_words.toml``."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.retrieval.query.question_kind import AppTopic, Talk


def talk(kind: Talk) -> Text:
    """Return the reply to a greeting, thanks or the like."""
    return Text(**_words()["talk"][kind])


def about_app(topic: AppTopic, *, model: str, folder: str, leaves: Text) -> Text:
    """Return what to say of a topic.

    ``leaves`` says what leaves this computer.
    """
    words = _words()["app"][topic]
    return Text(
        words["en"].format(model=model, folder=folder, leaves=leaves.en),
        words["zh"].format(model=model, folder=folder, leaves=leaves.zh),
    )


@cache
def _words() -> dict[str, dict[str, dict[str, str]]]:
    return tomllib.loads(
        files("rag.answering.direct").joinpath("app_words.toml").read_text("utf-8")
    )
