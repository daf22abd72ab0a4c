"""The middle room as HTML: questions, answers with their verdicts, and what they cost."""

from __future__ import annotations

from html import escape

from rag.text.messages import Language
from rag.types.answers import Evidence, Sentence, Usage
from rag.types.progress import Progress
from rag.verification.reasons import reason_words
from ui.markup import settled
from ui.screen import Problem, Screen, Turn, passage_of
from ui.views.answer import answer_html
from ui.views.common import attribute, bar_html, icon, page_words, progress_words, word
from ui.views.evidence import evidence_html, sentence_places
from ui.views.reading import coverage_html, offer_html, reading_html
from ui.views.why import why_form_html
from ui.words import say

EXAMPLES = ("example_en", "example_zh")


def talk_html(screen: Screen, language: Language) -> str:
    """Return the finished turns; with none and nothing under way, a welcome."""
    if not screen.turns and not screen.live:
        return hello_html(language)
    turns = "".join(
        turn_html(turn, number, language) for number, turn in enumerate(screen.turns, start=1)
    )
    return f'<i hidden data-kept="{screen.chat or ""}"></i>{turns}'


def live_html(screen: Screen, language: Language) -> str:
    """Return the turn that is being answered; empty when there is none."""
    return turn_html(screen.live, 0, language) if screen.live else ""


def hello_html(language: Language) -> str:
    """Return what stands in an empty conversation."""
    buttons = "".join(
        f'<button type="button" class="example">{word(key, language)}</button>' for key in EXAMPLES
    )
    return (
        f'<div class="hello"><i class="logo"></i><h1>{word("hello", language)}</h1>'
        f'<p class="when-documents">{word("hello_more", language)}</p>'
        f'<p class="when-empty">{word("hello_empty", language)}</p>'
        f'<div class="examples">{buttons}</div></div>'
    )


def turn_html(turn: Turn, number: int, language: Language) -> str:
    """Return one question and its answer; ``number`` 0 is the live one."""
    live = ' data-live="1"' if number == 0 else ""
    stage = (
        f'<div class="stage" role="status">{_stage(turn, language)}</div>' if number == 0 else ""
    )
    return (
        f'<article class="turn {turn.stage}" data-turn="{number}"{live}>'
        f'<div class="q" dir="auto">{escape(turn.question)}</div>{_searched(turn, language)}'
        f'<div class="a" dir="auto" data-text="{escape(turn.text)}">{_body(turn, language)}</div>'
        f"{stage}{_notes(turn, language)}{_read(turn, language)}"
        f"{_foot(turn, language) if number else ''}"
        f"{why_form_html(turn, language) if number else ''}"
        f"{evidence_html(turn, language)}</article>"
    )


def _searched(turn: Turn, language: Language) -> str:
    """Return what was searched for, where it is not the question alone."""
    told = [("searched", turn.searched)]
    if turn.also:
        told.append((turn.also.kind, turn.also.text))
    return "".join(
        f'<p class="searched" dir="auto" title="{word(f"{what}_title", language)}">'
        f"{word(f'{what}_for', language, words=words)}</p>"
        for what, words in told
        if words
    )


def _body(turn: Turn, language: Language) -> str:
    if turn.answer and turn.answer.verdict == "not_in_documents":
        scope = (
            f"<p>{word('not_in_documents_scope', language, count=turn.scope)}</p>"
            if turn.scope
            else ""
        )
        return (
            f'<div class="absent"><b>{word("not_in_documents", language)}</b>'
            f"{answer_html(turn.text)}{scope}</div>"
        )
    sentences = turn.sentences
    return answer_html(
        turn.text if turn.answer else settled(turn.text),
        sentences,
        opening=lambda index: _opening(turn, sentences[index], index),
        marks=lambda index: _marks(turn, sentences[index], index, language),
    )


def _opening(turn: Turn, sentence: Sentence, index: int) -> str:
    found = sentence_places(turn, sentence)
    focus = ' tabindex="0"' if found else ""
    return (
        f'<span class="s {sentence.verdict}" data-s="{index}"{focus} '
        f'data-evidence="{attribute(found)}">'
    )


def _marks(turn: Turn, sentence: Sentence, index: int, language: Language) -> str:
    """Return one superscript for each passage that supports the sentence, or a question mark."""
    first: dict[int, Evidence] = {}
    for item in sentence.evidence:
        if passage_of(turn.passages, item):
            first.setdefault(item.passage, item)
    if sentence.verdict == "unsupported" and not first:
        words = escape(_title(sentence, language))
        return f'<sup class="n unsupported" title="{words}" aria-label="{words}">?</sup>'
    return "".join(_mark(turn, sentence, item, index, language) for item in first.values())


def _mark(turn: Turn, sentence: Sentence, item: Evidence, index: int, language: Language) -> str:
    passage = turn.passages[item.passage]
    place = {"number": item.passage + 1, "page": page_words(passage, language)}
    title = escape(f"{_title(sentence, language, **place)} · {passage.document}")
    shown = "?" if sentence.verdict == "unsupported" else item.passage + 1
    return (
        f'<sup class="n {sentence.verdict}"><button type="button" data-s="{index}" '
        f'data-n="{item.passage + 1}" title="{title}" aria-label="{title}">{shown}</button></sup>'
    )


