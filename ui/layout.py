"""The screen in Gradio: which components there are, and which handler each event calls.

No logic lives here: handlers give screens, views draw them. What the page knows by itself
(language, picked documents) is the first input of each event.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import gradio as gr

from rag.errors import RagError
from rag.text.messages import Language
from rag.types.answers import TypedDraft
from ui.handlers import opened, respond
from ui.opening import frame_html
from ui.tabs import Screen, Sessions, client_of, history_of, take, upload_folder
from ui.views.chat import live_html, talk_html
from ui.views.library import added_html, landing_html
from ui.words import say

if TYPE_CHECKING:
    from rag.app.app import App


QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
"""An answer under way must not hold these up, nor they the answer."""
MAX_QUESTION = 8000  # characters; what the model can take is checked, and told, by the app
FRAME_JS = "ragdesk.frame(element)"
DRAWN_JS = "ragdesk.watch(element, watch)"


REFUSED = "Only files that were dropped onto the page are taken."


class ScreenPage(gr.Blocks):  # type: ignore[misc]  # Gradio has no types
    """A page whose requests name no files but those that lie in ``uploads``."""

    def __init__(self, *, uploads: Path, **options: Any) -> None:
        super().__init__(**options)
        # Gradio looks where a file lies only if ``launch`` started the page, and it was mounted
        self.has_launched = True
        self._uploads = uploads.resolve()

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *state: Any, **options: Any
    ) -> list[Any]:
        """Turn what the browser sent into what the handler takes; every request comes by here.

        Raises:
            gr.Error: a value names a file that may not be taken.
        """
        for place, value in enumerate(inputs):
            drops = place < len(block_fn.inputs) and isinstance(
                block_fn.inputs[place], gr.UploadButton
            )
            if any(not (drops and self._was_dropped(path)) for path in _paths(value)):
                raise gr.Error(REFUSED, print_exception=False)  # forged: no bug of ours
        made: list[Any] = await super().preprocess_data(block_fn, inputs, *state, **options)
        return made

    def _was_dropped(self, path: object) -> bool:
        """Return whether ``path`` lies in the upload folder; a URL lies in no folder."""
        try:
            return isinstance(path, str) and Path(path).resolve().is_relative_to(self._uploads)
        except (OSError, ValueError):  # no name that a file could have
            return False


def _paths(value: object) -> Iterator[object]:
    """Yield every ``path`` in a value, however deep."""
    if isinstance(value, dict):
        if "path" in value:
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _paths(item)


def build(app: App) -> gr.Blocks:
    """Return the whole page for ``app``."""
    uploads = upload_folder(app.settings)
    with ScreenPage(
        uploads=uploads, title="RAG Desk", analytics_enabled=False, fill_width=True
    ) as page:
        parts = _parts()
        _wire(page, parts, Events(app))
    return page


def _html(value: str = "", *, name: str, script: str | None = None) -> Any:
    return gr.HTML(value, elem_id=name, js_on_load=script, apply_default_css=False)


def _parts() -> SimpleNamespace:
    """Return the components that events read or write."""
    parts = SimpleNamespace(
        client=gr.JSON(visible=False),
        screen=gr.State(Screen()),
        switch=gr.Button("", elem_id="switch-language", visible="hidden"),
        open_chat=gr.Button("", elem_id="open-chat", visible="hidden"),
        typed=gr.Button("", elem_id="typed", visible="hidden"),
    )
    with gr.Column(elem_id="left", min_width=0):
        _html(frame_html("brand"), name="brand")
        parts.new = gr.Button("", elem_id="new")
        _html(frame_html("library"), name="library", script=FRAME_JS)
        parts.added = _html(name="added", script=DRAWN_JS)
        parts.upload = gr.UploadButton(
            "", file_types=[".pdf"], file_count="multiple", elem_id="upload"
        )
        parts.landing = _html(name="landing")
    with gr.Column(elem_id="middle", min_width=0):
        _html(frame_html("top"), name="top", script=FRAME_JS)
        with gr.Column(elem_id="talk", min_width=0):
            parts.talk = _html(name="turns", script=DRAWN_JS)
            parts.live = _html(name="live", script=DRAWN_JS)
        with gr.Row(elem_id="ask"):
            parts.question = gr.Textbox(
                elem_id="question",
                max_lines=8,
                max_length=MAX_QUESTION,
                show_label=False,
                container=False,
            )
            parts.send = gr.Button("", elem_id="send", min_width=0)
            parts.stop = gr.Button("", elem_id="stop", min_width=0)
    with gr.Column(elem_id="right", min_width=0):
        _html(frame_html("evidence"), name="evidence", script=FRAME_JS)
    _html(frame_html("strip"), name="strip", script=FRAME_JS)
    return parts


def _wire(page: gr.Blocks, parts: SimpleNamespace, events: Events) -> None:
    _wire_conversation(parts, events)
    parts.upload.upload(
        events.add,
        [parts.client, parts.upload],
        [parts.added],
        js=_with_client(2),
        preprocess=False,  # keeps the name the person gave; Gradio's own drops characters
        concurrency_limit=None,
        **QUIET,
    )
    spoken = [parts.new, parts.upload, parts.landing, parts.question, parts.send, parts.stop]
    for listen in (page.load, parts.switch.click):
        listen(
            events.speak,
            [parts.client, parts.screen],
            [*spoken, parts.talk, parts.live, parts.added],
            js=_with_client(2),
            **AT_ONCE,
        )
    page.unload(events.leave)


def _wire_conversation(parts: SimpleNamespace, events: Events) -> None:
    shown = [parts.screen, parts.talk, parts.live, parts.question]
    asked = [parts.client, parts.question, parts.screen]
    parts.send.click(
        events.answer,
        asked,
        shown,
        js=_with_client(3),
        # answers take turns in handlers.respond, where waiting is seen and can be stopped
        concurrency_limit=None,
        trigger_mode="multiple",  # "once" would lose a question asked right after New chat
        **QUIET,
    )
    # Not by ``cancels``: closing a generator that is inside the engine holds a lock of
    # Gradio's for as long as the engine is busy; ours ends by itself within ``TICK_S``.
    parts.stop.click(events.stop, None, None, **AT_ONCE)
    for button, event in ((parts.open_chat, events.open), (parts.new, events.fresh)):
        button.click(event, [parts.client], shown, js=_with_client(1), **AT_ONCE)
    parts.typed.click(events.typed, asked, js=_with_client(3), trigger_mode="multiple", **AT_ONCE)


def _with_client(count: int) -> str:
    """Return the script that fills the first of ``count`` inputs with the page's own state."""
    return f"(...sent) => [ragdesk.client(), ...sent.slice(1, {count})]"


