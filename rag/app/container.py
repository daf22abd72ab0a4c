"""The composition root: builds parts from settings, out of the table in ``rag.app.registry``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.answering.oom_fallback import OutOfMemoryFallback
from rag.answering.prompt_reuse import PromptReuse
from rag.app.engine_choice import LLAMACPP, OPENVINO, compare
from rag.app.model_plans import ChosenGenerator, ModelPlans
from rag.app.registry import HASHING, load, without_weights
from rag.errors import ConfigError, DownloadFailed, RagError, StoreError
from rag.generation.openvino_copy import drop_copy, has_copy
from rag.protocols import Movable, never
from rag.text.messages import Text
from rag.types.documents import IndexVersion
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.ingestion.workers.pool import WorkerPool
    from rag.models.catalogue import Entry
    from rag.models.store import Manifest, ModelStore
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
        self._embedders: dict[str, Embedder] = {}
        self._reranker: Reranker | None = None
        self._loading = threading.Lock()  # of what finds passages
        self.baselines: dict[int, Baselines] = {}
        """By index version: what retrievers have in common, each question being wired anew."""

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
        with self._loading:
            if name not in self._embedders:
                self._embedders[name] = self._build_embedder(name)
            return self._embedders[name]

    def _build_embedder(self, name: str) -> Embedder:
        built: Embedder
        if name == HASHING:
            built = load(HASHING)()
            return built
        entry = self.entry(name)
        folder = self.weights(name)
        self._report(Progress("load", item=name))
        assert entry.embedding is not None
        common: dict[str, Any] = {
            "name": self.embedder_id(entry),
            "query_prefix": entry.embedding.query_prefix,
            "passage_prefix": entry.embedding.passage_prefix,
            "max_tokens": entry.embedding.max_tokens,
        }
        graph = self._int8_graph(name, folder)
        if graph is not None:
            built = load("onnx")(folder, graph=graph, **common)
            return built
        batch, bert = self.settings.embedder.batch, load("bert")
        device = self.plans.helper_device(self.settings.embedder.device)
        if bert.suits(folder, device=device):
            built = bert(folder, batch=batch, **common)
        else:
            built = load(entry.engine)(folder, device=device, batch=batch, **common)
        return built

    def _int8_graph(self, name: str, folder: Path) -> Path | None:
        """Return what the int8 engine reads; ``None`` where the other engine is to be used."""
        chosen, store = self.settings.embedder, self.model_store()
        installed = store.installation(name)
        if chosen.engine == "torch" or chosen.device == "cuda" or installed is None:
            return None
        if chosen.engine == "auto" and not self._int8_is_best():
            return None
        graph: Path | None = load("onnx-graph")(
            folder,
            cache=store.folder / name / ".onnx",
            source_sha256=_digest(installed),
            report=self._report,
            name=name,
        )
        return graph

    def _int8_is_best(self) -> bool:
        """Say whether int8 is the engine for where the settings let the embedder work."""
        from rag.retrieval.embedding.bert_shape import int8_is_fast

        device = self.plans.helper_device(self.settings.embedder.device)
        on_cpu = device == "cpu" or self._reading().gpu_name is None
        return on_cpu and int8_is_fast()

    def reranker(self) -> Reranker | None:
        """Return the model that reorders passages, loaded; ``None`` where the settings name none.

        Raises:
            UnknownModel: there is none of that name.
            ConfigError: the name is that of another kind of model.
            ModelError: it cannot be loaded.
        """
        chosen = self.settings.reranker
        if not chosen.model:
            return None
        with self._loading:
            if self._reranker is None:
                entry = self.entry(chosen.model)
                if entry.kind != "reranker":
                    raise _no_reranker(entry.name)
                folder = self.weights(entry.name)
                self._report(Progress("load", item=entry.name))
                device = self.plans.helper_device(chosen.device)
                self._reranker = load(entry.engine)(folder, name=entry.name, device=device)
            return self._reranker

    def entry(self, name: str) -> Entry:
        """Return the catalogue's entry.

        Raises:
            UnknownModel: there is none.
        """
        from rag.models.catalogue import load_catalogue

        return load_catalogue().get(name)

    def embedder_id(self, entry: Entry) -> str:
        """Return an embedder's name and bytes: other bytes make other vectors.

        Only the name while the weights are not on this machine.
        """
        installed = self.model_store().installation(entry.name)
        return f"{entry.name}@{_digest(installed)[:8]}" if installed else entry.name

    def generator(self, cancelled: Callable[[], bool] | None = None) -> TextGenerator:
        """Load the language model that the settings name; download it first if need be."""
        chosen = self.chosen_generator()
        ready = without_weights(chosen.engine, self.settings.generator)
        if ready is not None:
            return ready
        self.plans.options(chosen.named, chosen.engine)  # before 26 GB are downloaded
        chosen, path = self._generator_weights(chosen, cancelled or self._cancelled)
        self._report(Progress("load", item=chosen.model))
        if chosen.engine == OPENVINO and self.settings.generator.engine == "auto":
            try:
                return self._loaded(chosen, path)
            except RagError as error:
                logger.warning("%s; llama.cpp is used", error.message.en)
                chosen = replace(chosen, engine=LLAMACPP)
        return self._loaded(chosen, path)

    def _loaded(self, chosen: ChosenGenerator, path: Path) -> TextGenerator:
        options = self.plans.options(chosen.named, chosen.engine)
        built: TextGenerator = load(chosen.engine).load(path, name=chosen.model, **options)
        return built

    def compare_engines(
        self, stopped: Callable[[], bool], *, asking: Callable[[], bool] = never
    ) -> None:
        """Find out which engine is faster for the model that answers, if that is not known yet.

        It takes a minute or more, in a process of low priority that stands still while somebody
        is ``asking``; what is found counts from the next time the model is loaded.
        """
        try:
            path = self.plans.to_compare()
            if path is None:
                return
            threads = self.settings.generator.threads
            found = compare(path, threads=threads, stopped=stopped, asking=asking)
        except (RagError, OSError, ValueError) as error:
            logger.warning("the engines could not be compared: %s", error)
            return
        if found is None:
            return
        if found.fastest == OPENVINO and not has_copy(path):
            found = found.without(OPENVINO, "its copy of the model cannot be kept")
        self.plans.engines.keep(path, found)
        if found.fastest != OPENVINO:
            drop_copy(path)  # as large as the model, and of no use

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
        """Return which model answers; see ``ModelPlans.chosen``."""
        return self.plans.chosen()

    def offered_generator(self) -> Text | None:
        """Return what would answer better on this machine; see ``ModelPlans.offer``."""
        return self.plans.offer()

    def _reading(self) -> MemoryReading:
        return self.readings().read()

    def chunker(self, embedder: Embedder, version: IndexVersion | None = None) -> Chunker:
        """Return the chunker of the settings, or the one that an index version was cut with."""
        chunk = self.settings.chunk
        tokens, overlap = chunk.tokens, chunk.overlap
        if version is not None:
            _, size, shared, *_ = version.chunking.split("/")
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
        loaded: list[object] = [*self._embedders.values(), self._reranker]
        return [one for one in loaded if isinstance(one, Movable)]

    def close(self) -> None:
        """End the worker processes."""
        with self._guard:
            if self._pool is not None:
                self._pool.close()
                self._pool = None


def _digest(installed: Manifest) -> str:
    """Return the checksum of a model's weights: its largest file."""
    return max(installed.files, key=lambda file: file.bytes).sha256


def _no_reranker(name: str) -> ConfigError:
    return ConfigError(
        Text(f"{name} does not reorder passages.", f"{name} 不是重排模型。"),
        hint=Text(
            "Set reranker.model to a name under “Reordering passages” in `rag models list`, or "
            "leave it empty.",
            "请把 reranker.model 设为 `rag models list` 中“重排段落”一栏的模型，或留空。",
        ),
    )
