"""Near-duplicates: another export of the same document, a draft beside the final version.

A document is sketched by the smallest hashes of its shingles (Broder, "On the resemblance
and containment of documents", 1997). The share of hashes that two sketches have in common
estimates the share of shingles that the documents have in common, whatever their length.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from rag.text.language import CJK_RANGES
from rag.text.parse_errors import attempt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rag.storage.ledger import Ledger

    Sketch = np.ndarray[tuple[int], np.dtype[np.uint64]]


SHINGLE = 5  # words or Chinese characters; fewer are shared by unrelated documents as well
KEPT = 256  # hashes a document; the estimate errs by about 0.03
ALIKE = 0.7  # of all shingles; docs/decisions.md says what lies on either side
FEWEST = 40  # shingles; of a shorter document nothing can be said
_BATCH = 50  # documents a transaction
_PROBE = 24  # smallest hashes by which pairs are found at all
_PROBE_SHARED = 5
_CROWD = 40  # documents that share one hash share a form or a notice, not a text
_CJK = "".join(f"{chr(first)}-{chr(last)}" for first, last in CJK_RANGES)
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
_MIX = np.uint64(0x9E3779B97F4A7C15)


def refresh(ledger: Ledger, new: Sequence[str]) -> None:
    """Sketch these documents and note what each is like."""
    for start in range(0, len(new), _BATCH):
        made = [(_sketched(ledger, i).tobytes(), i) for i in new[start : start + _BATCH]]
        with ledger.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO sketches SELECT id, ? FROM documents WHERE id = ?",
                made,
            )
    rows = ledger.connection.execute("SELECT document_id, sketch FROM sketches")
    sketches = {row[0]: np.frombuffer(row[1], dtype=np.uint64) for row in rows}
    pairs = _pairs(sketches, set(new))
    with ledger.transaction() as connection:
        connection.executemany("INSERT OR REPLACE INTO alike VALUES (?, ?, ?)", pairs)


def _sketched(ledger: Ledger, document_id: str) -> Sketch:
    rows = ledger.connection.execute(
        "SELECT text FROM pages WHERE document_id = ? ORDER BY number", (document_id,)
    )
    texts = [row[0] for row in rows]
    nothing = np.empty(0, dtype=np.uint64)
    return attempt(lambda: sketch(texts), instead=nothing, what="what a document is like")


def near_duplicates(ledger: Ledger) -> dict[str, list[tuple[str, float]]]:
    """Return, for each document that has some, what it is like and how much, likest first."""
    found: dict[str, list[tuple[str, float]]] = {}
    for first, second, similarity in ledger.connection.execute(
        "SELECT first, second, likeness FROM alike ORDER BY likeness DESC"
    ):
        found.setdefault(first, []).append((second, similarity))
        found.setdefault(second, []).append((first, similarity))
    return found


def sketch(texts: Iterable[str]) -> Sketch:
    """Return at most ``KEPT`` hashes in ascending order."""
    words: list[int] = []
    for text in texts:
        words += [zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in _words(text)]
    hashes = np.array(words, dtype=np.uint64)
    if len(hashes) < SHINGLE:
        return np.empty(0, dtype=np.uint64)
    shingles = np.zeros(len(hashes) - SHINGLE + 1, dtype=np.uint64)
    for at in range(SHINGLE):  # unsigned arithmetic wraps around, which is what is wanted
        shingles = shingles * _MIX + hashes[at : at + len(shingles)]
    shingles ^= shingles >> np.uint64(29)
    shingles *= _MIX
    shingles ^= shingles >> np.uint64(32)
    smallest: Sketch = np.unique(shingles)[:KEPT]
    return smallest


def _words(text: str) -> list[str]:
    """Return words, and Chinese characters one by one: where lines break does not matter."""
    if text.isascii():
        return _WORD.findall(text.lower())
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def similarity(first: Sketch, second: Sketch) -> float:
    """Return the estimated share of shingles in common, 0 to 1."""
    size = min(KEPT, max(len(first), len(second)))
    if min(len(first), len(second)) < FEWEST:
        return 0.0
    union = np.union1d(first, second)[:size]
    shared = np.intersect1d(np.intersect1d(first, second), union)
    return len(shared) / len(union)


def _pairs(sketches: dict[str, Sketch], new: set[str]) -> list[tuple[str, str, float]]:
    """Return the pairs that are alike and have a new document in them."""
    holders: dict[int, list[str]] = {}
    for document_id, hashes in sketches.items():
        for value in hashes[:_PROBE].tolist():
            holders.setdefault(value, []).append(document_id)
    shared: Counter[tuple[str, str]] = Counter()
    for documents in holders.values():
        if 1 < len(documents) <= _CROWD:
            pairs = combinations(sorted(documents), 2)
            shared.update(pair for pair in pairs if not new.isdisjoint(pair))
    found = []
    for (first, second), count in shared.items():
        if count >= _PROBE_SHARED:
            share = similarity(sketches[first], sketches[second])
            if share >= ALIKE:
                found.append((first, second, round(share, 3)))
    return found
