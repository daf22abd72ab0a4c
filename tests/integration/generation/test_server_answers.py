"""A server answers: the command line and the running app, from the setting to the proof."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rag.app.app import App
from rag.cli import app as command_line
from rag.config import GeneratorSettings, Settings, load_settings
from rag.errors import ConfigError, RagError, ServerUnreachable
from rag.types.answers import Finished
from rag.types.server_address import Address
from tests.pdfs import write_pdf
from tests.servers import Call, Reply, ScriptedServer, scripted, serving

SENTENCE = "The lessee pays the heating costs of the house."


def quotes(call: Call, reply: Reply) -> None:
    """Answer with the sentence that stands in the passages."""
    reply.start()
    assert SENTENCE in call.body["messages"][-1]["content"]
    for word in SENTENCE.split(" "):
        reply.piece(f"{word} ")
    reply.piece(finish="stop")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted(serving(quotes, models=[{"id": "big-model", "max_model_len": 2048}])) as running:
        yield running


@pytest.fixture
def knowledge(tmp_path: Path) -> Path:
    folder = tmp_path / "knowledge"
    folder.mkdir()
    write_pdf(folder / "lease.pdf", [SENTENCE])
    return folder


def environment(knowledge: Path, **generator: str) -> dict[str, str]:
    found = {f"RAGDESK_GENERATOR__{name.upper()}": value for name, value in generator.items()}
    return {
        "RAGDESK_KNOWLEDGE": str(knowledge),
        "RAGDESK_EMBEDDER__MODEL": "hashing",
        "RAGDESK_RETRIEVE__INDEX": "numpy",
        "RAGDESK_INGEST__WORKERS": "1",
        "RAGDESK_INGEST__OCR": "off",
        "LANG": "en_GB.UTF-8",
        **found,
    }


def rag(*words: str, env: dict[str, str]) -> Result:
    return CliRunner().invoke(command_line, list(words), env=env)


def test_a_question_is_answered_by_the_server_and_proven_here(
    server: ScriptedServer, knowledge: Path
) -> None:
    env = environment(knowledge, url=server.address.base)
    found = rag("ask", "Who pays the heating costs?", "--json", env=env)
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    assert answer["model"] == f"big-model @ {server.address.shown}"
    assert answer["verdict"] == "supported"
    assert answer["sentences"][0]["evidence"][0]["quote"] == SENTENCE
    assert "sent to" not in found.stderr
    assert all("lease" not in str(call.headers) for call in server.calls)


def test_commands_say_who_answers_and_what_leaves(server: ScriptedServer, knowledge: Path) -> None:
    here = environment(knowledge, url=server.address.base)
    rag("sync", env=here)
    assert f"server at {server.address.shown}" in rag("status", env=here).stdout
    assert "Nothing leaves this machine." in rag("status", env=here).stdout
    listed = json.loads(rag("models", "list", "--json", env=here).stdout)
    assert listed["server"] == {
        "url": server.address.base,
        "model": "auto",
        "this_machine": True,
        "documents_leave": False,
    }
    assert not any(row["in_use"] for row in listed["models"] if row["kind"] == "generator")
    assert "memory unknown" in " ".join(rag("models", "list", env=here).stdout.split())
    there = environment(knowledge, url="http://gpu-box:8000/v1", documents_may_leave="true")
    status = rag("status", env=there).stdout
    assert "sent to gpu-box:8000, unencrypted." in status
    assert json.loads(rag("status", "--json", env=there).stdout)["server"]["documents_leave"]


@pytest.mark.slow
def test_doctor_asks_the_server(server: ScriptedServer, knowledge: Path) -> None:
    env = environment(knowledge, url=server.address.base)
    rag("sync", env=env)
    told = rag("doctor", env=env).stdout
    assert f"big-model @ {server.address.shown} answers; window 2048 tokens" in told
    assert "prompts are estimated, upwards" in told
    server.close()
    gone = rag("doctor", env=env)
    assert f"No server answers at {server.address.shown}" in gone.stdout
    assert gone.exit_code == 1


def test_another_machine_is_refused_before_anything_is_sent(knowledge: Path) -> None:
    env = environment(knowledge, url="http://gpu-box:8000/v1")
    assert rag("sync", env=env).exit_code == 0
    refused = rag("ask", "Who pays?", env=env)
    assert isinstance(refused.exception, ConfigError)
    assert "documents_may_leave" in refused.exception.hint.en


@pytest.mark.slow
def test_a_measurement_with_answers_says_what_leaves_first(knowledge: Path, tmp_path: Path) -> None:
    there = environment(
        knowledge,
        url="http://gpu-box.invalid:8000/v1",
        documents_may_leave="true",
        connect_timeout_s="0.1",
    )
    rag("sync", env=there)
    told = rag("eval", "--own", "--limit", "1", env=there)
    assert "sent to gpu-box.invalid:8000" in told.stderr
    quiet = rag("eval", "--own", "--limit", "1", "--retrieval-only", env=there)
    assert "sent to" not in quiet.stderr


def test_a_server_is_only_asked_where_the_settings_say_so() -> None:
    url = "http://127.0.0.1:8000"
    assert GeneratorSettings(url=url).server() == Address("http", "127.0.0.1", 8000, "/v1")
    assert GeneratorSettings(url=url, engine="llamacpp").server() is None
    assert GeneratorSettings(url=url, engine="echo").server() is None
    assert GeneratorSettings(url="http://far.example").asked_server() is None
    with pytest.raises(ConfigError):
        GeneratorSettings(engine="url").server()


def test_a_key_is_kept_by_command_and_never_shown(
    knowledge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[tuple[str, str], str] = {}

    class Vault:
        def get_password(self, service: str, name: str) -> str | None:
            return kept.get((service, name))

        def set_password(self, service: str, name: str, password: str) -> None:
            kept[service, name] = password

        def delete_password(self, service: str, name: str) -> None:
            del kept[service, name]

    monkeypatch.setattr("rag.system.secrets.system_store", Vault)
    env = environment(knowledge, url="http://127.0.0.1:8000")
    told = CliRunner().invoke(command_line, ["models", "key"], env=env, input="k-2718281\n")
    assert told.exit_code == 0, told.exception
    assert "k-2718281" not in told.output
    assert list(kept.values()) == ["k-2718281"]
    assert "k-2718281" not in rag("settings", env=env).output
    assert rag("models", "key", "--forget", env=env).exit_code == 0
    assert kept == {}
    nothing = rag("models", "key", env=environment(knowledge))
    assert isinstance(nothing.exception, ConfigError)


def settings_for(knowledge: Path, server: ScriptedServer) -> Settings:
    found = environment(knowledge, url=server.address.base, connect_timeout_s="2")
    return load_settings(None, found)


def answered(app: App) -> Any:
    *_, last = app.ask("Who pays the heating costs?", cancelled=lambda: False)
    assert isinstance(last, Finished)
    return last.answer


@pytest.mark.slow
def test_the_app_finds_a_server_that_is_started_after_it(
    server: ScriptedServer, knowledge: Path
) -> None:
    settings = settings_for(knowledge, server)
    rag("sync", env=environment(knowledge))
    server.close()
    with closing(App.open(settings)) as app:
        app.start()
        with pytest.raises(ServerUnreachable):
            answered(app)
        settled = (app.state().model_state for _ in iter(lambda: time.sleep(0.05), 1))
        # reading ahead asks the server as well, and may be at it
        assert next(state for state in islice(settled, 200) if state != "loading") == "failed"
        again = ScriptedServer(
            serving(quotes, models=[{"id": "big-model"}]), port=server.address.port
        )
        try:
            assert answered(app).model == f"big-model @ {server.address.shown}"
            state = app.state()
            assert state.model_state == "ready"
            assert state.server == server.address
        finally:
            again.close()


def test_the_library_never_holds_the_key(
    server: ScriptedServer, knowledge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = environment(knowledge, url=server.address.base) | {"RAGDESK_API_KEY": "k-1618033"}
    found = rag("ask", "Who pays the heating costs?", "--chat", "new", "--json", env=env)
    assert found.exit_code == 0, found.output
    assert any("k-1618033" in call.headers.get("Authorization", "") for call in server.calls)
    assert "k-1618033" not in found.output
    files = [path for path in knowledge.rglob("*") if path.is_file()]
    assert files
    assert not any(b"k-1618033" in path.read_bytes() for path in files)
    assert "RAGDESK_API_KEY" not in os.environ


def test_what_a_refused_setting_says_is_on_the_screen(knowledge: Path) -> None:
    settings = load_settings(None, environment(knowledge, url="http://gpu-box:8000"))
    with closing(App.open(settings)) as app:
        app.start()
        with pytest.raises(RagError, match="not this machine"):
            app._model.wait(lambda: False)
        assert app.state().server is None