class Events:
    """What happens on each event. Holds nothing that belongs to one tab."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._sessions = Sessions()
        self._uploads = upload_folder(app.settings)

    def answer(
        self, sent: object, text: str, now: Screen, request: gr.Request
    ) -> Iterator[tuple[object, ...]]:
        """Stream screens; the question's field is cleared by the first of them."""
        skip = gr.skip()
        if not text.strip():
            yield now, skip, skip, skip
            return
        session = str(request.session_hash)
        ticket = self._sessions.ticket(session)
        now = Screen(
            now.turns, chat=now.chat
        )  # an answer that was cut off by a lost connection is dropped
        shown, field = None, ""
        try:
            for after in respond(
                self._app,
                now,
                text.strip(),
                documents=client_of(sent).documents,
                mode=client_of(sent).mode,
                ticket=ticket,
            ):
                language = self._sessions.language(session)
                drawn = (after.turns, after.live is None, language)
                talk = skip if drawn == shown else talk_html(after, language)
                yield after, talk, live_html(after, language), field
                shown, field = drawn, skip
        finally:
            ticket.stop()

    def typed(self, sent: object, text: str | None, now: Screen) -> None:
        """Tell the app what is being typed; a field that was just emptied may hold ``None``."""
        client = client_of(sent)
        self._app.typed(
            TypedDraft(
                (text or "").strip(),
                history=tuple(history_of(now.turns)),
                documents=client.documents,
                mode=client.mode,
                language=client.language,
            )
        )

    def stop(self, request: gr.Request) -> None:
        """Stop what this tab is asking."""
        self._sessions.stop(str(request.session_hash))

    def fresh(self, sent: object, request: gr.Request) -> tuple[object, ...]:
        """Begin a new conversation; an answer under way ends with an empty screen by itself."""
        if self._sessions.discard(str(request.session_hash)):
            return (gr.skip(),) * 4
        empty = Screen()
        return empty, talk_html(empty, client_of(sent).language), "", ""

    def open(self, sent: object, request: gr.Request) -> tuple[object, ...]:
        """Show a kept chat, to be read again and gone on with."""
        client = client_of(sent)
        if client.chat is None or self._sessions.discard(str(request.session_hash)):
            return (gr.skip(),) * 4
        try:
            screen = opened(self._app, client.chat)
        except RagError as error:
            gr.Warning(error.message.say(client.language))
            return (gr.skip(),) * 4
        return screen, talk_html(screen, client.language), "", ""

    def add(self, sent: object, files: object, request: gr.Request) -> str:
        """Hand dropped files to the app and say what became of each."""
        language = client_of(sent).language
        self._sessions.speak(str(request.session_hash), language)
        return added_html(take(self._app, files, folder=self._uploads), language)

    def speak(self, sent: object, now: Screen, request: gr.Request) -> tuple[object, ...]:
        """Say everything in the page's language."""
        language: Language = client_of(sent).language
        self._sessions.speak(str(request.session_hash), language)
        # an answer under way redraws itself; what is drawn here could come after its end
        conversation = (
            (gr.skip(), gr.skip())
            if now.live
            else (talk_html(now, language), live_html(now, language))
        )
        return (
            gr.update(value=say("new_chat", language)),
            gr.update(label=say("choose_files", language)),
            landing_html(Path(self._app.settings.knowledge), language, self._app.state().server),
            gr.update(
                placeholder=say("ask_placeholder", language), label=say("ask_label", language)
            ),
            gr.update(value=say("send", language)),
            gr.update(value=say("stop", language)),
            *conversation,
            "",
        )

    def leave(self, request: gr.Request) -> None:
        """Stop working for a tab that was closed."""
        self._sessions.close(str(request.session_hash))
