"""``rag ask``, ``rag search`` and ``rag why``: questions from the command line.

They read the library and never write it, so they work while the app is open.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.context import GAPS, Context, JsonOption, print_json
from rag.cli.open_library import only, opened
from rag.errors import ConfigError
from rag.text.messages import Text, undrawn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from rag.answering.explain.values import Explanation
    from rag.storage.ledger import Ledger
    from rag.text.messages import Language
    from rag.types.answers import (
        Answer,
        AskMode,
        Event,
        Message,
        Passage,
        Quoted,
        SearchResult,
        Sentence,
    )
    from rag.types.documents import Box


Question = Annotated[str, typer.Argument(help="in English or Chinese")]
InDocument = Annotated[
    str | None, typer.Option("--document", help="only in this document (file name or path)")
]
ReadWhole = Annotated[
    bool | None,
    typer.Option(
        "--whole/--passages",
        help="read documents whole, or the best passages only (default: by the question)",
    ),
]
InChat = Annotated[
    str, typer.Option("--chat", help="keep it in a chat of `rag chats list`, or in a `new` one")
]
_UNPROVEN = Text(
    "Your documents do not support this answer: no sentence of it stands in the passages found.",
    "你的文档不支持这个回答：其中没有一句话在找到的段落中得到印证。",
)
_SHOWN = 300  # characters of a passage printed to a terminal


def ask(
    ctx: typer.Context,
    question: Question,
    *,
    document: InDocument = None,
    whole: ReadWhole = None,
    chat: InChat = "",
    as_json: JsonOption = False,
) -> None:
    """Answer one question, streamed, with sources."""
    from rag.cli.context import print_coverage

    context: Context = ctx.obj
    mode: AskMode = "auto" if whole is None else "whole" if whole else "passages"
    with opened(context, with_model=False) as library:
        documents = only(library.ledger, document)
        history = _history_of(library.ledger, chat)
        direct = library.direct(question, documents, history) if mode == "auto" else None
        answer = _streamed(context, direct, quiet=as_json) if direct is not None else None
    if answer is None:
        found = _by_model(context, question, history, documents, mode)
        answer = _streamed(context, found, quiet=as_json)
    if chat:
        _keep_answer(context, chat, answer, documents or ())
    if as_json:
        print_json(answer_json(answer))
        return
    typer.echo("\n")
    if answer.unproven:
        typer.secho(context.say(_UNPROVEN), bold=True)
    _print_sources(context, answer)
    print_coverage(context, answer)


def _streamed(context: Context, events: Iterator[Event], *, quiet: bool) -> Answer:
    """Return the answer; print it as it comes unless that is to be ``quiet``."""
    from rag.cli.context import shown_progress
    from rag.types.answers import Delta, Finished, Quoted

    answer: Answer | None = None
    for event in shown_progress(context, events):
        if isinstance(event, Quoted) and not quiet:
            _print_quotation(event)
        if isinstance(event, Delta) and not quiet:
            typer.echo(event.text, nl=False)
        if isinstance(event, Finished):
            answer = event.answer
    assert answer is not None, "a stream of events ends with Finished"
    return answer


def _print_quotation(quoted: Quoted) -> None:
    """Show the likeliest place on stderr, while the model reads."""
    (found,) = quoted.sentence.evidence
    typer.secho(f"“{found.quote[:_SHOWN]}”", err=True, italic=True)
    typer.secho(f"  {found.document}, {found.page}\n", err=True, dim=True)


def _by_model(
    context: Context,
    question: str,
    history: Sequence[Message],
    documents: Collection[str] | None,
    mode: AskMode,
) -> Iterator[Event]:
    with opened(context, with_model=True) as library:
        yield from library.ask(question, history=history, documents=documents, mode=mode)


def search(
    ctx: typer.Context,
    question: Question,
    *,
    k: Annotated[int, typer.Option("--k", min=1, max=100, help="how many passages")] = 5,
    document: InDocument = None,
    as_json: JsonOption = False,
) -> None:
    """Find passages; no model is asked."""
    context: Context = ctx.obj
    with opened(context, with_model=False) as library:
        documents = only(library.ledger, document)
        result = library.parts.pipeline.search(question, k=k, documents=documents)
    if as_json:
        print_json(search_json(result))
        return
    for number, passage in enumerate(result.passages, start=1):
        typer.secho(f"{number}. {_place(context, passage)}", bold=True)
        typer.echo(f"   {' '.join(passage.chunk.text.split())[:_SHOWN]}\n")
    if not result.passages:
        context.tell(Text("Nothing was found.", "没有找到。"))


def _place(context: Context, passage: Passage) -> str:
    page = passage.chunk.first_page
    path = undrawn(passage.chunk.heading)
    heading = f" · {path}" if path else ""
    return context.say(
        Text(
            f"{passage.document}, page {page}{heading}",
            f"{passage.document}，第 {page} 页{heading}",
        )
    )


def _print_sources(context: Context, answer: Answer) -> None:
    cited = {e.passage: e for s in answer.sentences for e in s.evidence}
    for number, evidence in sorted(cited.items()):
        typer.secho(f"[{number + 1}] {_place(context, answer.passages[number])}", bold=True)
        typer.echo(f"    {' '.join(evidence.quote.split())[:_SHOWN]}")
    _print_doubts(context, answer)
    usage = answer.usage
    if usage.completion_tokens:
        context.tell(
            Text(
                f"{answer.model} · first token {usage.first_token_s:.1f} s · "
                f"{usage.tokens_per_second:.1f} tokens/s",
                f"{answer.model} · 首字 {usage.first_token_s:.1f} 秒 · "
                f"{usage.tokens_per_second:.1f} 词元/秒",
            ),
            dim=True,
            err=True,
        )


def _print_doubts(context: Context, answer: Answer) -> None:
    """Say which sentences are not supported, and why."""
    from rag.verification.reasons import reason_words

    marks = {"weak": ("?", typer.colors.YELLOW), "unsupported": ("✗", typer.colors.RED)}
    for sentence in answer.sentences:
        if sentence.verdict not in marks:
            continue
        sign, colour = marks[sentence.verdict]
        said = " ".join(answer.text[sentence.start : sentence.end].split())
        typer.secho(f"{sign} {said[:_SHOWN]}", fg=colour)
        typer.echo(f"    {reason_words(sentence.reason, context.language)}")
    if answer.left_out:
        count = answer.left_out
        context.tell(
            Text(
                f"Left out, because no passage supports it: {count} sentence(s).",
                f"已略去 {count} 句没有依据的内容。",
            )
        )


# -- as part of a chat that is kept

NEW = "new"


def _history_of(ledger: Ledger, chat: str) -> list[Message]:
    """Return what was said in the chat; nothing for a new one, or for none.

    Raises:
        ConfigError: ``chat`` is no number and not ``new``.
        UnknownChat: there is no such chat.
    """
    from rag.storage.chats import Chats
    from rag.types.answers import Message

    number = _number(chat)
    return [
        message
        for turn in (Chats(ledger).turns(number) if number is not None else ())
        if turn.answer.text and not turn.answer.beside_documents
        for message in (
            Message("user", turn.question),
            Message("assistant", turn.answer.text),
        )
    ]


def _keep_answer(context: Context, chat: str, answer: Answer, documents: Collection[str]) -> None:
    """Add the answer to the chat, and say which one it is."""
    from rag.storage.chats import Chats

    with context.ledger() as ledger:
        number = Chats(ledger).add(_number(chat), answer, documents=documents)
    words = Text(f"Kept in chat {number}.", f"已保存到对话 {number}。")
    context.tell(words, dim=True, err=True)


def _number(chat: str) -> int | None:
    if chat in {"", NEW}:
        return None
    if chat.isdecimal():
        return int(chat)
    raise ConfigError(
        Text(f"{chat} is no chat.", f"{chat} 不是对话编号。"),
        hint=Text(
            "Give a number from `rag chats list`, or `new`.",
            "请给出 `rag chats list` 中的编号，或 `new`。",
        ),
    )


# -- which stage lost a sentence

_SIGNS = {True: "✓", False: "✗", None: "·"}
_COLOURS = {True: "green", False: "red", None: None}


def why(  # noqa: PLR0913 - each is an option of the command
    ctx: typer.Context,
    question: Question,
    sentence: Annotated[str, typer.Argument(help="copied from a document")],
    *,
    document: Annotated[
        str | None, typer.Option("--document", help="where the sentence stands")
    ] = None,
    limited: Annotated[
        bool, typer.Option("--only", help="the question was asked of that document alone")
    ] = False,
    answer: Annotated[
        bool, typer.Option("--answer", help="ask the model, and see whether it uses it")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell why a sentence of a document did not reach the answer."""
    from rag.answering.explain.values import SentenceQuestion

    context: Context = ctx.obj
    for what, name in ((question, "QUESTION"), (sentence, "SENTENCE")):
        if not what.strip():
            raise typer.BadParameter(context.say(_BLANK), param_hint=name)
    if limited and document is None:
        raise typer.BadParameter(context.say(_NAMELESS), param_hint="--only")
    with opened(context, with_model=answer) as library:
        scope = only(library.ledger, document) if limited else None
        found = library.parts.explainer(lambda: library.generator).explain(
            SentenceQuestion(question, sentence, document=document, documents=scope, answer=answer)
        )
    if as_json:
        print_json(why_json(found, context.language))
    else:
        _print_steps(context, found)
    if not found.outcome.searchable:
        raise typer.Exit(GAPS)


