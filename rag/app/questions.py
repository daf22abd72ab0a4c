"""What the running app asks its questions of: the library as it is now, and the model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from rag.answering.whole_document.scope import ReadingPace
from rag.app.forecast import Forecast, Forecaster
from rag.app.prefetch import Prefetch, PrefetchContext
from rag.errors import StoreError
from rag.generation.prompt import build_messages
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.answering.explain.explainer import Explainer
    from rag.answering.whole_document.asker import WholeDocumentAsker
    from rag.app.model_loader import ModelLoader
    from rag.app.wiring import QuestionParts
    from rag.protocols import VectorIndex
    from rag.storage.ledger import Ledger
    from rag.storage.vectors.manager import VectorIndexManager
    from rag.types.answers import Usage
    from rag.types.hardware import MemoryReading


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
        forecaster: Forecaster,
    ) -> None:
        self._ledger = ledger
        self._index = index
        self._model = model
        self._wire = wire
        self._forecaster = forecaster
        self._pace = ReadingPace()
        self._parts: QuestionParts | None = None
        self._guard = threading.Lock()

    def asker(self) -> WholeDocumentAsker:
        """Return question answering, which waits for the model if it must.

        Raises:
            StoreError: nothing has been indexed yet.
        """
        return self._now().asker

    def _now(self) -> QuestionParts:
        """Return the parts for the index that is open; those of the last question if they are."""
        version = self._ledger.active_space()
        if version is None:
            raise _nothing_indexed()
        with self._guard:
            index, parts = self._index.for_reading(), self._parts
            if parts is None or parts.index is not index or parts.version != version:
                parts = self._parts = self._wire(index, self._pace)
            return parts

    def forecast(self, reading: MemoryReading, last: Usage | None) -> Forecast | None:
        """Return what the next question costs; ``None`` while no model is loaded here."""
        return self._forecaster.next_question(self._model.loaded, reading, last)

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
