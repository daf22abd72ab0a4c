"""The house keeps its shape: layers, rooms, no work at import, nothing of its makers' places."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from rag.app.registry import ENGINES

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted([*ROOT.glob("rag/**/*.py"), *ROOT.glob("ui/**/*.py")])
FUNCTION_LINES = 40


def long_functions(path: Path) -> list[str]:
    """The functions of a module that do not fit on a screen, their docstrings left out."""
    long = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno:
            docstring = ast.get_docstring(node, clean=False)
            lines = node.end_lineno - node.lineno + 1
            lines -= len(docstring.splitlines()) if docstring else 0
            if lines > FUNCTION_LINES:
                long.append(f"{path.relative_to(ROOT)}: {node.name}: {lines}")
    return long


def test_a_function_fits_on_a_screen() -> None:
    assert [name for path in SOURCES for name in long_functions(path)] == []


def test_every_room_says_what_lives_there() -> None:
    rooms = sorted({path.parent for path in SOURCES})
    silent = [
        room.relative_to(ROOT).as_posix()
        for room in rooms
        if len(
            (ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "").splitlines()
        )
        < 2
    ]
    assert silent == []


def test_layers_point_downwards_and_heavy_libraries_have_one_home() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_putting_the_parts_together_imports_no_engine_and_no_numpy() -> None:
    heavy = {"torch", "transformers", "chromadb", "gradio", "langchain_core", "pypdfium2", "numpy"}
    code = "import rag.app.app, rag.app.wiring, ui, sys; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split()
    assert heavy.isdisjoint(loaded)


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_every_engine_of_the_registry_is_where_it_says(name: str) -> None:
    module, _, member = ENGINES[name].partition(":")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert member in defined


def test_the_project_names_no_place_of_its_makers() -> None:
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    if not listed:
        pytest.skip("not a git checkout")
    words = ("/" + "work/", "pypi" + ".org", "file://" + "/opt", "/ro" + "ot/")
    found = []
    for line in listed:
        path = ROOT / line
        if path.suffix in {".pdf", ".png", ".woff2"} or not path.is_file():
            continue
        text = path.read_text("utf-8", errors="ignore")
        found += [f"{line}: {word}" for word in words if word in text]
    assert found == []
