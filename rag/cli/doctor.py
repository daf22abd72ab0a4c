"""``rag doctor``: is everything as it should be, and if not, what to do."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import typer

from rag.cli.context import Context, JsonOption, print_json
from rag.errors import ConfigError, RagError
from rag.text.messages import Text
from rag.text.sizes import file_size, memory_size

if TYPE_CHECKING:
    from rag.app.engine_choice import EngineChoice
    from rag.storage.ledger import Ledger

_PACKAGES = (
    "torch", "transformers", "bitsandbytes", "sentence-transformers", "chromadb", "gradio",
    "langchain-text-splitters", "pypdf", "pypdfium2", "xllamacpp",
)  # fmt: skip
_LOW_DISK_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    state: Literal["ok", "warning", "error"]
    what: Text
    remedy: Text | None = None


def doctor(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """Check the installation, the library, the index, the models and the GPU."""
    context: Context = ctx.obj
    findings = [
        *_installation(),
        *_machine(context),
        *_models(context),
        *_engines(context),
        *_server(context),
        *_terms(context),
        *_library(context),
    ]
    if as_json:
        rows = [
            {"state": one.state, "what": one.what.en, "remedy": one.remedy and one.remedy.en}
            for one in findings
        ]
        print_json({"findings": rows})
    else:
        marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}
        for finding in findings:
            mark, colour = marks[finding.state]
            typer.secho(f"{mark} {context.say(finding.what)}", fg=colour)
            if finding.remedy:
                typer.echo(f"  → {context.say(finding.remedy)}")
    raise typer.Exit(1 if any(finding.state == "error" for finding in findings) else 0)


def _installation() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as package_version

    yield _ok(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in _PACKAGES:
        try:
            yield _ok(f"{package} {package_version(package)}")
        except PackageNotFoundError:
            yield Finding(
                "error",
                Text(f"{package} is not installed.", f"未安装 {package}。"),
                Text(
                    "Run `pip install -c constraints.txt -e .` again.",
                    "请重新运行 `pip install -c constraints.txt -e .`。",
                ),
            )


def _machine(context: Context) -> Iterator[Finding]:
    from rag.app.container import Container

    reading = Container(context.settings).readings().read()
    total = memory_size(reading.ram_total_bytes)
    yield _ok(f"memory: {total}", f"内存：{total}")
    if reading.gpu_name is None:
        yield _ok("no NVIDIA GPU; the CPU does the work", "没有 NVIDIA GPU，由 CPU 运行")
    else:
        vram = f"{memory_size(reading.vram_used_bytes or 0)} / "
        vram += memory_size(reading.vram_total_bytes or 0)
        yield _ok(f"{reading.gpu_name}, {vram}")
    folder = context.settings.knowledge
    if folder.exists():
        free = shutil.disk_usage(folder).free
        yield Finding(
            "ok" if free > _LOW_DISK_BYTES else "warning",
            Text(f"disk: {file_size(free)} free", f"磁盘：剩余 {file_size(free)}"),
            None if free > _LOW_DISK_BYTES else Text("Make room.", "请清理磁盘空间。"),
        )


def _models(context: Context) -> Iterator[Finding]:
    from rag.app.container import Container

    container = Container(context.settings)
    store = container.model_store()
    try:
        wanted = [container.chosen_generator().model, context.settings.embedder.model]
        for name in wanted:
            if store.catalogue.find(name) is None:
                continue
            if store.installed(name) is not None:
                yield _ok(f"model {name} is installed", f"模型 {name} 已安装")
            else:
                yield Finding(
                    "warning",
                    Text(f"model {name} is not downloaded yet", f"模型 {name} 尚未下载"),
                    Text(
                        f"It comes by itself at the first use, or run `rag models pull {name}`.",
                        f"首次使用时会自动下载，也可运行 `rag models pull {name}`。",
                    ),
                )
        better = container.offered_generator()
        if better is not None:
            yield Finding("ok", better)
    except RagError as error:
        yield Finding("error", error.message, error.hint)


_ENGINES = {"llamacpp": "llama.cpp", "openvino": "OpenVINO"}


def _engines(context: Context) -> Iterator[Finding]:
    """Tell which engine runs a GGUF on this CPU, and why."""
    from rag.app.container import Container
    from rag.app.engine_choice import why_not_compared

    plans = Container(context.settings).plans
    try:
        chosen = plans.chosen()
        if chosen.engine not in _ENGINES:
            return
        path, name = plans.file_of(chosen), _ENGINES[chosen.engine]
        waits = plans.to_compare() is not None
    except RagError:
        return  # told where the model is looked at
    if path is None:
        return
    if waits:
        yield _ok(
            f"engine: {name}; the app finds out in the background whether OpenVINO is faster here",
            f"引擎：{name}；应用会在后台测试 OpenVINO 在本机是否更快",
        )
    elif found := plans.engines.of(path):
        yield _timed(name, found)
    else:
        why = why_not_compared(path)
        note, note_zh = (f" ({why})", f"（{why}）") if why else ("", "")
        yield _ok(f"engine: {name}{note}", f"引擎：{name}{note_zh}")


def _timed(name: str, found: EngineChoice) -> Finding:
    """Say what was measured: seconds of the median question, to load, and memory."""
    from rag.app.engine_choice import QUESTION_READ, QUESTION_WRITTEN

    en, zh = [], []
    for one in found.times:
        called = _ENGINES[one.engine]
        if one.refused:
            en.append(f"{called} cannot be used: {one.refused}")
            zh.append(f"{called} 不可用：{one.refused}")
            continue
        memory = memory_size(one.memory_bytes)
        en.append(f"{called} {one.question_s:.0f} s (loads in {one.load_s:.0f} s, {memory})")
        zh.append(f"{called} {one.question_s:.0f} 秒（加载 {one.load_s:.0f} 秒，{memory}）")
    return _ok(
        f"engine: {name}; a question of {QUESTION_READ:,} tokens and an answer of"
        f" {QUESTION_WRITTEN} take {'; '.join(en)}",
        f"引擎：{name}；{QUESTION_READ:,} 个 token 的问题加 {QUESTION_WRITTEN} 个 token 的回答："
        f"{'；'.join(zh)}",
    )


def _server(context: Context) -> Iterator[Finding]:
    """Ask the server what it serves, where one answers."""
    from rag.app.container import Container
    from rag.types.server_address import leaving

    try:
        server = context.settings.generator.server()
    except ConfigError:
        return  # told where the model is looked at
    if server is None:
        return
    if away := leaving(server):
        remedy = Text(
            "Unset generator.url to answer on this machine.",
            "清除 generator.url 即可改为在本机回答。",
        )
        yield Finding("warning", away, remedy)
    else:
        here = Text(
            f"Answers come from {server.shown} on this machine.", f"回答来自本机的 {server.shown}。"
        )
        yield Finding("ok", here)
    try:
        generator = Container(context.settings).generator()
    except RagError as error:
        yield Finding("error", error.message, error.hint)
        return
    with closing(generator):
        yield Finding("ok", _served(generator))


def _served(generator: Any) -> Text:
    window = generator.context_tokens
    known = generator.window_known
    exact = generator.counts_exactly
    return Text(
        f"{generator.name} answers; window {window} tokens"
        f"{'' if known else ' (as set: the server does not say)'}, prompts are "
        f"{'counted by the server' if exact else 'estimated, upwards'}; its memory is not known "
        "here.",
        f"{generator.name} 可以回答；窗口 {window} 个 token"
        f"{'' if known else '（按设置，服务器未说明）'}，提示长度"
        f"{'由服务器计数' if exact else '按上限估算'}；其内存占用未知。",
    )


def _terms(context: Context) -> Iterator[Finding]:
    """Tell which term files are in use, and which are left out."""
    from rag.retrieval.terms.files import load_term_files

    asked = context.settings.retrieve
    files = load_term_files(asked.terms)
    for file in files.used:
        count = file.count
        shipped = Text(" (comes with RAG Desk)", "（随 RAG Desk 提供）")
        from_where = shipped if file.shipped else Text("", "")
        shown = file.path.name if file.shipped else file.path
        yield _ok(
            f"term file {shown}{from_where.en}: {count} term{'' if count == 1 else 's'}",
            f"术语文件 {shown}{from_where.zh}：{count} 个术语",
        )
    for error in files.left_out:
        yield Finding("warning", error.message, error.hint)
    if "terms" in asked.model_fields_set and not asked.terms.is_dir():
        yield Finding(
            "warning",
            Text(f"There is no folder {asked.terms}.", f"文件夹 {asked.terms} 不存在。"),
            Text("Create it, or change retrieve.terms.", "请创建它，或修改设置项 retrieve.terms。"),
        )


def _library(context: Context) -> Iterator[Finding]:
    from rag.app.container import Container
    from rag.storage.status import broken_invariants

    folder = context.settings.knowledge
    if not folder.is_dir():
        yield Finding(
            "error",
            Text(f"There is no folder {folder}.", f"文件夹 {folder} 不存在。"),
            Text(
                "Create it, or name another with --knowledge.", "请创建它，或用 --knowledge 指定。"
            ),
        )
        return
    try:
        ledger = Container(context.settings).ledger(read_only=True)
    except RagError as error:
        yield Finding("warning", error.message, error.hint)
        return
    with closing(ledger):
        broken = broken_invariants(ledger)
        for problem in broken:
            yield Finding(
                "error",
                Text(f"library: {problem}", f"资料库：{problem}"),
                Text("Run `rag rebuild --all`.", "请运行 `rag rebuild --all`。"),
            )
        if not broken:
            yield _ok("the library holds together", "资料库完整无误")
        yield from _index(context, ledger)
        yield from _own_questions(ledger)


def _index(context: Context, ledger: Ledger) -> Iterator[Finding]:
    from rag.storage.vectors.manager import collection_name, is_clean

    version = ledger.active_version()
    chroma = context.settings.data / "chroma"
    if version is None or not chroma.exists():
        return
    if is_clean(ledger, version, chroma):
        yield _ok(
            f"vector index {collection_name(version)} was closed in order",
            f"向量索引 {collection_name(version)} 已正常关闭",
        )
    else:
        yield _ok(
            "the vector index is open, or was not closed in order; it mends itself at the "
            "next start",
            "向量索引正在使用，或上次未正常关闭；下次启动时会自动修复",
        )


_LANGUAGES = {"en": Text("English", "英文"), "zh": Text("Chinese", "中文")}
_KNOWS_MOST = "multilingual-e5-small"


def _own_questions(ledger: Ledger) -> Iterator[Finding]:
    """Tell what the library has been asked about itself, and what came of it."""
    from rag.indexing.calibration import kept
    from rag.types.index_version import model_name

    version = ledger.active_version()
    if version is None:
        return
    embedder = model_name(version.embedder)
    for language, known in kept(ledger, version).items():
        name = _LANGUAGES[language]
        yield _ok(
            f"{known.questions} questions of its own in {name.en} say what counts as not in"
            " your documents",
            f"已用资料库自身内容生成的 {known.questions} 个{name.zh}问题校准“文档中没有”的判断",
        )
        if not known.knows_the_language:
            yield Finding(
                "warning",
                Text(
                    f"{embedder} hardly finds passages in {name.en}; search there goes by words",
                    f"{embedder} 几乎找不到{name.zh}段落；{name.zh}检索以词语匹配为主",
                ),
                Text(
                    f"Run `rag models use {_KNOWS_MOST}`, then `rag rebuild`.",
                    f"请运行 `rag models use {_KNOWS_MOST}`，然后运行 `rag rebuild`。",
                )
                if embedder != _KNOWS_MOST
                else None,
            )


def _ok(en: str, zh: str = "") -> Finding:
    return Finding("ok", Text(en, zh or en))
