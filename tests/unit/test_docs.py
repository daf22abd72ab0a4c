"""What the README, the changelog and the guide say about commands and settings is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from rag.cli import app
from rag.cli.settings import list_settings, settings_markdown
from rag.config import Settings
from rag.models.catalogue import load_catalogue
from rag.models.planning.subjects import CPU_GENERATOR, RAM_GENERATORS, SMALL_GENERATOR

ROOT = Path(__file__).parents[2]
DOCS = tuple(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))
NOT_FOR_USERS = {"docs/decisions.md"}  # old entries name what is gone
WITHOUT_COMMANDS = {"docs/glossary.md", "docs/langchain.md"}
PAGES = (
    "README.md",
    "CHANGELOG.md",
    *(page for page in DOCS if page not in NOT_FOR_USERS),
    "knowledge/README.md",
    "tests/guide/guide_en.md",
    "tests/guide/guide_zh.md",
)

FOR_DEVELOPERS = ("CONTRIBUTING.md", "examples/README.md", "tests/bench/README.md")


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def linked(page: str) -> list[str]:
    """The local files that a page links to."""
    links = re.findall(r"\]\(<?([^)>]+)>?\)", read(page))
    return [link.partition("#")[0] for link in links if "://" not in link and link[0] != "#"]


def commands(page: str) -> list[str]:
    """Every ``rag …`` that stands between backticks or on a line of a shell block."""
    text = read(page)
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.partition("  #")[0] for block in blocks for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = [part for line in lines for part in line.split("&&")] + re.findall(r"`([^`]+)`", prose)
    return [span.strip() for span in spans if re.match(r"\s*rag\s", span)]


def problem(command: str) -> str | None:
    """Say what is wrong with a command line as documented, ``None`` if nothing is."""
    node: Any = typer.main.get_command(app)
    takes_value = False
    for word in shlex.split(command)[1:]:
        if takes_value:
            takes_value = False
        elif word.startswith("--"):
            option = next((p for p in node.params if word in p.opts), None)
            if option is None and word != "--help":
                return f"{node.name} has no option {word}"
            takes_value = option is not None and not option.is_flag
        elif hasattr(node, "commands") and word[0].isalpha():
            if word not in node.commands:
                return f"{node.name} has no command {word}"
            node = node.commands[word]
    return None


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_on_the_page_exists(page: str) -> None:
    found = commands(page)
    assert found or page in WITHOUT_COMMANDS
    assert [(line, wrong) for line in found if (wrong := problem(line))] == []


def test_a_command_or_option_that_does_not_exist_is_noticed() -> None:
    assert problem("rag fly")
    assert problem("rag models fly")
    assert problem("rag status --fly")
    assert problem("rag --knowledge DIR status --pages") is None


@pytest.mark.parametrize(
    "page", ["README.md", "tests/guide/guide_en.md", "tests/guide/guide_zh.md"]
)
def test_no_command_is_left_out(page: str) -> None:
    text = read(page)
    tree: Any = typer.main.get_command(app)
    names = [name for name, node in tree.commands.items() if not node.hidden]
    assert [name for name in names if f"rag {name}" not in text] == []


def test_the_table_of_settings_is_the_one_the_program_prints() -> None:
    page = read("docs/settings.md")
    table = re.search(r"<!-- settings -->\n(.*)\n<!-- /settings -->", page, re.DOTALL)
    assert table is not None
    assert table[1] == settings_markdown()


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_named_on_the_page_exists(page: str) -> None:
    known = {item.key for item in list_settings()}
    sections = {key.partition(".")[0] for key in known} - {"knowledge"}
    named = set(re.findall(rf"`((?:{'|'.join(sorted(sections))})\.[a-z_]+)`", read(page)))
    assert named <= known


@pytest.mark.parametrize("page", [*FOR_DEVELOPERS, *PAGES, *NOT_FOR_USERS])
def test_every_file_linked_from_the_page_is_there(page: str) -> None:
    folder = (ROOT / page).parent
    assert [link for link in linked(page) if not (folder / link).exists()] == []


@pytest.mark.parametrize("page", [*FOR_DEVELOPERS, *PAGES])
def test_every_place_in_the_code_that_a_page_names_is_there(page: str) -> None:
    named = re.findall(r"`((?:rag|ui|tests|examples)/[\w./*]*)`", read(page))
    assert [place for place in named if not any(ROOT.glob(place.rstrip("/")))] == []


def test_the_readme_leads_to_every_page_of_docs() -> None:
    assert set(DOCS) <= set(linked("README.md"))


def test_the_readme_stays_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= 10_000


def test_the_download_sizes_are_those_of_the_catalogue() -> None:
    readme, guides = read("README.md"), [read(page) for page in PAGES if "guide_" in page]
    for name in (CPU_GENERATOR, next(iter(RAM_GENERATORS)), Settings().embedder.model):
        entry = load_catalogue().get(name)
        row = next(line for line in readme.splitlines() if line.startswith(f"| {name} |"))
        sizes = {entry.bytes, *(file.bytes for file in entry.wheel_files)}
        sizes |= {entry.wheels.bytes} if entry.wheels else set()
        assert entry.licence in row
        assert [size for size in sizes if f"{size:,}" not in row] == []
        for guide in guides:
            shown = next(line for line in guide.splitlines() if line.startswith(f"| {name} |"))
            assert in_units(entry.bytes) in shown
            assert entry.licence in shown
            assert SMALL_GENERATOR in guide


def in_units(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def test_the_contents_of_the_decisions_list_every_entry_in_order() -> None:
    page = read("docs/decisions.md")
    entries = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert entries[0] == "Contents"
    listed = re.findall(r"^- \[(.*)\]\(#([^)]*)\)$", page, re.MULTILINE)
    assert [name for name, _ in listed] == entries[1:]
    for name, anchor in listed:
        assert anchor == re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")


def test_the_map_of_the_house_names_every_room_and_no_other() -> None:
    drawn = re.search(
        r"^```\n(rag/\n.*?)^```", read("docs/architecture.md"), re.MULTILINE | re.DOTALL
    )
    assert drawn is not None
    shown = set(re.findall(r"^  (\w+)/ ", drawn[1], re.MULTILINE))
    rooms = {path.parent.name for path in (ROOT / "rag").glob("*/__init__.py")}
    assert shown == rooms
