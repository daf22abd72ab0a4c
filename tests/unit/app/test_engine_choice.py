"""Which engine runs a GGUF on a CPU: timed in a process of its own, and remembered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rag.app.container import Container
from rag.app.engine_choice import MARK, EngineChoice, EngineMemory, EngineTime, compare
from rag.app.model_plans import ModelPlans
from rag.config import Settings
from rag.errors import ModelError
from rag.generation.openvino_copy import copy_of, drop_drafts, has_copy, keep_copy
from rag.text.sizes import GIB
from rag.types.hardware import GpuReading, MemoryReading
from tests.tiny_models import llama_gguf

READS_FAST = EngineTime("openvino", 3, read_s=0.006, write_s=0.07, memory_bytes=2 << 30)
WRITES_FAST = EngineTime("llamacpp", 3, read_s=0.016, write_s=0.06, memory_bytes=1 << 30)


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return path


def never() -> bool:
    return False


def saying(*lines: object, then: str = "") -> list[str]:
    """A process that tells this, whatever it is asked."""
    told = "".join(f"print({MARK + json.dumps(line)!r}, flush=True)\n" for line in lines)
    return [sys.executable, "-c", f"import sys\nsys.stdin.read()\nprint('noise')\n{told}{then}"]


def row(engine: str, **values: object) -> dict[str, object]:
    return {"engine": engine, "load_s": 1, "read_s": 1, "write_s": 1, "memory_bytes": 1, **values}


def test_reading_counts_more_than_writing() -> None:
    assert EngineChoice((WRITES_FAST, READS_FAST)).fastest == "openvino"


def test_loading_for_minutes_is_not_made_up_for() -> None:
    assert EngineChoice((WRITES_FAST, replace(READS_FAST, load_s=120))).fastest == "llamacpp"


def test_what_was_refused_is_never_the_fastest() -> None:
    refused = EngineTime("openvino", refused="it does not know the file")
    assert EngineChoice((WRITES_FAST, refused)).fastest == "llamacpp"
    assert EngineChoice((refused,)).fastest == "llamacpp"


def test_what_was_measured_is_remembered_for_this_file_only(tmp_path: Path, gguf: Path) -> None:
    memory = EngineMemory(tmp_path / "cache")
    assert memory.of(gguf) is None
    memory.keep(gguf, EngineChoice((WRITES_FAST, READS_FAST)))
    assert EngineMemory(tmp_path / "cache").of(gguf) == EngineChoice((WRITES_FAST, READS_FAST))
    os.utime(gguf, ns=(1, 1))
    assert memory.of(gguf) is None


def test_a_damaged_note_is_as_good_as_none(tmp_path: Path, gguf: Path) -> None:
    memory = EngineMemory(tmp_path / "cache")
    memory.keep(gguf, EngineChoice((WRITES_FAST,)))
    (note,) = memory.folder.iterdir()
    note.write_text("{", "utf-8")
    assert memory.of(gguf) is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, gguf: Path) -> None:
    (tmp_path / "cache").write_text("a file, where a folder would be", "utf-8")
    memory = EngineMemory(tmp_path / "cache")
    memory.keep(gguf, EngineChoice((WRITES_FAST,)))
    assert memory.of(gguf) is None


def test_the_process_is_heard_out(gguf: Path) -> None:
    command = saying(row("llamacpp"), row("openvino", read_s=0.1))
    found = compare(gguf, threads=0, stopped=never, command=command)
    assert found is not None
    assert [one.engine for one in found.times] == ["llamacpp", "openvino"]
    assert found.fastest == "openvino"


def test_the_process_stands_still_while_somebody_asks(tmp_path: Path, gguf: Path) -> None:
    ticks = tmp_path / "ticks"
    works = (
        f"import time\nfile = open({str(ticks)!r}, 'ab', buffering=0)\n"
        "while file.tell() < 40:\n    file.write(b'.')\n    time.sleep(.02)\n"
    )
    told = saying(row("llamacpp"), row("openvino", read_s=0.1))
    seen: list[int] = []

    def asking() -> bool:
        if ticks.exists():
            seen.append(ticks.stat().st_size)
        return len(seen) < 6

    found = compare(
        gguf, threads=0, stopped=never, asking=asking, command=[*told[:2], works + told[2]]
    )
    assert seen[2] == seen[5] < 40, "it stood still"
    assert found is not None, "and went on"


def test_an_engine_that_brings_its_process_down_is_not_used(gguf: Path) -> None:
    command = saying(row("llamacpp"), then="import os; os._exit(11)")
    found = compare(gguf, threads=0, stopped=never, command=command)
    assert found is not None
    assert found.fastest == "llamacpp"
    assert [bool(one.refused) for one in found.times] == [False, True]


def test_the_end_of_the_app_ends_the_comparison(gguf: Path) -> None:
    command = saying(then="import time; time.sleep(600)")
    assert compare(gguf, threads=0, stopped=lambda: True, command=command) is None


def test_one_that_takes_too_long_is_not_remembered(gguf: Path) -> None:
    command = saying(then="import time; time.sleep(600)")
    assert compare(gguf, threads=0, stopped=never, command=command, limit_s=0.1) is None


# ---- which one answers --------------------------------------------------------------------


def write_copy(link: Path) -> None:
    (link.parent / "openvino_model.bin").write_bytes(b"made of it")


@pytest.fixture
def fit(tmp_path: Path) -> Path:
    """A GGUF that OpenVINO should be able to read, by its header, with a copy beside it."""
    path = llama_gguf(tmp_path / "fit.gguf", tokenizer="gpt2")
    assert keep_copy(path, write_copy)
    return path


def plans(
    gguf: Path, *times: EngineTime, ram: float = 8, vram: float = 0, engine: str = "auto"
) -> ModelPlans:
    settings = Settings.model_validate({"generator": {"model": str(gguf), "engine": engine}})
    memory = EngineMemory(gguf.parent / "cache")
    if times:
        memory.keep(gguf, EngineChoice(times))
    card = GpuReading(0, name="Card", used_bytes=0, total_bytes=round(vram * GIB))
    reading = MemoryReading(
        process_bytes=0,
        ram_used_bytes=0,
        ram_total_bytes=round(ram * GIB),
        gpus=(card,) if vram else (),
    )
    return ModelPlans(settings, Container(settings).model_store, lambda: reading, engines=memory)


def test_the_faster_one_answers_without_a_card(fit: Path) -> None:
    found = plans(fit, WRITES_FAST, READS_FAST)
    assert found.chosen().engine == "openvino"
    assert set(found.options(str(fit), "openvino")) == {"context_tokens", "threads"}
    assert found.to_compare() is None


def test_until_they_are_compared_llama_cpp_answers(fit: Path) -> None:
    found = plans(fit)
    assert found.chosen().engine == "llamacpp"
    assert found.to_compare() == fit


@pytest.mark.parametrize(
    "slow", [EngineTime("openvino", 3, 0.03, 0.2, 1), EngineTime("openvino", refused="no")]
)
def test_where_llama_cpp_is_faster_it_stays(fit: Path, slow: EngineTime) -> None:
    found = plans(fit, WRITES_FAST, slow)
    assert found.chosen().engine == "llamacpp"
    assert found.to_compare() is None


def test_a_card_keeps_llama_cpp(fit: Path) -> None:
    found = plans(fit, WRITES_FAST, READS_FAST, vram=8)
    assert found.chosen().engine == "llamacpp"
    assert found.to_compare() is None


def test_an_engine_whose_memory_does_not_fit_is_not_taken(fit: Path) -> None:
    found = plans(fit, WRITES_FAST, READS_FAST, ram=0.0001)
    assert found.chosen().engine == "llamacpp"


def test_a_copy_that_was_lost_is_made_by_another_comparison(fit: Path) -> None:
    found = plans(fit, WRITES_FAST, READS_FAST)
    (fit.parent / ".openvino" / "fit" / "openvino_model.bin").unlink()
    assert found.chosen().engine == "llamacpp"
    assert found.to_compare() == fit


def test_a_file_that_openvino_does_not_read_is_never_timed(tmp_path: Path) -> None:
    found = plans(llama_gguf(tmp_path / "sentencepiece.gguf"))
    assert found.chosen().engine == "llamacpp"
    assert found.to_compare() is None


def test_what_the_settings_say_is_not_compared(fit: Path) -> None:
    found = plans(fit, engine="openvino")
    assert found.chosen().engine == "openvino"
    assert found.to_compare() is None


def test_where_it_cannot_be_loaded_llama_cpp_is_asked(
    fit: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither can load this file: what is raised is what the second one says."""
    container = Container(Settings.model_validate({"generator": {"model": str(fit)}}))
    container.plans = plans(fit, WRITES_FAST, READS_FAST)
    with pytest.raises(ModelError, match=r"llama\.cpp does not know"):
        container.generator()
    assert "OpenVINO says" in caplog.text
    assert "llama.cpp is used" in caplog.text


