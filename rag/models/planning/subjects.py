"""From names and files to what the planner reckons with; which model is the default."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import ConfigError
from rag.models.catalogue import Entry
from rag.models.planning.plan import Card, Helpers, Layout, Subject, memory_uses
from rag.models.planning.planner import WANTED_CONTEXT
from rag.models.shape import Shape, config_of, header_of, shape_of_config, shape_of_gguf
from rag.system.environment import set_in, variable_of
from rag.text.messages import Text
from rag.text.sizes import file_size
from rag.types.gguf import Gguf

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.models.store import ModelStore
    from rag.types.hardware import MemoryReading


EMBEDDER_BATCH = 64
"""Passages that are embedded at once on a card, as ``embedder.batch`` has it by default."""
RERANKER_BATCH = 32
"""Pairs that a reranker reads at once on a card."""
PASSAGE_TOKENS = 256
"""A passage of the usual length with its prefix and special tokens."""
FLOAT32 = 4


def subject_of_entry(entry: Entry, installed: Path | None = None) -> Subject:
    """Return a model of the catalogue; by its own files where they are here.

    Raises:
        ConfigError: it is no model that answers.
        ModelError: its files are damaged.
    """
    if entry.kind != "generator" or entry.shape is None:
        raise ConfigError(
            Text(f"{entry.name} does not answer questions.", f"{entry.name} 不是用于回答的模型。"),
            hint=Text(
                "Name a model under “Answering” in `rag models list`.",
                "请指定 `rag models list` 中“回答”一栏的模型。",
            ),
        )
    if installed is not None:
        return subject_of_path(installed, name=entry.name)
    if entry.engine == "llamacpp":
        return Subject(entry.name, "llamacpp", entry.shape, file_bytes=entry.bytes)
    return Subject(entry.name, "transformers", entry.shape)


def subject_of_path(path: Path, *, name: str = "") -> Subject:
    """Return what stands at a path: a ``.gguf`` file, or a folder with a ``config.json``.

    Raises:
        ModelError: it is damaged, incomplete, or of a kind that the arithmetic does not know.
    """
    called = name or path.name
    if path.is_dir():
        return Subject(called, "transformers", shape_of_config(config_of(path), name=called))
    header = header_of(path)
    return Subject(
        called,
        "llamacpp",
        shape_of_gguf(header, name=called),
        file_bytes=header.file_bytes,
        layer_bytes=_largest_layer(header),
    )


def helpers_of(embedder: Entry | None, reranker: Entry | None = None) -> Helpers:
    """Return what the two take: float32 weights, and on a card room for a batch.

    On a processor they work on eight passages at a time.
    """
    return Helpers(
        embedder_card=_taken(embedder, EMBEDDER_BATCH),
        embedder_ram=_taken(embedder, EMBEDDER_BATCH // 8),
        reranker_card=_taken(reranker, RERANKER_BATCH),
        reranker_ram=_taken(reranker, EMBEDDER_BATCH // 8),
    )


def _taken(entry: Entry | None, batch: int) -> int:
    if entry is None:
        return 0
    return entry.loaded_bytes + (_activations(entry.shape, batch) if entry.shape else 0)


def _activations(shape: Shape, passages: int) -> int:
    """Return the numbers of the widest place of a layer of an encoder, in bytes."""
    widest = 4 * shape.hidden + 2 * shape.feed_forward
    return FLOAT32 * passages * PASSAGE_TOKENS * widest


def _largest_layer(header: Gguf) -> int:
    """Return the bytes of the largest ``blk.N``; quantisation gives some layers more bits."""
    layers: dict[str, int] = {}
    for tensor in header.tensors:
        block, number, *_ = f"{tensor.name}..".split(".")
        if block == "blk":
            layers[number] = layers.get(number, 0) + tensor.bytes
    return max(layers.values(), default=0)


CPU_GENERATOR = "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M"
"""Its bytes can be had from a package index too, and it is small: what the first start fetches."""
SMALL_GENERATOR = "Qwen2.5-Coder-0.5B-Instruct-Q4_K_M"

SMALL_RAM_BYTES = 4 << 30
"""Below this the 1.5B model, the embedder and a browser do not fit side by side."""

CARD_GENERATORS = {
    "Qwen3-14B": 14_000_000_000,  # and the embedder on the card: 16 and 24 GB
    "Qwen3-8B": 7_700_000_000,  # 8 GB, with the embedder on the processor, and 12 GB
    "Qwen2.5-7B-Instruct": 8_000_000_000,  # the default before Qwen3
    "Qwen3-4B": 4_500_000_000,  # 6 GB
}
"""The best first, in 4 bits, with the free memory of a card from which they are offered;
docs/decisions.md, "Better models where they can be had"."""
RAM_GENERATORS = {"Qwen3-8B-Q4_K_M": 14 << 30, "Qwen3-4B-Q4_K_M": 7 << 30}
"""The best first, with the main memory from which they are offered without a card: computers
that are sold with 16 and 8 GB, less what a graphics unit inside the processor takes."""
BUFFER_BYTES = 512 << 20
"""For models that write nothing: an allowance for activations and the runtime."""


def needs_bytes(entry: Entry) -> int:
    """Return the memory for weights in 4 bits, a usual context, and room to compute.

    On a graphics card if the engine is transformers, else in main memory. ``rag models fit``
    plans with what is free.
    """
    if entry.kind != "generator" or entry.shape is None:
        return entry.loaded_bytes + BUFFER_BYTES
    subject = subject_of_entry(entry)
    tokens = min(WANTED_CONTEXT, entry.context_tokens)
    if not needs_gpu(entry):
        found = memory_uses(subject, Layout(None, tokens), Helpers(), (), 0)
        return sum(shelf.bytes for shelf in found)
    layout = Layout("nf4", tokens, layers=(subject.shape.layers,))
    return memory_uses(subject, layout, Helpers(), (Card("", 0, 0),), 0)[0].bytes


def needs_gpu(entry: Entry) -> bool:
    """Tell whether a model is out of place without an NVIDIA graphics card."""
    return entry.kind == "generator" and entry.engine == "transformers"


def fits(entry: Entry, machine: MemoryReading) -> bool:
    """Tell whether a machine of that size can run the model."""
    if needs_gpu(entry):
        return needs_bytes(entry) <= (machine.vram_total_bytes or 0)
    return needs_bytes(entry) <= machine.ram_total_bytes


def embedded_generator(machine: MemoryReading) -> str:
    """Return the catalogue name of the small model that any first start can fetch."""
    return SMALL_GENERATOR if machine.ram_total_bytes < SMALL_RAM_BYTES else CPU_GENERATOR


def better_generators(machine: MemoryReading) -> list[str]:
    """Return the models that answer better than the embedded one and fit, the best first.

    Never one that needs a publisher's permission.
    """
    free = (machine.vram_total_bytes or 0) - (machine.vram_used_bytes or 0)
    on_card = [name for name, least in CARD_GENERATORS.items() if least <= free]
    total = machine.ram_total_bytes
    return on_card + [name for name, least in RAM_GENERATORS.items() if least <= total]


def default_generator(machine: MemoryReading, installed: Callable[[str], bool]) -> str:
    """Return which model answers on a machine with so much free memory, if nobody chose one.

    The best that fits and is ``installed``, else the embedded one: gigabytes are fetched only
    when somebody asks for them.
    """
    here = (name for name in better_generators(machine) if installed(name))
    return next(here, embedded_generator(machine))


def offer(settings: Settings, store: ModelStore, machine: MemoryReading) -> Entry | None:
    """Return the model that would answer better here and could be fetched; often ``None``.

    Nothing is asked of the network. Who named a model or a server is offered nothing.
    """
    chosen = settings.generator
    if (chosen.engine, chosen.model) != ("auto", "auto") or chosen.server() is not None:
        return None
    best = next(iter(better_generators(machine)), None)
    if best is None or store.installed(best) is not None:
        return None
    entry = store.catalogue.get(best)
    return entry if store.may_fetch(entry) else None


def offer_words(entry: Entry) -> Text:
    """Return an offer in words, with what it costs and the command that takes it."""
    size, command = file_size(entry.download_bytes), f"rag models pull {entry.name}"
    return Text(
        f"{entry.name} would answer better on this computer: `{command}` fetches it ({size}), and"
        " the next start uses it.",
        f"{entry.name} 在这台电脑上回答得更好：运行 `{command}` 下载（{size}），下次启动时使用。",
    )


def set_model(path: Path, section: str, name: str) -> None:
    """Change one key of the settings file; every other line stays as it is.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or cannot be written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(path.read_text("utf-8") if path.is_file() else "")
        if section not in document:
            document.add(section, tomlkit.table())
        document[section]["model"] = name  # type: ignore[index]  # a table, or the next line says
        draft = path.with_name(f"{path.name}.tmp")
        draft.write_text(tomlkit.dumps(document), "utf-8")
        draft.replace(path)
    except (OSError, UnicodeDecodeError, TOMLKitError, TypeError) as error:
        raise ConfigError(
            Text(f"{path} cannot be changed: {error}.", f"无法修改 {path}：{error}。"),
            hint=Text(
                f'Set it by hand: [{section}] model = "{name}"',
                f'请手动设置：[{section}] model = "{name}"',
            ),
        ) from error


