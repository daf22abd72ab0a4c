"""The addresses of kept chats: their list, deleting, and which documents are gone."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Body

from rag.errors import RagError
from rag.text.messages import Language
from ui.seam import DeskLike
from ui.views_chats import chats_html
from ui.words import say

_IDS = 5000  # documents asked about at once

Ids = Annotated[list[Annotated[str, Body(pattern=r"^[0-9a-f]{8,64}$")]], Body(max_length=_IDS)]


def add_chats(router: APIRouter, desk: DeskLike) -> None:
    """Add the routes. A chat is opened through Gradio, which holds the conversation."""

    @router.get("/chats")
    def listed(language: Language = "en") -> dict[str, object]:
        chats = desk.chats.all()
        return {"html": chats_html(chats, language, now=time.time()), "count": len(chats)}

    @router.post("/chats/delete")
    def delete(
        chats: Annotated[list[int], Body()], language: Annotated[Language, Body()]
    ) -> dict[str, str]:
        try:
            desk.chats.delete(chats)
        except RagError as error:
            return {"note": error.say(language)}
        return {"note": ""}

    @router.post("/absent")
    def absent(documents: Ids, language: Annotated[Language, Body()]) -> dict[str, str]:
        found = desk.chats.absent(documents)
        return {document: say(f"absent_{how}", language) for document, how in found.items()}
