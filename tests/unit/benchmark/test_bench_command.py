"""`rag bench` measures in processes of their own, and whatever happens to one costs one row."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rag.benchmark.rows import Options, Row, sized, specs
from rag.benchmark.run import INTERRUPTED, MARK, run_row
from rag.cli import app
from rag.config import GeneratorSettings
from rag.models.store import ModelStore
from tests.servers import Call, Reply, serving
from tests.servers import scripted as scripted_server
from tests.tiny_models import llama_folder, llama_gguf

ROW = Row("none", "Scripted")
CONTRACT = {
    "engine", "model", "precision", "prompt_tokens", "new_tokens", "first_token_s",
    "prefill_tokens_per_s", "decode_tokens_per_s", "ms_per_token", "peak_bytes", "max_context",
    "limit_tokens_per_s", "share_of_limit",
}  # fmt: skip


def bench(tmp_path: Path, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(
        app,
        ["bench", "--quick", *arguments],
        env={
            "RAGDESK_MODELS__FOLDER": str(tmp_path / "models"),
            "RAGDESK_UI__LANGUAGE": "en",
            **environment,
        },
    )


def scripted(*events: dict[str, Any], then: str = "") -> tuple[str, ...]:
    """A process that reads its task, tells these events, and goes on with ``then``."""
    lines = [f"{MARK}{json.dumps(event)}" for event in events]
    told = f"import sys; sys.stdin.read()\nfor l in {lines!r}: print(l, flush=True)\n"
    return sys.executable, "-c", told + then


READING = {
    "event": "reading",
    "reading": {"prompt_tokens": 9, "first_token_s": 1.0, "new_tokens": 5, "decoded": 4,
                "decode_s": 2.0},
}  # fmt: skip


def test_the_rows_come_as_the_contract_says(tmp_path: Path) -> None:
    done = bench(tmp_path, "--engine", "echo", "--quality", "3", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    (row,) = found["rows"]
    assert row.keys() >= CONTRACT
    assert row["engine"] == row["model"] == "echo"
    assert row["decode_tokens_per_s"] > 0
    assert row["follow_up_s"] > 0
    assert row["repetitions"] == 2
    assert row["accuracy"]["n"] == 3
    assert 0 < row["peak_bytes"] < 500_000_000  # its own, not that of the process of the tests
    assert found["machine"]["cores"] == os.cpu_count()


def test_a_run_is_compared_with_an_earlier_one(tmp_path: Path) -> None:
    done = bench(tmp_path, "--engine", "echo", "--json")
    before = json.loads(done.stdout)
    earlier = tmp_path / "before.json"
    for factor, code in ((1e-6, 0), (1e6, 3)):
        before["rows"][0]["decode_tokens_per_s"] = 1e6 * factor
        before["rows"][0]["first_token_s"] = 1e3
        earlier.write_text(json.dumps(before))
        done = bench(tmp_path, "--engine", "echo", "--compare", str(earlier))
        assert done.exit_code == code, done.output
        assert ("SLOWER" in done.stdout) is bool(code)


def test_a_model_that_is_not_here_has_a_row_with_its_reason(tmp_path: Path) -> None:
    name = "Qwen2.5-Coder-0.5B-Instruct-Q4_K_M"
    done = bench(tmp_path, "--model", name, "--model", "echo")
    assert done.exit_code == 0, done.output
    assert f"{name}: " in done.stdout
    assert "rag models pull" in done.stdout


@pytest.mark.slow
def test_a_server_has_a_row_whose_memory_is_its_own(tmp_path: Path) -> None:
    def chat(_: Call, reply: Reply) -> None:
        reply.start()
        for word in ("It ", "runs ", "elsewhere."):
            reply.piece(word)
        reply.piece(finish="stop")

    with scripted_server(serving(chat)) as server:
        url = server.address.base
        done = bench(tmp_path, "--engine", "url", "--json", RAGDESK_GENERATOR__URL=url)
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)["rows"]
    assert row["reason"] is None, row["reason"]
    assert row["engine"] == "url"
    assert row["new_tokens"] > 0
    assert row["first_token_s"] > 0
    assert row["peak_bytes"] is None


def test_nothing_to_measure_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    done = bench(tmp_path)
    assert done.exit_code == 1
    assert "rag models pull" in str(done.exception)


@pytest.mark.slow
def test_a_damaged_file_costs_its_row_and_a_sound_one_is_measured(tmp_path: Path) -> None:
    sound, damaged = tmp_path / "sound.gguf", tmp_path / "damaged.gguf"
    llama_gguf(sound, window=16_384)
    damaged.write_bytes(sound.read_bytes()[:2_000])
    done = bench(
        tmp_path, "--model", str(damaged), "--model", str(sound), "--json", "--chart",
        str(tmp_path / "chart.png"),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    first, second = json.loads(done.stdout)["rows"]
    assert first["repetitions"] == 0
    assert "damaged" in first["reason"]["en"]
    assert second["reason"] is None, second["reason"]
    assert second["decode_tokens_per_s"] > 0
    assert second["limit_tokens_per_s"] > second["decode_tokens_per_s"]
    assert 0 < second["share_of_limit"] < 1
    assert second["max_context"] == 16_384
    assert (tmp_path / "chart.png").is_file()


def test_each_precision_of_a_checkpoint_is_a_row_of_its_own_size(tmp_path: Path) -> None:
    folder, store = llama_folder(tmp_path / "tiny"), ModelStore(tmp_path / "models")
    rows = specs(Options(models=(str(folder),)), store, GeneratorSettings())
    assert [row.precision for row in rows] == ["fp32", "fp16", "bf16", "int8", "nf4"]
    made = {row.precision: sized(row, narrow=True).sizes for row in rows}
    weights = {name: found.weights_bytes for name, found in made.items() if found}
    assert weights["fp32"] == 2 * weights["bf16"] == 2 * weights["fp16"]
    assert weights["bf16"] > weights["int8"] > weights["nf4"]
    for row in rows:  # the settings of each are settings that exist
        GeneratorSettings.model_validate(row.settings)


@pytest.mark.slow
def test_a_checkpoint_is_measured_in_full_precision_and_in_four_bits(tmp_path: Path) -> None:
    folder = llama_folder(tmp_path / "tiny", window=16_384)
    wanted = ["--precision", "fp32", "--precision", "nf4", "--quality", "1"]
    done = bench(tmp_path, "--model", str(folder), "--json", *wanted)
    found = json.loads(done.stdout)["rows"]
    assert [row["precision"] for row in found] == ["fp32", "nf4"]
    assert [row["reason"] for row in found] == [None, None]
    assert all(row["decode_tokens_per_s"] > 0 for row in found)


def test_a_process_that_is_killed_costs_one_row_and_says_why() -> None:
    row = run_row(ROW, {}, command=scripted(READING, then="import os; os.kill(os.getpid(), 9)"))
    assert row.reason is not None
    assert "memory" in row.reason.en
    assert row.figure("decode_tokens_per_s") == 2  # what it measured before counts


def test_the_last_words_of_a_process_that_crashed_are_its_reason() -> None:
    row = run_row(ROW, {}, command=scripted(then="raise ValueError('no such thing')"))
    assert row.reason is not None
    assert "no such thing" in row.reason.en
    assert not row.readings


def test_a_row_that_never_ends_is_ended() -> None:
    endless = scripted(READING, then="import threading; threading.Event().wait()")
    row = run_row(ROW, {}, command=endless, limit_s=0.5)
    assert row.reason is not None
    assert "longer than" in row.reason.en


def test_an_interrupted_row_keeps_what_it_has_and_its_process_is_gone() -> None:
    endless = scripted(READING, {"event": "pid"}, then="import threading; threading.Event().wait()")

    def told(event: Any) -> None:
        if event["event"] == "pid":
            raise KeyboardInterrupt

    row = run_row(ROW, {}, told=told, command=endless)
    assert row.figure("decode_tokens_per_s") == 2
    assert row.reason is INTERRUPTED
