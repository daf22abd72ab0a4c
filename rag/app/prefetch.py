"""Reads ahead: what a question will need is computed while it is still being typed.

Only spare time goes into it. It does not begin while an answer, a sync or a download is under
way, gives way to whoever wants the model, and what it has computed by then stays. It changes
no answer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.errors import RagError
from rag.text.language import detect_language
from rag.text.messages import Language
from rag.types.answers import TypedDraft

if TYPE_CHECKING:
    from rag.protocols import TextGenerator
    from rag.types.answers import Message


logger = logging.getLogger(__name__)
_POLL_S = 0.1


Prompt = Callable[[TypedDraft, "TextGenerator"], Sequence["Message"] | None]
"""What the model would read if the draft were asked now; ``None`` if that cannot be told."""


@dataclass(frozen=True, slots=True)
class PrefetchContext:
    """What reading ahead asks of the app around it."""

    model: Callable[[], TextGenerator | None]  # waits; ``None`` once the app ends
    prompt: Prompt
    rules: Callable[[Language], Sequence[Message]]  # what every prompt begins with
    idle: Callable[[], bool]  # no answer, sync or download is under way
    undisturbed: Callable[[], bool]  # no sync or download has begun, and the app goes on


class Prefetch:
    """Takes drafts from any thread, and works on the newest of them in its own."""

    def __init__(
        self, around: PrefetchContext, *, stopping: threading.Event, on: bool = True
    ) -> None:
        self._around = around
        self._stopping = stopping
        self._changed = threading.Event()
        self._draft: TypedDraft | None = None
        self._on = on
        self._read_before = False  # then rules alone would take more from the cache than they add
        self.busy = False

    def typed(self, draft: TypedDraft) -> None:
        """Take what is typed by now; what was being read for an earlier draft gives way."""
        self._draft = draft
        self._changed.set()

    def asked(self) -> None:
        """Hear that a question is asked: its own prompt is read now, and drafts are past."""
        self._read_before = True
        self._draft = None

    def run(self) -> None:
        """Read until told to stop; returns at once if switched off or without a model."""
        if not self._on:
            return
        try:
            model = self._around.model()
        except RagError:
            return  # the screen says why
        while model is not None and not self._stopping.is_set():
            if not self._changed.wait(_POLL_S):
                continue
            if self._draft is not None and not self._around.idle():
                self._stopping.wait(_POLL_S)  # the draft waits for its time
                continue
            self._changed.clear()
            if (draft := self._draft) is not None:
                self._read(draft, model)

    def _read(self, draft: TypedDraft, model: TextGenerator) -> None:
        self.busy = True
        try:
            messages = self._messages(draft, model)
            if messages is not None and draft is self._draft:
                model.prepare(messages, cancelled=lambda: self._unwanted(draft))
                self._read_before = True
        except RagError as error:  # it would come again with the question, and be told then
            logger.info("not read ahead: %s", error.message.en)
        finally:
            self.busy = False
        if draft is self._draft and not self._around.undisturbed():
            self._changed.set()  # go on when it is quiet again

    def _messages(self, draft: TypedDraft, model: TextGenerator) -> Sequence[Message] | None:
        """Return what to compute: the prompt, or, where nothing was read before, the rules."""
        found = self._around.prompt(draft, model) if draft.question else None
        if found or self._read_before:
            return found
        return self._around.rules(
            detect_language(draft.question) if draft.question else draft.language
        )

    def _unwanted(self, draft: TypedDraft) -> bool:
        return draft is not self._draft or not self._around.undisturbed()
