"""What a model takes is computed from its sizes, and the best layout that fits is chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rag.errors import ModelError
from rag.models.catalogue import load_catalogue
from rag.models.planning.plan import (
    PRECISIONS,
    Card,
    Helpers,
    Layout,
    Plan,
    Room,
    Subject,
    Wishes,
    memory_uses,
)
from rag.models.planning.planner import LEAST_CONTEXT, plan
from rag.models.planning.subjects import helpers_of, subject_of_entry, subject_of_path
from rag.models.shape import (
    FAMILIES,
    Shape,
    config_of,
    kv_bytes_per_token,
    shape_of_config,
    weights_of,
)
from rag.text.sizes import GIB, memory_size
from tests.tiny_models import llama_folder, llama_gguf, weightless

ROOT = Path(__file__).parents[3]
CATALOGUE = load_catalogue()
LLAMA = subject_of_entry(CATALOGUE.get("Llama-2-13b-chat"))
HELPERS = helpers_of(CATALOGUE.get("multilingual-e5-small"))
DEVICES = {
    "6 GB": [6],
    "8 GB": [8],
    "12 GB": [12],
    "16 GB": [16],
    "24 GB": [24],
    "2 × 24 GB": [24, 24],
}


def room(*sizes: float, ram: float = 32) -> Room:
    cards = tuple(Card.of_size(size) for size in sizes)
    return Room(round(ram * GIB), round(ram * GIB), cards)


def chosen(*sizes: float, subject: Subject = LLAMA, ram: float = 32, **wishes: object) -> Plan:
    wanted = Wishes(**wishes)  # type: ignore[arg-type]
    return plan(subject, room(*sizes, ram=ram), helpers=HELPERS, wishes=wanted)


# ---- arithmetic ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_weights_of_every_known_family_are_those_that_transformers_builds(kind: str) -> None:
    model = weightless(kind, layers=3)
    built = sum(weight.numel() for weight in model.parameters())
    assert shape_of_config(model.config.to_dict(), name=kind).weights == built


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("Llama-2-13b-chat", 26_031_728_640),
        ("Qwen2.5-7B-Instruct", 15_231_233_024),
        ("Qwen3-4B", 8_044_936_192),
        ("Qwen3-8B", 16_381_470_720),
        ("Qwen3-14B", 29_536_614_400),
    ],
)
def test_sixteen_bits_come_to_the_published_size_to_the_byte(name: str, published: int) -> None:
    shape = subject_of_entry(CATALOGUE.get(name)).shape
    assert weights_of(shape, "none").total == published
    assert CATALOGUE.get(name).bytes == published


def test_four_bits_of_llama_2_13b_come_to_the_published_sizes() -> None:
    weights = weights_of(LLAMA.shape, "nf4")
    assert weights.total == pytest.approx(7.2e9, rel=0.01)  # table of words and output in 16 bits
    assert weights.read_per_token == pytest.approx(6.87e9, rel=0.01)
    assert weights_of(LLAMA.shape, "int8").total == pytest.approx(13.35e9, rel=0.01)


def test_keys_and_values_are_shared_by_groups_of_heads() -> None:
    assert kv_bytes_per_token(LLAMA.shape) == 819_200  # 40 layers, no groups
    grouped = subject_of_entry(CATALOGUE.get("Qwen2.5-7B-Instruct")).shape
    assert kv_bytes_per_token(grouped) == 57_344  # 4 of 28 heads keep any
    assert kv_bytes_per_token(LLAMA.shape, bits=8) == pytest.approx(819_200 * 0.53, rel=0.01)


@pytest.mark.parametrize("entry", [e for e in CATALOGUE if e.kind == "generator"], ids=str)
def test_the_catalogue_says_what_the_arithmetic_says(entry) -> None:
    subject = subject_of_entry(entry)
    weights = subject.weights("nf4").total
    assert weights == pytest.approx(entry.loaded_bytes, rel=0.01)
    assert subject.shape.window >= entry.context_tokens


def test_a_folder_and_a_file_tell_their_own_sizes(tmp_path: Path) -> None:
    folder = subject_of_path(llama_folder(tmp_path / "tiny"))
    assert (folder.engine, folder.shape.layers, folder.shape.kv_heads) == ("transformers", 2, 1)
    file = subject_of_path(llama_gguf(tmp_path / "tiny.gguf"))
    assert (file.engine, file.shape.layers, file.shape.window) == ("llamacpp", 1, 512)
    assert file.weights(None).total == file.file_bytes == (tmp_path / "tiny.gguf").stat().st_size
    assert 0 < file.layer_bytes < file.file_bytes


def test_a_kind_that_is_not_known_and_a_damaged_description_are_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="mamba"):
        shape_of_config({"model_type": "mamba"}, name="Some-Mamba")
    with pytest.raises(ModelError, match="Half"):
        shape_of_config({"model_type": "llama", "hidden_size": 8}, name="Half")
    (tmp_path / "config.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match=re.escape(tmp_path.name)):
        config_of(tmp_path)


def test_a_model_that_also_sees_is_measured_by_its_language_part(tmp_path: Path) -> None:
    text = {"model_type": "llama", "hidden_size": 8}
    (tmp_path / "config.json").write_text(json.dumps({"text_config": text}), "utf-8")
    assert config_of(tmp_path) == text


# ---- choices ------------------------------------------------------------------------------


def test_no_part_is_lost_when_a_model_is_spread() -> None:
    whole = Layout("nf4", 4096, layers=(40, 0))
    split = Layout("nf4", 4096, layers=(23, 17))
    cards = room(24, 24).cards
    sums = [
        {
            part: sum(
                dict(use.parts).get(part, 0)
                for use in memory_uses(LLAMA, layout, Helpers(), cards, 0)
            )
            for part in ("weights", "kv")
        }
        for layout in (whole, split)
    ]
    assert sums[0]["weights"] == LLAMA.weights("nf4").total
    assert sums[1] == pytest.approx(sums[0])


@pytest.mark.parametrize("sizes", DEVICES.values(), ids=DEVICES)
def test_what_is_chosen_stays_within_what_is_free(sizes: list[float]) -> None:
    found = chosen(*sizes)
    assert found.fits
    for shelf in found.memory_uses:
        assert shelf.bytes <= shelf.limit_bytes < max(shelf.free_bytes, 1) + 1


def test_a_larger_card_never_gets_less() -> None:
    order = {"nf4": 0, "none": 1}
    ranks = []
    for size in range(4, 81, 2):
        found = chosen(size)
        layout = found.layout
        ranks.append(
            (
                found.fits,
                order[str(layout.precision)],
                found.layout.on_cards,
                layout.context_tokens,
                layout.kv_bits,
                layout.helpers_card is not None,
            )
        )
    assert ranks == sorted(ranks)


def test_less_free_memory_on_the_same_card_changes_the_plan() -> None:
    card = room(16).cards[0]
    busy = Room(32 * GIB, 32 * GIB, (replace(card, free_bytes=card.free_bytes - 5 * GIB),))
    free = plan(LLAMA, room(16), helpers=HELPERS).layout
    less = plan(LLAMA, busy, helpers=HELPERS).layout
    assert (free.kv_bits, free.helpers_card) == (16, 0)
    assert (less.kv_bits, less.helpers_card) == (8, None)


def test_where_8_bit_keys_do_not_fit_either_the_window_is_shorter() -> None:
    layout = chosen(9.5).layout
    assert layout.kv_bits == 8
    assert LEAST_CONTEXT <= layout.context_tokens < 4096


def test_what_was_asked_for_is_not_replaced() -> None:
    found = chosen(24, precision="int8", context_tokens=3000)
    assert (found.layout.precision, found.layout.context_tokens) == ("int8", 3000)
    assert chosen(24, on_card=False).layout.layers == ()
    assert chosen(24, helpers_on_card=False).layout.helpers_card is None


def test_a_second_card_takes_the_embedder_before_anything_is_given_up() -> None:
    layout = chosen(12, 12).layout
    assert layout.layers == (40, 0)
    assert layout.helpers_card == 1


def test_cards_of_different_sizes_are_filled_by_what_they_have() -> None:
    layout = chosen(24, 12, 12, precision="none").layout
    assert sum(layout.layers) == 40
    assert layout.layers[0] > layout.layers[1]


def test_what_fits_nowhere_is_said_with_what_is_missing() -> None:
    found = chosen(4, ram=2)
    assert not found.fits
    assert "lacks" in found.reasons[-1].en
    assert "仍缺" in found.reasons[-1].zh
    assert found.tokens_per_second is None


def test_a_gguf_that_is_too_large_for_the_card_is_split() -> None:
    file = replace(LLAMA, engine="llamacpp", file_bytes=7_870_000_000)
    found = chosen(8, subject=file)
    assert found.fits
    assert 20 < found.layout.on_cards < 40
    assert found.layout.context_tokens == 4096
    assert chosen(12, subject=file).layout.on_cards == 40
    assert chosen(subject=file).layout.layers == ()


def test_the_longest_window_is_longer_on_a_larger_card() -> None:
    long = Subject("long", "transformers", replace(LLAMA.shape, window=131_072))
    windows = [chosen(size, subject=long, precision="nf4").longest_context for size in (16, 24, 48)]
    assert windows == sorted(set(windows))
    assert windows[0] >= 4096


def test_bandwidth_limits_speed_and_layers_in_main_memory_have_no_figure() -> None:
    fast = Card.of_size(24, bandwidth=1008e9)
    found = plan(LLAMA, Room(GIB, GIB, (fast,)), wishes=Wishes(precision="nf4"))
    assert found.tokens_per_second == pytest.approx(147, abs=1)
    small = Card.of_size(8, bandwidth=1008e9)
    assert plan(LLAMA, Room(32 * GIB, 32 * GIB, (small,))).tokens_per_second is None


def test_a_question_adds_its_keys_and_values() -> None:
    found = chosen(24)
    assert found.question_bytes(3100) == pytest.approx(3100 * 819_200, rel=0.25)
    assert found.question_bytes(3100) > found.question_bytes(1000)
    file = replace(LLAMA, engine="llamacpp", file_bytes=7_870_000_000)
    assert chosen(24, subject=file).question_bytes(3100) == 0


def test_every_reason_is_said_in_both_languages() -> None:
    for sizes in DEVICES.values():
        for reason in chosen(*sizes).reasons:
            assert reason.en
            assert re.search(r"[\u4e00-\u9fff]", reason.zh)


def as_markdown(plans: Sequence[tuple[str, Plan]]) -> str:
    """Return one row for each named machine: what is chosen there, and why."""
    lines = [
        "| cards | precision | window | layers on cards | embedder | held on cards | why |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in plans:
        layout = found.layout
        held = (
            " + ".join(memory_size(shelf.bytes) for shelf in found.memory_uses if shelf.name) or "–"
        )
        beside = "–" if layout.helpers_card is None else f"card {layout.helpers_card + 1}"
        cells = (
            name,
            PRECISIONS[layout.precision].en if found.fits else "does not fit",
            f"{layout.context_tokens:,}",
            f"{found.layout.on_cards} of {found.subject.shape.layers}",
            "processor" if beside == "–" else beside,
            held,
            _why(found),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _why(found: Plan) -> str:
    """Return the reasons without those that the other columns give."""
    said = [reason.en for reason in found.reasons]
    return " ".join(text for text in said if " = " not in text and not text.endswith(": yes."))


def test_the_table_of_the_docs_is_what_the_planner_chooses() -> None:
    rows = [(name, chosen(*sizes)) for name, sizes in DEVICES.items()]
    page = (ROOT / "docs/gpu.md").read_text("utf-8")
    shown = re.search(r"<!-- fit -->\n(.*)\n<!-- /fit -->", page, re.DOTALL)
    assert shown is not None
    assert shown[1] == as_markdown(rows)


def test_the_sizes_of_a_shape_are_plain_sums() -> None:
    shape = Shape(2, 8, 16, 2, 1, 10, 32)
    assert shape.head == 4
    assert shape.linear == 8 * 8 * 2 + 2 * 8 * 4 + 3 * 8 * 16
    assert shape.weights == 2 * (shape.linear + 2 * 8) + 2 * 80 + 8
