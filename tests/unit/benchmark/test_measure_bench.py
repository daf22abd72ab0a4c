"""The arithmetic of a benchmark: medians, limits, shares, and what became slower."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from rag.benchmark.prompts import Prompt, quality_prompts, speed_prompts
from rag.benchmark.report import compare, load_run
from rag.benchmark.rows import (
    MachineLimits,
    Row,
    Sizes,
    TimedAnswer,
    fitted,
    row_json,
    run_json,
)
from rag.benchmark.worker import listen, time_answers
from rag.errors import ConfigError
from rag.evaluation.scoring import contains
from rag.system.charts import check
from rag.types.answers import Delta, Message
from rag.types.hardware import MemoryReading

ROW = Row("llamacpp", "Tiny", "Q4_K_M")
SIZES = Sizes(
    weights_bytes=1_000, read_per_token=800, multiplied=50, kv_bytes_per_token=2, window=4_096
)
LIMITS = MachineLimits("cpu", 9_000.0, 10_000.0, {"fp32": 20_000.0, "bf16": 100_000.0})


def reading(speed: float, *, prompt: int = 100, first: float = 2.0) -> TimedAnswer:
    return TimedAnswer(first, 11, 10, 10 / speed, prompt, 0.5)


def row(*speeds: float, **values: Any) -> Row:
    return replace(ROW, readings=tuple(map(reading, speeds)), sizes=SIZES, **values)


def test_a_row_has_the_median_of_its_answers_and_says_how_far_they_lie_apart() -> None:
    found = row_json(row(8, 9, 10), LIMITS)
    assert found["decode_tokens_per_s"] == 9
    assert found["ms_per_token"] == pytest.approx(111.11)
    assert found["spread"]["decode_tokens_per_s"] == pytest.approx(2 / 9, abs=1e-3)
    assert found["prefill_tokens_per_s"] == 50
    assert found["repetitions"] == 3


def test_the_limit_of_decoding_is_bandwidth_by_weights_and_context() -> None:
    found = row_json(row(5), LIMITS)
    context = 100 + 11 / 2
    assert found["limit_tokens_per_s"] == round(10_000 / (800 + 2 * context), 2)
    assert found["share_of_limit"] == pytest.approx(5 * (800 + 2 * context) / 10_000, abs=1e-4)


@pytest.mark.parametrize(("precision", "flops"), [("fp32", 20_000), ("nf4", 100_000)])
def test_a_prompt_is_held_against_the_arithmetic_of_its_precision(
    precision: str, flops: float
) -> None:
    made = replace(row(5), precision=precision)
    assert row_json(made, LIMITS)["prefill_limit_tokens_per_s"] == flops / (2 * SIZES.multiplied)


def test_the_longest_context_is_what_memory_leaves_and_never_more_than_the_window() -> None:
    short = row(5, peak_bytes=1_000, free_bytes=1_400)
    assert short.max_context == 111 + 200
    assert row(5, peak_bytes=1_000, free_bytes=10**9).max_context == SIZES.window
    assert row(5, peak_bytes=2_000, free_bytes=1_000).max_context == 0


def test_a_row_that_did_not_run_has_its_reason_and_no_figures() -> None:
    machine = MemoryReading(0, ram_used_bytes=900, ram_total_bytes=1_000)
    found = row_json(fitted(replace(ROW, sizes=SIZES), machine, context_tokens=512), LIMITS)
    assert found["reason"]["en"].startswith("does not fit")
    assert found["decode_tokens_per_s"] is None
    assert found["limit_tokens_per_s"] is None


def test_an_answer_is_timed_from_its_pieces() -> None:
    class Scripted:
        name, context_tokens = "scripted", 512

        def count_tokens(self, messages: Any) -> int:
            return 7

        def stream(self, messages: Any, **_: Any) -> Any:
            yield Delta("", 0, prompt_read=0.5)
            yield Delta("a", 1)
            yield Delta("bc", 2)
            yield Delta("", 0, "stop")

        def prepare(self, messages: Any, **_: Any) -> None: ...
        def memory_bytes(self) -> None: ...
        def close(self) -> None: ...

    ticks = iter([0.0, 4.0, 5.0, 9.0])
    asked = [Message("user", "?")]
    text, heard = listen(Scripted(), asked, max_tokens=5, clock=lambda: next(ticks))
    assert (text, heard.new_tokens, heard.first_token_s, heard.decoded) == ("abc", 3, 4.0, 2)
    assert heard.decode_s == 1.0

    clock = iter(range(100))
    prompts = [Prompt("one?", ()), Prompt("two?", (), follow_up="three?")]
    (timed,) = time_answers(Scripted(), prompts, new_tokens=5, clock=lambda: float(next(clock)))
    assert (timed.prompt_tokens, timed.new_tokens, timed.decoded) == (7, 3, 2)
    assert timed.decode_tokens_per_s == 2
    assert timed.follow_up_s == 1


def test_no_two_timed_prompts_begin_alike_or_share_a_passage() -> None:
    prompts = speed_prompts()
    texts = [passage["text"] for prompt in prompts for passage in prompt.passages]
    assert len(texts) == len(set(texts))
    starts = {p.messages(mark=f"Run {n}.")[0].content[:8] for n, p in enumerate(prompts)}
    assert len(starts) == len(prompts) == 5


def test_a_follow_up_begins_as_its_first_question_did() -> None:
    prompt = speed_prompts()[1]
    first, again = prompt.messages(mark="Run 1."), prompt.follow_up_messages("So.", mark="Run 1.")
    assert again[0] == first[0]
    assert any(prompt.question in turn.content for turn in again[1:])
    assert prompt.follow_up in again[-1].content


def test_every_short_question_has_its_answer_in_its_passages_and_survives_json() -> None:
    prompts = quality_prompts(1_000)
    assert len(prompts) >= 20
    for prompt in prompts:
        text = "\n".join(passage["text"] for passage in prompt.passages)
        assert any(contains(text, answer) for answer in prompt.answers), prompt.question
        assert Prompt(**json.loads(json.dumps(asdict(prompt)))) == prompt
    assert {p.messages()[-1].content[:2] for p in quality_prompts(12)} == {"Pa", "段落"}


def test_most_of_the_passages_still_stand_in_the_guide() -> None:
    folder = Path(__file__).parents[2] / "guide"
    written = [(folder / f"guide_{language}.md").read_text("utf-8") for language in ("en", "zh")]
    guide = re.sub(r"\W", "", "".join(written))
    sentences = {
        re.sub(r"\W", "", sentence)
        for prompt in (*speed_prompts(), *quality_prompts(1_000))
        for passage in prompt.passages
        for sentence in re.split(r"(?<=[.。！？])\s*", str(passage["text"]))
    }
    long = [sentence for sentence in sentences if len(sentence) > 20]
    assert sum(sentence in guide for sentence in long) > 0.6 * len(long)


def bench_json(speed: float, *, spread: float = 0.0, first: float = 1.0) -> dict[str, Any]:
    figures = {"decode_tokens_per_s": speed, "first_token_s": first}
    made = row_json(ROW, None) | figures
    return {"machine": {"cores": 2, "packages": {"torch": "1"}}, "rows": [made | {
        "spread": {"decode_tokens_per_s": spread, "first_token_s": 0.0}}]}  # fmt: skip


def test_slower_is_what_the_noise_of_both_runs_does_not_explain() -> None:
    assert not compare(bench_json(100), bench_json(97)).fell
    assert compare(bench_json(100), bench_json(90)).fell
    assert not compare(bench_json(100, spread=0.2), bench_json(90)).fell
    assert compare(bench_json(100), bench_json(100, first=1.2)).fell
    assert compare(bench_json(100), bench_json(120)).changes[0].faster


def test_a_row_that_runs_no_more_counts_as_worse_and_other_packages_are_named() -> None:
    after = {**bench_json(0), "machine": {"cores": 2, "packages": {"torch": "2"}}}
    found = compare(bench_json(100), after)
    assert found.fell
    assert found.lost == ("Tiny Q4_K_M",)
    assert found.machine == {"torch": ("1", "2")}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [1], "machine": {}}'])
def test_another_file_is_no_earlier_run(tmp_path: Path, text: str) -> None:
    file = tmp_path / "before.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match="no result of rag bench"):
        load_run(file)


def test_the_chart_is_a_picture_of_all_rows_that_ran(tmp_path: Path) -> None:
    from rag.benchmark.report import draw

    machine = {"processor": "电脑", "cores": 2, "gpu": None, "date": "2026-01-02"}
    rows = (row(5, 6, peak_bytes=10**9), replace(row(9), sizes=None), ROW)
    check(tmp_path / "chart.png")
    draw(tmp_path / "chart.png", run_json(machine, {"cpu": LIMITS}, rows))
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
