"""``rag settings`` explains every key, most of all when one is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag.cli import app
from rag.cli.settings import USER_DATA, list_settings, settings_markdown
from rag.config import Settings, load_settings, setting_keys
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
        env={"RAGDESK_RETRIEVE__K": "8", "RAGDESK_KNOWLEDGE": "b"},
    )
    assert (found["retrieve.candidates"], found["retrieve.k"], found["knowledge"]) == (70, 8, "c")


def test_what_differs_from_the_default_is_marked() -> None:
    result = CliRunner().invoke(app, ["settings"], env={"RAGDESK_UI__PORT": "8000"})
    marked = [line for line in result.stdout.splitlines() if line.endswith("(changed)")]
    assert marked == ["ui.port = 8000  (changed)"]


def test_a_wrong_value_is_named_and_the_list_is_printed_all_the_same() -> None:
    result = CliRunner().invoke(app, ["settings"], env={"RAGDESK_RETRIEVE__K": "99"})
    assert isinstance(result.exception, ConfigError)
    assert "retrieve.k" in str(result.exception)
    assert "    passages shown to the model; 1 to 50; default: 5" in result.stdout.splitlines()


def test_the_markdown_table_is_the_same_for_every_user_and_machine() -> None:
    table = settings_markdown()
    assert str(Settings().models.folder) not in table
    assert f"| `models.folder` | {USER_DATA} |" in table
    assert CliRunner().invoke(app, ["settings", "--markdown"]).stdout == table + "\n"


def test_variables_that_are_no_settings_are_left_alone() -> None:
    ours = {"RAGDESK_TRACEBACK": "1", "RAGDESK_API_KEY": "k", "RAG_EVAL_SETS": "/sets"}
    theirs = {"RAG_API_KEY": "k", "RAG_TRACES": "1", "RAG_RETRIEVE": "5", "RAG_RETRIEVE__KK": "5"}
    assert load_settings(None, ours | theirs | {"RAG_TEST_MODELS": "/models"}) == Settings()


def test_a_command_runs_where_others_use_the_prefix_that_was_ours() -> None:
    result = CliRunner().invoke(app, ["models", "list"], env={"RAG_API_KEY": "theirs"})
    assert (result.exit_code, "RAG_" in result.stderr) == (0, False)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RAGDESK_RETRIEVE__KK", "RAGDESK_RETRIEVE__K"),
        ("RAGDESK_RETRIEVE_CANDIDATES", "RAGDESK_RETRIEVE__CANDIDATES"),
        ("RAGDESK_KNOWLEGE", "RAGDESK_KNOWLEDGE"),
        ("RAGDESK_PORT", "RAGDESK_UI__PORT"),
    ],
)
def test_a_variable_of_ours_that_is_no_setting_is_named_with_the_closest_that_is(
    name: str, meant: str
) -> None:
    with pytest.raises(ConfigError, match=f"{name} is no setting") as caught:
        load_settings(None, {name: "1"})
    assert f"Did you mean {meant}?" in caught.value.hint.en
    assert f"是否指 {meant}？" in caught.value.hint.zh


def test_names_of_before_still_work_and_one_note_tells_the_new_ones() -> None:
    before = {"RAG_RETRIEVE__K": "8", "RAG_UI__PORT": "8000"}
    result = CliRunner().invoke(app, ["settings", "--json"], env=before)
    found = {row["key"]: row["value"] for row in json.loads(result.stdout)["settings"]}
    assert (found["retrieve.k"], found["ui.port"]) == (8, 8000)
    (note,) = result.stderr.splitlines()
    assert "RAG_RETRIEVE__K → RAGDESK_RETRIEVE__K" in note
    assert "RAG_UI__PORT → RAGDESK_UI__PORT" in note
    listed = CliRunner().invoke(
        app, ["models", "list"], env={"RAG_UI__LANGUAGE": "zh", "RAG_TRACEBACK": "1"}
    )
    (note,) = listed.stderr.splitlines()
    assert "RAG_UI__LANGUAGE → RAGDESK_UI__LANGUAGE，RAG_TRACEBACK → RAGDESK_TRACEBACK" in note


@pytest.mark.parametrize("new", ["RAGDESK_RETRIEVE__K", "RAGDESK_RETRIEVE__k"])
def test_the_new_name_wins_over_the_old_one(new: str) -> None:
    for environ in ({"RAG_RETRIEVE__K": "8", new: "9"}, {new: "9", "RAG_RETRIEVE__K": "8"}):
        assert load_settings(None, environ).retrieve.k == 9


def test_the_keys_that_variables_may_set_are_those_that_are_listed() -> None:
    assert setting_keys() == tuple(item.key for item in list_settings())
