"""Which generator a machine gets when nobody chose one, and what a model needs to run."""

from __future__ import annotations

from rag.models.catalogue import Entry
from rag.models.layout import Helpers, Layout, shelves
from rag.models.room import Card
from rag.models.subjects import subject_of_entry

GPU_GENERATOR = "Qwen2.5-7B-Instruct"
CPU_GENERATOR = "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M"
SMALL_GENERATOR = "Qwen2.5-Coder-0.5B-Instruct-Q4_K_M"

SMALL_RAM_BYTES = 4 << 30
"""Below this the 1.5B model, the embedder and a browser do not fit side by side."""
GPU_BYTES = 8_000_000_000
"""Free memory for the 7B model in 4 bit: 5.6 GB of weights, 0.2 GB for 4,096 tokens of
context, and room for the embedder and the buffers of a prompt."""
BUFFER_BYTES = 512 << 20
"""For models that write nothing: an allowance for activations and the runtime."""


def needs_bytes(entry: Entry, *, context_tokens: int = 4096) -> int:
    """Return the memory for weights in 4 bits, a context of that length, and room to compute.

    On a graphics card if the engine is transformers, else in main memory. ``rag models fit``
    plans with what is free.
    """
    if entry.kind != "generator" or entry.shape is None:
        return entry.loaded_bytes + BUFFER_BYTES
    subject = subject_of_entry(entry)
    tokens = min(context_tokens, entry.context_tokens)
    if not needs_gpu(entry):
        found = shelves(subject, Layout(None, tokens), Helpers(), (), 0)
        return sum(shelf.bytes for shelf in found)
    layout = Layout("nf4", tokens, layers=(subject.shape.layers,))
    return shelves(subject, layout, Helpers(), (Card("", 0, 0),), 0)[0].bytes


def needs_gpu(entry: Entry) -> bool:
    """Tell whether a model is out of place without an NVIDIA graphics card."""
    return entry.kind == "generator" and entry.engine == "transformers"


def fits(entry: Entry, *, ram_bytes: int, vram_bytes: int | None) -> bool:
    """Tell whether a machine of that size can run the model; ``None`` = no NVIDIA card."""
    if needs_gpu(entry):
        return vram_bytes is not None and needs_bytes(entry) <= vram_bytes
    return needs_bytes(entry) <= ram_bytes


def default_generator(*, free_vram_bytes: int | None, total_ram_bytes: int) -> str:
    """Return the catalogue name of the generator for such a machine.

    ``free_vram_bytes`` is ``None`` without an NVIDIA card. Never a model that needs a
    publisher's permission: the first start has to go on by itself.

    >>> default_generator(free_vram_bytes=None, total_ram_bytes=16 << 30)
    'Qwen2.5-Coder-1.5B-Instruct-Q4_K_M'
    >>> default_generator(free_vram_bytes=None, total_ram_bytes=2 << 30)
    'Qwen2.5-Coder-0.5B-Instruct-Q4_K_M'
    >>> default_generator(free_vram_bytes=22 << 30, total_ram_bytes=16 << 30)
    'Qwen2.5-7B-Instruct'
    """
    if free_vram_bytes is not None and free_vram_bytes >= GPU_BYTES:
        return GPU_GENERATOR
    return SMALL_GENERATOR if total_ram_bytes < SMALL_RAM_BYTES else CPU_GENERATOR