_BLANK = Text("There is nothing in it.", "内容为空。")
_NAMELESS = Text("Name the document with --document.", "请用 --document 指明文档。")


def _print_steps(context: Context, found: Explanation) -> None:
    for step in found.steps:
        if step.what == found.outcome.what:
            continue  # it is said below
        typer.secho(f"{_SIGNS[step.passed]} ", fg=_COLOURS[step.passed], nl=False)
        context.tell(step.what)
    if len(found.steps) > 1:
        typer.echo()
    context.tell(found.outcome.what, bold=True)
    typer.echo(f"→ {context.say(found.outcome.remedy)}")


def why_json(found: Explanation, language: Language) -> dict[str, Any]:
    """Return what ``rag why --json`` prints."""
    place = found.place
    return {
        "question": found.question,
        "sentence": found.sentence,
        "outcome": found.outcome.code,
        "what": found.outcome.what.say(language),
        "remedy": found.outcome.remedy.say(language),
        "place": place
        and {
            "document": place.document,
            "path": place.path,
            "page": place.page,
            "start": place.start,
            "end": place.end,
            "quote": place.quote,
            "likeness": round(place.likeness, 4),
        },
        "steps": [
            {
                "stage": step.stage,
                "passed": step.passed,
                "what": step.what.say(language),
                "numbers": dict(step.numbers),
            }
            for step in found.steps
        ],
    }


