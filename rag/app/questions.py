"""What the running app asks its questions of, what it reads ahead, and what the next one costs.

Only spare time goes into reading ahead. It does not begin while an answer, a sync or a download
is under way, gives way to whoever wants the model, and what it has computed by then stays. It
changes no answer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.answering.whole_document.scope import ReadingPace
from rag.errors import RagError, StoreError
from rag.generation.prompt import build_messages
from rag.models.planning.plan import reserve
from rag.text.language import detect_language
from rag.text.messages import Language, Text
from rag.types.answers import TypedDraft

if TYPE_CHECKING:
    from rag.answering.direct.answerer import DirectAnswerer
    from rag.answering.explain.explainer import Explainer
    from rag.answering.whole_document.asker import WholeDocumentAsker
    from rag.app.model_loader import ModelLoader
    from rag.app.model_plans import ModelPlans
    from rag.app.wiring import QuestionParts
    from rag.config import Settings
    from rag.models.planning.plan import Plan
    from rag.protocols import Cancelled, TextGenerator, VectorIndex
    from rag.storage.ledger import Ledger
    from rag.storage.vectors.manager import VectorIndexManager
    from rag.types.answers import AskMode, Event, Message, Usage
    from rag.types.hardware import MemoryReading


@dataclass(frozen=True, slots=True)
class Forecast:
    """An estimate for a question of the usual kind. ``bytes`` 0: all room is taken already."""

    tokens: int  # of the prompt: rules, passages, history
    window: int  # what the model reads at most, its answer included
    bytes: int
    fits: bool


class Forecaster:
    """Estimates from what is loaded. Cheap: only the rules are counted, once for each model."""

    def __init__(self, settings: Settings, plans: ModelPlans) -> None:
        self._settings = settings
        self._plans = plans
        self._rules: dict[str, int] = {}

    def next_question(
        self, model: TextGenerator | None, reading: MemoryReading, last: Usage | None
    ) -> Forecast | None:
        """Return what a question of ``retrieve.k`` passages costs; ``None`` without a model here.

        A chat that goes on costs what its last question did, at least.
        """
        if model is None or self._settings.generator.asked_server() is not None:
            return None
        rules = self._counted(model)
        if rules is None:
            return None
        settings = self._settings
        passages = settings.retrieve.k * settings.chunk.tokens
        answer = settings.generator.max_tokens
        tokens = max(rules + passages, last.prompt_tokens if last else 0)
        tokens = min(tokens, max(0, model.context_tokens - answer))
        plan = self._plans.loaded
        size = plan.question_bytes(tokens + answer) if plan else 0
        return Forecast(tokens, model.context_tokens, size, size <= _room(plan, reading))

    def _counted(self, model: TextGenerator) -> int | None:
        if model.name not in self._rules:
            try:
                self._rules[model.name] = model.count_tokens(build_messages("?", ()))
            except RagError:  # it is being unloaded
                return None
        return self._rules[model.name]


def _room(plan: Plan | None, reading: MemoryReading) -> int:
    """Return the memory that a question may take: of the cards that hold layers, or main memory."""
    layers = plan.layout.layers if plan else ()
    free = [
        max(0, gpu.free_bytes - reserve(gpu.total_bytes or 0))
        for place, gpu in enumerate(reading.gpus)
        if place < len(layers) and layers[place] and gpu.free_bytes is not None
    ]
    return sum(free) if free else max(0, reading.ram_total_bytes - reading.ram_used_bytes)


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


Wire = Callable[["VectorIndex", ReadingPace], "QuestionParts"]
"""Puts together what answers questions over the active index version."""


class Questions:
    """Answers over the index version that is active: put together once, not once a question."""

    def __init__(
        self,
        ledger: Ledger,
        index: VectorIndexManager,
        model: ModelLoader,
        *,
        wire: Wire,
        direct: DirectAnswerer,
    ) -> None:
        self._direct = direct
        self._ledger = ledger
        self._index = index
        self._model = model
        self._wire = wire
        self._pace = ReadingPace()
        self._parts: QuestionParts | None = None
        self._guard = threading.Lock()

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message],
        documents: Collection[str] | None,
        mode: AskMode,
        cancelled: Cancelled,
    ) -> Iterator[Event]:
        """Yield the events of one answer: by code where no model is needed, else by the asker.

        Raises:
            StoreError: the documents are asked, and nothing has been indexed yet.
        """
        if mode == "auto":
            said = self._direct.answer(question, documents, history=history, cancelled=cancelled)
            if said is not None:
                yield from said
                return
        yield from self.asker().ask(
            question, history=history, documents=documents, mode=mode, cancelled=cancelled
        )

    def asker(self) -> WholeDocumentAsker:
        """Return question answering, which waits for the model if it must.

        Raises:
            StoreError: nothing has been indexed yet.
        """
        return self._now().asker

    def _now(self) -> QuestionParts:
        """Return the parts for the index that is open; those of the last question if they are."""
        version = self._ledger.active_version()
        if version is None:
            raise _nothing_indexed()
        with self._guard:
            index, parts = self._index.for_reading(), self._parts
            if parts is None or parts.index is not index or parts.version != version:
                parts = self._parts = self._wire(index, self._pace)
            return parts

    def read_ahead(
        self,
        *,
        stopping: threading.Event,
        syncing: Callable[[], bool],
        asking: Callable[[], bool],
        on: bool,
    ) -> Prefetch:
        """Return what reads ahead for questions being typed, while neither of both is true."""

        def undisturbed() -> bool:
            return not (syncing() or self._model.progress or stopping.is_set())

        return Prefetch(
            PrefetchContext(
                model=lambda: self._model.wait(stopping.is_set),
                prompt=lambda draft, model: self.asker().ahead(draft, model),
                rules=lambda language: build_messages("", (), language=language),
                idle=lambda: undisturbed() and not asking(),
                undisturbed=undisturbed,
            ),
            stopping=stopping,
            on=on,
        )

    def explainer(self, *, with_model: bool) -> Explainer:
        """Return what says why a sentence did not reach an answer.

        ``with_model`` lets it count tokens with the model, if that is there.

        Raises:
            StoreError: nothing has been indexed yet.
        """
        return self._now().explainer(lambda: self._model.loaded if with_model else None)


def _nothing_indexed() -> StoreError:
    return StoreError(
        Text("Nothing has been indexed yet.", "还没有建立任何索引。"),
        hint=Text(
            "Add a PDF, or wait until the first one is read.",
            "请添加 PDF，或等待第一个文档读取完成。",
        ),
    )
