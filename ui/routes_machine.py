"""The addresses of the machine panel: its content, and the report."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Response
from fastapi.responses import FileResponse

from rag.errors import RagError
from rag.text.messages import Language
from ui.seam import DeskLike
from ui.views_machine import SPAN_S, machine_html
from ui.words import say

_NAME = re.compile(r"\d{8}-\d{6}")


def add_machine(router: APIRouter, desk: DeskLike) -> None:
    """Add the routes. The panel is asked for once a second, and only while it is open."""
    folder = desk.settings.data / "reports"

    @router.get("/machine")
    def machine(language: Language = "en") -> dict[str, str]:
        return {"html": machine_html(desk.state(), desk.machine.history(SPAN_S), language)}

    @router.post("/machine/report")
    def report(language: Annotated[Language, Body(embed=True)]) -> dict[str, str]:
        name = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}"
        try:
            made = desk.machine.report(folder / name)
        except RagError as error:
            return {"note": error.say(language), "picture": ""}
        picture = f"/desk/machine/{name}.png" if "report.png" in made["files"] else ""
        note = say("machine_reported", language, folder=str(folder / name))
        return {"note": note, "picture": picture}

    @router.get("/machine/{name}.png")
    def picture(name: str) -> Response:
        file = folder / name / "report.png"
        if not _NAME.fullmatch(name) or not file.is_file():
            raise HTTPException(404)
        return FileResponse(file, media_type="image/png")
