"""`rag models gpus`: cards from named sources, and what each does with a model, computed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rag.app.container import Container
from rag.app.model_plans import own_card
from rag.cli.context import Context
from rag.cli.models import app
from rag.config import GeneratorSettings, ModelSettings, Settings
from rag.errors import ConfigError
from rag.models.catalogue import load_catalogue
from rag.models.planning.gpu_guide import Gpu, Outlook, load_guide, outlook
from rag.models.planning.subjects import helpers_of, subject_of_entry
from rag.models.tables import better
from rag.text.messages import Language
from rag.text.sizes import GIB
from rag.types.hardware import MemoryReading

GUIDE = load_guide()
LLAMA = "Llama-2-13b-chat"
SERIES = {"GeForce 10", "GeForce 20", "GeForce 30", "GeForce 40", "GeForce 50", "Data centre"}


def run(*words: str, language: Language = "en", columns: int = 110) -> Result:
    settings = Settings(models=ModelSettings(folder=Path("models"), sources=("folder",)))
    environment = {"COLUMNS": str(columns)}
    return CliRunner().invoke(
        app, ["gpus", *words], obj=Context(settings, language, None), env=environment
    )


def looks(card: str, model: str = LLAMA) -> Outlook:
    catalogue = load_catalogue()
    helpers = helpers_of(catalogue.get("multilingual-e5-small"))
    subject = subject_of_entry(catalogue.get(model))
    return outlook(GUIDE.get(card), subject, helpers)


# ---- the data -----------------------------------------------------------------------------


@pytest.mark.parametrize("gpu", GUIDE.gpus, ids=lambda gpu: gpu.name)
def test_every_card_has_a_source_and_numbers_that_can_be(gpu: Gpu) -> None:
    assert gpu.source.startswith("https://")
    assert 2 <= gpu.memory_gib <= 200
    assert 50 < gpu.bandwidth_gbs < 10_000
    assert 40 < gpu.power_w <= 1500
    assert 6 <= gpu.compute <= 13


def test_the_series_that_people_have_are_all_there_and_no_name_stands_twice() -> None:
    assert {gpu.series for gpu in GUIDE.gpus} >= SERIES
    names = [gpu.name for gpu in GUIDE.gpus]
    assert len(set(names)) == len(names)
    assert GUIDE.formats.source.startswith("https://")


@pytest.mark.parametrize(
    ("card", "formats"),
    [
        ("GTX 1080 Ti", ()),
        ("Tesla P100", ("FP16",)),
        ("RTX 2080 Ti", ("FP16",)),
        ("RTX 3090", ("FP16", "BF16")),
        ("RTX 4090", ("FP16", "BF16", "FP8")),
        ("RTX 5090", ("FP16", "BF16", "FP8")),
    ],
)
def test_what_a_card_calculates_with_follows_from_its_generation(
    card: str, formats: tuple[str, ...]
) -> None:
    assert GUIDE.formats_of(GUIDE.get(card)) == formats


@pytest.mark.parametrize(
    ("called", "gib", "name"),
    [
        ("NVIDIA GeForce RTX 4090", 24, "GeForce RTX 4090"),
        ("NVIDIA GeForce RTX 3060", 12, "GeForce RTX 3060 12 GB"),
        ("NVIDIA GeForce RTX 3060", 8, "GeForce RTX 3060 8 GB"),
        ("NVIDIA A100 80GB PCIe", None, "A100 PCIe 80 GB"),
        ("NVIDIA A100-PCIE-40GB", 40, "A100 PCIe 40 GB"),
        ("Tesla T4", 15, "Tesla T4"),
        ("NVIDIA L4", 22.5, "L4"),
        ("rtx4060ti", None, "GeForce RTX 4060 Ti 16 GB"),
    ],
)
def test_a_card_is_found_by_what_its_driver_calls_it(
    called: str, gib: float | None, name: str
) -> None:
    found = GUIDE.find(called, total_bytes=round(gib * GIB) if gib else None)
    assert found is not None
    assert found.name == name


# ---- what follows -------------------------------------------------------------------------


def test_speed_is_bandwidth_by_bytes_and_energy_is_power_by_speed() -> None:
    found = looks("RTX 4090")
    assert found.plan.tokens_per_second == pytest.approx(1008e9 / 6.87e9, rel=0.01)
    assert found.wh_per_1000_tokens == pytest.approx(450 * 1000 / 147 / 3600, rel=0.01)


def test_a_card_that_holds_only_a_part_has_no_speed_and_no_energy() -> None:
    found = looks("RTX 3070")
    assert not found.whole
    assert found.plan.tokens_per_second is None
    assert found.wh_per_1000_tokens is None


def test_a_better_card_is_named_with_what_it_brings() -> None:
    column = [looks(gpu.name) for gpu in GUIDE.gpus]

    def said(card: str) -> str:
        own = next(each for each in column if each.gpu.name == card)
        return " ".join(text.en for text in better(column, own))

    assert "all layers" in said("GeForce RTX 3070")
    assert "times the speed" in said("GeForce RTX 3060 12 GB")
    assert "16 bits instead of 4" in said("GeForce RTX 4090")
    assert "No card" in said("H100 SXM5 80 GB")


def test_the_card_of_this_machine_is_recognised() -> None:
    class Scripted(Container):
        def readings(self):
            return self

        def read(self, **_: object) -> MemoryReading:
            return MemoryReading(0, 0, 1, gpu_name="NVIDIA GeForce RTX 3060",
                                 vram_used_bytes=0, vram_total_bytes=12 * GIB)  # fmt: skip

    settings = Settings(generator=GeneratorSettings(model=LLAMA))
    found = own_card(Scripted(settings).read(), GUIDE)
    assert found is not None
    assert found.name == "GeForce RTX 3060 12 GB"


# ---- the command --------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_all_cards_one_model_and_one_card_can_be_shown(language: Language) -> None:
    every = run(language=language).stdout
    assert all(gpu.name.removeprefix("GeForce ")[:9] in every for gpu in GUIDE.gpus)
    one = run(LLAMA, "--own", "RTX 3060", language=language).stdout
    assert "1.0 ×" in one
    assert "2.8 ×" in one  # an RTX 4090
    card = run("RTX 4090", language=language).stdout
    for entry in load_catalogue():
        assert (entry.name in card) == (entry.kind == "generator")


def test_json_says_for_every_card_what_fits_and_how_fast() -> None:
    found = json.loads(run(LLAMA, "--json", "--own", "rtx 3090").stdout)
    assert found["own"] == "GeForce RTX 3090"
    rows = {row["name"]: row for row in found["gpus"]}
    assert len(rows) == len(GUIDE.gpus)
    best = rows["GeForce RTX 4090"]["models"][0]
    assert (best["model"], best["precision"], best["fits"]) == (LLAMA, "nf4", True)
    assert rows["GeForce RTX 3070"]["models"][0]["tokens_per_second_limit"] is None


def test_a_chart_is_drawn(tmp_path: Path) -> None:
    file = tmp_path / "cards.png"
    assert run(LLAMA, "--own", "RTX 3060", "--chart", str(file)).exit_code == 0
    assert file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert file.stat().st_size > 20_000


@pytest.mark.parametrize("words", [("RTX 9999",), (LLAMA, "--own", "abacus")])
def test_a_card_that_nobody_knows_is_said_with_a_remedy(words: tuple[str, ...]) -> None:
    error = run(*words).exception
    assert isinstance(error, ConfigError)
    assert words[-1] in error.message.en
    assert "rag models gpus" in error.hint.en
    assert re.search(r"[\u4e00-\u9fff]", error.hint.zh)
