"""What a page states that can be asked about: headings, definitions, table cells, sentences.

Found by rules, in English and Chinese. A rule may miss most of what a page says; what it
finds should be clear enough to be asked of somebody who has not seen the page.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rag.ingestion.pdf.tables import find_tables
from rag.text.language import detect_language, is_cjk
from rag.text.messages import Language
from rag.text.quantities import Quantity, quantities
from rag.text.sentences import split_prose
from rag.types.documents import Heading

Kind = Literal["heading", "definition", "table", "sentence"]
KINDS: tuple[Kind, ...] = ("sentence", "table", "definition", "heading")

_SYMBOLS = re.compile(r"[\\{}<>|=_~^@#*\[\]…�]|\.{3,}|https?:|www\.|[□■]")
_DANGLING = re.compile(  # what it speaks of stands in the sentence before
    r"(?:it|this|these|those|they|he|she|such|its|their|his|her|however|therefore|thus|also|"
    r"accordingly|moreover|furthermore|and|or|but|as (?:a result|noted|described)|see|"
    r"for example)\b"
    r"|它|他|她|此|该|这|那|其|因此|但|而|另外|并|也|所以|同时|例如|如|见|然后|后来|之后|当时|翌年|同年",
    re.IGNORECASE,
)
_MEANS = re.compile(
    r"[“\"](?P<term>[^“”\"]{3,50})[”\"]\s+(?:shall mean|means|refers to|is defined as)\s+"
    r"(?P<text>(?!the meaning|as set forth)[^“”]{25,300})"
)
_IS_A = re.compile(
    r"(?P<term>(?:[A-Z][\w&.’'-]*)(?: (?:[A-Z][\w&.’'-]*|of|and|for)){0,4}) is "
    r"(?P<text>an? [^,;]{20,200}.*)"
)
_NO_TERM = frozenset({  # words that a defined term does not begin with
    "this", "that", "it", "there", "here", "each", "all", "any", "every", "following", "if", "as",
    "what", "which", "who", "whether", "such", "our", "the", "a", "an", "neither", "none", "one",
    "another", "he", "she", "we", "you", "they", "no", "not", "in", "on", "at", "for", "to",
})  # fmt: skip
_CHINESE_IS = re.compile(
    r"(?P<term>[^，。、；：（）《》“”\s是的了在]{2,14})(?:（[^）]*）)?[，,]?(?:是指|是一[^，。、；\d]|是用于|即为|指的是|是衡量)"
    r"(?P<text>[^。]{8,120})"
)
_SUBJECT = re.compile(  # a name that the sentence begins with, and what it does
    r"(?:The )?(?P<name>"
    r"(?!(?:The|An?|All|Each|Any|Either|Neither|No|Both|Such|Every|These|If) )"
    r"[A-Z][\w&’'.-]*[a-z](?: (?:of|and|the|de|&)(?= [A-Z])| [A-Z][\w&’'-]+){1,4}) "
    r"(?=(?:is|are|was|were|has|have|had|will|can|\w+ed|provides|includes) )"
)
_ROLE = re.compile(
    r"\b(?:Part(?:y|ies)|Company|Agreement|Fund|Board|Exhibits?|Section|Buyer|Seller)\b"
)
_LABELLED = re.compile(  # numbers that name a thing instead of counting some
    r"(?:\b(?:notes?|items?|sections?|topics?|exhibits?|articles?|no|nos|asu|asc|sfas|forms?|rules?|"
    r"pages?|figures?|tables?|chapters?|parts?|schedules?|act of|version|class|step)\.?|"
    r"[A-Za-z][A-Za-z.]*[-_]|[(（《第#/.:–-]|\b(?:an?|the|al\.,)|[’']s?)\s*[$€£¥]?\s*$",
    re.IGNORECASE,
)
_RANGE = re.compile(r"\s*,?\s*(?:[-–—~～/]|to\b|(?:and|or)?\s*[$€£¥]?\d|或|至|到|多|余|几)")
_NAMED_YEAR = re.compile(
    r"(?:\b(?:in|of|since|during|until|by|year)|[^\x00-\x7f])\s*$", re.IGNORECASE
)
_COUNTED = re.compile(  # 93,516 full-time employees
    r"\s(?!(?:and|or|of|in|to|for|by|is|has|was|as|at|on)\b)(?:[a-z-]+ )?[a-z]{3,}s\b"
)
_AFTER_NAME = re.compile(r"[A-Z]\w*\s*$|\band\s*$")
_MANY = 4  # numbers in a sentence: more are a list
_GLUED = re.compile(r"\d+[A-Z]+|.*\w-\w.*")  # 3M, 24-hour
_TITLE = re.compile(r"《([^》]{2,20})》")
_LABEL = re.compile(r"[^\d$€£¥(—–%]*")
_CELL = re.compile(r"(?:[$€£¥]\s?)?(?P<cell>\(?-?[$€£¥]?\s?\d[\d,]*(?:\.\d+)?\s?%?\)?%?)\s*")
_YEAR = re.compile(r"(?:19|20)\d\d")
_NUMBERING = re.compile(
    r"^(?:[\dIVX]+(?:\.\d+)*[.、)]?\s|\d+(?:\.\d+)*(?=[^\d\w]|[\u4e00-\u9fff])[.、)]?|第.{1,3}[章节]|[（(].{1,2}[)）]"
    r"|[一二三四五六七八九十]+、)\s*"
)
_LEAST_COUNT = 10  # a smaller number stands in too many sentences
_LONGEST = 600  # characters of a sentence in English: more are no words
_WORDS, _CHARACTERS = (8, 45), (14, 90)  # of a sentence that is asked about
_ROW_LABEL = 60  # characters
_FULL_LINE = 0.6  # of the longest lines: a shorter one ends a paragraph


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement. ``text[start:end]`` is the answer, where it is part of the text."""

    kind: Kind
    page: int
    language: Language
    text: str  # the sentence, the row's label, the term, or the heading
    answer: str = ""
    start: int = 0
    end: int = 0
    quantity: Quantity | None = None
    column: str = ""  # of a table: the year over the cell
    trace: str = ""  # letters that stand together on the page, to look for elsewhere
    topic: str = ""  # the heading above, "" if unknown


