"""The middle room: questions, answers with their verdicts and what they cost, and kept chats."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.storage.chats import ChatSummary
from rag.text.messages import Language
from rag.types.answers import Coverage, Evidence, Offer, ReadingProgress, Sentence, Usage
from rag.types.progress import Progress
from rag.verification.reasons import reason_words
from ui.render import render
from ui.tabs import Screen, Turn, passage_of
from ui.views.answer import DrawnSentence, Mark, answer_values, settled
from ui.views.evidence import evidence_values, sentence_places
from ui.words import first_token, page_words, progress_words, say, speed

if TYPE_CHECKING:
    from rag.answering.explain.values import Explanation

MAX_SENTENCE = 2000  # characters; of a sentence that is looked for
SHOWN = 200  # rows; older chats are listed by the command line
_NAMED = 3  # documents named in a line; the rest are counted
_MINUTE, _DAY = 60, 86_400


def talk_html(screen: Screen, language: Language) -> str:
    """Return the finished turns; with none and nothing under way, a welcome."""
    if not screen.turns and not screen.live:
        return render("hello", language)
    turns = [_shown(turn, number, language) for number, turn in enumerate(screen.turns, start=1)]
    return render("talk", language, chat=screen.chat, turns=turns, max_sentence=MAX_SENTENCE)


def live_html(screen: Screen, language: Language) -> str:
    """Return the turn that is being answered; empty when there is none."""
    return turn_html(screen.live, 0, language) if screen.live else ""


def turn_html(turn: Turn, number: int, language: Language) -> str:
    """Return one question and its answer; ``number`` 0 is the live one."""
    shown = _shown(turn, number, language)
    return render("turn", language, shown=shown, max_sentence=MAX_SENTENCE)


def why_html(found: Explanation, language: Language) -> str:
    """Return what became of a sentence, what to do, and every stage on request."""
    return render("why", language, found=found)


def chats_html(chats: Sequence[ChatSummary], language: Language, *, now: float) -> str:
    """Return the rows, the last one first; ``now`` is in seconds since 1970."""
    rows = [(chat, _when(chat.changed_at, language, now)) for chat in chats[:SHOWN]]
    return render("chats", language, chats=rows)


def _shown(turn: Turn, number: int, language: Language) -> dict[str, object]:
    """Return what the template ``turn.html`` takes."""
    answer = turn.answer
    values: dict[str, object] = {
        "turn": turn,
        "costs": "",
        "usage_title": "",
        "number": number,
        "notes": _notes(turn, language),
        **_body(turn, language),
        **evidence_values(turn, language),
        "explained": number and answer and answer.explainable,
        "quoted": _quoted(turn, language),
        "unproven": answer is not None and answer.unproven,
    }
    if not number:
        values["doing"] = _doing(turn, language)
    if answer:
        values |= {"counts": _counts(turn, language)}
        if answer.source == "documents":
            values |= _costs(answer.usage, language)
        if answer.coverage:
            values["read_from"] = _documents(answer.coverage, language)
        elif answer.offer:
            values["offered"] = _offered(answer.offer, language)
    else:
        values["counts"] = ()
    return values


def _quoted(turn: Turn, language: Language) -> dict[str, object] | None:
    """Return the place that was quoted before the answer; nothing where it stands by itself."""
    shown = turn.quotation
    passage = passage_of(turn.passages, shown.evidence[0]) if shown and shown.evidence else None
    if shown is None or passage is None:
        return None
    found = shown.evidence[0]
    return {
        "words": found.quote,
        "places": sentence_places(turn, shown),
        "document": passage.document,
        "page": say("pdf_page", language, number=found.page),
    }


def _body(turn: Turn, language: Language) -> dict[str, object]:
    if turn.answer and turn.answer.verdict == "not_in_documents":
        return answer_values(turn.text)
    drawn = [
        DrawnSentence(sentence, sentence_places(turn, sentence), _marks(turn, sentence, language))
        for sentence in turn.sentences
    ]
    return answer_values(turn.text if turn.answer else settled(turn.text), drawn)


def _marks(turn: Turn, sentence: Sentence, language: Language) -> list[Mark]:
    """Return one mark for each passage that supports the sentence, or one without a passage."""
    first: dict[int, Evidence] = {}
    for item in sentence.evidence:
        if passage_of(turn.passages, item):
            first.setdefault(item.passage, item)
    if sentence.verdict == "unsupported" and not first:
        return [Mark(0, _title(sentence, language))]
    return [_mark(turn, sentence, number, language) for number in first]


def _mark(turn: Turn, sentence: Sentence, index: int, language: Language) -> Mark:
    passage = turn.passages[index]
    title = _title(sentence, language, number=index + 1, page=page_words(passage, language))
    return Mark(index + 1, f"{title} · {passage.document}")


def _title(sentence: Sentence, language: Language, **place: object) -> str:
    """Return the verdict on a sentence in words, and the reason for it."""
    near = "_near" if sentence.verdict == "unsupported" and place else ""
    words = say(f"verdict_{sentence.verdict}{near}", language, **place)
    why = reason_words(sentence.reason, language)
    return f"{words}{'。' if language == 'zh' else '. '}{why}" if why else words


@dataclass(frozen=True, slots=True)
class Doing:
    """What is being done for the live turn, and how far it is."""

    words: str
    amount: str = ""
    progress: Progress | None = None
    documents: str = ""
    moving: bool = True


def _doing(turn: Turn, language: Language) -> Doing | None:
    if turn.stage == "model":
        downloading = turn.progress is not None and turn.progress.stage == "download"
        words = say("model_downloading" if downloading else "model_loading", language)
        return Doing(words, progress_words(turn.progress, language), turn.progress)
    if turn.stage == "reading" and turn.reading:
        return _reading_whole(turn.reading, turn.read, language)
    if turn.stage == "reading":
        return _part(say("reading_passages", language, count=len(turn.passages)), turn.read)
    if turn.stage in {"queued", "searching"}:
        return Doing(say(turn.stage, language))
    return Doing(say("stopping", language), moving=False) if turn.stage == "stopping" else None


def _reading_whole(reading: ReadingProgress, share: float, language: Language) -> Doing:
    """Return what is being read and how far that is; ``share`` is of the last prompt."""
    coverage = reading.coverage
    documents = _documents(coverage, language)
    if reading.step != "read":
        return _part(say(f"reading_{reading.step}", language), share, documents)
    words = say("reading_whole", language, done=f"{coverage.read:,}", total=f"{coverage.of:,}")
    left = _time(reading.seconds_left, language) if reading.seconds_left else ""
    return Doing(words, left, Progress("read", coverage.read, coverage.of), documents)


def _part(words: str, share: float, documents: str = "") -> Doing:
    """Return how much of a prompt is read; ``documents`` are told before that is known."""
    if not share:
        return Doing(words, documents=documents)
    done = Progress("read", round(100 * share), 100)
    return Doing(words, f"{done.done} %", done)


def _documents(coverage: Coverage, language: Language) -> str:
    names = ", ".join(coverage.documents[:_NAMED])
    if len(coverage.documents) > _NAMED:
        names = say("and_more", language, names=names, count=len(coverage.documents) - _NAMED)
    if not coverage.left_out:
        return names
    return f"{names} · {say('not_read', language, count=coverage.left_out)}"


def _offered(offer: Offer, language: Language) -> str:
    """Return what reading everything would take."""
    passages, pages = f"{offer.passages:,}", f"{offer.pages:,}"
    words = say("offer", language, passages=passages, pages=pages)
    return words if offer.seconds is None else f"{words} · {_time(offer.seconds, language)}"


def _time(seconds: float, language: Language) -> str:
    minutes = round(seconds / _MINUTE)
    return say("time_minutes" if minutes else "time_short", language, value=minutes)


def _notes(turn: Turn, language: Language) -> list[str]:
    """Return why an answer is not whole."""
    finish = turn.answer.finish if turn.answer else "stop"
    if turn.stage == "stopped" or finish == "cancelled":
        return [say("stopped_note", language)]
    notes = [say("cut_note", language)] if finish == "length" else []
    if turn.answer and turn.answer.left_out:
        notes.append(say("left_out", language, count=turn.answer.left_out))
    return notes


def _counts(turn: Turn, language: Language) -> list[tuple[str, str]]:
    answer = turn.answer
    if answer is None or answer.verdict == "not_in_documents" or answer.source == "library":
        return []  # a list of documents makes no claim that passages could support
    verdicts = [sentence.verdict for sentence in answer.sentences]
    if not verdicts:
        return []
    supported = verdicts.count("supported")
    words = say("sentences_supported", language, done=supported, total=len(verdicts))
    parts = [("ok", f"✓ {words}") if supported else ("plain", words)]
    for verdict, key in (("weak", "sentences_weak"), ("unsupported", "sentences_unsupported")):
        if count := verdicts.count(verdict):  # type: ignore[arg-type]
            parts.append((verdict, say(key, language, count=count)))
    return parts


def _costs(usage: Usage, language: Language) -> dict[str, object]:
    parts = []
    if usage.completion_tokens:
        parts.append(first_token(usage, language))
        if usage.tokens_per_second:
            parts.append(speed(usage, language))
    parts.append(say("retrieval", language, value=f"{usage.retrieve_s * 1000:.0f}"))
    title = say(
        "usage_title",
        language,
        prompt=f"{usage.prompt_tokens:,}",
        completion=f"{usage.completion_tokens:,}",
        seconds=f"{usage.total_s:.1f}",
    )
    return {"costs": " · ".join(parts), "usage_title": title}


def _when(then: float, language: Language, now: float) -> str:
    """Return the time of today, "yesterday", or the date."""
    day, today = time.localtime(then)[:3], time.localtime(now)[:3]
    if day == today:
        return time.strftime("%H:%M", time.localtime(then))
    if day == time.localtime(now - _DAY)[:3]:
        return say("yesterday", language)
    form = "%m-%d" if day[0] == today[0] else "%Y-%m-%d"
    return time.strftime(form, time.localtime(then))
