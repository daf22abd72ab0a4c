"""Words of a question that no document has, read as the word of a document that they resemble.

Only words in small Latin letters: a name or a code that the library does not know is what its
absence says ("RTX 5090"), and must not become another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher, get_close_matches

_WORD = re.compile(r"(?<![\w-])[a-z]{4,30}(?![\w-])")
_ANY_WORD = re.compile(r"[a-z]+")
_ALIKE = 0.8  # difflib's ratio: one letter of five, two of nine
_MOST = 5  # words of a question that are looked up: a pasted page is no slip
_FIRST = 2  # letters that have to be right


def corrected(
    question: str,
    *,
    terms: Callable[[str], Sequence[str]],
    frequency: Callable[[Sequence[str]], Mapping[str, int]],
    beginning: Callable[[str], Mapping[str, int]],
    holding: Callable[[str], Iterable[str]],
) -> str:
    """Return the question with such words replaced; as it is where there is none.

    ``frequency`` gives in how many passages each term occurs, ``beginning`` all terms that begin
    with two letters, with the same. Terms are stems: ``holding`` gives some texts that hold one,
    and the question is given a word as it stands there.

    >>> known = {"annual": 9, "meet": 7, "annul": 1}
    >>> corrected(
    ...     "the anual meeting",
    ...     terms=lambda text: [word.removesuffix("ing") for word in text.split()],
    ...     frequency=lambda terms: {term: known.get(term, 0) for term in terms},
    ...     beginning=lambda first: {k: n for k, n in known.items() if k.startswith(first)},
    ...     holding=lambda term: ["Annual meetings", "An Annual Meeting"],
    ... )
    'the annual meeting'
    """
    words = {match[0]: terms(match[0]) for match in _WORD.finditer(question)}
    single = {word: found[0] for word, found in words.items() if len(found) == 1}
    counts = frequency(list(single.values())) if single else {}
    unknown = [(word, term) for word, term in single.items() if not counts.get(term)][:_MOST]
    near = {word: _nearest(term, beginning(term[:_FIRST])) for word, term in unknown}
    read = {word: _written(word, term, holding(term), terms) for word, term in near.items() if term}
    return _WORD.sub(lambda match: read.get(match[0], match[0]), question)


def _written(
    word: str, term: str, texts: Iterable[str], terms: Callable[[str], Sequence[str]]
) -> str:
    """Return the form of a term that stands in texts and is most like ``word``."""
    forms = {form for text in texts for form in _ANY_WORD.findall(text.casefold())}
    own = sorted(form for form in forms if form[:_FIRST] == term[:_FIRST] and terms(form) == [term])
    return max(own, key=lambda form: SequenceMatcher(None, word, form).ratio(), default=term)


def _nearest(term: str, known: Mapping[str, int]) -> str:
    """Return the likest known term, the more frequent of two alike; "" where none is like it."""
    words = [word for word in known if word.isalpha() and abs(len(word) - len(term)) <= _FIRST]
    near = [w for w in get_close_matches(term, words, n=3, cutoff=_ALIKE) if _is_slip(w, term)]
    if not near:
        return ""
    return max(near, key=lambda word: (_same_letters(word, term), known[word]))


def _is_slip(word: str, term: str) -> bool:
    """Tell a slip from another word: the employer is not the employee, a payer no payee."""
    longer, shorter = sorted((word, term), key=len, reverse=True)
    if longer.startswith(shorter):
        return longer == shorter + shorter[-1]  # its last letter twice
    return True


def _same_letters(word: str, term: str) -> bool:
    """Say whether two words differ by doubled or swapped letters alone, the likeliest slips."""
    return sorted(set(word)) == sorted(set(term))
