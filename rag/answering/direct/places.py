"""Numbered places, quoted as they stand: "what does clause 7.2 say"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from rag.answering.direct.draft import Draft
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.retrieval.query.numbered_places import NumberedPlace
    from rag.storage.anchors import KeptAnchor, StoredPlaces
    from rag.types.answers import Answer, Passage

_QUOTED = 4  # documents that are quoted from; more are named
_LISTED = 12  # numbers, or documents, that are offered
_MOST = 1_500  # characters of one place that are quoted
_NAMES: Mapping[str, Text] = {
    "section": Text("Section", "节"), "clause": Text("Clause", "条款"),
    "article": Text("Article", "条"), "paragraph": Text("Paragraph", "段"),
    "chapter": Text("Chapter", "章"), "part": Text("Part", "部分"), "figure": Text("Figure", "图"),
    "chart": Text("Chart", "图"), "table": Text("Table", "表"),
    "appendix": Text("Appendix", "附录"),
    "annex": Text("Annex", "附录"), "schedule": Text("Schedule", "附表"),
    "exhibit": Text("Exhibit", "附件"), "attachment": Text("Attachment", "附件"),
    "footnote": Text("Footnote", "脚注"),
}  # fmt: skip


_NO_PART = Text(
    "\n\nIts part could not be told apart; this is all of it.",
    "\n\n未能单独识别其中的项，以上为全文。",
)


class PlaceQuotes:
    """Quotes places from the passages that hold them."""

    def __init__(self, kept: StoredPlaces) -> None:
        self._kept = kept

    def answer(
        self, question: str, places: Sequence[NumberedPlace], scope: Collection[str] | None
    ) -> Answer:
        """Return the places' words with where they stand, or that there is no such place."""
        draft = Draft(question, "place")
        for place in places:
            anchors = self._kept.find(place.kind, place.word, place.number, scope)
            found = [(anchor, self._kept.over(anchor)) for anchor in anchors]
            found = [(anchor, passages) for anchor, passages in found if passages]
            names = Counter(passages[0].document for _, passages in found)
            if len(found) > _QUOTED:
                self._named(draft, place, found, names)
            if not found and len(places) > 1:
                one = _written(place)
                draft.add("\n\n" if draft.text else "").say(
                    Text(f"No {one.en.lower()} was found.", f"没有找到{one.zh}。")
                )
            for anchor, passages in found[: 0 if len(found) > _QUOTED else None]:
                self._quote(draft, place, anchor, passages, names)
        if not draft.sentences:
            draft.text = ""
            self._others(draft, places[0], scope)
        return draft.answer()

    def _others(self, draft: Draft, place: NumberedPlace, scope: Collection[str] | None) -> None:
        """Say which numbers there are that begin with the one that is not there."""
        one, numbers = _written(place), self._kept.numbers(place.kind, place.number, scope)
        if numbers:
            listed = ", ".join(numbers[:_LISTED])
            draft.absent(
                Text(
                    f"There is no {one.en.lower()} of its own, but {listed}. Which one?",
                    f"没有单独的{one.zh}，但有 {listed}。请问是哪一个？",
                )
            )
            return
        name = one.en.lower()
        advice = "that could be recognised by its number. Ask for it by what it is about."
        where = f"The document has no {name}" if _single(scope) else f"No document has a {name}"
        whose = "该文档" if _single(scope) else "你的文档"
        draft.absent(
            Text(f"{where} {advice}", f"{whose}中没有能按编号认出的{one.zh}。请按其内容提问。")
        )

    def _quote(
        self,
        draft: Draft,
        place: NumberedPlace,
        anchor: KeptAnchor,
        passages: Sequence[Passage],
        names: Counter[str],
    ) -> None:
        text, start = _text(passages, anchor)
        unknown = False
        if place.parts:
            part = _part(text, start, place.parts)
            unknown = part is None
            text, start = part or (text, start)
        whole = len(text) <= _MOST
        text = text if whole else _cut(text)
        first = next((p for p in passages if p.chunk.end > start), passages[0])
        title = f"**{_written(place).say(draft.language)}** · {_shown(first, names)}"
        pages = f"p. {first.chunk.first_page}", f"第 {first.chunk.first_page} 页"
        draft.add(f"{'' if not draft.text else chr(10) * 2}{title}, ").say(Text(*pages))
        draft.add("\n\n")
        for sentence, begin, end in _sentences(text, start):
            holder = next((p for p in passages if p.chunk.end > begin), passages[-1])
            draft.prove(sentence, holder, begin, min(end, holder.chunk.end))
            draft.add("\n")
        if not whole:
            draft.say(Text("… and goes on there.", "……（后文见该页）"))
        if unknown:
            draft.say(_NO_PART)

    def _named(
        self,
        draft: Draft,
        place: NumberedPlace,
        found: Sequence[tuple[KeptAnchor, Sequence[Passage]]],
        names: Counter[str],
    ) -> None:
        written = _written(place)
        draft.add("\n\n" if draft.text else "").say(
            Text(
                f"{len(found)} documents have a {written.en.lower()}. Name or pick one:",
                f"有 {len(found)} 份文档包含{written.zh}。请写出或选定其中一份：",
            )
        )
        for anchor, passages in found[:_LISTED]:
            text, start = _text(passages, anchor)
            line = " ".join(text[:120].split("\n")[0].split())
            draft.add(f"\n- {_shown(passages[0], names)}: ")
            draft.prove(line, passages[0], start, start + len(line))
        if len(found) > _LISTED:
            more = len(found) - _LISTED
            draft.say(Text(f"\n\nAnd {more} more.", f"\n\n另有 {more} 份。"))


