"""``rag status``: what became of every document and page."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.context import GAPS, Context, JsonOption, print_json
from rag.cli.open_library import server_json
from rag.text.messages import Text, shown
from rag.text.reasons import reason_text

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger
    from rag.types.documents import DocumentStatus
    from rag.types.index_version import Stale


def status(
    ctx: typer.Context,
    *,
    pages: Annotated[bool, typer.Option("--pages", help="every page, not only documents")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show coverage: every document and page with its state and reason."""
    context: Context = ctx.obj
    from rag.app import wiring
    from rag.app.container import Container
    from rag.indexing.report import count_gaps
    from rag.storage.status import document_statuses, find_stale

    container = Container(context.settings)
    with closing(container.ledger(read_only=True)) as ledger:
        documents = document_statuses(ledger, with_pages=pages)
        gaps = count_gaps(ledger)
        stale = find_stale(ledger, wiring.wanted_version(container))
        if as_json:
            print_json(_status_json(context, ledger, documents, stale, with_pages=pages))
        else:
            _print_status(context, documents)
            _print_waiting(context, ledger)
            _print_server(context)
            if words := stale.say():
                advice = Text(f"{words.en} Run `rag rebuild`.", f"{words.zh}请运行 `rag rebuild`。")
                context.tell(advice)
    raise typer.Exit(GAPS if gaps else 0)


def _status_json(
    context: Context,
    ledger: Ledger,
    documents: list[DocumentStatus],
    stale: Stale,
    *,
    with_pages: bool,
) -> dict[str, Any]:
    from rag.storage.ocr_pages import waiting_pages
    from rag.types.documents import PAGE_STATES

    totals = {state: sum(d.pages.get(state, 0) for d in documents) for state in PAGE_STATES}
    version = ledger.active_version()
    return {
        "documents": [_document_json(d, with_pages=with_pages) for d in documents],
        "space": None
        if version is None
        else {
            "embedder": version.embedder,
            "dim": version.dim,
            "chunker": version.chunking,
            "analyser": version.analyser,
            "chunks": ledger.chunk_count(version),
            "stale": stale.embed + stale.terms,
            "reread": stale.read,
            "recognise_anew": stale.recognise,
            "rebuild_s": None if (cost := stale.total_s) is None else round(cost, 1),
        },
        "server": server_json(context.settings),
        "totals": {
            "documents": len(documents),
            "files": sum(len(d.paths) for d in documents),
            "pages": totals,
            "ocr_waiting": sum(len(pages) for pages in waiting_pages(ledger).values()),
        },
    }


def _print_server(context: Context) -> None:
    """Say who answers where that is a server, and what goes there."""
    from rag.types.server_address import leaving

    generator = context.settings.generator
    server = generator.server()
    if server is None:
        return
    model = "" if generator.model == "auto" else f" ({generator.model})"
    answers = Text(
        f"Answers come from the server at {server.shown}{model}.",
        f"回答来自 {server.shown} 上的服务器{model}。",
    )
    away = leaving(server) or Text("Nothing leaves this machine.", "没有内容离开本机。")
    typer.echo(f"{context.say(answers)} {context.say(away)}")


def _print_waiting(context: Context, ledger: Ledger) -> None:
    from rag.storage.ocr_pages import waiting_pages
    from rag.storage.status import RECOGNISING, seconds_for

    count = sum(len(pages) for pages in waiting_pages(ledger).values())
    if not count:
        return
    seconds = seconds_for(ledger, RECOGNISING, count)
    minutes = max(1, round(seconds / 60)) if seconds else None
    en = f" (about {minutes} min)" if minutes else ""
    zh = f"（约 {minutes} 分钟）" if minutes else ""
    pages = "page waits" if count == 1 else "pages wait"
    context.tell(
        Text(
            f"{count} {pages} for text recognition{en}; `rag sync --ocr` runs it.",
            f"{count} 页等待文字识别{zh}；可用 `rag sync --ocr` 运行。",
        )
    )


def _document_json(document: DocumentStatus, *, with_pages: bool) -> dict[str, Any]:
    from rag.types.documents import PAGE_STATES

    found: dict[str, Any] = {
        "id": document.id,
        "paths": list(document.paths),
        "title": document.title,
        "language": document.language,
        "pages": {state: document.pages.get(state, 0) for state in PAGE_STATES},
        "state": document.state,
        "reason": reason_text(document.reason, "en") or None,
        "alike": list(document.alike),
    }
    if with_pages:
        found["page_states"] = [
            {
                "number": page.number,
                "label": page.label or str(page.number),
                "state": page.state,
                "reason": reason_text(page.reason, "en") or None,
            }
            for page in document.page_states
        ]
    return found


def _print_status(context: Context, documents: list[DocumentStatus]) -> None:
    from rich.console import Console
    from rich.table import Table

    from rag.types.documents import SEARCHABLE

    table = Table(box=None, pad_edge=False)
    for heading in (Text("document", "文档"), Text("pages", "页"), Text("why", "原因")):
        table.add_column(context.say(heading), overflow="fold")
    for document in documents:
        share = f"{document.searchable_pages}/{document.total_pages}"
        name = " = ".join(document.paths)
        why = reason_text(document.reason, context.language)
        if document.alike:
            others = ", ".join(document.alike)
            like = Text(f"Nearly the same as {others}.", f"与 {others} 几乎相同。")
            why = f"{why} {context.say(like)}".strip()
        table.add_row(shown(name), share, shown(why))
        for page in document.page_states:
            if page.state not in SEARCHABLE or page.reason:
                why = reason_text(page.reason, context.language)
                number = context.say(Text(f"  page {page.number}", f"  第 {page.number} 页"))
                table.add_row(number, page.state, why)
    Console().print(table)
    searchable = sum(d.searchable_pages for d in documents)
    total = sum(d.total_pages for d in documents)
    forgotten = sum(d.forgotten for d in documents)
    kept = len(documents) - forgotten
    some = "1 document" if kept == 1 else f"{kept} documents"
    en = f" {forgotten} forgotten." if forgotten else ""
    zh = f"已忘记 {forgotten} 个。" if forgotten else ""
    context.tell(
        Text(
            f"{some}, {searchable} of {total} pages can be searched.{en}",
            f"{kept} 个文档，{total} 页中有 {searchable} 页可检索。{zh}",
        )
    )
