"""Work that only the owner of the library may do.

This process does it if nobody else has the library; else the open app is asked, through a
job in the ledger, and its progress is shown here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rag.cli.context import Context, progress_bar
from rag.errors import LibraryBusy, StoreError
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.app.container import Factory
    from rag.indexing.library import Library
    from rag.storage.jobs import JobKind
    from rag.types.progress import Progress

_POLL_S = 0.2
Work = Callable[["Library", "Factory", Callable[["Progress"], None]], dict[str, Any]]


def owned(context: Context, kind: JobKind, argument: dict[str, Any], work: Work) -> dict[str, Any]:
    """Do ``work`` as the owner of the library, or let its owner do it; return its result.

    Raises:
        RagError: what the work raised, here or there.
    """
    from rag.app.container import Factory
    from rag.storage.lock import Owner

    with progress_bar(context) as report:
        try:
            owner = Owner(context.settings.data)
        except LibraryBusy:
            done = _ask_owner(context, kind, argument, report)
            if done is not None:
                return done
            owner = Owner(context.settings.data)  # it may have ended meanwhile
        factory = Factory(context.settings, report=report)
        try:
            return _do(context, factory, work, report)
        finally:
            factory.close()
            owner.release()


def _do(
    context: Context, factory: Factory, work: Work, report: Callable[[Progress], None]
) -> dict[str, Any]:
    from rag.app import wiring
    from rag.storage.vectors.manager import LiveIndex

    ledger = factory.ledger()
    index = LiveIndex(
        ledger, context.settings.data / "chroma", engine=context.settings.retrieve.index
    )
    try:
        library = wiring.library(factory, ledger, index=index)
        return work(library, factory, report)
    finally:
        index.close()
        ledger.close()


def _ask_owner(
    context: Context,
    kind: JobKind,
    argument: dict[str, Any],
    report: Callable[[Progress], None],
) -> dict[str, Any] | None:
    """File a job for the open app and wait for it; ``None`` if nobody does it."""
    from rag.storage.jobs import Jobs
    from rag.storage.ledger import Ledger

    ledger = Ledger(context.settings.data / "library.db")
    try:
        jobs = Jobs(ledger)
        job_id = jobs.file(kind, argument)
        try:
            while (job := jobs.get(job_id)).state in {"queued", "running"}:
                if job.stale:
                    return None
                if job.progress is not None:
                    report(job.progress)
                time.sleep(_POLL_S)
        finally:
            jobs.withdraw(job_id)
    finally:
        ledger.close()
    if job.error is not None:
        raise StoreError(
            Text(job.error["en"], job.error["zh"]),
            hint=Text(job.error["hint_en"], job.error["hint_zh"]),
        )
    return job.result or {}
