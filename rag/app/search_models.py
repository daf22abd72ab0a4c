"""The models that find passages: embedders and a reranker, each loaded once, where it is fast."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.app.registry import HASHING, load
from rag.errors import ConfigError
from rag.text.messages import Text
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.app.container import Container
    from rag.protocols import Embedder, Reranker


class SearchModels:
    """Builds them from the settings of a factory. Safe to use from several threads."""

    def __init__(self, factory: Container, *, report: Callable[[Progress], None]) -> None:
        self._factory = factory
        self._report = report
        self._embedders: dict[str, Embedder] = {}
        self._reranker: Reranker | None = None
        self._guard = threading.Lock()

    def loaded(self) -> list[object]:
        """Return what is in memory."""
        return [*self._embedders.values(), *filter(None, [self._reranker])]

    def embedder(self, name: str) -> Embedder:
        """Return the embedder of a catalogue name, loaded; downloaded first if need be."""
        with self._guard:
            if name not in self._embedders:
                self._embedders[name] = self._build_embedder(name)
            return self._embedders[name]

    def _build_embedder(self, name: str) -> Embedder:
        if name == HASHING:
            hashing: Embedder = load(HASHING)()
            return hashing
        entry = self._factory.entry(name)
        folder = self._factory.weights(name)
        self._report(Progress("load", item=name))
        assert entry.embedding is not None
        common: dict[str, Any] = {
            "name": self._factory.embedder_id(entry),
            "query_prefix": entry.embedding.query_prefix,
            "passage_prefix": entry.embedding.passage_prefix,
            "max_tokens": entry.embedding.max_tokens,
        }
        graph = self._int8_graph(name, folder)
        built: Embedder
        if graph is not None:
            built = load("onnx")(folder, graph=graph, **common)
            return built
        batch, bert = self._factory.settings.embedder.batch, load("bert")
        device = self._factory.plans.helper_device(self._factory.settings.embedder.device)
        if bert.suits(folder, device=device):
            built = bert(folder, batch=batch, **common)
        else:
            built = load(entry.engine)(folder, device=device, batch=batch, **common)
        return built

    def _int8_graph(self, name: str, folder: Path) -> Path | None:
        """Return what the int8 engine reads; ``None`` where the other engine is to be used."""
        chosen = self._factory.settings.embedder
        installed = self._factory.model_store().installation(name)
        if chosen.engine == "torch" or chosen.device == "cuda" or installed is None:
            return None
        if chosen.engine == "auto" and not self._int8_is_best():
            return None
        weights = max(installed.files, key=lambda file: file.bytes)
        graph: Path | None = load("onnx-graph")(
            folder,
            cache=self._factory.model_store().folder / name / ".onnx",
            source_sha256=weights.sha256,
            report=self._report,
            name=name,
        )
        return graph

    def _int8_is_best(self) -> bool:
        """Say whether int8 is the engine for where the settings let the embedder work."""
        from rag.retrieval.embedding.cpu_engine import int8_is_fast

        device = self._factory.plans.helper_device(self._factory.settings.embedder.device)
        on_cpu = device == "cpu" or self._factory.readings().read().gpu_name is None
        return on_cpu and int8_is_fast()

    def reranker(self) -> Reranker | None:
        """Return the model that reorders passages, loaded; ``None`` where the settings name none.

        Raises:
            UnknownModel: there is none of that name.
            ConfigError: the name is that of another kind of model.
            ModelError: it cannot be loaded.
        """
        chosen = self._factory.settings.reranker
        if not chosen.model:
            return None
        with self._guard:
            if self._reranker is None:
                entry = self._factory.entry(chosen.model)
                if entry.kind != "reranker":
                    raise ConfigError(
                        Text(
                            f"{entry.name} does not reorder passages.",
                            f"{entry.name} 不是重排模型。",
                        ),
                        hint=Text(
                            "Set reranker.model to a name under “Reordering passages” in "
                            "`rag models list`, or leave it empty.",
                            "请把 reranker.model 设为 `rag models list` 中“重排段落”一栏的模型，"
                            "或留空。",
                        ),
                    )
                folder = self._factory.weights(entry.name)
                self._report(Progress("load", item=entry.name))
                device = self._factory.plans.helper_device(chosen.device)
                self._reranker = load(entry.engine)(folder, name=entry.name, device=device)
            return self._reranker
