"""What the page asks for by itself: state, documents, pages, kept chats, the machine.

The state is polled here rather than through Gradio's timer: one small request a second that
passes no queue, stops while the tab is hidden, and notices when the program has ended.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Body, HTTPException, Path, Query, Response
from fastapi.responses import FileResponse
from pydantic import StringConstraints

from rag.answering.explain.values import SentenceQuestion
from rag.errors import IngestError, RagError, UnknownDocument
from rag.text.messages import Language
from rag.types.answers import Message
from ui.views.chat import MAX_SENTENCE, chats_html, why_html
from ui.views.library import forgotten_html, kept_html, library, sync_html, totals_words
from ui.views.machine import SPAN_S, machine_html, strip_html
from ui.words import for_page, say

if TYPE_CHECKING:
    from rag.app.app import App


_ID = r"^[0-9a-f]{8,64}$"
Ids = Annotated[list[Annotated[str, Body(pattern=_ID)]], Body(max_length=5000)]
Spoken = Annotated[Language, Body()]
PostedId = Annotated[str, Body(pattern=_ID)]
PickedId = Annotated[str, StringConstraints(pattern=_ID)]
DocumentId = Annotated[str, Path(pattern=_ID)]
Page = Annotated[int, Path(ge=1, le=1_000_000)]
Question = Annotated[str, StringConstraints(max_length=100_000)]


def add_chats(router: APIRouter, app: App) -> None:
    """Add the routes. A chat is opened through Gradio, which holds the conversation."""

    @router.get("/chats")
    def listed(language: Language = "en") -> dict[str, object]:
        chats = app.chats.all()
        return {"html": chats_html(chats, language, now=time.time()), "count": len(chats)}

    @router.post("/chats/delete")
    def delete(chats: Annotated[list[int], Body()], language: Spoken) -> dict[str, str]:
        return _note(lambda: app.chats.delete(chats), language)

    @router.post("/absent")
    def absent(documents: Ids, language: Spoken) -> dict[str, str]:
        found = app.chats.absent(documents)
        return {document: say(f"absent_{how}", language) for document, how in found.items()}


_NAME = re.compile(r"\d{8}-\d{6}")


def add_machine(router: APIRouter, app: App) -> None:
    """Add the routes. The panel is asked for once a second, and only while it is open."""
    folder = app.settings.data / "reports"

    @router.get("/machine")
    def machine(language: Language = "en") -> dict[str, str]:
        return {"html": machine_html(app.state(), app.machine.history(SPAN_S), language)}

    @router.post("/machine/report")
    def report(language: Annotated[Language, Body(embed=True)]) -> dict[str, str]:
        name = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}"
        try:
            made = app.machine.report(folder / name)
        except RagError as error:
            return {"note": error.say(language), "picture": ""}
        picture = f"/app/machine/{name}.png" if "report.png" in made["files"] else ""
        note = say("machine_reported", language, folder=str(folder / name))
        return {"note": note, "picture": picture}

    @router.get("/machine/{name}.png")
    def picture(name: str) -> Response:
        file = folder / name / "report.png"
        if not _NAME.fullmatch(name) or not file.is_file():
            raise HTTPException(404)
        return FileResponse(file, media_type="image/png")


MAX_WIDTH = 2400  # pixels; a page at three times its size on a large screen
UNKEPT = "private, no-store"  # no page of a document stays behind in the browser's cache

Find = Annotated[str, Query(max_length=200)]
Width = Annotated[int, Query(ge=64, le=MAX_WIDTH)]


def app_router(app: App) -> APIRouter:
    """Return the routes below ``/app``; none of them waits for the model."""
    router = APIRouter(prefix="/app")
    _add_assets(router)
    _add_pages(router, app)
    _add_state(router, app)
    _add_changes(router, app)
    _add_why(router, app)
    add_chats(router, app)
    add_machine(router, app)
    return router


def _add_assets(router: APIRouter) -> None:
    script = f"window.ragdeskWords = {json.dumps(for_page(), ensure_ascii=False)};"

    @router.get("/words.js")
    def words() -> Response:
        return Response(script, media_type="text/javascript; charset=utf-8")

    @router.get("/opening")
    def opening() -> Response:
        return Response(status_code=204)  # a page that was opened too early may load anew


def _add_pages(router: APIRouter, app: App) -> None:
    @router.get("/page/{document_id}/{page}.png")
    def page_image(document_id: DocumentId, page: Page, width: Width = 900) -> Response:
        try:
            image = app.page_image(document_id, page=page, width=width)
        except (UnknownDocument, IngestError) as error:
            raise HTTPException(404, str(error.message)) from error
        return Response(image, media_type="image/png", headers={"Cache-Control": UNKEPT})


def _add_state(router: APIRouter, app: App) -> None:
    boot = secrets.token_hex(8)  # tells a page that the program was restarted

    @router.get("/state")
    def state(language: Language = "en") -> dict[str, object]:
        now = app.state()
        return {
            "boot": boot,
            "revision": now.documents_revision,
            "chats": app.chats.stamp(),
            "strip": strip_html(now, language),
            "sync": sync_html(now, language),
        }

    @router.get("/library")
    def listed(language: Language = "en", find: Find = "") -> dict[str, object]:
        revision = app.state().documents_revision  # first: a change in between is seen later
        try:
            documents = app.documents()
            shown = library(documents, find=find, language=language)
            kept = kept_html(app.kept_index(), language)
        except RagError as error:
            raise HTTPException(503, error.say(language)) from error
        short, long = totals_words(shown, language)
        return {
            "revision": revision,
            "older": sorted(app.older()),
            "html": shown.html,
            "more": forgotten_html(documents, language) + kept,
            "documents": shown.documents,
            "totals": short if shown.documents else "",
            "totals_title": long,
        }


def _add_changes(router: APIRouter, app: App) -> None:
    """Add what changes the library. The page sees what came of it when it next looks."""

    @router.post("/rebuild", status_code=204)
    def rebuild() -> None:
        app.rebuild_soon()

    @router.post("/roll-back", status_code=204)
    def roll_back() -> None:
        app.roll_back_soon()

    @router.post("/forget")
    def forget(
        document: PostedId,
        language: Spoken,
    ) -> dict[str, object]:
        note = _note(lambda: app.forget(document), language)
        return {**note, "chats": [] if note["note"] else app.chats.citing(document)}

    @router.post("/remember")
    def remember(
        path: Annotated[str, Body(min_length=1, max_length=4096)],
        language: Spoken,
    ) -> dict[str, str]:
        return _note(lambda: app.remember(path), language)

    @router.post("/unlock")
    def unlock(
        document: PostedId,
        password: Annotated[str, Body(max_length=500)],
        remember: Annotated[bool, Body()],
        language: Spoken,
    ) -> dict[str, object]:
        try:
            note = app.unlock(document, password, remember=remember)
        except RagError as error:
            return {"opened": False, "note": error.message.say(language)}
        return {"opened": True, "note": note.say(language) if note else ""}


def _add_why(router: APIRouter, app: App) -> None:
    @router.post("/why")
    def why(
        asked: Annotated[list[Question], Body(min_length=1, max_length=200)],
        sentence: Annotated[str, Body(min_length=1, max_length=MAX_SENTENCE)],
        documents: Annotated[list[PickedId], Body(max_length=100_000)],
        language: Spoken,
    ) -> dict[str, str]:
        """Take what was asked, the question meant last; say what became of the sentence."""
        *before, question = asked
        history = tuple(Message("user", earlier) for earlier in before)
        scope = tuple(documents) or None
        try:
            found = app.why(SentenceQuestion(question, sentence, documents=scope, history=history))
        except RagError as error:
            return {"note": error.say(language), "html": ""}
        return {"note": "", "html": why_html(found, language)}


def _note(change: Callable[[], None], language: Language) -> dict[str, str]:
    """Return why a change could not be made; nothing if it was."""
    try:
        change()
    except RagError as error:
        return {"note": error.say(language)}
    return {"note": ""}
