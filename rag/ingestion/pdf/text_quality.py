"""Does the text layer of a page say what is printed, or does it lie?

Knows nothing about pages. The table was counted once over the translated messages of
free programs in twenty languages of the Latin alphabet, English weighing a third.

A text layer lies when a font's way back to characters is broken: private-use characters,
U+FFFD, ``(cid:12)``, Chinese glyphs that call themselves ASCII, letters shifted or
exchanged. The rules are few and slow to accuse: a page called garbled loses its text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from math import sqrt

from rag.types.documents import PageState

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_OTHER = len(_LETTERS)  # any other letter of a Latin alphabet
# One row a letter, one column its follower: the surprise in bits, rounded, as a hex digit.
_SURPRISE = (
    "7554A75757534395A3435688666",
    "3799289A35937739C4674AAB5A5",
    "3B694AB24856AA28C5635BCD875",
    "3896198939868637E567588A785",
    "564466585864538682347685777",
    "4A97449A29A59928C4655CBB7B4",
    "4897295538857447C455499C695",
    "3AA82AC93885873AD684589E7C3",
    "5645455987545246853485A7965",
    "38A6199A4A757647C85648ACB84",
    "28793A8549559637E544489E6A4",
    "3895287838747737C96548A8694",
    "2498299A3A975634E86759BB9B4",
    "3953363648678538B94356AD685",
    "7655756868644264B3444559A76",
    "376739764B849835B3644AAB795",
    "7AA99BAB7BB4A99998970B6B9A9",
    "37652858396755389554568C675",
    "49593885395677458842488C565",
    "3A7928943A878837F455588B584",
    "5566466957644374C3337798885",
    "29992ABB3A979639E67869BB6A3",
    "2A873A842B87A448D55A7C8A596",
    "564837982B886A62A8825996685",
    "3556477757553443D643676B784",
    "37762B8739766447A875476B563",
    "5746576747545255A444568A663",
)
_INDEX = {letter: index for index, letter in enumerate(_LETTERS)}
_WORDS = re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]{2,}")
# Where the characters in daily use stand in each national code; a shifted or random
# character is in none of them more often than by chance (level 1 holds a fifth of all).
_DAILY = (
    ("gb2312", 0xB0A1, 0xD7F9),
    ("big5", 0xA440, 0xC67E),
    ("shift_jis", 0x889F, 0x9872),
    ("euc_kr", 0xB0A1, 0xC8FE),
)


def surprise(text: str) -> tuple[float, int]:
    """Return the mean surprise of the text's pairs of Latin letters in bits, and their number.

    Prose lies between 3.5 and 4, tables and code below 5, letters at random above 6.

    >>> surprise("the contract")[0] < 4 < 6 < surprise("wkh frqwudfw")[0]
    True
    """
    bits = pairs = 0
    for word in _WORDS.findall(text):
        word_bits = _word_surprise(word.lower())
        bits += word_bits
        pairs += len(word) - 1
    return (bits / pairs if pairs else 0.0), pairs


@lru_cache(maxsize=1 << 16)
def _word_surprise(word: str) -> int:
    places = [_INDEX.get(letter, _OTHER) for letter in word]
    return sum(int(_SURPRISE[a][b], 16) for a, b in pairwise(places))


def daily_share(characters: Iterable[tuple[str, int]]) -> float:
    """Return how many of the counted ideographs and syllables are in daily use, 0 to 1.

    The best of the Chinese (simplified, traditional), Japanese and Korean sets counts.

    >>> daily_share([("的", 3), ("蠻", 1)])
    1.0
    """
    counted = list(characters)
    total = sum(count for _, count in counted)
    best = max(sum(count for char, count in counted if char in known) for known in _daily_sets())
    return best / total if total else 1.0


@cache
def _daily_sets() -> tuple[frozenset[str], ...]:
    return tuple(
        frozenset(
            code.to_bytes(2, "big").decode(encoding, "ignore") for code in range(first, last + 1)
        )
        for encoding, first, last in _DAILY
    )


GARBLED_SHARE = 0.3  # of what stands on the page, digits and white space aside
_CID = re.compile(r"\(cid:\d+\)")
_LEADER_SIGNS = (*(3 * sign for sign in ".·…_=*–—-"), ". . .", "· · ·")
_LEADERS = re.compile(r"([.·…_=*–—-])(?: ?\1){2,}")  # rows of dots say nothing about letters
_SAMPLE = 1000  # characters
_FEWEST_PAIRS = 40
_ENOUGH = 80  # characters of one font that can be judged alone
_FEW_PAIRS = 20
_ODD_BITS = 5.1
# Signs that are rare in prose, against letters: formulas and code lie below .42.
_RARE_SIGNS = "!\"#$%&'()*+/:;<=>?@[\\]^`{|}~"
_FEWEST_SIGNS = 60
_SIGNS_A_LETTER = 4  # that letters which lie take with them at most
_MANY_SIGNS = 0.3
_ALL_SIGNS = 0.5
_FEWEST_IDEOGRAPHS = 20
_DAILY_SHARE = 0.7  # clean Chinese pages lie above .95, shifted ones below .5
_FOREIGN_LATIN = 0.5  # of Latin letters; Vietnamese, the richest in marks, stays below
_FEWEST_FOREIGN = 40
_TWO_SCRIPTS = 0.8  # of the letters that are neither Latin, Greek nor ideographs

# kinds of characters
_JUNK, _LATIN, _MARKED, _SIGN, _IDEOGRAPH, _QUIET = "junk", "latin", "marked", "sign", "cjk", ""

_SCRIPT_KINDS = {
    "LATIN": _MARKED, "CJK": _IDEOGRAPH, "HANGUL": _IDEOGRAPH, "HIRAGANA": _SIGN,
    "KATAKANA": _SIGN, "KATAKANA-HIRAGANA": _SIGN, "BOPOMOFO": _SIGN, "IDEOGRAPHIC": _SIGN,
}  # fmt: skip


def verdict(text: str, *, parts: Sequence[str] = ()) -> tuple[PageState, str | None]:
    r"""Return the state of a page that holds ``text``, and the reason when it is lost.

    ``parts`` is the same text font by font, where that is known: a lying font is seen more
    clearly alone than in the company of honest ones.

    >>> verdict("The supplier shall deliver the goods within thirty days.")
    ('text', None)
    >>> verdict("\ue001\ue002\ue003\ue004 \ue005\ue006")
    ('garbled', 'garbled')
    >>> verdict(" ")
    ('empty', 'no_text')
    """
    if not text.strip():
        return "empty", "no_text"
    if garbled_share(text, parts=parts) >= GARBLED_SHARE:
        return "garbled", "garbled"
    return "text", None


def garbled_share(text: str, *, parts: Sequence[str] = ()) -> float:
    """Return how much of the page's characters, digits aside, no alphabet explains; 0 to 1."""
    alone = [part for part in parts if len(part) >= _ENOUGH]
    together = " ".join(part for part in parts if len(part) < _ENOUGH)
    bad, total = map(sum, zip(*map(_weigh, [*alone, together] if parts else [text]), strict=True))
    return bad / total if total else 0.0