# -- what scripts read


def box_json(box: Box) -> list[float]:
    """Return ``[page, x0, y0, x1, y1]`` in points from the page's top left."""
    return [box.page, box.x0, box.y0, box.x1, box.y1]


def passage_json(passage: Passage) -> dict[str, Any]:
    """Return one passage."""
    chunk = passage.chunk
    return {
        "document": passage.document,
        "path": passage.path,
        "page": chunk.first_page,
        "last_page": chunk.last_page,
        "label": passage.label or str(chunk.first_page),
        "heading": chunk.heading,
        "context": chunk.context,
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "score": round(passage.score, 6),
        "ranks": asdict(passage.ranks),
        "boxes": [box_json(box) for box in passage.boxes],
    }


def search_json(result: SearchResult) -> dict[str, Any]:
    """Return what ``rag search --json`` prints."""
    return {
        "question": result.question,
        "passages": [passage_json(passage) for passage in result.passages],
        "relevance": round(result.relevance, 4),
        "seconds": {stage: round(value, 4) for stage, value in asdict(result.seconds).items()},
    }


def _sentence_json(answer: Answer, sentence: Sentence) -> dict[str, Any]:
    return {
        "text": answer.text[sentence.start : sentence.end],
        "verdict": sentence.verdict,
        "reason": sentence.reason,
        "evidence": _evidence_json(sentence),
    }


def _evidence_json(sentence: Sentence) -> list[dict[str, Any]]:
    return [
        {
            "document": evidence.document,
            "page": evidence.page,
            "quote": evidence.quote,
            "boxes": [box_json(box) for box in evidence.boxes],
        }
        for evidence in sentence.evidence
    ]


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return what ``rag ask --json`` prints."""
    usage = answer.usage
    return {
        "question": answer.question,
        "answer": answer.text,
        "language": answer.language,
        "mode": "whole_document" if answer.coverage else "passages",
        "source": answer.source,
        "coverage": asdict(answer.coverage) if answer.coverage else None,
        "offer": asdict(answer.offer) if answer.offer else None,
        "verdict": answer.verdict,
        "relevance": answer.relevance,
        "finish": answer.finish,
        "quotation": _evidence_json(answer.quotation)[0] if answer.quotation else None,
        "sentences": [_sentence_json(answer, sentence) for sentence in answer.sentences],
        "left_out": answer.left_out,
        "notices": [
            {"kind": notice.kind, "step": notice.step, "en": notice.text.en, "zh": notice.text.zh}
            for notice in answer.notices
        ],
        "passages": [passage_json(passage) for passage in answer.passages],
        "dropped": [passage_json(passage) for passage in answer.dropped],
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "retrieve_s": round(usage.retrieve_s, 4),
            "first_token_s": round(usage.first_token_s, 4),
            "failed_s": round(usage.failed_s, 4),
            "total_s": round(usage.total_s, 4),
            "tokens_per_second": round(usage.tokens_per_second, 2),
        },
        "memory": asdict(answer.memory) if answer.memory else None,
        "model": answer.model,
    }
