"""What the arithmetic says a model takes is what loading it really takes, to within 10 %.

Each load runs in a process of its own, after a tiny model of the same kind has brought in the
libraries; what is counted is by how much the process grew.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rag.models.planning.plan import Helpers, Layout, memory_uses
from rag.models.planning.subjects import subject_of_path
from rag.models.shape import Precision, weights_of

ROOT = Path(__file__).parents[3]
WITHIN = 0.10
TRANSFORMERS = """
import ctypes, gc, json, psutil, sys, tempfile, torch
from pathlib import Path
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from tests.tiny_models import llama_folder
torch.set_num_threads(2)
folder, kind = Path(sys.argv[1]), sys.argv[2]
quantized = {
    "nf4": lambda: BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16),
}.get(kind, lambda: None)
def load(folder):
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32 if kind == "fp32" else torch.bfloat16,
        quantization_config=quantized(), device_map={"": "cpu"})
def grown():
    gc.collect()
    if sys.platform == "linux":  # the C library keeps what quantising needed for a while
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss
with tempfile.TemporaryDirectory() as tiny:
    load(llama_folder(Path(tiny)))
before = grown()
model = load(folder)
for weight in model.parameters():
    weight.data.view(torch.uint8).sum()  # weights that are mapped count once they are read
print(json.dumps(grown() - before))
"""
LLAMACPP = """
import gc, json, psutil, sys, tempfile
from pathlib import Path
from rag.generation.llamacpp import LlamaCppGenerator
from rag.types.answers import Message
from tests.tiny_models import llama_gguf
def load(path, tokens):
    return LlamaCppGenerator.load(path, name="m", context_tokens=tokens)
with tempfile.TemporaryDirectory() as tiny:
    load(llama_gguf(Path(tiny) / "tiny.gguf"), 512).close()
gc.collect()
before = psutil.Process().memory_info().rss
generator = load(Path(sys.argv[1]), int(sys.argv[2]))
asked = [Message("user", "hello " * 300)]
list(generator.stream(asked, max_tokens=4, temperature=0, cancelled=lambda: False))
print(json.dumps(psutil.Process().memory_info().rss - before))
generator.close()
"""


def measured(script: str, *arguments: object) -> int:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return int(json.loads(done.stdout.strip().splitlines()[-1]))


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "precision", "wide"),
    [("fp32", "none", 4), ("bf16", "none", 2), ("nf4", "nf4", 2)],
)
def test_a_folder_takes_what_its_configuration_says(
    model_path: Callable[[str], Path], kind: str, precision: Precision, wide: int
) -> None:
    folder = model_path("SmolLM2-135M-Instruct")
    planned = weights_of(subject_of_path(folder).shape, precision, wide=wide).total
    assert planned == pytest.approx(measured(TRANSFORMERS, folder, kind), rel=WITHIN)


@pytest.mark.model
@pytest.mark.slow
def test_a_gguf_takes_its_file_its_keys_and_values_and_its_buffers(
    model_path: Callable[[str], Path],
) -> None:
    path = model_path("Qwen2.5-Coder-0.5B-Instruct-Q4_K_M")
    tokens = 4096
    (planned,) = memory_uses(subject_of_path(path), Layout(None, tokens), Helpers(), (), 0)
    assert planned.bytes == pytest.approx(measured(LLAMACPP, path, tokens), rel=WITHIN)
