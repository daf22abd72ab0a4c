"""`rag models`: the list can be read by people and machines, and a choice changes one line."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from rag.cli.context import Context
from rag.cli.models import app
from rag.config import ModelSettings, Settings, load_settings
from rag.errors import ConfigError, DownloadFailed, RagError, UnknownModel
from rag.text.messages import Language


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "ragdesk.toml"


def run(
    *words: str,
    folder: Path,
    config: Path | None = None,
    language: Language = "en",
    settings: Settings | None = None,
) -> Result:
    models = ModelSettings(folder=folder, sources=("folder",))
    chosen = (settings or Settings()).model_copy(update={"models": models})
    return CliRunner().invoke(
        app, list(words), obj=Context(chosen, language, config), env={"COLUMNS": "80"}
    )


def failure(result: Result) -> RagError:
    assert isinstance(result.exception, RagError), result.exception
    return result.exception


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_list_fits_80_columns_and_names_every_model(tmp_path: Path, language: Language) -> None:
    from rag.models.catalogue import load_catalogue

    result = run("list", folder=tmp_path, language=language)
    assert result.exit_code == 0, result.exception
    assert max(cell_len(line) for line in result.stdout.splitlines()) <= 80
    for model in load_catalogue():
        assert model.name in result.stdout
        assert model.licence.split()[0] in result.stdout


def test_the_list_says_in_chinese_what_it_says_in_english(tmp_path: Path) -> None:
    assert "Answering" in run("list", folder=tmp_path).stdout
    assert "回答" in run("list", folder=tmp_path, language="zh").stdout


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_list_says_what_each_is_good_for_and_which_were_never_run(
    tmp_path: Path, language: Language
) -> None:
    rows = json.loads(run("list", "--json", folder=tmp_path).stdout)["models"]
    shown = run("list", folder=tmp_path, language=language).stdout
    assert all(row["good_for"][language] for row in rows)
    never = "Never run by this project." if language == "en" else "本项目未曾运行过。"
    assert shown.count(never) == sum(not row["run_here"] for row in rows) > 0
    flat = "".join(shown.split())
    assert all("".join(row["good_for"][language].split()) in flat for row in rows)


def test_a_model_that_would_answer_better_here_is_offered_below_the_list(tmp_path: Path) -> None:
    models = ModelSettings(folder=tmp_path, sources=("folder", "hub"))
    context = Context(Settings().model_copy(update={"models": models}), "en", None)

    def listed(*words: str) -> str:
        result = CliRunner().invoke(app, ["list", *words], obj=context, env={"COLUMNS": "80"})
        assert result.exit_code == 0, result.exception
        return str(result.stdout)

    offered = json.loads(listed("--json"))["offered"]
    command = f"rag models pull {offered}"
    assert (command in " ".join(listed().split())) == (offered is not None)
    assert json.loads(run("list", "--json", folder=tmp_path).stdout)["offered"] is None  # no hub


def test_the_list_for_machines_says_what_is_here_and_what_is_used(tmp_path: Path) -> None:
    listed = json.loads(run("list", "--json", folder=tmp_path).stdout)
    assert listed["folder"] == str(tmp_path)
    rows = {row["name"]: row for row in listed["models"]}
    e5 = rows["multilingual-e5-small"]
    assert e5["in_use"]
    assert not e5["installed"]
    assert e5["path"] is None
    assert rows["Llama-2-13b-chat"]["needs"] == "vram"
    assert sum(row["in_use"] for row in rows.values() if row["kind"] == "generator") == 1


def test_pull_of_a_model_that_cannot_be_had_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    result = run("pull", "smollm2-135m-instruct-q4_1", folder=tmp_path)
    error = failure(result)
    assert isinstance(error, DownloadFailed)
    assert str(tmp_path / "SmolLM2-135M-Instruct-Q4_1") in error.hint.en
    assert "Apache-2.0" in result.stderr  # said before it starts
    assert "93 MB" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["pull", "use"])
def test_a_wrong_name_is_answered_with_near_ones(tmp_path: Path, command: str) -> None:
    error = failure(run(command, "minilm", folder=tmp_path))
    assert isinstance(error, UnknownModel)
    assert "all-MiniLM-L6-v2" in error.hint.en


def test_use_writes_a_new_settings_file_that_the_program_reads(
    tmp_path: Path, config: Path
) -> None:
    result = run("use", "llama-2-13b-chat", folder=tmp_path, config=config)
    assert result.exit_code == 0, result.exception
    assert load_settings(config, {}).generator.model == "Llama-2-13b-chat"
    assert "generator.model" in result.stdout
    assert "rag models pull Llama-2-13b-chat" in result.stderr


def test_use_changes_one_key_and_keeps_every_other_line(tmp_path: Path, config: Path) -> None:
    before = [
        "# mine",
        'knowledge = "papers"  # on the big disk',
        "",
        "[embedder]  # how to find",
        'model = "multilingual-e5-small"',
        "batch = 8",
        "",
        "[ui]",
        'language = "zh"',
    ]
    config.write_text("\n".join(before) + "\n", "utf-8")
    run("use", "all-MiniLM-L6-v2", folder=tmp_path, config=config)
    after = config.read_text("utf-8").splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [('model = "multilingual-e5-small"', 'model = "all-MiniLM-L6-v2"')]


def test_use_without_a_named_file_writes_the_one_of_the_working_folder(tmp_path: Path) -> None:
    run("use", "all-MiniLM-L6-v2", folder=tmp_path)  # every test runs in its own folder
    written = tomllib.loads(Path("ragdesk.toml").read_text("utf-8"))
    assert written == {"embedder": {"model": "all-MiniLM-L6-v2"}}


def test_use_of_another_embedder_says_that_the_index_has_to_be_rebuilt(
    tmp_path: Path, config: Path
) -> None:
    assert "rag rebuild" in run("use", "all-MiniLM-L6-v2", folder=tmp_path, config=config).stderr


def test_use_says_when_an_environment_variable_is_stronger(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGDESK_GENERATOR__MODEL", "auto")
    result = run("use", "Llama-2-13b-chat", folder=tmp_path, config=config)
    assert "RAGDESK_GENERATOR__MODEL" in result.stderr


@pytest.mark.parametrize("text", ["generator = 1\n", "[generator\n"])
def test_a_settings_file_that_cannot_be_changed_is_left_as_it_is(
    tmp_path: Path, config: Path, text: str
) -> None:
    config.write_text(text, "utf-8")
    error = failure(run("use", "Llama-2-13b-chat", folder=tmp_path, config=config))
    assert isinstance(error, ConfigError)
    assert "[generator]" in error.hint.en
    assert config.read_text("utf-8") == text


def test_a_reranker_gets_a_section_of_its_own_and_how_to_switch_it_off_is_said(
    tmp_path: Path, config: Path
) -> None:
    result = run("use", "bge-reranker-v2-m3", folder=tmp_path, config=config)
    assert load_settings(config, {}).reranker.model == "bge-reranker-v2-m3"
    assert 'reranker.model = ""' in result.stderr
    listed = run("list", "--json", folder=tmp_path, settings=load_settings(config, {}))
    chosen = [row["name"] for row in json.loads(listed.stdout)["models"] if row["in_use"]]
    assert "bge-reranker-v2-m3" in chosen
    assert "mmarco-mMiniLMv2-L12-H384-v1" not in chosen
