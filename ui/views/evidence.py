"""The right room: the passages of one answer, and where they stand on their pages.

The page's script copies these cards into the room and draws the boxes; all it needs stands
in ``data-`` attributes: places as ``[{"page", "w", "h", "boxes": [[left, top, width,
height]]}]``, sizes in points, boxes in percent of the page.
"""

from __future__ import annotations

from collections.abc import Iterable

from rag.text.messages import Language, undrawn
from rag.types.answers import Passage, Sentence
from rag.types.documents import Box, Chunk
from ui.tabs import PageSizes, Turn, passage_of
from ui.words import page_words

EXCERPT_CHARS = 420
_LEAD_CHARS = 60  # before a cited place; with more, the excerpt begins at the place


def places(
    document: str, first_page: int, boxes: Iterable[Box], sizes: PageSizes | None
) -> list[dict[str, object]]:
    """Return the places ``boxes`` mark, page by page; without any, the page alone."""
    by_page: dict[int, list[Box]] = {}
    for box in boxes:
        by_page.setdefault(box.page, []).append(box)
    return [
        _place(page, by_page.get(page, []), (sizes or {}).get((document, page)))
        for page in sorted(by_page) or [first_page]
    ]


def _place(page: int, boxes: Iterable[Box], size: tuple[float, float] | None) -> dict[str, object]:
    if not size or not (size[0] > 0 and size[1] > 0):
        return {"page": page, "boxes": []}
    width, height = size
    percent = [
        [
            round(100 * value, 3)
            for value in (
                box.x0 / width,
                box.y0 / height,
                (box.x1 - box.x0) / width,
                (box.y1 - box.y0) / height,
            )
        ]
        for box in boxes
    ]
    return {"page": page, "w": round(width, 2), "h": round(height, 2), "boxes": percent}


def sentence_places(turn: Turn, sentence: Sentence) -> list[dict[str, object]]:
    """Return where the evidence of a sentence stands: passage number, document, places."""
    found: list[dict[str, object]] = []
    for item in sentence.evidence:
        passage = passage_of(turn.passages, item)
        if passage:
            document = passage.chunk.document_id
            spots = places(document, item.page, item.boxes, turn.page_sizes)
            found.append({"n": item.passage + 1, "doc": document, "places": spots})
    return found


def evidence_values(turn: Turn, language: Language) -> dict[str, object]:
    """Return what the template ``evidence.html`` takes."""
    cited = _cited(turn)
    return {
        "cards": [
            _card(turn, passage, number, language, cited=cited.get(number))
            for number, passage in enumerate(turn.passages, start=1)
        ],
        "dropped": [_card(turn, passage, 0, language, cited=None) for passage in turn.dropped],
        "documents": len({passage.chunk.document_id for passage in turn.passages}),
    }


def _cited(turn: Turn) -> dict[int, int]:
    """Return where the first cited place of each passage begins, in its document's text."""
    first: dict[int, int] = {}
    for sentence in turn.answer.sentences if turn.answer else ():
        for item in sentence.evidence:
            number = item.passage + 1
            first[number] = min(first.get(number, item.start), item.start)
    return first


def _card(
    turn: Turn, passage: Passage, number: int, language: Language, *, cited: int | None
) -> dict[str, object]:
    chunk = passage.chunk
    opened = passage.main_page
    spots = places(chunk.document_id, opened, passage.boxes, turn.page_sizes)
    spots.sort(key=lambda spot: spot["page"] != opened)  # the others keep their order
    return {
        "passage": passage,
        "number": number,
        "cited": cited is not None,
        "places": spots,
        "page": page_words(passage, language),
        "heading": undrawn(chunk.heading),
        "columns": _excerpt(chunk.context),
        "excerpt": _from_place(chunk, cited),
    }


def _from_place(chunk: Chunk, cited: int | None) -> str:
    """Return what a card shows of its passage: from the cited place on, if that is far in."""
    start = (cited or 0) - chunk.start
    if not _LEAD_CHARS < start < len(chunk.text):
        return _excerpt(chunk.text)
    return f"… {_excerpt(chunk.text[start:])}"


def _excerpt(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= EXCERPT_CHARS else words[:EXCERPT_CHARS].rstrip() + "…"
