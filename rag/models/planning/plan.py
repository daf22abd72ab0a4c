"""A plan: how a model is loaded on a machine, in which memory, what that takes, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rag.models.shape import (
    LLAMACPP_CPU_TOKENS,
    PREFILL_TOKENS,
    Precision,
    Shape,
    Weights,
    activation_bytes,
    kv_bytes_per_token,
    weights_of,
    weights_of_file,
)
from rag.text.messages import Text
from rag.text.sizes import GIB
from rag.types.hardware import KvBits, MemoryReading

IDLE_SHARE = 0.97
"""Of a card that is only named: what a driver without a desktop leaves free. An assumption; for
the machine at hand the free memory is read."""


RESERVE_BYTES, RESERVE_SHARE = 256 << 20, 0.03
"""Left free of each card: allocators hand out memory in blocks, and a desktop may want some."""


@dataclass(frozen=True, slots=True)
class Card:
    """A graphics card's memory. ``bandwidth`` is bytes a second; 0 = unknown."""

    name: str
    total_bytes: int
    free_bytes: int
    bandwidth: float = 0.0

    @classmethod
    def of_size(cls, gib: float, *, name: str = "", bandwidth: float = 0.0) -> Card:
        """Return an idle card of so many GiB."""
        total = round(gib * GIB)
        return cls(name or f"{gib:g} GB", total, round(IDLE_SHARE * total), bandwidth)


@dataclass(frozen=True, slots=True)
class Room:
    """Free memory: of the cards, in the order in which CUDA counts them, and of the computer."""

    ram_total_bytes: int
    ram_free_bytes: int
    cards: tuple[Card, ...] = ()


def reserve(total_bytes: int) -> int:
    """Return what is left free of a card of that size."""
    return max(RESERVE_BYTES, round(RESERVE_SHARE * total_bytes))


def room_of(reading: MemoryReading) -> Room:
    """Return what a reading leaves free; a card that does not tell its memory is left out."""
    cards = tuple(
        Card(gpu.name or f"GPU {gpu.index}", gpu.total_bytes or 0, gpu.free_bytes)
        for gpu in reading.gpus
        if gpu.free_bytes is not None
    )
    free = max(0, reading.ram_total_bytes - reading.ram_used_bytes)
    return Room(reading.ram_total_bytes, free, cards)


Engine = Literal["transformers", "llamacpp"]
Part = Literal["weights", "kv", "working", "cuda", "embedder", "reranker", "ocr"]

CUDA_CONTEXT_BYTES = 512 << 20
"""What CUDA, cuBLAS and their kernels take of a card that a process uses. An assumption: drivers
differ, and this project has measured none."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A language model as the planner sees it. ``file_bytes`` is set for a GGUF."""

    name: str
    engine: Engine
    shape: Shape
    file_bytes: int = 0
    layer_bytes: int = 0  # the file's largest layer; 0 = its header was not read
    wide: int = 2  # bytes of a number that is not quantised
    ram_factor: float = 1.0  # bytes of main memory for each byte of the file, by the engine

    def weights(self, precision: Precision | None) -> Weights:
        """Return the weights in a precision; ``None`` is the file's own."""
        if self.file_bytes or precision is None:
            return weights_of_file(
                round(self.ram_factor * self.file_bytes),
                self.shape,
                layer_bytes=round(self.ram_factor * self.layer_bytes),
            )
        return weights_of(self.shape, precision, wide=self.wide)


@dataclass(frozen=True, slots=True)
class Helpers:
    """What wants memory beside the language model, in bytes on a card and in main memory."""

    embedder_card: int = 0
    embedder_ram: int = 0
    reranker_card: int = 0
    reranker_ram: int = 0
    ocr_ram: int = 0  # text recognition always runs on the processor


@dataclass(frozen=True, slots=True)
class Layout:
    """``layers[i]`` layers lie on the i-th card, the rest in main memory."""

    precision: Precision | None
    context_tokens: int
    kv_bits: KvBits = 16
    layers: tuple[int, ...] = ()
    helpers_card: int | None = None  # the card that holds embedder and reranker; None = RAM

    @property
    def on_cards(self) -> int:
        """How many layers do not wait in main memory."""
        return sum(self.layers)


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """One memory and what it holds."""

    name: str  # of a card; "" = main memory
    parts: tuple[tuple[Part, int], ...]
    free_bytes: int
    limit_bytes: int  # what may be used of it

    @property
    def bytes(self) -> int:
        """All parts together."""
        return sum(size for _, size in self.parts)

    @property
    def fits(self) -> bool:
        """Whether they stay within the limit."""
        return self.bytes <= self.limit_bytes


def memory_uses(
    subject: Subject, layout: Layout, helpers: Helpers, cards: Sequence[Card], ram_free: int
) -> tuple[MemoryUse, ...]:
    """Return every card that is used, and the main memory, with what a layout puts there."""
    found = []
    for place, card in enumerate(cards):
        parts = tuple(_on_card(subject, layout, helpers, place))
        if parts:
            limit = max(0, card.free_bytes - reserve(card.total_bytes))
            found.append(MemoryUse(card.name, parts, card.free_bytes, limit))
    parts = tuple(_in_ram(subject, layout, helpers))
    return (*found, MemoryUse("", parts, ram_free, ram_free))


