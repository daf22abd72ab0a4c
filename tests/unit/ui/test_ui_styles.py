"""Tests of the style sheets: what they may not ask of the browser."""

import re
from pathlib import Path

import pytest

from ui.opening import ASSETS

SHEETS = sorted(ASSETS.glob("*.css"))


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_what_never_ends_moves_in_steps(sheet: Path) -> None:
    """A smooth endless movement keeps a core busy where no graphics card draws it."""
    endless = re.findall(r"animation:[^;]*infinite[^;]*;", sheet.read_text("utf-8"))
    assert all("steps(" in rule or "step-" in rule for rule in endless), endless


def test_there_are_endless_movements_to_look_at() -> None:
    assert sum("infinite" in sheet.read_text("utf-8") for sheet in SHEETS) >= 2
