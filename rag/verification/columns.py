"""Whether a figure is said of the column of a table that it stands in.

A row names what it is about, its header whom or which year each figure belongs to. A model that
takes the figure beside the right one writes a sentence whose every word and number stands there.
Read from the text alone: a header of years above a row with as many figures, or cells between
upright bars. Where the two do not match one to one, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rag.text.quantities import Place, Quantity, gaps
from rag.verification.wording import squeezed

_YEAR = re.compile(r"(?<![\d.,$])(?:19|20)\d\d(?![\d.,%]\d|\d)")
_VALUE = re.compile(r"[(\[]?[-–−+]?[$€£¥]?\d[\d,]*(?:\.\d+)?%?[)\]]?%?|[—–-]")
_FILLER = frozenset(["$", "€", "£", "¥", "%", ")", "(", ")%"])
_REACH = 40  # lines above a row in which its header is looked for
_CLAUSE = re.compile(
    r"[;；，。、]|,(?!\d)|\bto\b(?=\s*[$€£¥]?\d)|和|而|与"
    r"|\b(?:and|while|whereas|but|compared (?:to|with)|from|versus)\b"
)
_ANOTHER_YEAR = re.compile(
    r"\b(?:previous|prior|preceding|last|next|following|earlier|ago)\b|上年|去年|前年|同期|上一|次年",
    re.IGNORECASE,
)
_FEWEST = 2  # columns; one needs no telling apart


def displaced(
    claim: str, figures: Sequence[Quantity], row: str, above: str, *, question: str = ""
) -> Iterator[Quantity]:
    r"""Yield those figures of a claim that its row has in a column of another year or name.

    ``row`` is the line that is the evidence, ``above`` what stands over it, header included. A
    clause without a year takes that of the claim, and a claim without one that of the question.

    >>> from rag.text.quantities import quantities
    >>> said = "Net sales were 42,794 in 2022."
    >>> [said[q.start:q.end] for q in displaced(said, quantities(said)[:1],
    ...  "Net sales $ 42,794 $ 47,830", "(in millions)\n2023 2022")]
    ['42,794']
    """
    for figure in figures:
        if figure.date or figure.code or figure.value is None:
            continue
        clause = _around(claim, figure)
        wrong = _other_year(clause, claim, question, figure, row, above)
        if wrong or _other_name(clause, figure, row, above):
            yield figure


def figures_apart(
    figures: Sequence[Quantity], place: str
) -> Iterator[tuple[Quantity, str, list[str]]]:
    """Yield figures that stand in one clause of a sentence, with it, and clauses with others.

    >>> from rag.text.quantities import quantities
    >>> place = "Some 27% own a tablet, and 18% own a smartphone."
    >>> [(clause, others) for _, clause, others in figures_apart(quantities("27%"), place)]
    [('Some 27% own a tablet', [' 18% own a smartphone.'])]
    """
    text = " ".join(place.split())
    numbered = [each for each in _CLAUSE.split(text) if any(map(str.isdigit, each))]
    if len(numbered) == 1 or "|" in text:
        return
    for figure in figures:
        if figure.date or figure.code or figure.value is None:
            continue
        holding = [clause for clause in numbered if not gaps([figure], Place(clause, around=text))]
        if len(holding) == 1:
            yield figure, holding[0], [other for other in numbered if other is not holding[0]]


def _around(claim: str, figure: Quantity) -> str:
    start, end = 0, len(claim)
    for mark in _CLAUSE.finditer(claim):
        if mark.end() <= figure.start:
            start = mark.end()
        elif mark.start() >= figure.end:
            end = mark.start()
            break
    return claim[start:end]


def _other_year(
    clause: str, claim: str, question: str, figure: Quantity, row: str, above: str
) -> bool:
    wanted = _year_of(clause, claim, question)
    if not wanted:
        return False
    values = row_values(row)
    years = header_years(above, columns=len(values))
    if len(values) != len(years) or wanted not in years:
        return False
    holding = [year for year, value in zip(years, values, strict=True) if _is(figure, value, above)]
    return bool(holding) and wanted not in holding


def _year_of(clause: str, claim: str, question: str) -> str:
    """Return the year that a figure is said of: the only one of the first of them that has any."""
    if _ANOTHER_YEAR.search(clause):
        return ""
    for text in (clause, claim, question):
        if years := set(_YEAR.findall(text)):
            return years.pop() if len(years) == 1 else ""
    return ""


def row_values(row: str) -> list[str]:
    """Return the figures that end a row, in order; a dash is one as well.

    >>> row_values("Total backlog (Note 2) $ 490,481 $ 474,640")
    ['490,481', '474,640']
    """
    found: list[str] = []
    for word in reversed(row.split()):
        if _VALUE.fullmatch(word) and word.count("(") == word.count(")"):
            found.append(word.strip("$€£¥"))
        elif word not in _FILLER:
            break
    return found[::-1]


def header_years(above: str, *, columns: int) -> tuple[str, ...]:
    r"""Return the years of the nearest header above a row, one for each of its columns, in order.

    >>> header_years("Years ended December 31, 2018 2017 2016\nRevenues $ 1 $ 2 $ 3", columns=3)
    ('2018', '2017', '2016')
    """
    if columns < _FEWEST:
        return ()
    lines = above.splitlines()[-_REACH:]
    single: list[str] = []  # a header whose cells stand in lines of their own
    for line in reversed(lines):
        years = _YEAR.findall(line)
        others = [n for n in re.findall(r"\d[\d,.]*", line) if n.strip(",.") not in years]
        if any(len(number.strip(",.")) > 2 for number in others):  # noqa: PLR2004 - a day at most
            single = []
        elif len(years) == columns and len(set(years)) == columns:
            return tuple(years)
        elif len(years) == 1:
            single.insert(0, years[0])
            if len(single) == columns and len(set(single)) == columns:
                return tuple(single)
    return ()


def _other_name(clause: str, figure: Quantity, row: str, above: str) -> bool:
    """Say whether a cell between bars stands below another name than the clause has."""
    cells = _cells(row)
    header: list[str] = []
    for line in reversed(above.rstrip("\n").splitlines()[-_REACH:]):
        if len(_cells(line)) != len(cells):
            break  # the top line of an unbroken block of cells is its header
        header = _cells(line)
    if len(cells) <= _FEWEST or not header:
        return False
    said = squeezed(clause)
    named = [i for i, cell in enumerate(header) if i and _tells(cell) and squeezed(cell) in said]
    holding = [i for i, cell in enumerate(cells) if i and _is(figure, cell, above)]
    return bool(named and holding) and not set(named) & set(holding)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if "|" in line else []


def _tells(cell: str) -> bool:
    return sum(char.isalnum() for char in cell) > 1 and any(char.isalpha() for char in cell)


def _is(figure: Quantity, value: str, above: str) -> bool:
    return not gaps([figure], Place(value, around=above))