def _shown(passage: Passage, names: Counter[str]) -> str:
    """Return a document's name, with its folder where several have that name."""
    return passage.path if names[passage.document] > 1 else passage.document


def _single(scope: Collection[str] | None) -> bool:
    return scope is not None and len(scope) == 1


def _written(place: NumberedPlace) -> Text:
    name = _NAMES[place.word]
    if place.word in {"section", "clause", "article", "chapter", "part", "paragraph"}:
        return Text(f"{name.en} {place.written}", f"第 {place.written} {name.zh}")
    return Text(f"{name.en} {place.written}", f"{name.zh} {place.written}")


def _text(passages: Sequence[Passage], anchor: KeptAnchor) -> tuple[str, int]:
    """Return a place's text and its offset; passages may overlap, and leave gaps of white space."""
    start = max(anchor.start, passages[0].chunk.start)
    text = ""
    for passage in passages:
        chunk = passage.chunk
        at = start + len(text)
        if chunk.end <= at:
            continue
        text += " " * max(0, chunk.start - at)
        text += chunk.text[max(0, start + len(text) - chunk.start) :]
    return text[: anchor.end - start].rstrip(), start


def _part(text: str, start: int, parts: Sequence[str]) -> tuple[str, int] | None:
    """Return what stands under "(b)" of a place; ``None`` where no such part begins a line."""
    for part in parts:
        found = re.search(rf"(?m)^[ \t]*[(（]?{re.escape(part)}[)）.、]", text)
        if found is None:
            return None
        following = "|".join(map(re.escape, _next_parts(part)))
        end = re.search(rf"(?m)^[ \t]*[(（]?(?:{following})[)）.、]", text[found.end() :])
        start += found.start()
        text = text[found.start() : found.end() + end.start()] if end else text[found.start() :]
    return text.rstrip(), start


def _next_parts(part: str) -> list[str]:
    """Return what may follow a part: after (i) comes (ii) or (j)."""
    if part.isdecimal():
        return [str(int(part) + 1)]
    roman = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi")
    found = [roman[roman.index(part) + 1]] if part in roman[:-1] else []
    return [*found, chr(ord(part) + 1)] if len(part) == 1 else found or [part]


def _cut(text: str) -> str:
    """Return the beginning of a long text, up to the end of a line or sentence."""
    ends = [match.end() for match in re.finditer(r"\n|[.;:。；：](?=\s|$)", text[:_MOST])]
    return text[: ends[-1] if ends and ends[-1] > _MOST // 2 else _MOST].rstrip()


def _sentences(text: str, start: int) -> list[tuple[str, int, int]]:
    """Return the lines of a place with their offsets; lines that a sentence runs on in are one."""
    found: list[tuple[str, int, int]] = []
    at = 0
    for piece in re.split(r"(?<=[.;:。；：])\s*\n", text):
        words = " ".join(piece.split())
        begin = text.index(piece, at)
        at = begin + len(piece)
        if words:
            found.append((words, start + begin, start + at))
    return found