def _weigh(text: str) -> tuple[int, int]:
    """Return how many characters of one text are unexplained, and how many there are.

    A long text is judged by its beginning and its end.
    """
    if len(text) > 2 * _SAMPLE:
        bad, total = _weigh(text[:_SAMPLE] + text[-_SAMPLE:])
        share = len(text) / (2 * _SAMPLE)
        return round(bad * share), round(total * share)
    text, cids = _CID.subn("", text) if "(cid:" in text else (text, 0)
    if any(leader in text for leader in _LEADER_SIGNS):
        text = _LEADERS.sub(r"\1", text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    characters = Counter(text)
    kinds: Counter[str] = Counter()
    for char, count in characters.items():
        kinds[_kind(char)] += count
    total = sum(kinds.values()) - kinds[_QUIET] + cids
    bad = kinds[_JUNK] + cids
    bad += _lying_latin(text, characters, kinds)
    ideographs = [(c, n) for c, n in characters.items() if _kind(c) == _IDEOGRAPH]
    if kinds[_IDEOGRAPH] >= _FEWEST_IDEOGRAPHS and daily_share(ideographs) < _DAILY_SHARE:
        bad += kinds[_IDEOGRAPH]
    known = {_JUNK, _LATIN, _MARKED, _SIGN, _IDEOGRAPH, _QUIET, "GREEK"}
    bad += _babel({kind: count for kind, count in kinds.items() if kind not in known})
    return bad, total


def _lying_latin(text: str, characters: Counter[str], kinds: Counter[str]) -> int:
    """Return how many Latin letters and signs are none, all or nothing."""
    letters = kinds[_LATIN] + kinds[_MARKED]
    bits, pairs = surprise(text)
    if _letters_lie(bits, pairs, kinds):
        return letters + min(kinds[_SIGN], _SIGNS_A_LETTER * letters)
    return letters + kinds[_SIGN] if _signs_lie(bits, pairs, characters, kinds) else 0


def _letters_lie(bits: float, pairs: int, kinds: Counter[str]) -> bool:
    marked = kinds[_MARKED]
    if marked >= _FEWEST_FOREIGN and marked > _FOREIGN_LATIN * (marked + kinds[_LATIN]):
        return True
    # few pairs may surprise by chance, so the bar falls as their number grows
    return pairs >= _FEWEST_PAIRS and bits > 5.0 + 9.0 / sqrt(pairs)


def _signs_lie(bits: float, pairs: int, characters: Counter[str], kinds: Counter[str]) -> bool:
    signs = sum(characters[sign] for sign in _RARE_SIGNS)
    share = signs / max(signs + kinds[_LATIN], _FEWEST_SIGNS)
    return share > _ALL_SIGNS or (share > _MANY_SIGNS and pairs >= _FEW_PAIRS and bits > _ODD_BITS)


def _babel(scripts: dict[str, int]) -> int:
    """Return how many letters stand in more alphabets than one page can hold."""
    total = sum(scripts.values())
    two = sum(sorted(scripts.values())[-2:])
    return total if total >= _FEWEST_FOREIGN and two < _TWO_SCRIPTS * total else 0


@lru_cache(maxsize=1 << 16)
def _kind(char: str) -> str:
    if char.isspace() or char.isdigit():
        return _QUIET
    category = unicodedata.category(char)
    if category in {"Co", "Cn", "Cs", "Cc"} or char == "\ufffd":
        return _JUNK
    if category[0] != "L":
        return _SIGN
    if char.isascii():
        return _LATIN
    script = unicodedata.name(char, "?").split()[0]
    if script == "HANGUL" and not "가" <= char <= "힣":
        return _SIGN  # a part of a syllable; no list says which are in daily use
    return _SCRIPT_KINDS.get(script, script)