def test_a_copy_that_is_of_no_use_is_removed_after_the_comparison(fit: Path) -> None:
    """The real process, to which each engine says that it cannot load this file."""
    container = Container(Settings.model_validate({"generator": {"model": str(fit)}}))
    container.plans = plans(fit)
    container.compare_engines(never)
    known = container.plans.engines.of(fit)
    assert known is not None
    assert [(one.engine, bool(one.refused)) for one in known.times] == [
        ("llamacpp", True),
        ("openvino", True),
    ]
    assert known.fastest == "llamacpp"
    assert not has_copy(fit)
    assert container.plans.to_compare() is None


def test_a_comparison_that_somebody_ended_says_nothing_of_an_engine(gguf: Path) -> None:
    ends = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"]
    assert compare(gguf, threads=1, stopped=never, command=ends) is None


def test_what_a_killed_comparison_had_begun_is_removed(gguf: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    left = copy_of(gguf).with_name(f"draft-{ended.pid}-{gguf.stem}")
    mine = copy_of(gguf).with_name(f"draft-{os.getpid()}-{gguf.stem}")
    for folder in (left, mine):
        folder.mkdir(parents=True)
    drop_drafts(gguf)
    assert not left.exists()
    assert mine.exists()


def test_its_memory_is_planned_for(fit: Path) -> None:
    def weights(found: ModelPlans) -> int:
        plan = found.of(str(fit))
        assert plan is not None
        return dict(plan.memory_uses[-1].parts)["weights"]

    assert weights(plans(fit, WRITES_FAST, READS_FAST)) > 1.4 * weights(plans(fit, WRITES_FAST))
