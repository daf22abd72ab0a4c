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
    from rag.app.model_plans import ModelPlans
    from rag.config import Settings
    from rag.models.catalogue import Entry
    from rag.models.store import ModelStore
    from rag.protocols import Embedder, Reranker
    from rag.types.hardware import MemoryReading


def embedder_id(store: ModelStore, entry: Entry) -> str:
    """Return an embedder's name and bytes: other bytes make other vectors.

    Only the name while the weights are not on this machine.
    """
    installed = store.installation(entry.name)
    if installed is None:
        return entry.name
    weights = max(installed.files, key=lambda file: file.bytes)
    return f"{entry.name}@{weights.sha256[:8]}"


class SearchModels:
    """Builds them from the settings. Safe to use from several threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: Callable[[], ModelStore],
        plans: ModelPlans,
        reading: Callable[[], MemoryReading],
        weights: Callable[[str], Path],
        report: Callable[[Progress], None],
    ) -> None:
        """``weights`` gives a model's files, fetched first if need be."""
        self._settings = settings
        self._store = store
        self._plans = plans
        self._reading = reading
        self._weights = weights
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
        entry = self._store().catalogue.get(name)
        folder = self._weights(name)
        self._report(Progress("load", item=name))
        assert entry.embedding is not None
        common: dict[str, Any] = {
            "name": embedder_id(self._store(), entry),
            "query_prefix": entry.embedding.query_prefix,
            "passage_prefix": entry.embedding.passage_prefix,
            "max_tokens": entry.embedding.max_tokens,
        }
        graph = self._int8_graph(name, folder)
        built: Embedder
        if graph is not None:
            built = load("onnx")(folder, graph=graph, **common)
            return built
        batch, bert = self._settings.embedder.batch, load("bert")
        device = self._plans.helper_device(self._settings.embedder.device)
        if bert.suits(folder, device=device):
            built = bert(folder, batch=batch, **common)
        else:
            built = load(entry.engine)(folder, device=device, batch=batch, **common)
        return built

    def _int8_graph(self, name: str, folder: Path) -> Path | None:
        """Return what the int8 engine reads; ``None`` where the other engine is to be used."""
        chosen = self._settings.embedder
        installed = self._store().installation(name)
        if chosen.engine == "torch" or chosen.device == "cuda" or installed is None:
            return None
        if chosen.engine == "auto" and not self._int8_is_best():
            return None
        weights = max(installed.files, key=lambda file: file.bytes)
        graph: Path | None = load("onnx-graph")(
            folder,
            cache=self._store().folder / name / ".onnx",
            source_sha256=weights.sha256,
            report=self._report,
            name=name,
        )
        return graph

    def _int8_is_best(self) -> bool:
        """Say whether int8 is the engine for where the settings let the embedder work."""
        from rag.retrieval.embedding.bert_shape import int8_is_fast

        device = self._plans.helper_device(self._settings.embedder.device)
        on_cpu = device == "cpu" or self._reading().gpu_name is None
        return on_cpu and int8_is_fast()

    def reranker(self) -> Reranker | None:
        """Return the model that reorders passages, loaded; ``None`` where the settings name none.

        Raises:
            UnknownModel: there is none of that name.
            ConfigError: the name is that of another kind of model.
            ModelError: it cannot be loaded.
        """
        chosen = self._settings.reranker
        if not chosen.model:
            return None
        with self._guard:
            if self._reranker is None:
                entry = self._store().catalogue.get(chosen.model)
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
                folder = self._weights(entry.name)
                self._report(Progress("load", item=entry.name))
                device = self._plans.helper_device(chosen.device)
                self._reranker = load(entry.engine)(folder, name=entry.name, device=device)
            return self._reranker
