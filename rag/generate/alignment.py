"""A sentence taken nearly word for word, with another figure in one place.

That figure may well stand elsewhere in the passage: a report names five years on a page. Where the
words around it are those of the evidence, what the evidence has in its place is what counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from rag.text.quantities import Place, Quantity, gaps, quantities

ALIKE = 0.75
"""Share of the sentence's words that the evidence has in the same order."""
_FEWEST = 6  # words; shorter sentences are alike by chance
_LONGEST = 3  # words that stand in one another's place
_TOKEN = re.compile(r"[A-Za-z]+|\d[\d.,]*\d|\d|[\u4e00-\u9fff]")


def exchanged(claim: str, found: Sequence[Quantity], evidence: str) -> Iterator[Quantity]:
    """Yield those of the claim's quantities in whose place the evidence has another.

    Other spellings of a quantity are the same: 3.2亿 and 320 million, 5 March and March 5.

    >>> says = "In all its markets net sales rose, as expected, to 1.2 billion in 2016."
    >>> there = "In all its markets net sales rose, as expected, to 1,200 million in 2015."
    >>> [says[q.start : q.end] for q in exchanged(says, quantities(says), there)]
    ['2016']
    """
    said = [(m[0].casefold(), m.start(), m.end()) for m in _TOKEN.finditer(claim)]
    there = [(m[0].casefold(), m.start(), m.end()) for m in _TOKEN.finditer(evidence)]
    if len(said) < _FEWEST:
        return
    matcher = SequenceMatcher(
        None, [token for token, *_ in said], [token for token, *_ in there], autojunk=False
    )
    operations = matcher.get_opcodes()
    same = sum(b - a for kind, a, b, _, _ in operations if kind == "equal")
    if same < ALIKE * len(said):
        return
    known = quantities(evidence)
    for kind, a, b, c, d in operations:
        if kind != "replace" or max(b - a, d - c) > _LONGEST:
            continue
        mine = [q for q in found if q.start < said[b - 1][2] and said[a][1] < q.end]
        theirs = [q for q in known if q.start < there[d - 1][2] and there[c][1] < q.end]
        for quantity in mine:
            if theirs and not any(_agree(quantity, one, evidence) for one in theirs):
                yield quantity


def _agree(said: Quantity, there: Quantity, evidence: str) -> bool:
    """Say whether the evidence states there what was said."""
    if said.date or there.date:
        mine = [date for date in (said.date, said.other) if date]
        theirs = [date for date in (there.date, there.other) if date]
        return any(one.holds(date) or date.holds(one) for date in mine for one in theirs)
    return not gaps([said], Place(evidence[there.start : there.end], around=evidence))