def facts_of(
    text: str, page: int, headings: Sequence[Heading] = (), *, topic: str = ""
) -> list[Fact]:
    """Return what a page's text states.

    ``headings`` are those of the outline on this page; ``topic`` is the last one before it.
    """
    tables = find_tables(text)
    found, topic = [*_headings(page, headings)], _bare(topic)
    for table in tables:
        found += _cells(text[table.start : table.body], text[table.body : table.end], page)
    kept = list(text)
    for table in tables:
        kept[table.start : table.end] = "\n" * (table.end - table.start)
    titles = {_bare(heading.title) for heading in headings}
    for paragraph in _paragraphs("".join(kept), titles):
        if _bare(paragraph) in titles:
            topic = _bare(paragraph)
        else:
            found += _of_paragraph(paragraph, page, topic)
    return found


def _bare(title: str) -> str:
    """Return a heading without its number."""
    return _NUMBERING.sub("", title.strip()).strip()


def _of_paragraph(paragraph: str, page: int, topic: str) -> Iterator[Fact]:
    prose = _joined(paragraph)
    for start, end in split_prose(prose):
        sentence = prose[start:end]
        language = detect_language(sentence)
        if _SYMBOLS.search(sentence) or not _reads_alone(sentence, language):
            continue
        trace = _trace(paragraph, sentence)
        if trace and (found := _definition(sentence, page, language, trace)):
            yield found
        elif trace:
            yield from _asked(sentence, page, language, trace, topic)