def _title(sentence: Sentence, language: Language, **place: object) -> str:
    """Return the verdict on a sentence in words, and the reason for it."""
    near = "_near" if sentence.verdict == "unsupported" and place else ""
    words = say(f"verdict_{sentence.verdict}{near}", language, **place)
    why = reason_words(sentence.reason, language)
    return f"{words}{'。' if language == 'zh' else '. '}{why}" if why else words


def _stage(turn: Turn, language: Language) -> str:
    dots = '<span class="dots" aria-hidden="true"><i></i><i></i><i></i></span>'
    if turn.stage == "model":
        downloading = turn.progress is not None and turn.progress.stage == "download"
        words = word("model_downloading" if downloading else "model_loading", language)
        if not turn.progress:
            return dots + words
        amount = escape(progress_words(turn.progress, language))
        return f'{dots}{words}<span class="amount">{amount}</span>{bar_html(turn.progress)}'
    if turn.stage == "reading":
        return dots + _reading(turn, language)
    if turn.stage in {"queued", "searching"}:
        return dots + word(turn.stage, language)
    return word("stopping", language) if turn.stage == "stopping" else ""


def _reading(turn: Turn, language: Language) -> str:
    if turn.reading:
        return reading_html(turn.reading, turn.read, language)
    words = word("reading_passages", language, count=len(turn.passages))
    if not turn.read:
        return words
    share = Progress("read", round(100 * turn.read), 100)
    return f'{words}<span class="amount">{share.done} %</span>{bar_html(share)}'


def _notes(turn: Turn, language: Language) -> str:
    told = "".join(
        f'<p class="note {notice.kind}">{escape(notice.text.say(language))}</p>'
        for notice in turn.notices
    )
    return told + _ending(turn, language)


def _ending(turn: Turn, language: Language) -> str:
    finish = turn.answer.finish if turn.answer else "stop"
    if turn.problem:
        return _problem(turn.problem, language)
    if turn.stage == "stopped" or finish == "cancelled":
        return f'<p class="note">{word("stopped_note", language)}</p>'
    notes = [word("cut_note", language)] if finish == "length" else []
    if turn.answer and turn.answer.left_out:
        notes.append(word("left_out", language, count=turn.answer.left_out))
    return "".join(f'<p class="note">{note}</p>' for note in notes)


def _read(turn: Turn, language: Language) -> str:
    """Return how much was read, or what reading everything would take."""
    if not turn.answer:
        return ""
    if turn.answer.coverage:
        return coverage_html(turn.answer.coverage, language)
    return offer_html(turn.answer.offer, turn.question, language) if turn.answer.offer else ""


def _problem(problem: Problem, language: Language) -> str:
    return (
        f'<div class="problem" role="alert"><p>{escape(problem.message.say(language))}</p>'
        f"<p>→ {escape(problem.hint.say(language))}</p></div>"
    )


def _foot(turn: Turn, language: Language) -> str:
    if not turn.text:
        return ""
    copy = word("copy", language)
    button = (
        '<button type="button" class="copy" data-do="copy">'
        f"{icon('copy')}<span>{copy}</span></button>"
    )
    costs = _costs(turn.answer.usage, language) if turn.answer else ""
    return f'<footer class="foot"><div>{_counts(turn, language)}{costs}</div>{button}</footer>'


def _counts(turn: Turn, language: Language) -> str:
    verdicts = [sentence.verdict for sentence in turn.answer.sentences] if turn.answer else []
    if not verdicts or (turn.answer and turn.answer.verdict == "not_in_documents"):
        return ""
    supported = verdicts.count("supported")
    words = say("sentences_supported", language, done=supported, total=len(verdicts))
    tick = "✓ " if supported else ""
    parts = [f'<span class="{"ok" if supported else "plain"}">{tick}{escape(words)}</span>']
    for verdict, key in (("weak", "sentences_weak"), ("unsupported", "sentences_unsupported")):
        if count := verdicts.count(verdict):  # type: ignore[arg-type]
            parts.append(f'<span class="{verdict}">{word(key, language, count=count)}</span>')
    return "".join(parts)


def _costs(usage: Usage, language: Language) -> str:
    parts = []
    if usage.completion_tokens:
        parts.append(say("first_token", language, seconds=f"{usage.first_token_s:.1f}"))
        if usage.tokens_per_second:
            parts.append(say("speed", language, value=speed(usage)))
    parts.append(say("retrieval", language, value=f"{usage.retrieve_s * 1000:.0f}"))
    title = say(
        "usage_title",
        language,
        prompt=f"{usage.prompt_tokens:,}",
        completion=f"{usage.completion_tokens:,}",
        seconds=f"{usage.total_s:.1f}",
    )
    return f'<span class="costs" title="{escape(title)}">{escape(" · ".join(parts))}</span>'


def speed(usage: Usage) -> str:
    """Return tokens per second, with one digit more below ten.

    >>> speed(Usage(completion_tokens=30, total_s=4.0))
    '7.5'
    """
    value = usage.tokens_per_second
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"  # noqa: PLR2004  # see the docstring
