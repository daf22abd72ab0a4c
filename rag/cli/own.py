"""``rag eval --own``: the person's own library, measured with questions made from it.

The library is read as ``rag ask`` reads it, so this works while the app is open; only the
result is written into it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from rag.cli.context import Context, progress_bar
from rag.cli.wanted import Measured, Wanted
from rag.errors import ConfigError, StoreError
from rag.evaluation.measuring import Bench, measure_sets, told
from rag.words import Text

if TYPE_CHECKING:
    from rag.evaluation.sets import Question
    from rag.store.evaluations import EvaluationRow


def measure_own(context: Context, wanted: Wanted) -> Measured:
    """Make questions, or take those of a file or of the run to compare with, and ask them."""
    from rag.evaluation.keeping import find_earlier, finished
    from rag.evaluation.runs import OWN
    from rag.evaluation.sets import QuestionSet

    with _opened(context) as bench:
        before = find_earlier(bench.ledger, wanted, [OWN])
        questions = _questions(bench, wanted, before)
        if wanted.write is not None:
            lines = (json.dumps(one.row(), ensure_ascii=False) for one in questions)
            wanted.write.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        found = measure_sets(bench, [QuestionSet(OWN, tuple(questions), {})], wanted)
        return finished(bench, replace(found, questions=questions), before, wanted)


def _questions(bench: Bench, wanted: Wanted, before: EvaluationRow | None) -> Sequence[Question]:
    """Return the questions to ask; those of an earlier run, so that both answer the same."""
    from rag.evaluation.runs import OWN, load
    from rag.evaluation.sets import load_set
    from rag.indexing.questions import make_questions

    if wanted.questions is not None:
        file = load_set(wanted.questions).questions
        return [replace(question, set=OWN) for question in file]
    if before is not None:
        known = bench.documents()
        kept = [q for q in load(bench.ledger, before).questions if q.documents[0] in known]
        return kept or _none(Text(
            f"The documents that run {before.id} asked about are not there any more.",
            f"第 {before.id} 次评测所问的文档已经不在了。",
        ))  # fmt: skip
    made = make_questions(
        bench.ledger,
        size=wanted.size,
        seed=wanted.seed,
        told=told(bench.report, "making questions"),
    )
    if wanted.rephrase:
        made = _rephrased(bench, made)
    return made or _none(Text(
        "Nothing in your documents can be asked about by rule: they hold too little text.",
        "文档中的文字太少，无法按规则提出问题。",
    ))  # fmt: skip


def _none(words: Text) -> list[Question]:
    raise ConfigError(
        words,
        hint=Text(
            "Add documents, or ask questions of your own with --questions FILE.",
            "请添加文档，或用 --questions FILE 给出自己的问题。",
        ),
    )


def _rephrased(bench: Bench, questions: Sequence[Question]) -> list[Question]:
    from rag.evaluation.rephrase import rephrased

    documents = bench.documents()

    def page_text(file: str, page: int) -> str:
        row = bench.ledger.connection.execute(
            "SELECT text FROM pages WHERE document_id = ? AND number = ?", (documents[file], page)
        ).fetchone()
        return str(row[0]) if row else ""

    generator = bench.factory.generator()
    try:
        return list(
            rephrased(
                questions,
                generator,
                page_text=page_text,
                told=told(bench.report, "other words"),
            )
        )
    finally:
        generator.close()


@contextmanager
def _opened(context: Context) -> Iterator[Bench]:
    """Open the person's library for reading; the first time, fill it from the folder."""
    from rag import wiring
    from rag.cli.library import run_sync
    from rag.factory import Factory

    if not (context.settings.data / "library.db").is_file():
        run_sync(context, ocr="off")  # questions do not wait for scans to be read
    with progress_bar(context) as report:
        factory = Factory(context.settings, report=report)
        ledger = factory.ledger(read_only=True)
        try:
            space = ledger.active_space()
            if space is None:
                raise StoreError(
                    Text("Nothing has been indexed yet.", "还没有建立任何索引。"),
                    hint=Text("Run `rag sync`.", "请运行 `rag sync`。"),
                )
            if not wiring.is_wanted(factory, space):
                _warn(context)
            yield Bench(factory, ledger, wiring.space_engines(factory, ledger, space), report)
        finally:
            factory.close()
            ledger.close()


def _warn(context: Context) -> None:
    words = Text(
        "The index was made with other settings than those in force; that index is measured."
        " `rag rebuild` makes the one they ask for, and keeps this one to go back to.",
        "现有索引与当前设置不同，下面评测的是现有索引。`rag rebuild` 可按当前设置重建，"
        "并保留现有索引以便退回。",
    )
    typer.secho(context.say(words), fg="yellow", err=True)
