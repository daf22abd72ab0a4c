"""Our pipeline against a plain one: the same PDFs, embedding model and machine, side by side.

Every run of either has a process of its own, one after the other, ours first. What the two
take is compared run by run; the medians of those ratios are the result.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table

from rag.app.registry import HASHING
from rag.config import load_settings
from rag.models.store import ModelStore
from tests.bench import machine
from tests.bench.child import run, run_module
from tests.bench.corpus import Corpus, choose, find_pdfs, place

EMBEDDERS = ("multilingual-e5-small", "all-MiniLM-L6-v2", HASHING)
Pipeline = Literal["ours", "plain"]
PIPELINES: tuple[Pipeline, ...] = ("ours", "plain")
_GAPS = 3  # exit code of ``rag sync``: done, though some page cannot be searched


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table; ``digits`` after the point."""

    key: str
    label: str
    digits: int = 2
    ratio: bool = True


MEASURES = (
    Measure("pages", "pages", 0, ratio=False),
    Measure("passages", "passages", 0, ratio=False),
    Measure("truncated", "passages the model cuts short", 0, ratio=False),
    Measure("pages_per_s", "**pages/s, end to end**"),
    Measure("seconds", "seconds, end to end", 1),
    Measure("read", "– read and parse, s", 1),
    Measure("chunk", "– chunk, s"),
    Measure("embed", "– embed, s", 1),
    Measure("write", "– write, s"),
    Measure("other", "– other; less the time in which stages overlap, s", ratio=False),
    Measure("cpu_s", "processor seconds, end to end", 1),
    Measure("passages_per_s", "passages/s while embedding", 1),
    Measure("parse_pages_per_s", "pages/s, parsing alone, one process", 1),
    Measure("workers_pages_per_s", "**pages/s, parsing alone, our workers**", 1),
    Measure("peak_mb", "**peak memory with children, MB**", 0),
    Measure("load_s", "start and model load, s (not in the above)", 1),
    Measure("again_s", "**second run, nothing changed, s**", 3),
    Measure("again_process_s", "– its whole process, s"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if find_spec("langchain_chroma") is None:
        raise SystemExit(
            "The plain reference stores through langchain-chroma, which is not installed.\n"
            'Run `pip install -c constraints.txt -e ".[bench]"`.'
        )
    root, files = find_pdfs(options.pdfs)
    corpus = choose(root, files, documents=options.documents, max_pages=options.pages)
    console = Console(width=110)
    console.print(
        f"{len(corpus.files)} PDFs, {corpus.pages} pages, {corpus.size_bytes / 1e6:.1f} MB"
        f" of {len(files)} PDFs; {options.embedder}; {options.runs} runs of each",
        highlight=False,
    )
    if options.embedder != HASHING:
        store = ModelStore.of(load_settings(None).models)  # downloaded now, not while measuring
        store.pull(options.embedder, progress=lambda _: None, cancelled=lambda: False)
    report: dict[str, Any] = {}
    for report in measure(corpus, embedder=options.embedder, runs=options.runs, console=console):
        if options.json:  # after each pair, so that one that is interrupted leaves the others
            options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    console.print(table(report))
    console.print(
        "Ratios are ours/plain, the median over pairs of runs. The plain pipeline has nothing"
        " that knows of a first run: its second is its first again.",
        highlight=False,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.indexing", description=__doc__)
    parser.add_argument("--pdfs", type=Path, help="a folder of PDFs; default: evaluation sets")
    parser.add_argument("--embedder", choices=EMBEDDERS, default=EMBEDDERS[0])
    parser.add_argument("--documents", type=int, default=12, help="at most (default 12)")
    parser.add_argument("--pages", type=int, default=250, help="at most, in all (default 250)")
    parser.add_argument("--runs", type=int, default=3, help="of each pipeline (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return parser


def measure(
    corpus: Corpus, *, embedder: str, runs: int, console: Console
) -> Iterator[dict[str, Any]]:
    """Run both pipelines ``runs`` times each, in turn; yield the report after each pair."""
    before = machine.describe()
    pairs = []
    for number in range(1, runs + 1):
        pair: dict[str, dict[str, float]] = {}
        for pipeline in PIPELINES:
            pair[pipeline] = one_run(corpus, pipeline, embedder=embedder)
            console.print(
                f"{pipeline} {number}/{runs}: {pair[pipeline]['pages_per_s']:.2f} pages/s",
                highlight=False,
            )
        pairs.append(pair)
        yield {
            "machine": {**before, "load_average_after": machine.describe()["load_average"]},
            "embedder": embedder,
            "corpus": {
                "documents": len(corpus.files),
                "pages": corpus.pages,
                "bytes": corpus.size_bytes,
                "left_out": corpus.left_out,
            },
            "runs": pairs,
            "medians": {name: _medians([pair[name] for pair in pairs]) for name in PIPELINES},
            "ratios": ratios(pairs),
        }


def one_run(corpus: Corpus, pipeline: Pipeline, *, embedder: str) -> dict[str, float]:
    """Index into an empty place, index again, and parse alone; each in a new process."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        knowledge, store = Path(name, "knowledge"), Path(name, "store")
        place(corpus, knowledge)
        where = ["--pdfs", str(knowledge), "--embedder", embedder]
        if pipeline == "plain":
            where += ["--store", str(store)]
        first = run_module(pipeline, where)
        found = first.result
        again_s, again_process_s = found["seconds"], first.process_s
        if pipeline == "ours":
            again_s, again_process_s = _sync_again(knowledge, embedder, found["pages"])
        parsed = run_module("parsing", [pipeline, "--pdfs", str(knowledge)]).result
        workers = parsed
        if pipeline == "ours":
            workers = run_module("parsing", ["workers", "--pdfs", str(knowledge)]).result
    return {
        **{
            key: found[key] for key in ("pages", "passages", "failed", "load_s", "seconds", "cpu_s")
        },
        **found["stages"],
        "truncated": found.get("truncated", 0),  # ours raises before it embeds such a passage
        "pages_per_s": found["pages"] / found["seconds"],
        "passages_per_s": found["passages"] / found["stages"]["embed"],
        "parse_pages_per_s": parsed["pages"] / parsed["seconds"],
        "workers_pages_per_s": workers["pages"] / workers["seconds"],
        "parse_characters": parsed["characters"],
        "peak_mb": first.peak_bytes / 1e6,
        "again_s": again_s,
        "again_process_s": again_process_s,
    }


def _sync_again(knowledge: Path, embedder: str, pages: int) -> tuple[float, float]:
    """Let the command itself find that nothing changed; return its seconds, and its process's.

    Raises:
        RuntimeError: it changed something after all.
    """
    command = "from rag.cli import main; main()"
    again = run(
        ["-c", command, "--knowledge", str(knowledge), "sync", "--json"],
        environ={"RAGDESK_EMBEDDER__MODEL": embedder, "RAGDESK_INGEST__OCR": "off"},
        good=(0, _GAPS),
    )
    files = again.result["files"]
    if again.result["chunks"] or files["added"] or files["updated"] or not pages:
        raise RuntimeError(f"the second sync was not without changes: {again.result}")
    return again.result["seconds"], again.process_s


def _medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: median(run[key] for run in runs) for key in runs[0]}


def ratios(pairs: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """Return ours/plain for each measure that has one, as the median over the pairs."""
    return {
        measure.key: median(
            pair["ours"][measure.key] / pair["plain"][measure.key] for pair in pairs
        )
        for measure in MEASURES
        if measure.ratio and all(pair["plain"][measure.key] for pair in pairs)
    }


def table(report: Mapping[str, Any]) -> Table:
    """Return the medians as a table that can be put into a Markdown page as it is."""
    shown = Table(box=box.MARKDOWN)
    shown.add_column(report["embedder"])
    for heading in ("ours", "plain", "ours/plain"):
        shown.add_column(heading, justify="right")
    for measure in MEASURES:
        ratio = report["ratios"].get(measure.key)
        shown.add_row(
            measure.label,
            *(f"{report['medians'][name][measure.key]:.{measure.digits}f}" for name in PIPELINES),
            "" if ratio is None else f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.4f}",
        )
    return shown


if __name__ == "__main__":
    raise SystemExit(main())
