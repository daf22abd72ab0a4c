"""``rag sync``, ``rebuild`` and ``forget``, and all work that only the owner may do.

Whoever owns the library does the work: this process if nobody else has it, else the open app,
which is asked through a job in the ledger, and whose progress is shown here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.context import GAPS, Context, JsonOption, print_json, progress_bar
from rag.errors import LibraryBusy
from rag.text.messages import Text, shown
from rag.text.reasons import reason_text
from rag.types.index_version import model_name

if TYPE_CHECKING:
    from rag.app.container import Container
    from rag.indexing.library import Library, Ocr
    from rag.storage.jobs import JobKind
    from rag.types.progress import Progress


_POLL_S = 0.2
Work = Callable[["Library", "Container", Callable[["Progress"], None]], dict[str, Any]]


def owned(context: Context, kind: JobKind, argument: dict[str, Any], work: Work) -> dict[str, Any]:
    """Do ``work`` as the owner of the library, or let its owner do it; return its result.

    Raises:
        RagError: what the work raised, here or there.
    """
    from rag.app import wiring
    from rag.app.container import Container
    from rag.storage.lock import LibraryLock
    from rag.storage.vectors.manager import VectorIndexManager

    settings = context.settings
    with ExitStack() as opened:
        report = opened.enter_context(progress_bar(context))
        try:
            owner = LibraryLock(settings.data)
        except LibraryBusy:
            done = _ask_owner(context, kind, argument, report)
            if done is not None:
                return done
            owner = LibraryLock(settings.data)  # it may have ended meanwhile
        opened.callback(owner.release)
        container = opened.enter_context(closing(Container(settings, report=report)))
        ledger = opened.enter_context(closing(container.ledger()))
        index = VectorIndexManager(ledger, settings.data / "chroma", engine=settings.retrieve.index)
        opened.callback(index.close)
        return work(wiring.library(container, ledger, index=index), container, report)


def _ask_owner(
    context: Context,
    kind: JobKind,
    argument: dict[str, Any],
    report: Callable[[Progress], None],
) -> dict[str, Any] | None:
    """File a job for the open app and wait for it; ``None`` if nobody does it."""
    from rag.storage.jobs import Jobs

    with context.ledger() as ledger:
        jobs = Jobs(ledger)
        job_id = jobs.file(kind, argument)
        try:
            while not (job := jobs.get(job_id)).ended:
                if job.stale:
                    return None
                if job.progress is not None:
                    report(job.progress)
                time.sleep(_POLL_S)
        finally:
            jobs.withdraw(job_id)
    return job.outcome()


def sync(
    ctx: typer.Context,
    *,
    ocr: Annotated[
        bool, typer.Option("--ocr", help="recognise the text of scans now, whatever the settings")
    ] = False,
    password_file: Annotated[
        Path | None,
        typer.Option(help="passwords of PDFs: one a line, or file name, tab, password"),
    ] = None,
    remember: Annotated[
        bool, typer.Option("--remember", help="keep passwords that fit in the system's keyring")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="go on until Ctrl+C")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the index equal to the folder."""
    context: Context = ctx.obj
    result = run_sync(
        context, ocr="again" if ocr else None, passwords=password_file, remember=remember
    )
    _print_report(context, result, as_json=as_json)
    if watch:
        from watchfiles import watch as changes

        from rag.app.sync_worker import only_pdfs

        folder = context.settings.knowledge.resolve()
        for _ in changes(folder, watch_filter=only_pdfs(folder), raise_interrupt=False):
            _print_report(context, run_sync(context), as_json=as_json)
    raise typer.Exit(GAPS if result["gaps"] else 0)


def run_sync(
    context: Context,
    *,
    ocr: Ocr | None = None,
    passwords: Path | None = None,
    remember: bool = False,
) -> dict[str, Any]:
    """Sync here or in the open app; return the report.

    ``ocr`` ``None`` is what the settings say; the others are those of ``Library.sync``.
    """
    wanted: Ocr = ocr or context.settings.ingest.ocr
    file = passwords.absolute() if passwords else None
    return owned(
        context,
        "sync",
        # the file's name, not what is in it: jobs are written to the ledger
        {"ocr": wanted, "passwords": str(file) if file else None, "remember": remember},
        lambda library, _, report: library.sync(
            report=report, ocr=wanted, passwords=file, remember=remember
        ).to_json(),
    )


