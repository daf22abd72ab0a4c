"""Term files: their format, where they lie, and what is wrong with one.

The format is explained to users in docs/terms.md. Nothing about a trade stands in the code.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError

from rag.errors import ConfigError
from rag.text.messages import Text

_SHIPPED = Path(__file__).with_name("shipped")
_STRICT = ConfigDict(extra="forbid", strict=False)

Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"\w")]
"""How something is called; a name without a letter or digit would be found everywhere."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of documents that lines stand in, such as a balance sheet."""

    __pydantic_config__ = _STRICT

    key: str
    en: str = ""  # how documents head it
    zh: str = ""
    names_en: tuple[Name, ...] = ()  # how questions call it
    names_zh: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class Lines:
    """What documents call the lines that a figure is computed from."""

    __pydantic_config__ = _STRICT

    section: str = ""  # the key of the one that they stand in
    en: str = ""
    zh: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that documents seldom state, or a line that stands in one of their sections."""

    __pydantic_config__ = _STRICT

    lines: tuple[Lines, ...]
    names_en: tuple[Name, ...] = ()
    names_zh: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class Synonyms:
    """Names of one thing."""

    __pydantic_config__ = _STRICT

    names_en: tuple[Name, ...] = ()
    names_zh: tuple[Name, ...] = ()


Entry = Section | Figure | Synonyms


@dataclass(frozen=True, slots=True)
class _Content:
    __pydantic_config__ = _STRICT

    section: tuple[Section, ...] = ()
    computed_from: tuple[Figure, ...] = ()
    line: tuple[Figure, ...] = ()
    also_called: tuple[Synonyms, ...] = ()

    def tables(self) -> dict[str, tuple[Entry, ...]]:
        return {
            "section": self.section,
            "computed_from": self.computed_from,
            "line": self.line,
            "also_called": self.also_called,
        }


@dataclass(frozen=True, slots=True)
class TermFile:
    """What one file says."""

    path: Path
    shipped: bool
    sections: Mapping[str, Section]  # by key: those of the file, and the shipped ones
    named_sections: tuple[Section, ...]  # those of the file
    figures: tuple[Figure, ...]
    lines: tuple[Figure, ...]  # count only where a question names their section, too
    synonyms: tuple[Synonyms, ...]

    @property
    def count(self) -> int:
        """How many terms there are."""
        return len(self.figures) + len(self.lines) + len(self.synonyms)


@dataclass(frozen=True, slots=True)
class TermFiles:
    """The files of a folder beside the shipped ones."""

    used: tuple[TermFile, ...]  # the user's before the shipped ones
    left_out: tuple[ConfigError, ...] = ()  # why, for each file that cannot be used


def load_term_files(folder: Path) -> TermFiles:
    """Read the ``*.toml`` of ``folder``, by name, and the shipped files.

    A file of the same name takes the place of a shipped one. One that cannot be used is left
    out; a folder that is not there holds none.
    """
    own: list[TermFile] = []
    left_out: list[ConfigError] = []
    for path in sorted(folder.glob("*.toml")) if folder.is_dir() else []:
        try:
            own.append(read_term_file(path))
        except ConfigError as error:
            left_out.append(error)
    replaced = {file.path.name for file in own}
    kept = [file for file in shipped_term_files() if file.path.name not in replaced]
    return TermFiles((*own, *kept), tuple(left_out))


@cache
def shipped_term_files() -> tuple[TermFile, ...]:
    """Return the files that come with the app."""
    return tuple(_read(path, {}, shipped=True) for path in sorted(_SHIPPED.glob("*.toml")))


def read_term_file(path: Path) -> TermFile:
    """Read one file of a user's; its lines may name sections of the shipped files.

    Raises:
        ConfigError: it cannot be read, is no TOML, or a key or value in it is wrong.
    """
    known = {
        key: section for file in shipped_term_files() for key, section in file.sections.items()
    }
    return _read(path, known, shipped=False)


def _read(path: Path, known: Mapping[str, Section], *, shipped: bool) -> TermFile:
    try:
        # editors on Windows put a mark before the first letter
        values = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise _wrong(path, "", str(error)) from error
    try:
        content = TypeAdapter(_Content).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise _wrong(path, _key(first["loc"]), _said(first)) from error
    sections = {**known, **{section.key: section for section in content.section}}
    for key, problem in _problems(content, sections):
        raise _wrong(path, key, problem)
    return TermFile(
        path,
        shipped,
        sections,
        content.section,
        content.computed_from,
        content.line,
        content.also_called,
    )


def _problems(content: _Content, sections: Mapping[str, Section]) -> Iterator[tuple[str, str]]:
    """Yield key and problem of what the types alone do not tell."""
    for table, entries in content.tables().items():
        seen: Counter[str] = Counter()
        for number, entry in enumerate(entries, start=1):
            where = f"{table}[{number}]"
            names = {spelling(name): name for name in (*entry.names_en, *entry.names_zh)}
            if not names:
                yield where, "needs names_en or names_zh"
            seen.update(names.keys())
            twice = [name for key, name in names.items() if seen[key] > 1]
            if twice:
                yield where, f"'{twice[0]}' is a name of another {table}, too"
            if isinstance(entry, Figure):
                yield from _problems_of_lines(where, entry, sections)
            elif isinstance(entry, Section) and not (entry.en or entry.zh):
                yield where, "needs en or zh"
            elif isinstance(entry, Synonyms) and len(names) == 1:
                yield where, "needs two names or more"
    keys = Counter(section.key for section in content.section)
    yield from (("section", f"key '{key}' is there twice") for key in keys if keys[key] > 1)


def _problems_of_lines(
    where: str, figure: Figure, sections: Mapping[str, Section]
) -> Iterator[tuple[str, str]]:
    if not figure.lines:
        yield f"{where}.lines", "is empty"
    for number, lines in enumerate(figure.lines, start=1):
        if not (lines.en or lines.zh):
            yield f"{where}.lines[{number}]", "needs en or zh"
        if lines.section and lines.section not in sections:
            known = ", ".join(sections)
            yield f"{where}.lines[{number}].section", f"'{lines.section}' is none of: {known}"


def spelling(name: str) -> str:
    """Return what is alike for names that are looked for alike.

    A name in capitals is looked for as it is written, every other one in any case; spaces and
    hyphens are the same.
    """
    words = " ".join(re.split(r"[\s-]+", name))
    return words if name.isupper() else words.casefold()


def _key(place: tuple[int | str, ...]) -> str:
    """Return a place in a file as people count: ``computed_from[1].lines[2].en``."""
    parts = [f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place]
    return "".join(parts).lstrip(".")


def _said(problem: Any) -> str:
    if problem["type"] == "string_pattern_mismatch":
        return "needs a letter or a digit"
    said: str = problem["msg"]
    return said


def _wrong(path: Path, key: str, problem: str) -> ConfigError:
    where = f"{path}: {key}" if key else f"{path}"
    return ConfigError(
        Text(
            f"Term file {where}: {problem.rstrip('.')}.",
            f"术语文件 {where}：{problem.rstrip('.')}。",
        ),
        hint=Text(
            "The other term files are used; docs/terms.md explains the format.",
            "其他术语文件照常使用；格式说明见 docs/terms.md。",
        ),
    )
