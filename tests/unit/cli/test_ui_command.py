"""``rag ui`` says where the screen is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import ui.app
from rag.cli import app as command_line


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Port 7860 is taken."), ("zh", "端口 7860 已被占用。")],
)
def test_a_taken_port_is_told_in_the_persons_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, said: str
) -> None:
    def serve(app: object, *, ready: Any, **_: object) -> None:
        ready("http://127.0.0.1:7861")

    monkeypatch.setattr(ui.app, "serve", serve)
    monkeypatch.setenv("RAGDESK_UI__LANGUAGE", language)
    found = CliRunner().invoke(command_line, ["--knowledge", str(tmp_path), "ui", "--no-browser"])
    assert found.exit_code == 0, found.output
    assert said in found.stderr
    assert "http://127.0.0.1:7861" in found.stderr
    monkeypatch.setattr(ui.app, "serve", lambda app, *, ready, **_: ready("http://127.0.0.1:7860"))
    found = CliRunner().invoke(command_line, ["--knowledge", str(tmp_path), "ui", "--no-browser"])
    assert said not in found.stderr