def rebuild(
    ctx: typer.Context,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="everything, not only what is stale")
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="go back to the index before the last rebuild")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Rebuild what is stale beside the live index, then swap."""
    context: Context = ctx.obj
    if rollback:
        _roll_back(context, as_json=as_json)
        return

    def work(
        library: Library, container: Container, report: Callable[[Progress], None]
    ) -> dict[str, Any]:
        from rag.app import wiring

        return library.rebuild(
            everything=everything,
            wanted=lambda version: wiring.is_wanted(container, version),
            report=report,
        ).to_json()

    result = owned(context, "rebuild", {"all": everything}, work)
    _print_report(context, result, as_json=as_json)
    raise typer.Exit(GAPS if result["gaps"] else 0)


def _roll_back(context: Context, *, as_json: bool) -> None:
    done = owned(
        context,
        "rollback",
        {},
        lambda library, _, _r: {"space": library.rollback().embedder, "syncing": False},
    )
    if as_json:
        print_json(done)
        return
    version = model_name(done["space"])
    context.tell(Text(f"Back to the index of {version}.", f"已回退到 {version} 的索引。"))
    if not done["syncing"]:
        context.tell(
            Text(
                "Documents that came in since come into it with the next `rag sync`.",
                "此后加入的文档会在下次 `rag sync` 时编入该索引。",
            )
        )


def forget(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(help="the document's name or path")] = "",
    *,
    undo: Annotated[
        bool, typer.Option("--undo", help="let it in again at the next sync; without PATH, all")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove a document from everything the app derived; the file itself stays."""
    context: Context = ctx.obj
    if not path and not undo:
        raise typer.BadParameter("PATH says which document")
    path = _in_library(context, path)
    if undo:
        _let_in(context, path, as_json=as_json)
        return
    quoting = _chats_quoting(context, path)
    done = owned(
        context,
        "forget",
        {"path": path},
        lambda library, _, _r: {"forgotten": library.forget(path)},
    )
    if as_json:
        print_json(done)
    else:
        context.tell(
            Text(
                f"{path} is forgotten. The file stays where it is; `rag forget --undo` lets "
                "it in again.",
                f"已忘记 {path}。文件仍在原处；`rag forget --undo` 可重新收录。",
            )
        )
        _print_quoting(context, quoting)


def _chats_quoting(context: Context, path: str) -> list[int]:
    """Return the chats that quote a document; none where there is no such document."""
    from rag.errors import UnknownDocument
    from rag.indexing.removal import find_document
    from rag.storage.chats import Chats

    with context.ledger(read_only=True) as ledger:
        try:
            return Chats(ledger).citing(find_document(ledger, path))
        except UnknownDocument:
            return []


def _print_quoting(context: Context, chats: list[int]) -> None:
    """Say which chats keep quotations from a document that was forgotten."""
    if not chats:
        return
    numbers = ", ".join(map(str, chats))
    words = Text(
        f"Chats that keep quotations from it: {numbers}; `rag chats delete` removes one.",
        f"保存了其中引文的对话：{numbers}；`rag chats delete` 可删除。",
    )
    context.tell(words)


def _in_library(context: Context, path: str) -> str:
    """Return a path as the library has it where it leads, from here, into the folder."""
    try:
        below = os.path.relpath(path, context.settings.knowledge) if path else ".."
    except ValueError:  # on another drive
        return path
    return path if below.startswith("..") else Path(below).as_posix()


def _let_in(context: Context, path: str, *, as_json: bool) -> None:
    def work(library: Library, _: Container, _report: Callable[[Progress], None]) -> dict[str, Any]:
        library.remember(path)
        return {"syncing": False}

    done = owned(context, "remember", {"path": path}, work)
    if as_json:
        print_json(done)
    elif done["syncing"]:
        words = Text("The open app reads what was forgotten again.", "已打开的应用正在重新读取。")
        context.tell(words)
    else:
        words = Text("Run `rag sync` to read it again.", "运行 `rag sync` 重新读取。")
        context.tell(words)


def _print_report(context: Context, result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    from rag.types.documents import SEARCHABLE

    files, pages = result["files"], result["pages"]
    counts = {kind: count for kind, count in files.items() if kind != "failed" and count}
    kinds = ", ".join(
        f"{count} {_KINDS[kind].say(context.language)}" for kind, count in counts.items()
    )
    searchable = sum(pages[state] for state in SEARCHABLE)
    read = sum(pages.values())
    context.tell(
        Text(
            f"Files: {kinds or 'none'}. Pages read: {read}, of which {searchable} can be "
            f"searched. Passages: {result['chunks']}. {result['seconds']:.1f} s",
            f"文件：{kinds or '无'}。读取页数：{read}，其中可检索 {searchable} 页。"
            f"段落：{result['chunks']}。{result['seconds']:.1f} 秒",
        )
    )
    for failure in files["failed"]:
        why = reason_text(failure["code"], context.language)
        typer.echo(f"  {shown(failure['path'])}: {why}")
    for path in result.get("waiting", ()):
        typer.echo(f"  {shown(path)}: {reason_text('growing', context.language)}")
    if result["gaps"]:
        context.tell(
            Text(
                f"{result['gaps']} files or pages cannot be searched; `rag status --pages` "
                "says why.",
                f"有 {result['gaps']} 个文件或页面无法检索；`rag status --pages` 会说明原因。",
            )
        )


_KINDS: dict[str, Text] = {
    "added": Text("added", "新增"),
    "updated": Text("updated", "更新"),
    "moved": Text("moved", "移动"),
    "removed": Text("removed", "移除"),
    "unchanged": Text("unchanged", "未变"),
    "duplicate": Text("duplicate", "重复"),
}
