"""``rag settings`` explains every key, most of all when one is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag.cli import app
from rag.cli.settings_table import USER_DATA, list_settings, settings_markdown
from rag.config import Settings, load_settings
from rag.errors import ConfigError


def values(*arguments: str, env: dict[str, str] | None = None) -> dict[str, object]:
    result = CliRunner().invoke(app, [*arguments, "settings", "--json"], env=env)
    assert result.exit_code == 0, result.output
    return {row["key"]: row["value"] for row in json.loads(result.stdout)["settings"]}


def test_every_field_of_the_settings_is_listed_once_and_explained() -> None:
    listed = list_settings()
    sections = Settings().model_dump()
    keys = [
        f"{name}.{field}" if isinstance(section, dict) else name
        for name, section in sections.items()
        for field in (section if isinstance(section, dict) else [name])
    ]
    assert [item.key for item in listed] == keys
    assert [item.key for item in listed if not (item.meaning and item.values)] == []


def test_file_environment_and_command_line_win_in_this_order(tmp_path: Path) -> None:
    chosen = tmp_path / "mine.toml"
    chosen.write_text("knowledge = 'a'\n[retrieve]\nk = 7\ncandidates = 70\n", "utf-8")
    found = values(
        "--config",
        str(chosen),
        "--knowledge",
        "c",
        env={"RAG_RETRIEVE__K": "8", "RAG_KNOWLEDGE": "b"},
    )
    assert (found["retrieve.candidates"], found["retrieve.k"], found["knowledge"]) == (70, 8, "c")


def test_what_differs_from_the_default_is_marked() -> None:
    result = CliRunner().invoke(app, ["settings"], env={"RAG_UI__PORT": "8000"})
    marked = [line for line in result.stdout.splitlines() if line.endswith("(changed)")]
    assert marked == ["ui.port = 8000  (changed)"]


def test_a_wrong_value_is_named_and_the_list_is_printed_all_the_same() -> None:
    result = CliRunner().invoke(app, ["settings"], env={"RAG_RETRIEVE__K": "99"})
    assert isinstance(result.exception, ConfigError)
    assert "retrieve.k" in str(result.exception)
    assert "    passages shown to the model; 1 to 50; default: 5" in result.stdout.splitlines()


def test_the_markdown_table_is_the_same_for_every_user_and_machine() -> None:
    table = settings_markdown()
    assert str(Settings().models.folder) not in table
    assert f"| `models.folder` | {USER_DATA} |" in table
    assert CliRunner().invoke(app, ["settings", "--markdown"]).stdout == table + "\n"


def test_variables_that_are_no_settings_are_left_alone() -> None:
    environ = {"RAG_TRACEBACK": "1", "RAG_EVAL_SETS": "/sets", "RAG_TEST_MODELS": "/models"}
    assert load_settings(None, environ) == Settings()
    with pytest.raises(ConfigError, match="traces"):
        load_settings(None, {"RAG_TRACES": "1"})