def _reads_alone(sentence: str, language: Language) -> bool:
    if _DANGLING.match(sentence):
        return False
    if language == "zh":
        few, many = _CHARACTERS
        listed = "：" in sentence or sentence.count("、") > 3  # noqa: PLR2004 - a list
        fits = few <= len(sentence) <= many and sentence[-1] in "。！"
        return fits and sentence[0].isalpha() and not listed
    if len(sentence) > _LONGEST:
        return False
    few, many = _WORDS
    words = sentence.split()
    letters = sum(char.isalpha() for char in sentence)
    return (
        few <= len(words) <= many
        and sentence[-1] == "."
        and (sentence[0].isupper() or sentence[0] in '“"')
        and letters > 0.65 * len(sentence)
        and not re.search(r"\w\. [a-z]{1,2}\.|\d\. |;.*;", sentence)  # a list
        and sum(word.isupper() for word in words) < 0.3 * len(words)
    )


def _definition(sentence: str, page: int, language: Language, trace: str) -> Fact | None:
    patterns = (_MEANS, _IS_A) if language == "en" else (_CHINESE_IS,)
    for pattern in patterns:
        if found := pattern.match(sentence):
            term, text = found["term"].strip(), found["text"].strip()
            if term.split()[0].lower() not in _NO_TERM:
                return Fact("definition", page, language, term, text, trace=trace)
    return None


def _asked(sentence: str, page: int, language: Language, trace: str, topic: str) -> Iterator[Fact]:
    """Yield the sentence with one of its numbers, dates or names as the answer."""
    told = quantities(sentence)
    if len(told) > _MANY or "respectively" in sentence:
        return
    spans: list[tuple[int, int, Quantity | None]] = [
        (found.start, found.end, found) for found in told if _tells(found, sentence)
    ]
    name = _SUBJECT.match(sentence) if language == "en" else None
    if name and not _ROLE.search(name["name"]):
        spans.append((*name.span("name"), None))
    if language == "zh":
        spans += [(*name.span(1), None) for name in _TITLE.finditer(sentence)]
    for start, end, quantity in spans:
        if sentence.count(sentence[start:end]) == 1:
            yield Fact("sentence", page, language, sentence, sentence[start:end], start, end,
                       quantity, trace=trace, topic=topic)  # fmt: skip
            return


def _tells(quantity: Quantity, sentence: str) -> bool:
    """Say whether a number is worth asking for: it counts or measures something, or is a date."""
    before, after = sentence[: quantity.start], sentence[quantity.end :]
    written = sentence[quantity.start : quantity.end]
    if quantity.code or _RANGE.match(after) or _GLUED.fullmatch(written):
        return False
    if quantity.date is not None:
        bare = written.isdecimal()
        return quantity.date.year > 0 and (not bare or bool(_NAMED_YEAR.search(before)))
    if _LABELLED.search(before):
        return False
    if quantity.unit or quantity.scaled:
        return any(char.isdigit() for char in written)
    counts = _COUNTED.match(after) if not _AFTER_NAME.search(before) else None
    return counts is not None and (quantity.value or 0) >= _LEAST_COUNT


def _cells(header: str, body: str, page: int) -> Iterator[Fact]:
    """Yield a cell of each row whose column is known by its year, or that is the only one."""
    columns = _YEAR.findall(header.strip().split("\n")[-1]) if header.strip() else []
    for line in body.split("\n"):
        label, cells = _row(line)
        if not cells or not _is_label(label) or len(cells) not in {1, len(columns)}:
            continue
        place = len(label) % len(cells)  # not always the first, but always the same one
        answer = cells[place].strip("$()€£¥ ").replace(")", "")
        column = columns[place] if len(cells) > 1 else ""
        if sum(char.isdigit() for char in answer) > 2:  # noqa: PLR2004 - fewer are everywhere
            yield Fact("table", page, detect_language(label), label, answer, column=column,
                       trace=label)  # fmt: skip


