"""Nothing is sent: neither by importing OpenVINO, which would of itself, nor by an answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

WATCHED = """
import socket, sys
calls = []
sys.addaudithook(lambda event, args: calls.append(event) if event.startswith("socket.") else None)
from pathlib import Path
from rag.generation.openvino import TELEMETRY, OpenVinoGenerator
if len(sys.argv) > 1:
    from rag.types.answers import Message
    model = OpenVinoGenerator.load(Path(sys.argv[1]), name="x", context_tokens=512)
    asked = [Message("user", "Hello")]
    said = list(model.stream(asked, max_tokens=2, temperature=0, cancelled=lambda: False))
    assert sum(delta.tokens for delta in said) == 2
    model.close()
import openvino
assert sys.modules[TELEMETRY] is None
assert not [name for name in sys.modules if name.startswith(TELEMETRY + ".")]
assert not calls, calls
"""


def run(home: Path, *words: str) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(home), "USERPROFILE": str(home)}
    environ.pop("CI", None)  # its telemetry behaves itself where it believes to be tested
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *words],
        check=False,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []  # it would keep a number there that tells users apart


def test_importing_the_engine_sends_nothing_and_numbers_nobody(tmp_path: Path) -> None:
    run(tmp_path)


@pytest.mark.model
def test_an_answer_opens_no_connection(tmp_path: Path, model_path: Callable[[str], Path]) -> None:
    link = tmp_path / "model" / "smollm2.gguf"
    link.parent.mkdir()
    link.symlink_to(model_path("SmolLM2-135M-Instruct-Q4_1"))
    home = tmp_path / "home"
    home.mkdir()
    run(home, str(link))
