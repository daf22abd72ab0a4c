"""Puts a list or a count together from notes: by code, since small models cannot count."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rag.generate.notes import Note
from rag.text.messages import Language, Text
from rag.types.answers import Passage, Sentence

_ALIKE = 0.8  # shared terms over all terms, from which two notes say the same
_DIGITS = re.compile(r"\d[\d.,]*")
_FOUND = Text("{} found:", "共找到 {} 项：")
_FOUND_ONE = Text("1 found:", "共找到 1 项：")


@dataclass(frozen=True, slots=True)
class Listed:
    """A list as text; what lies outside of ``items`` are counts and names of documents."""

    text: str
    items: tuple[tuple[int, int], ...]  # offsets


def listed(notes: Sequence[Note], *, counted: bool, language: Language) -> Listed:
    """Return one item a line, under their documents' names where there are several."""
    lines: list[tuple[str, bool]] = []
    if counted:
        count = len(notes)
        lines.append(((_FOUND_ONE if count == 1 else _FOUND).say(language).format(count), False))
    several = len({note.document for note in notes}) > 1
    for document, own in groupby(notes, key=lambda note: note.document):
        lines += [(f"**{document}**", False)] if several else []
        lines += [(f"- {note.text}", True) for note in own]
    items: list[tuple[int, int]] = []
    at = 0
    for line, item in lines:
        items += [(at, at + len(line))] if item else []
        at += len(line) + 1
    return Listed("\n".join(line for line, _ in lines), tuple(items))


def distinct(notes: Sequence[Note], *, terms: Callable[[str], list[str]]) -> list[Note]:
    """Return the notes without those that say what an earlier one of the document says.

    Notes with different numbers are never the same.
    """
    kept: list[tuple[Note, frozenset[str], frozenset[str]]] = []
    for note in notes:
        said, figures = frozenset(terms(note.text)), frozenset(_DIGITS.findall(note.text))
        if not any(
            other.document == note.document and figures == theirs and _alike(said, before)
            for other, before, theirs in kept
        ):
            kept.append((note, said, figures))
    return [note for note, _, _ in kept]


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= _ALIKE * max(1, len(one | other))


def only_cited(
    sentences: Sequence[Sentence], sources: Sequence[Passage]
) -> tuple[tuple[Sentence, ...], list[Passage]]:
    """Return of all sources those that sentences point to, and sentences that point there."""
    cited = sorted({e.passage for sentence in sentences for e in sentence.evidence})
    places = {old: new for new, old in enumerate(cited)}
    moved = tuple(
        replace(s, evidence=tuple(replace(e, passage=places[e.passage]) for e in s.evidence))
        for s in sentences
    )
    return moved, [sources[old] for old in cited]
