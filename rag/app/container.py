"""The composition root: builds parts from settings, out of the table in ``rag.app.registry``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rag.answering.oom_fallback import OutOfMemoryFallback
from rag.answering.prompt_reuse import PromptReuse
from rag.app.model_plans import ChosenGenerator, ModelPlans
from rag.app.registry import load, without_weights
from rag.app.search_models import SearchModels, embedder_id
from rag.errors import DownloadFailed, StoreError
from rag.protocols import Movable
from rag.text.messages import Text
from rag.types.documents import IndexVersion
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.ingestion.workers.pool import WorkerPool
    from rag.models.catalogue import Entry
    from rag.models.store import ModelStore
    from rag.protocols import (
        Allocator,
        Analyser,
        Chunker,
        Embedder,
        GpuReadings,
        Reranker,
        TextGenerator,
    )
    from rag.retrieval.retriever import Baselines
    from rag.retrieval.terms.second_reading import Terms
    from rag.storage.ledger import Ledger
    from rag.types.hardware import MemoryReading


logger = logging.getLogger(__name__)
Report = Callable[[Progress], None]


class Container:
    """Builds parts from settings, each at most once. Safe to use from several threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        report: Report = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """``report`` and ``cancelled`` are for downloads and loading."""
        self.settings = settings
        self._report = report
        self._cancelled = cancelled
        self._pool: WorkerPool | None = None
        self._guard = threading.Lock()  # of the pool; pages are drawn while a model loads
        self._analyser: Analyser | None = None
        self.fallback = OutOfMemoryFallback(
            empty=lambda: load("allocator")().empty(), movable=self.movable
        )
        """What is given up when memory runs out; outlives questions."""
        self.continuing = PromptReuse()
        self.plans = ModelPlans(settings, self.model_store, self._reading)
        self.search_models = SearchModels(
            settings,
            store=self.model_store,
            plans=self.plans,
            reading=self._reading,
            weights=self.weights,
            report=report,
        )
        self.baselines: dict[int, Baselines] = {}
        """By space: what retrievers have in common, each question being wired anew."""

    @property
    def analyser(self) -> Analyser:
        """Turns text into index terms; loaded when it is first asked for."""
        if self._analyser is None:
            self._analyser = load("analyser")()
        return self._analyser

    @cached_property
    def terms(self) -> Terms:
        """The terms of a trade that questions are searched for by; files in error are left out."""
        from rag.retrieval.terms.files import load_term_files
        from rag.retrieval.terms.second_reading import Terms

        files = load_term_files(self.settings.retrieve.terms)
        for error in files.left_out:
            logger.warning("left out: %s", error.message.en)
        return Terms(files.used)

    # -- models ----------------------------------------------------------------------------

    def model_store(self) -> ModelStore:
        """Return the place where weights are kept."""
        from rag.models.store import ModelStore

        return ModelStore.of(self.settings.models)

    def weights(self, name: str) -> Path:
        """Return where a model's files are; downloaded first if need be."""
        return self.model_store().pull(name, progress=self._report, cancelled=self._cancelled)

    def embedder(self, name: str) -> Embedder:
        """Return the embedder of a catalogue name, loaded; downloaded first if need be."""
        return self.search_models.embedder(name)

    def reranker(self) -> Reranker | None:
        """Return the model that reorders passages, loaded; ``None`` where the settings name none.

        Raises:
            UnknownModel: there is none of that name.
            ConfigError: the name is that of another kind of model.
            ModelError: it cannot be loaded.
        """
        return self.search_models.reranker()

    def entry(self, name: str) -> Entry:
        """Return the catalogue's entry.

        Raises:
            UnknownModel: there is none.
        """
        from rag.models.catalogue import load_catalogue

        return load_catalogue().get(name)

    def embedder_id(self, entry: Entry) -> str:
        """Return an embedder's name and bytes; see ``rag.app.search_models.embedder_id``."""
        return embedder_id(self.model_store(), entry)

    def generator(self, cancelled: Callable[[], bool] | None = None) -> TextGenerator:
        """Load the language model that the settings name; download it first if need be."""
        chosen = self.chosen_generator()
        ready = without_weights(chosen.engine, self.settings.generator)
        if ready is not None:
            return ready
        self.plans.options(chosen.named, chosen.engine)  # before 26 GB are downloaded
        chosen, path = self._generator_weights(chosen, cancelled or self._cancelled)
        self._report(Progress("load", item=chosen.model))
        options = self.plans.options(chosen.named, chosen.engine)
        built: TextGenerator = load(chosen.engine).load(path, name=chosen.model, **options)
        return built

    def _generator_weights(
        self, chosen: ChosenGenerator, cancelled: Callable[[], bool]
    ) -> tuple[ChosenGenerator, Path]:
        """Download what is missing. What nobody chose by name gives way to what can be had."""
        from rag.models.download import DownloadCancelled
        from rag.models.planning.subjects import CPU_GENERATOR

        if chosen.path is not None:
            return chosen, chosen.path
        store = self.model_store()
        try:
            path = store.pull(chosen.model, progress=self._report, cancelled=cancelled)
        except DownloadCancelled:
            raise
        except DownloadFailed:
            if self.settings.generator.model != "auto" or chosen.model == CPU_GENERATOR:
                raise
            logger.warning("%s cannot be downloaded; using %s", chosen.model, CPU_GENERATOR)
            chosen = ChosenGenerator(CPU_GENERATOR, store.catalogue.get(CPU_GENERATOR).engine)
            path = store.pull(chosen.model, progress=self._report, cancelled=cancelled)
        return chosen, path

    def chosen_generator(self) -> ChosenGenerator:
        """Return which model answers; see ``rag.app.model_plans.chosen_generator``."""
        return self.plans.chosen()

    def _reading(self) -> MemoryReading:
        return self.readings().read()

    def chunker(self, embedder: Embedder, space: IndexVersion | None = None) -> Chunker:
        """Return the chunker of the settings, or the one that a space was cut with."""
        chunk = self.settings.chunk
        tokens, overlap = chunk.tokens, chunk.overlap
        if space is not None:
            _, size, shared, *_ = space.chunking.split("/")
            tokens, overlap = int(size), int(shared)
        built: Chunker = load("chunker")(
            tokens=tokens,
            overlap=overlap,
            max_tokens=embedder.max_tokens,
            count=embedder.count_tokens,
        )
        return built

    # -- the library -----------------------------------------------------------------------

    def ledger(self, *, read_only: bool = False) -> Ledger:
        """Open the library's ledger.

        Raises:
            StoreError: there is none yet (only when reading), or it cannot be opened.
        """
        from rag.storage.ledger import Ledger

        path = self.settings.data / "library.db"
        if read_only and not path.is_file():
            raise StoreError(
                Text(
                    f"There is no library in {self.settings.knowledge} yet.",
                    f"{self.settings.knowledge} 中还没有资料库。",
                ),
                hint=Text("Run `rag sync` first.", "请先运行 `rag sync`。"),
            )
        return Ledger(path, read_only=read_only)

    def pool(self) -> WorkerPool:
        """Return the worker processes; they start at their first task."""
        with self._guard:
            if self._pool is None:
                self._pool = load("reader").of(self.settings.ingest)
            pool: WorkerPool = self._pool
            return pool

    def readings(self) -> GpuReadings:
        """Return what reads the machine's memory and GPU."""
        built: GpuReadings = load("readings")(allocator=self.allocator)
        return built

    @cached_property
    def allocator(self) -> Allocator:
        """The memory of the cards, as this process divides it."""
        built: Allocator = load("allocator")()
        return built

    def movable(self) -> list[Movable]:
        """Return the loaded embedders, and the reranker, that can leave a card."""
        return [one for one in self.search_models.loaded() if isinstance(one, Movable)]

    def close(self) -> None:
        """End the worker processes."""
        with self._guard:
            if self._pool is not None:
                self._pool.close()
                self._pool = None
