"""The way back from a page's text to PDFium's characters, made once and kept.

A recipe lists, in reading order, which of PDFium's characters make the text: ``12+80`` are
eighty from the twelfth on, ``/`` is a line end of ours. Boxes follow from it alone, so that
they stay right whatever later versions would read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

OURS = -1
"""The place of a character that stands nowhere on the page."""


Run = tuple[int, int]
"""The place of the first of some characters that follow one another, and their number."""


def to_runs(places: Iterable[int]) -> list[Run]:
    """Return the runs of these places.

    >>> to_runs([0, 1, 2, 9, 10])
    [(0, 3), (9, 2)]
    """
    runs: list[Run] = []
    for place in places:
        if runs and place != OURS and runs[-1][0] != OURS and place == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((place, 1))
    return runs


def write_recipe(runs: Iterable[Run]) -> str:
    """Return the recipe of a text whose characters stand in these runs.

    >>> write_recipe([(0, 3), (OURS, 1), (9, 2)])
    '0+3 / 9+2'
    """
    return " ".join("/" if start == OURS else f"{start}+{length}" for start, length in runs)


def read_recipe(recipe: str) -> list[int]:
    """Return the place of each character of the text.

    >>> read_recipe("0+3 / 9+2")
    [0, 1, 2, -1, 9, 10]
    """
    return [place for run in recipe.split() for place in _run(run)]


def _run(run: str) -> Iterator[int]:
    if run == "/":
        return iter((OURS,))
    start, length = map(int, run.split("+"))
    return iter(range(start, start + length))


def stretches(places: Iterable[int]) -> list[tuple[int, int]]:
    """Return first and last place of every stretch that runs forward without a jump.

    Small steps pass over what was dropped in between, a hyphen with its line end.

    >>> stretches([5, 6, 9, 2, 3])
    [(5, 9), (2, 3)]
    """
    found: list[tuple[int, int]] = []
    for place in places:
        if found and 0 < place - found[-1][1] <= _STEP:
            found[-1] = (found[-1][0], place)
        else:
            found.append((place, place))
    return found


_STEP = 4  # a hyphen, CR, LF and the next character
