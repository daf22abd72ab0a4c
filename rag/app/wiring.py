"""Wires the factory's parts into the use cases: a library to keep, a pipeline to ask."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rag.app.registry import HASHING, load
from rag.errors import SpaceMismatch, StoreError
from rag.text.messages import Text
from rag.types.documents import IndexVersion
from rag.types.index_version import WantedVersion, chunking_name, model_name, ocr_name, reader_name

if TYPE_CHECKING:
    from rag.answering.explain.explainer import Explainer
    from rag.answering.highlights import Highlighter
    from rag.answering.pipeline import AskSettings, RagPipeline
    from rag.answering.whole_document.asker import WholeDocumentAsker
    from rag.answering.whole_document.scope import ReadingPace
    from rag.app.container import Container
    from rag.indexing.assembly_line import IndexEngines
    from rag.indexing.library import Library
    from rag.protocols import TextGenerator, VectorIndex
    from rag.retrieval.retriever import HybridRetriever
    from rag.storage.ledger import Ledger
    from rag.storage.vectors.manager import VectorIndexManager


def space_engines(factory: Container, ledger: Ledger, space: IndexVersion | None) -> IndexEngines:
    """Load what a space names; ``None`` makes a new space from the settings."""
    from rag.indexing.assembly_line import IndexEngines

    name = model_name(space.embedder) if space else None
    embedder = factory.embedder(name or factory.settings.embedder.model)
    chunker = factory.chunker(embedder, space)
    if space is None:
        space = ledger.create_space(
            embedder=embedder.name,
            dim=embedder.dim,
            chunking=chunker.name,
            analyser=factory.analyser.name,
        )
    elif (embedder.name, embedder.dim) != (space.embedder, space.dim):
        raise SpaceMismatch(
            Text(
                f"The index was made with {space.embedder}, but {embedder.name} is installed.",
                f"索引由 {space.embedder} 生成，但现在安装的是 {embedder.name}。",
            ),
            hint=Text("Run `rag rebuild`.", "请运行 `rag rebuild`。"),
        )
    return IndexEngines(space, embedder, chunker, factory.analyser)


def fingerprint(factory: Container) -> WantedVersion:
    """Return what a new space and a new reading would be called; loads no model."""
    chunk, name = factory.settings.chunk, factory.settings.embedder.model
    limit, embedder = 512, f"{HASHING}/256"
    if name != HASHING:
        entry = factory.entry(name)
        assert entry.embedding is not None
        limit = entry.embedding.max_tokens
        prefixes = (entry.embedding.query_prefix.strip(), entry.embedding.passage_prefix.strip())
        embedder = " ".join(filter(None, (factory.embedder_id(entry), *prefixes)))
    size = min(chunk.tokens, limit)
    chunking = chunking_name(tokens=size, overlap=min(chunk.overlap, size // 2))
    return WantedVersion(embedder, chunking, factory.analyser.name, reader_name(), ocr_name())


def is_wanted(factory: Container, space: IndexVersion) -> bool:
    """Return whether a space is what the settings ask for; loads no model."""
    return fingerprint(factory).matches(space)


def stale_words(factory: Container, ledger: Ledger) -> Text | None:
    """Return what a rebuild would mend and what it costs; ``None`` if nothing is stale."""
    from rag.indexing.staleness import find_stale

    return find_stale(ledger, fingerprint(factory)).say()


def library(factory: Container, ledger: Ledger, *, index: VectorIndexManager | None) -> Library:
    """Wire the use cases; nothing is written into an ``index`` that is not there."""
    from rag.indexing.calibration import when_due
    from rag.indexing.library import Library

    def asked(space: IndexVersion) -> HybridRetriever:
        """Return what the library is asked about itself by."""
        from rag.storage.vectors.manager import exact_index

        engines = space_engines(factory, ledger, space)
        found = index.for_reading() if index else exact_index(ledger, space)
        return retriever(factory, ledger, engines, found, plain=True)

    return Library(
        factory.settings.knowledge,
        ledger,
        engines=lambda space: space_engines(factory, ledger, space),
        pool=factory.pool,
        index=index.for_writing if index else None,
        calibrate=partial(when_due, ledger, asked),
    )


def highlighter(factory: Container, ledger: Ledger, space: IndexVersion) -> Highlighter:
    """Return what finds boxes for offsets."""
    from rag.answering.highlights import Highlighter
    from rag.storage.passages import LedgerPassages

    return Highlighter(factory.settings.knowledge, LedgerPassages(ledger, space), factory.pool())


def retriever(
    factory: Container,
    ledger: Ledger,
    engines: IndexEngines,
    index: VectorIndex,
    *,
    plain: bool = False,
) -> HybridRetriever:
    """Return hybrid retrieval over a space.

    A ``plain`` one has no reranker, and knows nothing of what the space was asked before.
    """
    from rag.indexing.calibration import kept
    from rag.storage.passages import LedgerPassages

    store = LedgerPassages(ledger, engines.space)
    built: HybridRetriever = load("retriever")(
        store=store,
        lexical=load("lexical")(store, factory.analyser),
        index=index,
        embedder=engines.embedder,
        candidates=factory.settings.retrieve.candidates,
        reranker=None if plain else factory.reranker(),
        reread=factory.settings.reranker.passages,
        baselines=factory.baselines.setdefault(engines.space.id, {}),
        calibrations=dict if plain else partial(kept, ledger, engines.space),
    )
    return built


def pipeline(
    factory: Container,
    ledger: Ledger,
    *,
    index: Callable[[IndexVersion], VectorIndex],
    generator: Callable[[Callable[[], bool]], TextGenerator | None],
) -> RagPipeline:
    """Wire question answering over the active space.

    Raises:
        StoreError: nothing has been indexed yet.
    """
    from rag.answering.pipeline import RagPipeline
    from rag.retrieval.table_expansion import with_whole_tables
    from rag.storage.passages import LedgerPassages

    space = _active(ledger)
    engines = space_engines(factory, ledger, space)
    return RagPipeline(
        retriever=retriever(factory, ledger, engines, index(space)),
        generator=generator,
        highlighter=highlighter(factory, ledger, space),
        embedder=engines.embedder,
        analyser=factory.analyser,
        settings=_ask_settings(factory),
        complete=partial(with_whole_tables, store=LedgerPassages(ledger, space)),
        fallback=factory.fallback,
        continuing=factory.continuing,
    )


def _ask_settings(factory: Container) -> AskSettings:
    from rag.answering.pipeline import AskSettings

    settings = factory.settings
    return AskSettings(
        k=settings.retrieve.k,
        max_tokens=settings.generator.max_tokens,
        temperature=settings.generator.temperature,
        min_relevance=settings.retrieve.min_relevance,
        sure_relevance=settings.retrieve.sure_relevance,
        drop_unsupported=settings.generator.drop_unsupported,
    )


def asker(
    factory: Container,
    ledger: Ledger,
    *,
    index: Callable[[IndexVersion], VectorIndex],
    generator: Callable[[Callable[[], bool]], TextGenerator | None],
    pace: ReadingPace,
) -> WholeDocumentAsker:
    """Wire question answering that reads whole documents too; ``pace`` outlives questions.

    Raises:
        StoreError: nothing has been indexed yet.
    """
    from rag.answering.whole_document.asker import WholeDocumentAsker
    from rag.answering.whole_document.notes import NoteEngines
    from rag.answering.whole_document.scope import ReadingPlanner
    from rag.storage.documents import LedgerDocuments

    space = _active(ledger)
    engines = space_engines(factory, ledger, space)
    opened = index(space)
    shelf = LedgerDocuments(ledger, space)
    return WholeDocumentAsker(
        pipeline(factory, ledger, index=lambda _: opened, generator=generator),
        ReadingPlanner(
            shelf=shelf,
            retriever=retriever(factory, ledger, engines, opened),
            limit=factory.settings.retrieve.whole_passages,
            pace=pace,
        ),
        NoteEngines(
            shelf=shelf,
            generator=generator,
            highlighter=highlighter(factory, ledger, space),
            embedder=engines.embedder,
            analyser=factory.analyser,
            settings=_ask_settings(factory),
            pace=pace,
            fallback=factory.fallback,
        ),
    )


def _active(ledger: Ledger) -> IndexVersion:
    space = ledger.active_space()
    if space is None:
        raise StoreError(
            Text("Nothing has been indexed yet.", "还没有建立任何索引。"),
            hint=Text(
                "Put PDFs into the knowledge folder and run `rag sync`.",
                "请把 PDF 放入 knowledge 文件夹，然后运行 `rag sync`。",
            ),
        )
    return space


def explainer(
    factory: Container,
    ledger: Ledger,
    *,
    index: Callable[[IndexVersion], VectorIndex],
    generator: Callable[[Callable[[], bool]], TextGenerator | None],
    loaded: Callable[[], TextGenerator | None],
) -> Explainer:
    """Wire what says why a sentence did not reach an answer; ``loaded`` waits for nothing.

    Raises:
        StoreError: nothing has been indexed yet.
    """
    from rag.answering.explain.explainer import Explainer
    from rag.answering.explain.finding import Finder
    from rag.answering.explain.outside import Outside
    from rag.retrieval.trace import Tracer
    from rag.storage.documents import StoredTexts
    from rag.storage.passages import LedgerPassages

    space = _active(ledger)
    engines = space_engines(factory, ledger, space)
    store, whereabouts = LedgerPassages(ledger, space), StoredTexts(ledger, space)
    folder, raw = factory.settings.knowledge, factory.pool().letters
    lexical = load("lexical")(store, factory.analyser)
    finder = Finder(folder, whereabouts, store, lexical, raw)
    return Explainer(
        whereabouts=whereabouts,
        finder=finder,
        outside=Outside(folder, whereabouts, finder),
        tracer=Tracer(retriever(factory, ledger, engines, index(space)), store, factory.analyser),
        pipeline=pipeline(factory, ledger, index=index, generator=generator),
        loaded=loaded,
    )
