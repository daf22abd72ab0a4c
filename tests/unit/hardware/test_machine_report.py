"""What the machine did: the report's figures, its picture, the panel, and the command's lines."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rag.app.machine_monitor import MachineMonitor
from rag.cli.context import Context
from rag.cli.gpu import lines
from rag.errors import ConfigError
from rag.hardware.readings import MachineReadings
from rag.hardware.report import build, energy, write
from rag.storage.chats import Chats
from rag.storage.ledger import Ledger
from rag.text.messages import Text
from rag.types.answers import Answer, AnswerMessage, Usage
from rag.types.hardware import MemoryReading, Sample
from tests.factories import settings
from tests.fake_nvml import Card, ScriptedDriver
from tests.fakes import GPU, NO_GPU, FakeApp
from ui.routes import app_router
from ui.views.machine import SPAN_S, machine_html, spark

GIB = 1 << 30


def sample(at: float, **values: object) -> Sample:
    made = Sample(at, load=50.0, used_bytes=GIB, total_bytes=24 * GIB, process_bytes=GIB, card=True)
    return replace(made, **values)  # type: ignore[arg-type]


PEAK = 3 * GIB
SAMPLES = [
    sample(100.0, temperature_c=50.0, power_w=100.0, energy_j=1000.0),
    sample(101.0, load=90.0, temperature_c=70.0, power_w=300.0, energy_j=1200.0, used_bytes=PEAK),
    sample(102.0, temperature_c=60.0, power_w=200.0, energy_j=1450.0, throttle=("power_cap",)),
]  # fmt: skip
ANSWER = Answer(
    "?", "Yes.", "en", "weak", (), usage=Usage(800, 10, 0.1, 0.4, 1.5), model="m",
    notices=(AnswerMessage("lowered", Text("Again.", "重试。"), "cpu"),),
)  # fmt: skip


def test_a_report_holds_averages_maxima_and_each_answers_own_figures() -> None:
    made = build(SAMPLES, [(101.5, ANSWER)], GPU)
    assert made["averages"]["load"] == pytest.approx(63.3, abs=0.1)
    assert made["maxima"]["temperature_c"] == 70.0
    assert made["maxima"]["used_bytes"] == 3 * GIB
    assert made["energy_j"] == 450.0
    assert made["throttled_s"] == {"power_cap": 1}
    assert made["machine"]["held"]["weights"] == int(7.3 * GIB)
    assert len(made["timeline"]) == 3
    (answer,) = made["answers"]
    assert answer["tokens_per_second"] == 10.0
    assert answer["first_token_s"] == 0.4
    assert answer["most_bytes"] == 3 * GIB
    assert answer["joules_per_token"] == 45.0
    assert answer["notices"] == ["Again."]


def test_energy_comes_from_power_where_the_card_has_no_counter() -> None:
    silent = [replace(one, energy_j=None) for one in SAMPLES]
    assert energy(silent) == 400.0
    assert energy([replace(one, power_w=None) for one in silent]) is None
    assert energy([]) is None


@pytest.mark.parametrize("memory", [GPU, NO_GPU], ids=["card", "no card"])
@pytest.mark.parametrize("answered", [True, False])
def test_the_picture_is_drawn_with_and_without_a_card(
    tmp_path: Path, memory: MemoryReading, answered: bool
) -> None:
    line = SAMPLES if memory.gpus else [sample(float(n), card=False) for n in range(5)]
    made = build(line, [(101.5, ANSWER)] if answered else [], memory)
    assert write(tmp_path / "a", made) == ["report.json", "report.png"]
    assert (tmp_path / "a" / "report.png").stat().st_size > 10_000
    read = json.loads((tmp_path / "a" / "report.json").read_text("utf-8"))
    assert read["averages"] == made["averages"]
    assert len(read["timeline"]) == len(line)


def test_without_samples_there_is_a_report_all_the_same(tmp_path: Path) -> None:
    made = build([], [], NO_GPU)
    assert made["averages"]["load"] is None
    assert write(tmp_path, made)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write(tmp_path / "file", build([], [], NO_GPU))


def test_the_report_takes_the_kept_answers_of_the_last_hour(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "library.db")
    chats = Chats(ledger)
    chats.add(None, ANSWER)
    assert chats.since(time.time() + 1) == []
    driver = ScriptedDriver(cards=[Card()])
    watch = MachineMonitor(
        MachineReadings(driver),
        answers=chats.since,
    )
    watch.look()
    told = watch.report(tmp_path / "out")
    assert told["answers"] == 1
    assert "timeline" not in told
    assert told["files"][0] == "report.json"
    ledger.close()


# -- the panel -----------------------------------------------------------------------------


def test_a_line_shows_the_last_minutes_and_nothing_before_them() -> None:
    line = [sample(float(at), load=float(at % 100)) for at in range(1000)]
    points = spark(line, lambda s: s.load, now=999.0, most=100)
    places = [float(pair.split(",")[0]) for pair in points.split()]
    assert places == sorted(places)
    assert len(places) <= 101
    assert 0 <= min(places) <= max(places) <= 200
    assert spark(line, lambda _: None, now=999.0, most=100) == ""
    assert spark([], lambda s: s.load, now=0.0, most=100) == ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_panel_names_every_holder_and_why_the_card_is_slow(tmp_path: Path, language) -> None:
    app = FakeApp(tmp_path, memory=GPU)
    slow = replace(GPU.gpus[0], name="<b>RTX</b>", throttle=("power_cap", "hw_thermal"))
    app.change(
        memory=replace(GPU, gpus=(slow, replace(slow, index=1))),
        lowered=(Text("keys and values take 8 bits", "键值缓存改用 8 位"),),
        heat=Text("It is <hot>.", "太<热>。"),
    )
    html = machine_html(app.state(), app.machine.history(SPAN_S), language)
    assert html.count("m-card") == 2
    assert "&lt;b&gt;RTX" in html
    assert "<b>RTX" not in html
    for holder in ("weights", "kv", "embedder", "cache", "context", "others"):
        assert f"h-{holder}" in html
    assert ("too hot" if language == "en" else "过热") in html
    assert ("8 bits" if language == "en" else "8 位") in html
    assert "&lt;hot&gt;" in html or "&lt;热&gt;" in html
    app.close()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_better_model_is_offered_in_the_panel_and_nothing_else_is(
    tmp_path: Path, language
) -> None:
    app = FakeApp(tmp_path)
    assert "offer" not in machine_html(app.state(), (), language)
    app.change(model_offer=Text("`rag models pull <M>` fetches it", "运行 `rag models pull <M>`"))
    assert "rag models pull &lt;M&gt;" in machine_html(app.state(), (), language)
    app.close()


def test_without_a_card_the_panel_shows_processor_and_main_memory(tmp_path: Path) -> None:
    app = FakeApp(tmp_path)
    html = machine_html(app.state(), app.machine.history(SPAN_S), "en")
    assert "no NVIDIA GPU" in html
    assert html.count("<polyline") == 2
    assert "h-process" in html
    assert machine_html(app.state(), (), "en")  # before the first second has passed
    app.close()


def test_the_panel_and_the_report_have_addresses(tmp_path: Path) -> None:
    app = FakeApp(tmp_path)
    command_line = FastAPI()
    command_line.include_router(app_router(app))
    with TestClient(command_line) as client:
        assert "m-card" in client.get("/app/machine?language=zh").json()["html"]
        made = client.post("/app/machine/report", json={"language": "en"}).json()
        assert str(app.machine.reports[0]) in made["note"]
        assert client.get(made["picture"]).headers["content-type"] == "image/png"
        assert client.get("/app/machine/20260101-000000.png").status_code == 404
        assert client.get("/app/machine/..%2f..%2fsecret.png").status_code == 404
        app.machine.error = ConfigError(Text("Full.", "已满。"), hint=Text("Go.", "去。"))
        assert "Full." in client.post("/app/machine/report", json={"language": "en"}).json()["note"]
    app.close()


# -- the command ---------------------------------------------------------------------------


def test_the_command_prints_a_line_for_each_card_and_who_holds_the_memory(tmp_path: Path) -> None:
    context = Context(settings(tmp_path), "en", None)
    slow = replace(GPU.gpus[0], throttle=("power_cap",))
    printed = lines(context, replace(GPU, gpus=(slow,)))
    assert len(printed) == 3
    assert "RTX 4090" in printed[1]
    assert "61 / 90 °C" in printed[1]
    assert "287 / 450 W" in printed[1]
    assert "held back by its power limit" in printed[1]
    assert "weights 7.3 GiB" in printed[2]
    (alone,) = lines(Context(settings(tmp_path), "zh", None), NO_GPU)
    assert "没有 NVIDIA 显卡" in alone
