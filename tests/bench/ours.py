"""The pipeline of this project: a sync into an empty library, as ``rag sync`` does it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rag.app.container import Container
from rag.config import EmbedderSettings, IngestSettings, Settings, load_settings
from tests.bench.child import cpu_s, finish, folder_argument, since_start_s

if TYPE_CHECKING:
    from rag.indexing.report import SyncReport


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pdfs", type=folder_argument, required=True)
    parser.add_argument("--embedder", required=True)
    arguments = parser.parse_args()
    finish(index(arguments.pdfs, embedder=arguments.embedder))


def index(folder: Path, *, embedder: str) -> dict[str, Any]:
    """Sync the folder by default settings, but without text recognition.

    The embedder is loaded before the clock runs.
    """
    # imported by the plain reference before its clock runs, so here as well
    import rag.storage.vectors.chroma  # noqa: F401

    settings = Settings(
        knowledge=folder,
        embedder=EmbedderSettings(model=embedder),
        ingest=IngestSettings(ocr="off"),  # the plain pipeline has none
        models=load_settings(None).models,  # RAGDESK_MODELS__FOLDER says where the weights are
    )
    container = Container(settings)
    container.embedder(embedder)
    load_s = since_start_s()
    began, cpu_began = perf_counter(), cpu_s()
    report = _sync(settings, container)
    seconds, cpu = perf_counter() - began, cpu_s() - cpu_began
    times = asdict(report.times)
    stages = {
        "read": times["read_s"] + times["parse_s"],
        "chunk": times["chunk_s"],
        "embed": times["embed_s"],
        "write": times["write_s"],
    }
    return {
        "pages": sum(report.pages.values()),
        "passages": report.chunks,
        "failed": len(report.failed),
        "load_s": load_s,
        "seconds": seconds,
        "cpu_s": cpu,
        "stages": {**stages, "other": seconds - sum(stages.values())},
    }


def _sync(settings: Settings, container: Container) -> SyncReport:
    """Do what ``rag sync`` does, from taking the library to letting it go."""
    from rag.app import wiring
    from rag.storage.lock import LibraryLock
    from rag.storage.vectors.manager import VectorIndexManager

    owner = LibraryLock(settings.data)
    ledger = container.ledger()
    live = VectorIndexManager(ledger, settings.data / "chroma", engine=settings.retrieve.index)
    try:
        return wiring.library(container, ledger, index=live).sync()
    finally:
        live.close()
        ledger.close()
        container.close()
        owner.release()


if __name__ == "__main__":
    main()
