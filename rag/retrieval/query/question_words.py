"""What a question is about by its words alone, where a word that is not listed vetoes.

The words, what is meant by each (its concepts) and the rules stand in ``question_words.toml``.
It takes one look at each word, and no expression that could backtrack.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Told:
    """What a question was taken for: "app" or "library", which of their topics, and its words."""

    kind: str
    topic: str
    concepts: frozenset[str]
    document: str  # the one that is named, "" for none


def told_by_words(asked: str) -> Told | None:
    """Return what ``asked`` is about; ``None`` for a question that the documents answer.

    ``asked`` is in small letters and simplified characters.

    >>> told_by_words("so how many of those files are in there").topic
    'count'
    >>> told_by_words("so how many of those files are signed") is None
    True
    """
    words = _words()
    clauses = [_read(clause, words) for clause in _CLAUSE.split(asked) if clause.strip()]
    asking = [one for one in clauses if one.asks or not one.unknown]
    if not asking:
        return None
    unknown = sum(one.unknown for one in asking)
    concepts = frozenset[str]().union(*(one.concepts for one in clauses))
    heard = frozenset[str]().union(*(one.concepts for one in asking))
    fits = [rule for rule in words.rules if rule.fits(concepts, heard, unknown)]
    if not fits:
        return None
    best = max(fits, key=lambda rule: len(rule.needs))  # the first of those
    document = next((one.document for one in clauses if one.document), "")
    return Told(best.kind, best.topic, concepts, document if "doc" in concepts else "")


def talk_by_words(asked: str) -> str | None:
    """Return the kind of small talk that ``asked`` is if all its words are; else ``None``.

    >>> talk_by_words("thanks a bunch, that's just what i was after")
    'thanks'
    """
    talk = _words().talk
    tokens = _TOKEN.findall(asked)
    heard: set[str] = set()
    at = 0
    while at < len(tokens):
        length, meant = _longest(tokens, at, talk)
        if meant is None:
            return None
        heard |= meant
        at += length
    return next((kind for kind in _TALK if kind in heard), None)


def tongue_in(asked: str) -> str:
    """Return the language that ``asked`` names; "" for none, and for several.

    >>> tongue_in("which of my files are in french"), tongue_in("english or french")
    ('french', '')
    """
    concepts, tokens = _words().concepts, _TOKEN.findall(asked)
    named: set[str] = set()
    at = 0
    while at < len(tokens):
        length, meant = _longest(tokens, at, concepts)
        if meant and "tongue" in meant:
            named.add(_joined(tokens[at : at + length]))
        at += length
    return named.pop() if len(named) == 1 else ""


_TALK = ("thanks", "bye", "there", "hello", "fine")  # what is answered of several


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    topic: str
    needs: tuple[frozenset[str], ...]  # one of each
    bars: frozenset[str]
    unknown: int  # unknown words that its cues outweigh

    def fits(self, concepts: frozenset[str], heard: frozenset[str], unknown: int) -> bool:
        """Whether the question's concepts, and what is ``heard`` where it asks, are the rule's."""
        if self.bars & heard or unknown > self.unknown:
            return False
        if not all(need & concepts for need in self.needs):
            return False
        if heard and not any(need & heard for need in self.needs):
            return False
        of_a_document = "doc" in concepts and not any("doc" in need for need in self.needs)
        if unknown:
            return bool(_OURS & concepts)
        return not of_a_document or bool((_OURS | {"add"}) & concepts)


_OURS = frozenset({"you", "mine", "lib", "answer", "chat", "index"})
"""What has to be spoken of too where a word is unknown, or a document is named in passing."""


@dataclass(frozen=True, slots=True)
class _Words:
    concepts: Mapping[str, frozenset[str]]  # by word
    asking: frozenset[str]
    opening: frozenset[str]  # what asks at the beginning of a clause
    rules: tuple[_Rule, ...]
    talk: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Clause:
    concepts: frozenset[str]
    unknown: int
    document: str
    asks: bool


_FILE = r"(?:pdf|docx?|xlsx?|pptx?|txt)"
_TOKEN = re.compile(
    rf"《[^《》]{{1,60}}》|[a-z0-9][a-z0-9_-]{{0,60}}\.{_FILE}\b|\.{_FILE}\b"
    r"|[a-z0-9]+(?:['-][a-z0-9]+)*|[\u3400-\u9fff]|[^\W_]"
)
_NAMED = re.compile(rf"《.*|.*\.{_FILE}")
_CLAUSE = re.compile(r"[,;:?!，。；：？！…\n]+|\.(?=\s|$)|\bso\b|\bbut\b|\s[-–—]+\s|——")
_HAN = re.compile(r"[\u3400-\u9fff]")
_OF_NAME = 8  # tokens of a document's name that may stand before "report"


@cache
def _words() -> _Words:
    text = files("rag.retrieval.query").joinpath("question_words.toml").read_text("utf-8")
    table = tomllib.loads(text)
    concepts = _by_word({**table["concepts"], "": table["common"]["words"]})
    for variants, word in table["variants"].items():
        for variant in map(_key, variants.split()):
            concepts[variant] = concepts.get(variant, frozenset()) | concepts[_key(word)]
    return _Words(
        concepts=concepts,
        asking=frozenset(map(_key, table["asking"]["words"].split())),
        opening=frozenset(map(_key, table["asking"]["first"].split())),
        rules=tuple(
            _rule(target, line) for target, lines in table["rules"].items() for line in lines
        ),
        talk=_by_word(table["talk"]),
    )


def _by_word(words: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return the concepts of each word; none of a word that says nothing."""
    meant: dict[str, set[str]] = {}
    for concept, written in words.items():
        for word in written.split():
            meant.setdefault(_key(word), set()).add(concept)
    known = {word: frozenset(concepts - {"", "filler"}) for word, concepts in meant.items()}
    return {word: _with_parts(word, known) for word in known}


