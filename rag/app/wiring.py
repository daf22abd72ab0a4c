"""Puts parts together into the use cases: a library to keep, a pipeline to ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rag.app.registry import HASHING, load
from rag.errors import IndexMismatch, StoreError
from rag.text.messages import Text
from rag.types.documents import IndexVersion
from rag.types.index_version import WantedVersion, chunking_name, model_name, ocr_name, reader_name

if TYPE_CHECKING:
    from rag.answering.direct.answerer import DirectAnswerer
    from rag.answering.explain.explainer import Explainer
    from rag.answering.pipeline import AskSettings, Instead, RagPipeline
    from rag.answering.whole_document.asker import WholeDocumentAsker
    from rag.answering.whole_document.scope import ReadingPace
    from rag.app.container import Container
    from rag.config import Settings
    from rag.indexing.incoming import IndexEngines
    from rag.indexing.library import Library
    from rag.protocols import Cancelled, TextGenerator, VectorIndex
    from rag.retrieval.retriever import HybridRetriever
    from rag.storage.ledger import Ledger
    from rag.storage.passages import LedgerPassages
    from rag.storage.vectors.manager import VectorIndexManager
    from rag.types.answers import Answer


_BOXED = 8  # sentences that code has quoted whose boxes are found: each opens a file


def index_engines(
    container: Container, ledger: Ledger, version: IndexVersion | None
) -> IndexEngines:
    """Load what an index version names; ``None`` makes a new index version from the settings."""
    from rag.indexing.incoming import IndexEngines

    name = model_name(version.embedder) if version else None
    embedder = container.embedder(name or container.settings.embedder.model)
    chunker = container.chunker(embedder, version)
    if version is None:
        version = ledger.create_version(
            embedder=embedder.name,
            dim=embedder.dim,
            chunking=chunker.name,
            analyser=container.analyser.name,
        )
    elif (embedder.name, embedder.dim) != (version.embedder, version.dim):
        raise IndexMismatch(
            Text(
                f"The index was made with {version.embedder}, but {embedder.name} is installed.",
                f"索引由 {version.embedder} 生成，但现在安装的是 {embedder.name}。",
            ),
            hint=Text("Run `rag rebuild`.", "请运行 `rag rebuild`。"),
        )
    return IndexEngines(version, embedder, chunker, container.analyser)


def wanted_version(container: Container) -> WantedVersion:
    """Return what a new index version and a new reading would be called; loads no model."""
    chunk, name = container.settings.chunk, container.settings.embedder.model
    limit, embedder = 512, f"{HASHING}/256"
    if name != HASHING:
        entry = container.entry(name)
        assert entry.embedding is not None
        limit = entry.embedding.max_tokens
        prefixes = (entry.embedding.query_prefix.strip(), entry.embedding.passage_prefix.strip())
        embedder = " ".join(filter(None, (container.embedder_id(entry), *prefixes)))
    size = min(chunk.tokens, limit)
    chunking = chunking_name(tokens=size, overlap=min(chunk.overlap, size // 2))
    return WantedVersion(embedder, chunking, container.analyser.name, reader_name(), ocr_name())


def is_wanted(container: Container, version: IndexVersion) -> bool:
    """Return whether an index version is what the settings ask for; loads no model."""
    return wanted_version(container).matches(version)


def stale_words(container: Container, ledger: Ledger) -> Text | None:
    """Return what a rebuild would mend and what it costs; ``None`` if nothing is stale."""
    from rag.storage.status import find_stale

    return find_stale(ledger, wanted_version(container)).say()


def library(container: Container, ledger: Ledger, *, index: VectorIndexManager | None) -> Library:
    """Wire the use cases; nothing is written into an ``index`` that is not there."""
    from rag.indexing.calibration import when_due
    from rag.indexing.library import Library

    def asked(version: IndexVersion) -> HybridRetriever:
        """Return what the library is asked about itself by."""
        from rag.storage.vectors.manager import exact_index

        engines = index_engines(container, ledger, version)
        found = index.for_reading() if index else exact_index(ledger, version)
        return retriever(container, ledger, engines, found, plain=True)

    return Library(
        container.settings.knowledge,
        ledger,
        engines=lambda version: index_engines(container, ledger, version),
        pool=container.pool,
        index=index.for_writing if index else None,
        calibrate=partial(when_due, ledger, asked),
    )


def retriever(
    container: Container,
    ledger: Ledger,
    engines: IndexEngines,
    index: VectorIndex,
    *,
    plain: bool = False,
) -> HybridRetriever:
    """Return hybrid retrieval over an index version.

    A ``plain`` one has no reranker, and knows nothing of what the index version was asked before.
    """
    from rag.indexing.calibration import kept
    from rag.storage.passages import LedgerPassages

    store = LedgerPassages(ledger, engines.version)
    built: HybridRetriever = load("retriever")(
        store=store,
        lexical=load("lexical")(store, container.analyser),
        index=index,
        embedder=engines.embedder,
        candidates=container.settings.retrieve.candidates,
        reranker=None if plain else container.reranker(),
        reread=container.settings.reranker.passages,
        baselines=container.baselines.setdefault(engines.version.id, {}),
        calibrations=dict if plain else partial(kept, ledger, engines.version),
        terms=container.terms,
    )
    return built


def direct_answerer(
    container: Container, ledger: Ledger, *, model: Callable[[], str]
) -> DirectAnswerer:
    """Put together what answers by code; ``model`` names the one that writes the other answers."""
    from rag.answering.direct.answerer import HERE, AppFacts, DirectAnswerer
    from rag.answering.direct.library import LibraryAnswers
    from rag.answering.direct.places import PlaceQuotes
    from rag.answering.highlights import Highlighter
    from rag.retrieval.query.content_words import content_terms
    from rag.storage.anchors import StoredPlaces
    from rag.storage.listing import LibraryList
    from rag.storage.passages import LedgerPassages
    from rag.types.server_address import leaving

    server = container.settings.generator.asked_server()
    away = leaving(server) if server else None

    def proven(answer: Answer, cancelled: Cancelled) -> Answer:
        store = LedgerPassages(ledger, _active(ledger))
        found = Highlighter(container.settings.knowledge, store, container.pool())
        quoted, rest = answer.sentences[:_BOXED], answer.sentences[_BOXED:]
        sentences = found.proven(quoted, answer.passages, cancelled=cancelled)
        return replace(answer, sentences=(*sentences, *rest))

    def words(text: str) -> list[str]:
        return content_terms(text, container.analyser)

    listed = LibraryList(ledger)
    return DirectAnswerer(
        AppFacts(model, str(container.settings.knowledge), away or HERE),
        LibraryAnswers(
            listed.documents,
            beginnings=listed.beginnings,
            about=lambda topic: listed.holding(words(topic)),
        ),
        PlaceQuotes(StoredPlaces(ledger)),
        listed,
        words=words,
        proven=proven,
    )


@dataclass(frozen=True, slots=True)
class QuestionParts:
    """What answers questions over one index version: put together once, used by every question."""

    version: IndexVersion
    index: VectorIndex
    retriever: HybridRetriever
    pipeline: RagPipeline
    asker: WholeDocumentAsker
    explainer: Callable[[Callable[[], TextGenerator | None]], Explainer]
    """Takes what gives the model if it is loaded, and waits for nothing."""


def question_parts(
    container: Container,
    ledger: Ledger,
    *,
    generator: Callable[[Callable[[], bool]], TextGenerator | None],
    index: VectorIndex | None = None,
    pace: ReadingPace | None = None,
    instead: Instead = lambda *_: None,
) -> QuestionParts:
    """Put together what answers questions over the active index version.

    ``index`` is the vector index that is open; ``None`` searches exactly. ``pace`` outlives
    index versions. ``instead`` answers what is not about the documents.

    Raises:
        StoreError: nothing has been indexed yet.
    """
    from rag.answering.pipeline import RagPipeline
    from rag.answering.subject import subject_of
    from rag.answering.whole_document.asker import WholeDocumentAsker
    from rag.answering.whole_document.notes import NoteEngines
    from rag.answering.whole_document.scope import ReadingPace, ReadingPlanner
    from rag.retrieval.table_expansion import with_whole_tables
    from rag.storage.passages import LedgerDocuments, LedgerPassages
    from rag.storage.vectors.manager import exact_index

    version, settings = _active(ledger), container.settings
    engines = index_engines(container, ledger, version)
    index, pace = index or exact_index(ledger, version), pace or ReadingPace()
    store = LedgerPassages(ledger, version)
    found = retriever(container, ledger, engines, index)
    common = _common(container, engines, store) | {"generator": generator}
    own: dict[str, Any] = {
        "retriever": found,
        "embed_query": found.embed_query,
        "complete": partial(with_whole_tables, store=store),
        "subject_of": partial(subject_of, analyser=engines.analyser, store=store),
    }
    pipeline = RagPipeline(continuing=container.continuing, instead=instead, **own, **common)
    whole: dict[str, Any] = {"shelf": LedgerDocuments(ledger, version), "pace": pace}
    planner = ReadingPlanner(retriever=found, limit=settings.retrieve.whole_passages, **whole)
    asker = WholeDocumentAsker(pipeline, planner, NoteEngines(**whole, **common))
    explainer = partial(_explainer, container, ledger, found, pipeline, version)
    return QuestionParts(version, index, found, pipeline, asker, explainer)


def _common(container: Container, engines: IndexEngines, store: LedgerPassages) -> dict[str, Any]:
    """Return what answers from passages and answers from whole documents have in common."""
    from rag.answering.highlights import Highlighter

    return {
        "highlighter": Highlighter(container.settings.knowledge, store, container.pool()),
        "embedder": engines.embedder,
        "analyser": container.analyser,
        "settings": _ask_settings(container.settings),
        "fallback": container.fallback,
    }


def _ask_settings(settings: Settings) -> AskSettings:
    from rag.answering.pipeline import AskSettings

    return AskSettings(
        k=settings.retrieve.k,
        max_tokens=settings.generator.max_tokens,
        temperature=settings.generator.temperature,
        min_relevance=settings.retrieve.min_relevance,
        sure_relevance=settings.retrieve.sure_relevance,
        drop_unsupported=settings.generator.drop_unsupported,
        passage_tokens=settings.generator.passage_tokens,
    )


def _active(ledger: Ledger) -> IndexVersion:
    version = ledger.active_version()
    if version is None:
        raise StoreError(
            Text("Nothing has been indexed yet.", "还没有建立任何索引。"),
            hint=Text(
                "Put PDFs into the knowledge folder and run `rag sync`.",
                "请把 PDF 放入 knowledge 文件夹，然后运行 `rag sync`。",
            ),
        )
    return version


def _explainer(
    container: Container,
    ledger: Ledger,
    found: HybridRetriever,
    pipeline: RagPipeline,
    version: IndexVersion,
    loaded: Callable[[], TextGenerator | None],
) -> Explainer:
    from rag.answering.explain.explainer import Explainer
    from rag.answering.explain.finding import Finder, Outside
    from rag.retrieval.trace import Tracer
    from rag.storage.passages import LedgerPassages, StoredTexts

    store, texts = LedgerPassages(ledger, version), StoredTexts(ledger, version)
    folder, raw = container.settings.knowledge, container.pool().letters
    lexical = load("lexical")(store, container.analyser)
    finder = Finder(folder, texts, store, lexical, raw)
    return Explainer(
        whereabouts=texts,
        finder=finder,
        outside=Outside(folder, texts, finder),
        tracer=Tracer(found, store, container.analyser),
        pipeline=pipeline,
        loaded=loaded,
    )
