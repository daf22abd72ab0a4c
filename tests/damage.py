"""Makes the text layer of a real PDF lie: its fonts' way back to characters is rewritten."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pypdf
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

_SECTION = re.compile(r"begin(bfchar|bfrange)(.*?)end\1", re.DOTALL)
_RANGE = re.compile(r"<[^>]*>\s*<[^>]*>\s*(?:<[^>]*>|\[[^\]]*\])")
_HEX = re.compile(r"<([0-9A-Fa-f\s]*)>")
Change = Callable[[int, int], str]
"""From the number of an entry and its character to what it is to say instead."""

DAMAGES: dict[str, Change] = {
    "shifted by one": lambda number, code: chr(code + 1),
    "shifted by 29": lambda number, code: chr(max(code - 29, 1)),
    "private use": lambda number, code: chr(0xE000 + number % 0x1000),
    "replacement characters": lambda number, code: "\ufffd",
    "glyphs as ASCII": lambda number, code: chr(0x21 + number % 94),
    "glyphs as anything": lambda number, code: chr(0x100 + (number * 37) % 0x2E00),
}


def damaged(source: Path, target: Path, change: Change, *, pages: int) -> Path:
    """Write the first pages of ``source`` with every ToUnicode map rewritten."""
    writer = pypdf.PdfWriter()
    for page in pypdf.PdfReader(source).pages[:pages]:
        writer.add_page(page)
    done: list[DictionaryObject] = []
    for page in writer.pages:
        resources = page.get("/Resources", DictionaryObject()).get_object()
        for named in resources.get("/Font", DictionaryObject()).get_object().values():
            font = named.get_object()
            if "/ToUnicode" not in font or any(font is one for one in done):
                continue
            done.append(font)
            before = font["/ToUnicode"].get_object().get_data().decode("latin-1")
            stream = DecodedStreamObject()
            stream.set_data(_rewritten(before, change).encode("latin-1"))
            font[NameObject("/ToUnicode")] = writer._add_object(stream)
    writer.write(target)
    return target


def _rewritten(cmap: str, change: Change) -> str:
    number = 0

    def say(text: str) -> str:
        nonlocal number
        number += 1
        code = ord(bytes.fromhex(text).decode("utf-16-be", "ignore")[:1] or "\ufffd")
        return f"<{change(number, code).encode('utf-16-be', 'ignore').hex()}>"

    def section(match: re.Match[str]) -> str:
        kind, body = match[1], match[2]
        codes = [re.sub(r"\s", "", found) for found in _HEX.findall(body)]
        lines = []
        if kind == "bfchar":
            for code, text in zip(codes[::2], codes[1::2], strict=False):
                lines.append(f"<{code}> {say(text)}")
        else:
            for entry in _RANGE.findall(body):
                lines += _range(entry, say)
        size, total = 90, len(lines)
        parts = [lines[i : i + size] for i in range(0, total, size)]
        joined = [f"{len(p)} beginbfchar\n" + "\n".join(p) + "\nendbfchar" for p in parts]
        return "\n".join(joined)[len(str(min(size, total))) + 1 :] if joined else match[0]

    return _SECTION.sub(section, cmap)


def _range(entry: str, say: Callable[[str], str]) -> list[str]:
    codes = [re.sub(r"\s", "", found) for found in _HEX.findall(entry)]
    if len(codes) < 3:
        return []
    first, last, width = int(codes[0], 16), int(codes[1], 16), len(codes[0])
    texts = codes[2:]
    if "[" not in entry:
        base, size = int(texts[0], 16), len(texts[0])
        texts = [f"{base + i:0{size}x}" for i in range(last - first + 1)]
    return [f"<{first + i:0{width}x}> {say(text)}" for i, text in enumerate(texts)]