def _with_parts(word: str, known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return what a word means, and what the words in it do: "biggest file" is of files, too."""
    tokens = _TOKEN.findall(word)
    if len(tokens) < _OF_PARTS + bool(_HAN.match(word)):
        return known[word]
    meant, at = set(known[word]), 0
    while at < len(tokens):
        longest = min(_OF_WORD, len(tokens) - at, len(tokens) - 1)
        for length in range(longest, 0, -1):
            if (part := known.get(_joined(tokens[at : at + length]))) is not None:
                meant |= part
                break
        at += length
    return frozenset(meant)


_OF_PARTS = 2  # tokens that a word has to have; a Chinese one has one more


def _rule(target: str, line: str) -> _Rule:
    kind, topic, *more = target.split()
    parts = line.split() + [word for word in more if word != "loosely"]
    return _Rule(
        kind,
        topic,
        needs=tuple(frozenset(part.split("|")) for part in parts if part[0] != "-"),
        bars=frozenset(part[1:] for part in parts if part[0] == "-"),
        unknown=int("loosely" in more),
    )


def _key(written: str) -> str:
    return _joined(_TOKEN.findall(written.replace("_", " ")))


def _joined(tokens: Sequence[str]) -> str:
    """Return tokens as one word: a space between two that are not Chinese."""
    out = ""
    for token in tokens:
        apart = out and not _HAN.match(out[-1]) and not _HAN.match(token)
        out += f" {token}" if apart else token
    return out


def _read(clause: str, words: _Words) -> _Clause:
    tokens = _TOKEN.findall(clause)
    concepts: set[str] = set()
    unknown: list[str] = []  # of the name that may be going on
    count, at, document, asks = 0, 0, "", False
    while at < len(tokens):
        length, meant = _longest(tokens, at, words.concepts)
        word = _joined(tokens[at : at + length])
        at += length
        asks = asks or _asks(word, words, first=at == length)
        if meant is None and not _NAMED.fullmatch(word):
            unknown.append(word)
            continue
        named = meant is None or "doc" in meant or (len(_joined(unknown)) > 1 and "docs" in meant)
        if named and len(unknown) <= _OF_NAME:
            document = _joined([*unknown, word])
            concepts.add("doc")
        else:
            count += _weight(unknown)
            concepts |= meant or set()
        unknown = []
    return _Clause(frozenset(concepts), count + _weight(unknown), document, asks)


def _asks(word: str, words: _Words, *, first: bool) -> bool:
    parts = {word, *word.split()}
    return bool(parts & words.asking or (first and parts & words.opening))


def _longest(
    tokens: Sequence[str], at: int, words: Mapping[str, frozenset[str]]
) -> tuple[int, frozenset[str] | None]:
    """Return how many tokens the longest listed word has that begins there, and its concepts."""
    for length in range(min(_OF_WORD, len(tokens) - at), 1, -1):
        if (meant := words.get(_joined(tokens[at : at + length]))) is not None:
            return length, meant
    return 1, _of_word(tokens[at], words)


_OF_WORD = 7  # tokens of the longest word


def _of_word(word: str, concepts: Mapping[str, frozenset[str]]) -> frozenset[str] | None:
    """Return the concepts of a word as it is written, without its ending, or rightly spelt."""
    if word in concepts or not word.isascii():
        return concepts.get(word)
    if word.isdigit():
        return frozenset()
    stems = [word.removesuffix(ending) for ending in _ENDINGS if word.endswith(ending)]
    if stem := next((one for one in stems if len(one) > _SHORT and one in concepts), None):
        return concepts[stem]
    return next((concepts[near] for near in _near(word) if near in concepts), None)


_ENDINGS = ("'s", "s", "es", "d", "ed", "ing")
_SHORT = 2  # letters; nothing is an ending of less


def _near(word: str) -> list[str]:
    """Return what a long word may be meant for: two letters exchanged, or one too many."""
    places = range(1, len(word))
    swapped = [word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :] for i in places]
    shorter = [word[:i] + word[i + 1 :] for i in places]
    return (swapped if len(word) >= _SWAPPED else []) + (shorter if len(word) >= _ADDED else [])


_SWAPPED, _ADDED = 6, 8  # letters; shorter words are too like others


def _weight(unknown: Sequence[str]) -> int:
    """Return how many unknown words these are: three Chinese characters count as one."""
    han = sum(1 for word in unknown if _HAN.match(word))
    return len(unknown) - han + -(-han // 3)