def notes(entry: Entry, store: ModelStore, settings: Settings) -> list[Text]:
    """Return what a person should know after the choice."""
    found = []
    section, size = entry.kind, file_size(entry.download_bytes)
    if set_in(os.environ, key := f"{section}.model") is not None:
        variable = variable_of(key)
        found.append(
            Text(
                f"But {variable} is set in the environment, and it wins.",
                f"注意：环境变量 {variable} 已设置，优先于设置文件。",
            )
        )
    if section == "generator" and settings.generator.url:
        found.append(
            Text(
                "But generator.url is set: the server there answers, and is asked for this name.",
                "注意：generator.url 已设置，回答的是该服务器，会向它请求这个名称。",
            )
        )
    if store.installed(entry.name) is None:
        found.append(
            Text(
                f"It is not on this computer yet: `rag models pull {entry.name}` fetches it"
                f" ({size}), or the next start does.",
                f"本机还没有该模型：运行 `rag models pull {entry.name}` 下载"
                f"（{size}），或在下次启动时自动下载。",
            )
        )
    return [*found, *_meaning(entry, settings)]


def _meaning(entry: Entry, settings: Settings) -> list[Text]:
    """Return what choosing a model of this kind means for the library."""
    if entry.kind == "embedder":
        return [
            Text(
                "Run `rag rebuild`: until then the index that there is goes on being used.",
                "请运行 `rag rebuild`；在此之前继续使用现有索引。",
            )
        ]
    if entry.kind == "reranker":
        passages = settings.reranker.passages
        return [
            Text(
                f"It reads {passages} passages for each question (without a graphics card that "
                'takes time); reranker.model = "" switches it off.',
                f"每个问题它会读 {passages} 个段落（没有显卡时较慢）；"
                "把 reranker.model 设为空即可关闭。",
            )
        ]
    return []