def working_bytes(subject: Subject, layout: Layout, *, on_card: bool) -> int:
    """Return the room that computing a piece of the prompt takes."""
    tokens = PREFILL_TOKENS[subject.engine]
    if subject.engine == "llamacpp" and not on_card:
        tokens = LLAMACPP_CPU_TOKENS
    tokens = min(tokens, layout.context_tokens)
    size = activation_bytes(
        subject.shape, tokens=tokens, precision=layout.precision, wide=subject.wide
    )
    if subject.engine == "llamacpp":  # its graph has room for the logits of every token
        size += 4 * tokens * subject.shape.vocabulary
    return size


def _on_card(
    subject: Subject, layout: Layout, helpers: Helpers, place: int
) -> Iterator[tuple[Part, int]]:
    layers = layout.layers[place] if place < len(layout.layers) else 0
    if layers:
        weights = subject.weights(layout.precision)
        yield "weights", weights.per_layer * layers + _outside(subject, layout, weights, place)
        yield "kv", round(_kv(subject, layout) * _kv_share(subject, layout, layers))
        yield "working", working_bytes(subject, layout, on_card=True)
    if layout.helpers_card == place:
        yield "embedder", helpers.embedder_card
        if helpers.reranker_card:
            yield "reranker", helpers.reranker_card
    if layers or layout.helpers_card == place:
        yield "cuda", CUDA_CONTEXT_BYTES


def _outside(subject: Subject, layout: Layout, weights: Weights, place: int) -> int:
    """Return the share of the table of words (first card) and of the output layer (last).

    llama.cpp leaves both in main memory unless every layer is on a card.
    """
    if subject.engine == "llamacpp" and layout.on_cards < subject.shape.layers:
        return 0
    used = [i for i, count in enumerate(layout.layers) if count]
    if subject.shape.tied:
        return weights.outside if place == used[0] else 0
    half = weights.outside // 2
    return half * ((place == used[0]) + (place == used[-1]))


def _kv(subject: Subject, layout: Layout) -> int:
    return kv_bytes_per_token(subject.shape, bits=layout.kv_bits) * layout.context_tokens


def _kv_share(subject: Subject, layout: Layout, layers: int) -> float:
    """Return the share of keys and values that lies beside so many layers.

    With transformers, layers that wait in main memory are computed on the card all the same.
    """
    whole = layout.on_cards if subject.engine == "transformers" else subject.shape.layers
    return layers / whole


def offloaded_bytes(subject: Subject, layout: Layout) -> int:
    """Return the weights that wait in main memory beside a card.

    bitsandbytes quantises nothing there: a layer of transformers waits in 16 bits.
    """
    left = subject.shape.layers - layout.on_cards
    weights = subject.weights("none")
    return weights.per_layer * left + (weights.outside if subject.engine == "llamacpp" else 0)


def _in_ram(subject: Subject, layout: Layout, helpers: Helpers) -> Iterator[tuple[Part, int]]:
    on_cards = layout.on_cards
    if not on_cards:
        yield "weights", subject.weights(layout.precision).total
        yield "kv", _kv(subject, layout)
        yield "working", working_bytes(subject, layout, on_card=False)
    elif on_cards < subject.shape.layers:
        yield "weights", offloaded_bytes(subject, layout)
        if subject.engine == "llamacpp":
            yield "kv", round(_kv(subject, layout) * (1 - on_cards / subject.shape.layers))
    if layout.helpers_card is None:
        yield "embedder", helpers.embedder_ram
        if helpers.reranker_ram:
            yield "reranker", helpers.reranker_ram
    if helpers.ocr_ram:
        yield "ocr", helpers.ocr_ram


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for; ``None`` leaves it to the planner."""

    precision: Precision | None = None
    context_tokens: int | None = None
    on_card: bool = True  # False: the settings say that the processor shall do it
    helpers_on_card: bool | None = None  # the embedder's own setting


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is loaded. ``fits`` is false where nothing that was tried fits."""

    subject: Subject
    layout: Layout
    memory_uses: tuple[MemoryUse, ...]
    fits: bool
    reasons: tuple[Text, ...]
    longest_context: int  # tokens that would fit in this layout, at most the model's own window
    tokens_per_second: float | None = None  # what the memory's bandwidth allows; None = unknown

    def question_bytes(self, tokens: int) -> int:
        """Return what a question of ``tokens``, its answer included, adds to a loaded model.

        llama.cpp has taken room for the whole window when it was loaded.
        """
        if self.subject.engine == "llamacpp":
            return 0
        asked = replace(self.layout, context_tokens=tokens)
        computing = working_bytes(self.subject, asked, on_card=bool(asked.on_cards))
        return _kv(self.subject, asked) + computing


PRECISIONS: dict[Precision | None, Text] = {
    "none": Text("16 bit", "16 位"),
    "int8": Text("int8", "int8"),
    "nf4": Text("NF4 (4 bit)", "NF4（4 位）"),
    None: Text("the file's own precision", "文件自身的精度"),
}
PARTS: dict[Part, Text] = {
    "weights": Text("weights", "权重"),
    "kv": Text("keys and values", "键值缓存"),
    "working": Text("room to compute", "计算空间"),
    "cuda": Text("CUDA", "CUDA"),
    "embedder": Text("embedder", "嵌入模型"),
    "reranker": Text("reranker", "重排模型"),
    "ocr": Text("text recognition", "文字识别"),
}
_RAM = Text("main memory", "内存")


def place_words(shelf: MemoryUse) -> Text:
    """Return the name of a memory."""
    return Text(shelf.name, shelf.name) if shelf.name else _RAM
