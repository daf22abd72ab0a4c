"""Questions that no document answers: about the library, about the app, and small talk.

First by rules that have to match a question whole (``question_kinds.toml``), so that "How many
documents do I have?" is about the library, and "How many documents do I have to sign?" is
searched; then by the words alone (``question_words``), where one that is not listed vetoes. What
they reach is in docs/decisions.md, "Questions that no document answers".
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, TypeVar, cast

from rag.retrieval.analyser import simplified
from rag.retrieval.query.question_words import talk_by_words, told_by_words, tongue_in

About = Literal["count", "list", "topic", "pages", "unread", "added", "extreme", "language", "size"]
"""What of the library is asked for: how many, which, which about something, how many pages, what
could not be read, what came lately, the longest or newest, in which languages."""
Period = Literal["", "today", "yesterday", "week", "last_week", "month", "last_month", "year"]
Extreme = Literal["longest", "shortest", "newest", "oldest"]
Talk = Literal["hello", "thanks", "bye", "fine", "there"]
AppTopic = Literal[
    "abilities", "identity", "model", "privacy", "adding", "rebuild", "scans", "formats",
    "languages", "gpu", "speed", "chats", "delete", "settings", "citations", "export",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class AboutLibrary:
    """A question about the list of documents."""

    about: About
    topic: str = ""  # what the documents are to be about, in small letters
    document: str = ""  # the one that is meant, in small letters; "" is all
    period: Period = ""
    extreme: Extreme = "newest"
    why: bool = False


@dataclass(frozen=True, slots=True)
class AboutApp:
    """A question about the app itself."""

    topic: AppTopic


@dataclass(frozen=True, slots=True)
class SmallTalk:
    """A greeting, thanks, or a word of assent."""

    talk: Talk


T = TypeVar("T")
QuestionKind = AboutLibrary | AboutApp | SmallTalk


def question_kind(question: str) -> QuestionKind | None:
    """Return what a question is about if it is not the documents' content; else ``None``.

    >>> question_kind("How many documents do I have?") == AboutLibrary("count")
    True
    >>> question_kind("How many documents do I have to sign?") is None
    True
    >>> question_kind("你好"), question_kind("Which model are you?")
    (SmallTalk(talk='hello'), AboutApp(topic='model'))
    """
    if len(question) > _LONGEST:
        return None
    rules, asked = _rules(), _plain(question)
    if talk := _first(rules.talk, asked):
        return SmallTalk(cast("Talk", talk[0]))
    if said := talk_by_words(asked):
        return SmallTalk(cast("Talk", said))
    asked = _bare(asked, rules)
    if app := _first(rules.app, asked):
        return AboutApp(cast("AppTopic", app[0]))
    return next(_about_library(rules, asked), None) or _by_words(asked, rules)


def loose_kind(question: str) -> QuestionKind | None:
    """Return what a question may be about that the documents say nothing about.

    By who is addressed and one word of the topic; to be asked where a search has found nothing.

    >>> loose_kind("Will you put what I type into some cloud?"), question_kind("Is it in a cloud")
    (AboutApp(topic='privacy'), None)
    """
    if len(question) > _LONGEST:
        return None
    rules, asked = _rules(), _plain(question)
    if rules.to_library.search(asked):
        for about, rule in rules.loose_library:
            if rule.search(asked):
                return AboutLibrary(cast("About", about))
    if rules.to_app.search(asked):
        for topic, rule in rules.loose_app:
            if rule.search(asked):
                return AboutApp(cast("AppTopic", topic))
    return None


def place_rules() -> tuple[re.Pattern[str], ...]:
    """Return what is left of a question that only asks for a numbered place, which stands as @."""
    return _rules().places


_LONGEST = 160  # characters; who writes more asks for content
_Rules = tuple[tuple[str, re.Pattern[str]], ...]
"""What a question is if the expression matches all of it."""


@dataclass(frozen=True, slots=True)
class _AllRules:
    polite: tuple[re.Pattern[str], ...]  # at the beginning
    after: tuple[re.Pattern[str], ...]
    talk: _Rules
    app: _Rules
    library: _Rules
    places: tuple[re.Pattern[str], ...]
    to_app: re.Pattern[str]
    to_library: re.Pattern[str]
    loose_app: _Rules
    loose_library: _Rules
    no_topic: re.Pattern[str]
    no_document: re.Pattern[str]
    periods: Mapping[str, Period]  # by a word of it, the first that is in what was written
    extremes: Mapping[str, Extreme]


@cache
def _rules() -> _AllRules:
    text = files("rag.retrieval.query").joinpath("question_kinds.toml").read_text("utf-8")
    table = tomllib.loads(text)
    words: dict[str, str] = table["words"]

    def compiled(pattern: str) -> re.Pattern[str]:
        return re.compile(_filled(pattern, words))

    def grouped(name: str) -> _Rules:
        return tuple(
            (key, compiled(pattern))
            for key, languages in table[name].items()
            for patterns in languages.values()
            for pattern in patterns
        )

    around, loose = table["around"], table["loose"]
    return _AllRules(
        polite=tuple(map(compiled, around["before"])),
        after=tuple(map(compiled, around["after"])),
        talk=grouped("talk"),
        app=grouped("app"),
        library=grouped("library"),
        places=tuple(compiled(rule) for rules in table["places"].values() for rule in rules),
        to_app=compiled(loose["to_app"]),
        to_library=compiled(loose["to_library"]),
        loose_app=tuple((key, compiled(rule)) for key, rule in loose["app"].items()),
        loose_library=tuple((key, compiled(rule)) for key, rule in loose["library"].items()),
        no_topic=compiled(around["no_topic"]),
        no_document=compiled(around["no_document"]),
        periods=table["periods"],
        extremes=table["extremes"],
    )


def _filled(pattern: str, words: Mapping[str, str]) -> str:
    """Put the expressions of ``words`` in place of their names in braces, and in theirs."""
    filled = _NAME.sub(lambda match: words[match[1]], pattern)
    return filled if filled == pattern else _filled(filled, words)


_NAME = re.compile(r"\{([a-z_]+)\}")


def _first(rules: _Rules, asked: str) -> tuple[str, re.Match[str]] | None:
    return next(((key, found) for key, rule in rules if (found := rule.fullmatch(asked))), None)


def _plain(question: str) -> str:
    """Return the words in small letters, without emoji, and without punctuation at the ends."""
    text = simplified(unicodedata.normalize("NFKC", question).casefold().translate(_SIMPLE))
    text = _REPEATED.sub(r"\1", text)
    text = "".join(" " if unicodedata.category(char) in _SIGNS else char for char in text)
    text = re.sub(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])", "", text)
    return " ".join(text.split()).strip(_EDGES)


_SIGNS = frozenset({"So", "Sk", "Cs", "Cf", "Mn"})
_EDGES = " .,!?;:~-_…。，！？；：、\"'“”‘’()（）"
_SIMPLE = str.maketrans(
    dict(zip("’`´嘅咗冇喺嗰嚟啲畀撳㗎咩哋睇", "'''的了没在那来些给按的啥们看", strict=True))
    | {"冇": "没有"}
)
"""Apostrophes, and what is only written in Cantonese."""
_REPEATED = re.compile(r"([a-z])\1{2,}")  # "hiiii"


def _bare(asked: str, rules: _AllRules) -> str:
    """Return the question without what is only polite."""
    while True:
        shorter = asked
        for rule in rules.polite:
            shorter = rule.sub("", shorter, count=1)
        for rule in rules.after:
            shorter = rule.sub("", shorter)
        shorter = shorter.strip(_EDGES)
        if shorter in {asked, ""}:
            return asked
        asked = shorter


def _about_library(rules: _AllRules, asked: str) -> Iterator[AboutLibrary]:
    for about, rule in rules.library:
        if (match := rule.fullmatch(asked)) is None:
            continue
        given = {name: value.strip(_EDGES) for name, value in match.groupdict("").items()}
        topic = given.get("topic") or given.get("topic_of", "")
        if about == "topic" and (not topic or rules.no_topic.match(topic)):
            continue  # "which documents must be signed" goes on with the sentence
        if rules.no_document.match(given.get("document", "")):
            continue  # "how many pages may the offer have" is what the offer's rules say
        yield AboutLibrary(
            cast("About", about),
            topic=topic,
            document=given.get("document", ""),
            period=_meant(rules.periods, given.get("period", "")) or "",
            extreme=_meant(rules.extremes, given.get("extreme", "")) or "newest",
            why="why" in given or any(word in asked for word in ("why", "为什么", "原因", "为啥")),
        )


def _by_words(asked: str, rules: _AllRules) -> QuestionKind | None:
    """Return what a question is about whose words are all those of the app or the library."""
    if (told := told_by_words(asked)) is None:
        return None
    if told.kind == "app":
        return AboutApp(cast("AppTopic", told.topic))
    extreme = told.topic in _EXTREMES
    return AboutLibrary(
        cast("About", "extreme" if extreme else told.topic),
        topic=tongue_in(asked) if told.topic == "language" and not told.document else "",
        document=told.document if told.topic in _OF_ONE else "",
        period=_meant(rules.periods, asked) or "" if told.topic == "added" else "",
        extreme=cast("Extreme", told.topic) if extreme else "newest",
        why="why" in told.concepts,
    )


_OF_ONE = frozenset({"pages", "size", "added", "language", "unread"})
_EXTREMES = frozenset({"longest", "shortest", "oldest", "newest"})


def _meant(words: Mapping[str, T], written: str) -> T | None:
    return next((value for word, value in words.items() if written and word in written), None)