def _row(line: str) -> tuple[str, list[str]]:
    """Return the label of a table's row and its cells, none if it is no such row.

    Step by step: a pattern of the whole row may cut a run of digits into cells in any way, and
    tries them all before it refuses a line.
    """
    written = _LABEL.match(line)
    head = written[0] if written else ""
    label = head.rstrip(" \t\u00a0.:：-")
    minus = head.find("-", len(label))
    at = len(head) if minus < 0 else minus  # of the first cell
    cells: list[str] = []
    if not label or not (label[-1].isalpha() or label[-1] in "_)") or not _spaced(line, label):
        return "", []
    while at < len(line):
        cell = _CELL.match(line, at)
        if cell is None:
            return "", []
        cells.append(cell["cell"])
        at = cell.end()
    return label, cells


def _spaced(line: str, label: str) -> bool:
    """Say whether white space parts a label from what is behind it."""
    gap = line[len(label) :]
    return any(sign.isspace() for sign in gap[: len(gap) - len(gap.lstrip(" \t\u00a0.:：$"))])


def _is_label(label: str) -> bool:
    if len(label) > _ROW_LABEL or _SYMBOLS.search(label) or ":" in label:
        return False
    if detect_language(label) == "zh":
        return sum(map(is_cjk, label)) >= 3  # noqa: PLR2004 - shorter ones are headers
    return len(label.split()) >= 2 and label[0].isupper()  # noqa: PLR2004 - "Total" says nothing


def _headings(page: int, headings: Sequence[Heading]) -> Iterator[Fact]:
    for heading in headings:
        title = _bare(heading.title)
        language = detect_language(title)
        size = sum(map(is_cjk, title)) if language == "zh" else len(title.split())
        few = 4 if language == "zh" else 2
        plain = not (_SYMBOLS.search(title) or title.isupper() or re.search(r"[\d:：？?;/]", title))
        if few <= size and len(title) <= _ROW_LABEL and plain:
            yield Fact("heading", page, language, title, trace=title)


def _paragraphs(text: str, titles: Collection[str]) -> Iterator[str]:
    """Yield runs of lines; a heading is one, a short line ends one, and so does an empty one."""
    lines = text.split("\n")
    widths = sorted(len(line) for line in lines if line.strip())
    full = _FULL_LINE * widths[int(0.9 * (len(widths) - 1))] if widths else 0
    gathered: list[str] = []
    for line in lines:
        titled = _bare(line) in titles
        if titled and gathered:
            yield "\n".join(gathered)
            gathered = []
        if line.strip():
            gathered.append(line)
        if gathered and (titled or len(line) < full):
            yield "\n".join(gathered)
            gathered = []
    if gathered:
        yield "\n".join(gathered)


def _joined(paragraph: str) -> str:
    """Return a paragraph on one line; between Chinese characters a line break is no space."""
    glued = re.sub(r"(?<=[^\x00-\x7f])\n(?=[^\x00-\x7f])", "", paragraph)
    if detect_language(paragraph) == "zh":  # a line may break inside a number
        glued = re.sub(r"(?<=\d)\n(?=\d)", "", glued)
    return re.sub(r"\s+", " ", glued).strip()


def _trace(paragraph: str, sentence: str) -> str:
    """Return the longest piece of one line of the page that lies inside the sentence."""
    pieces = [line.strip() for line in paragraph.split("\n")]
    inside = [piece for piece in pieces if piece and piece in sentence]
    if inside:
        return max(inside, key=len)
    overlaps = [sentence] if any(sentence in piece for piece in pieces) else []
    for piece in pieces:
        for size in range(min(len(piece), len(sentence)) - 1, 11, -1):
            if piece.endswith(sentence[:size]):
                overlaps.append(sentence[:size].strip())
                break
            if piece.startswith(sentence[-size:]):
                overlaps.append(sentence[-size:].strip())
                break
    return max(overlaps, key=len, default="")
