"""`rag models fit` prints the plan, and the same plan decides how a model is loaded."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rag.app.container import Container
from rag.app.model_plans import helpers, placement_of, plan_for, subject_named
from rag.cli.context import Context
from rag.cli.models import app
from rag.config import (
    EmbedderSettings,
    GeneratorSettings,
    ModelSettings,
    RerankerSettings,
    Settings,
)
from rag.errors import ConfigError, OutOfMemory
from rag.models.planning.plan import Card, Room
from rag.text.messages import Language
from rag.text.sizes import GIB
from rag.types.hardware import GpuReading, MemoryReading, OnCards, Placement
from tests.tiny_models import llama_gguf

LLAMA = "Llama-2-13b-chat"


def settings(folder: Path, *, embedder: str = "auto", **generator: object) -> Settings:
    return Settings(
        models=ModelSettings(folder=folder, sources=("folder",)),
        generator=GeneratorSettings(**{"model": LLAMA, **generator}),  # type: ignore[arg-type]
        embedder=EmbedderSettings(device=embedder),  # type: ignore[arg-type]
    )


def run(folder: Path, *words: str, language: Language = "en") -> Result:
    context = Context(settings(folder), language, None)
    return CliRunner().invoke(app, ["fit", *words], obj=context, env={"COLUMNS": "80"})


class Scripted(Container):
    """A container on a machine with these cards; ``ram`` and sizes in GiB."""

    def __init__(self, settings: Settings, *cards: float, ram: float = 32, used: float = 0) -> None:
        super().__init__(settings)
        gpus = tuple(
            GpuReading(i, name="NVIDIA Test Card", used_bytes=round(used * GIB),
                       total_bytes=round(size * GIB))
            for i, size in enumerate(cards)
        )  # fmt: skip
        total = round(ram * GIB)
        first = gpus[0] if gpus else GpuReading(0)
        self.reading = MemoryReading(
            process_bytes=0,
            ram_used_bytes=0,
            ram_total_bytes=total,
            vram_used_bytes=first.used_bytes,
            vram_total_bytes=first.total_bytes,
            gpus=gpus,
        )

    def readings(self):
        return self

    def read(self, **_: object) -> MemoryReading:
        return self.reading


# ---- the command --------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_plan_is_printed_with_its_parts_and_reasons(tmp_path: Path, language: Language) -> None:
    shown = run(tmp_path, LLAMA, "--vram", "24", language=language)
    assert shown.exit_code == 0, shown.exception
    for word in ("6.7 GiB", "3.1 GiB", "NF4"):
        assert word in shown.stdout
    assert ("weights" if language == "en" else "权重") in shown.stdout


def test_json_holds_every_part_in_bytes(tmp_path: Path) -> None:
    found = json.loads(run(tmp_path, LLAMA, "--gpu", "rtx 4090", "--json").stdout)
    assert (found["model"], found["precision"], found["fits"]) == (LLAMA, "nf4", True)
    card = found["memories"][0]
    assert card["name"] == "GeForce RTX 4090"
    assert sum(card["parts"].values()) == card["needed_bytes"] <= card["limit_bytes"]
    assert found["kv_bytes_per_token"] == 819_200
    assert 140 < found["tokens_per_second_limit"] < 150
    assert {"en", "zh"} <= set(found["reasons"][0])


def test_a_model_that_fits_nowhere_comes_with_those_that_fit(tmp_path: Path) -> None:
    shown = run(tmp_path, LLAMA, "--vram", "4", "--ram", "4")
    assert "does not fit" in shown.stdout
    assert "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M" in shown.stdout


def test_a_file_on_disk_is_planned_by_its_own_header(tmp_path: Path) -> None:
    path = llama_gguf(tmp_path / "mine.gguf")
    found = json.loads(run(tmp_path, str(path), "--json").stdout)
    assert (found["model"], found["layers"], found["engine"]) == ("mine.gguf", 1, "llamacpp")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((LLAMA, "--gpu", "RTX 4091"), "4091"),
        ((LLAMA, "--vram", "0"), "0 GiB"),
        (("multilingual-e5-small",), "does not answer"),
    ],
)
def test_a_wrong_wish_is_said_with_a_remedy(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    error = run(tmp_path, *words).exception
    assert isinstance(error, ConfigError)
    assert said in error.say("en")
    assert error.hint.zh


# ---- what is loaded -----------------------------------------------------------------------


def test_without_a_card_everything_is_loaded_as_it_always_was(tmp_path: Path) -> None:
    wished = settings(tmp_path)
    plans = Scripted(wished).plans
    assert plans.options(LLAMA, "transformers") == {
        "context_tokens": 4096,
        "quantization": "nf4",
        "device": "auto",
        "guess": "exact",
        "placement": Placement("auto", 4096, saved_in=wished.models.folder / "prepared"),
    }
    small = "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M"
    assert plans.options(small, "llamacpp") == {
        "context_tokens": 4096,
        "threads": 0,
        "cards": None,
    }
    assert plans.helper_device("auto") == "auto"


def test_on_a_card_precision_and_window_are_those_of_the_plan(tmp_path: Path) -> None:
    large = Scripted(settings(tmp_path), 48).plans.options(LLAMA, "transformers")
    assert (large["quantization"], large["context_tokens"]) == ("none", 4096)
    middle = Scripted(settings(tmp_path), 24).plans.options(LLAMA, "transformers")
    assert (middle["quantization"], middle["context_tokens"]) == ("nf4", 4096)


def test_layers_that_find_no_place_on_a_small_card_are_put_into_main_memory(
    tmp_path: Path,
) -> None:
    whole = Scripted(settings(tmp_path), 24).plans.options(LLAMA, "transformers")["placement"]
    assert whole.layers == (40,)
    part = Scripted(settings(tmp_path), 6).plans.options(LLAMA, "transformers")["placement"]
    assert 10 < sum(part.layers) < 40


def test_four_byte_numbers_are_planned_as_four_bytes(tmp_path: Path) -> None:
    by = {
        name: Scripted(settings(tmp_path, quantization=name), 80).plans.of(LLAMA)
        for name in ("fp32", "fp16")
    }
    taken = {name: sum(use.bytes for use in plan.memory_uses) for name, plan in by.items() if plan}
    assert taken["fp32"] > 1.7 * taken["fp16"]


def test_llama_cpp_is_told_how_many_layers_go_to_the_card(tmp_path: Path) -> None:
    small = "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M"
    cards = Scripted(settings(tmp_path), 24).plans.options(small, "llamacpp")["cards"]
    assert cards == OnCards((28,), whole=True)


def test_what_the_settings_say_is_not_planned_away(tmp_path: Path) -> None:
    wished = settings(tmp_path, quantization="int8", context_tokens=1024)
    options = Scripted(wished, 48).plans.options(LLAMA, "transformers")
    assert (options["quantization"], options["context_tokens"]) == ("int8", 1024)


def test_the_embedder_leaves_a_card_that_the_model_fills(tmp_path: Path) -> None:
    assert Scripted(settings(tmp_path), 12, used=0.5).plans.helper_device("auto") == "cpu"
    assert Scripted(settings(tmp_path), 24).plans.helper_device("auto") == "auto"
    wished = settings(tmp_path, embedder="cuda")
    assert Scripted(wished, 12, used=0.5).plans.helper_device(wished.embedder.device) == "cuda"


def test_a_plan_is_made_once_before_anything_is_loaded(tmp_path: Path) -> None:
    container = Scripted(settings(tmp_path), 24)
    first = container.plans.of(LLAMA)
    container.reading = Scripted(settings(tmp_path), 24, used=12).reading
    assert container.plans.of(LLAMA) is first


def test_a_model_without_room_is_refused_before_it_is_downloaded(tmp_path: Path) -> None:
    container = Scripted(settings(tmp_path), 4, ram=4)
    with pytest.raises(OutOfMemory) as caught:
        container.generator()
    assert LLAMA in caught.value.message.en
    assert LLAMA in caught.value.message.zh
    assert "Qwen3-4B-Q4_K_M" in caught.value.hint.en
    assert not list(tmp_path.iterdir())


def test_text_recognition_counts_in_main_memory_but_refuses_no_model(tmp_path: Path) -> None:
    small = "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M"
    container = Scripted(settings(tmp_path, model=small), ram=2)
    found = container.plans.of(small)
    assert found is not None
    assert dict(found.memory_uses[-1].parts)["ocr"] > 10**8
    assert not found.fits
    assert container.plans.options(small, "llamacpp")["context_tokens"] == 4096


def test_what_cannot_be_computed_is_loaded_as_it_always_was(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}', "utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"")
    plans = Scripted(settings(tmp_path, model=str(tmp_path)), 24).plans
    assert plans.of(str(tmp_path)) is None
    assert plans.options(str(tmp_path), "transformers")["quantization"] == "nf4"


def test_an_engine_is_told_how_many_layers_each_card_takes(tmp_path: Path) -> None:
    wished = settings(tmp_path)
    subject = subject_named(Container(wished).model_store(), LLAMA)

    def placed(*sizes: float):
        cards = tuple(Card.of_size(size) for size in sizes)
        return placement_of(plan_for(wished, subject, Room(32 * GIB, 32 * GIB, cards)))

    one, two, small = placed(24), placed(24, 24), placed(8)
    assert (one.precision, one.layers, one.kv_bits) == ("nf4", (40,), 16)
    assert (two.precision, two.layers) == ("auto", (20, 20))
    assert small.layers == (29,)
    assert small.context_tokens == 2048


def test_a_reranker_on_the_card_is_planned_for_and_one_on_the_cpu_is_not(tmp_path: Path) -> None:
    plain = settings(tmp_path)
    on_card = plain.model_copy(update={"reranker": RerankerSettings(model="bge-reranker-v2-m3")})
    beside = plain.model_copy(
        update={"reranker": RerankerSettings(model="bge-reranker-v2-m3", device="cpu")}
    )
    assert helpers(plain).reranker_card == helpers(plain).reranker_ram == 0
    assert helpers(on_card).reranker_card > 2_271_071_852  # the weights, and room for a batch
    assert helpers(beside).reranker_card == 0 < helpers(beside).reranker_ram
    assert Scripted(plain, 14).plans.helper_device("auto") == "auto"
    assert Scripted(on_card, 14).plans.helper_device("auto") == "cpu", "it fills what is left"


# ---- which model answers if nobody chose one ----------------------------------------------


def unchosen(folder: Path) -> Settings:
    models = ModelSettings(folder=folder)
    return Settings(models=models, generator=GeneratorSettings())


def test_a_card_fetches_no_gigabytes_by_itself_and_is_offered_what_fits(tmp_path: Path) -> None:
    plans = Scripted(unchosen(tmp_path), 24).plans
    assert plans.chosen().model == "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M"
    offered = plans.offer()
    assert offered is not None
    assert "rag models pull Qwen3-14B`" in offered.en
    assert Scripted(settings(tmp_path), 24).plans.offer() is None  # somebody chose Llama


def test_what_a_loaded_model_takes_does_not_change_the_choice(tmp_path: Path) -> None:
    container = Scripted(unchosen(tmp_path), ram=8)
    first = container.plans.chosen()
    container.reading = Scripted(unchosen(tmp_path), ram=2).reading
    assert container.plans.chosen() == first


def test_a_plan_may_ask_which_model_answers_while_it_is_made(tmp_path):
    """With nothing chosen by name, whether OpenVINO runs it is asked from inside the plan."""
    container = Container(settings(tmp_path, model="auto"))
    name = "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M"
    worker = threading.Thread(target=lambda: container.plans.of(name), daemon=True)
    worker.start()
    worker.join(30)
    assert not worker.is_alive()
