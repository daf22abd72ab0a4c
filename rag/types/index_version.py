"""What makes an index stale: names of what read, recognised and cut, and of what would today."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version as package_version

from rag.text.messages import Text
from rag.types.documents import IndexVersion

READER_VERSION = 3
"""Counts the changes that make the same PDF be read in another way."""


@lru_cache(maxsize=1)
def reader_name() -> str:
    """Return the libraries that read PDFs, with their versions, and our own."""
    pdfium, pypdf = package_version("pypdfium2"), package_version("pypdf")
    return f"pypdfium2/{pdfium}+pypdf/{pypdf}/{READER_VERSION}"


DPI = 150  # as good as 200, and a quarter cheaper: "Text recognition" in docs/decisions.md
OCR_VERSION = 2
"""Counts the changes of ours that make the same page be recognised in another way."""


@lru_cache(maxsize=1)
def ocr_name() -> str:
    """Return the library with its version, and so its models, the resolution, and our own."""
    return f"rapidocr/{package_version('rapidocr')}/{DPI}/{OCR_VERSION}"


CHUNKING_VERSION = 3
"""Counts the changes that make passages cut before differ from those cut now."""


def chunking_name(*, tokens: int, overlap: int) -> str:
    """Return the name that an index version keeps of its chunker."""
    return f"recursive/{tokens}/{overlap}/{CHUNKING_VERSION}"


def chunking_tokens(name: str) -> int:
    """Return the most tokens of a passage that such a chunker cuts; 0 where it does not say."""
    parts = name.split("/")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 0


_MINUTE = 60  # seconds
_LONG = 100  # minutes; more is said in hours


def model_name(embedder: str) -> str:
    """Return what a person calls the embedder of an index version.

    >>> model_name("multilingual-e5-small@cd1caf18 query: passage:"), model_name("hashing/256")
    ('multilingual-e5-small', 'hashing')
    """
    return embedder.partition(" ")[0].partition("@")[0].partition("/")[0]


@dataclass(frozen=True, slots=True)
class WantedVersion:
    """What the settings and this program would make of a document today."""

    embedder: str  # as in an index version; without its bytes while the weights are not here
    chunking: str
    analyser: str
    reader: str
    recogniser: str

    def embeds_like(self, version: IndexVersion) -> bool:
        """Tell whether the vectors of an index version are the ones that would be made."""
        name, *prefixes = version.embedder.split(" ")
        nameless = " ".join([name.partition("@")[0], *prefixes])
        return self.embedder in {version.embedder, nameless}

    def matches(self, version: IndexVersion) -> bool:
        """Tell whether an index version is the one that would be made."""
        same = (self.chunking, self.analyser) == (version.chunking, version.analyser)
        return same and self.embeds_like(version)


@dataclass(frozen=True, slots=True)
class Stale:
    """What a rebuild would do, in documents, and how long it would take where that is known."""

    embed: int = 0  # to be cut and embedded anew
    terms: int = 0  # only their words are to be indexed anew
    read: int = 0  # read by another version of the reader
    recognise: int = 0  # with pages that another version of text recognition has read
    embed_s: float | None = None
    read_s: float | None = None
    recognise_s: float | None = None

    def __bool__(self) -> bool:
        return bool(self.embed or self.terms or self.read or self.recognise)

    def say(self) -> Text | None:
        """Return what is stale and what mending it costs; ``None`` if nothing is.

        >>> str(Stale(embed=37, embed_s=240, read=3).say())
        '37 documents need re-embedding (about 4 min), 3 need re-reading.'
        >>> str(Stale(recognise=3, recognise_s=240).say())
        '3 documents need their text recognised anew (about 4 min).'
        """
        whose = "its" if self.recognise == 1 else "their"
        todo = (
            (self.embed, self.embed_s, "re-embedding", "重新计算向量"),
            (self.terms, None, "their words indexed anew", "重建词语索引"),
            (self.read, self.read_s, "re-reading", "重新读取"),
            (self.recognise, self.recognise_s, f"{whose} text recognised anew", "重新识别文字"),
        )
        english, chinese = list[str](), list[str]()
        for count, seconds, en, zh in todo:
            if count:
                cost = _cost(seconds)
                what = "" if english else " document" if count == 1 else " documents"
                english.append(f"{count}{what} need{'s' if count == 1 else ''} {en}{cost.en}")
                chinese.append(f"{count} 份文档需要{zh}{cost.zh}")
        return Text(f"{', '.join(english)}.", f"{'，'.join(chinese)}。") if english else None

    @property
    def total_s(self) -> float | None:
        """How long mending all of it takes; ``None`` where that is not known."""
        counts = (self.embed, self.read, self.recognise)
        costs = (self.embed_s, self.read_s, self.recognise_s)
        due = [cost for count, cost in zip(counts, costs, strict=True) if count]
        known = [cost for cost in due if cost is not None]
        return sum(known) if len(known) == len(due) else None


def _cost(seconds: float | None) -> Text:
    if seconds is None:
        return Text("", "")
    if seconds < _MINUTE:
        return Text(" (under a minute)", "（不到 1 分钟）")
    minutes = round(seconds / _MINUTE)
    if minutes < _LONG:
        return Text(f" (about {minutes} min)", f"（约 {minutes} 分钟）")
    hours = f"{minutes / 60:.1f}".removesuffix(".0")
    return Text(f" (about {hours} h)", f"（约 {hours} 小时）")
