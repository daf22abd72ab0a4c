"""From settings to a plan: what is to be loaded, what may be used for it, and how it is loaded.

The arithmetic is in ``rag.models``; here it meets the settings and this machine.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.app.engine_choice import (
    LLAMACPP,
    OPENVINO,
    OPENVINO_MEMORY,
    EngineMemory,
    why_not_compared,
)
from rag.app.registry import ECHO, URL
from rag.errors import ConfigError, OutOfMemory, RagError
from rag.generation.openvino_copy import has_copy
from rag.models.catalogue import load_catalogue
from rag.models.planning.gpu_guide import Gpu, Guide, Outlook, load_guide, outlook, with_bandwidth
from rag.models.planning.plan import Card, Helpers, Plan, Room, Subject, Wishes, room_of
from rag.models.planning.planner import WANTED_CONTEXT, plan
from rag.models.planning.subjects import (
    default_generator,
    helpers_of,
    offer,
    offer_words,
    subject_of_entry,
    subject_of_path,
)
from rag.models.shape import Precision as Wished
from rag.text.messages import Text
from rag.text.sizes import GIB
from rag.types.hardware import OnCards, Placement, Precision

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.models.store import ModelStore
    from rag.types.hardware import MemoryReading


logger = logging.getLogger(__name__)

Reading = Callable[[], "MemoryReading"]
_MODEL = ("weights", "kv", "working")
OCR_PROCESS_BYTES = 510_000_000
"""A process that has recognised two pages (measured); there are at most ``ingest.workers``."""

COMPARED = ("Qwen3-8B", "Qwen3-14B", "Llama-2-13b-chat")
"""Models for which the card matters; as many as stand side by side in 80 columns."""

SAVED = "prepared"
"""Below the folder of models: weights in 4 bits, made at the first load."""
_PRECISIONS: dict[str, Precision] = {"none": "auto", "int8": "int8", "nf4": "nf4"}
"""What the planner calls 16 bit is whatever 16-bit format the card computes best."""


def subject_named(store: ModelStore, name: str) -> Subject:
    """Return a model by its name in the catalogue or by its path.

    Raises:
        RagError: there is none, it does not answer questions, or it is damaged.
    """
    if entry := store.catalogue.find(name):
        return subject_of_entry(entry, store.installed(entry.name))
    return subject_of_path(store.resolve(name))


@dataclass(frozen=True, slots=True)
class ChosenGenerator:
    """Which model answers, through which engine; ``path`` if the user named one."""

    model: str
    engine: str
    path: Path | None = None

    @property
    def named(self) -> str:
        """The path if there is one, else the name in the catalogue."""
        return str(self.path or self.model)


def free_room(reading: MemoryReading) -> Room:
    """Return the memory that is free now, with what is known of this machine's cards."""
    return with_bandwidth(room_of(reading))


def room_with(
    reading: MemoryReading, *, gpus: Sequence[str], sizes: Sequence[float], ram: float | None
) -> Room:
    """Return the memory to plan with: named cards and sizes in GiB, or this machine's as it is.

    Raises:
        ConfigError: a size is not larger than 0, or the guide knows no such card.
    """
    if any(size <= 0 for size in [*sizes, *([ram] if ram is not None else [])]):
        raise ConfigError(
            Text("A memory is larger than 0 GiB.", "内存或显存必须大于 0 GiB。"),
            hint=Text("For example: --vram 24", "例如：--vram 24"),
        )
    here = free_room(reading)
    cards: tuple[Card, ...] = here.cards
    if gpus or sizes:
        named = [load_guide().get(gpu).card() for gpu in gpus]
        cards = (*named, *(Card.of_size(size) for size in sizes))
    if ram is None:
        return Room(here.ram_total_bytes, here.ram_free_bytes, cards)
    return Room(round(ram * GIB), round(ram * GIB), cards)


def own_card(read: MemoryReading, guide: Guide) -> Gpu | None:
    """Return this machine's first card, if it has one that the guide knows."""
    if read.gpu_name is None:
        return None
    return guide.find(read.gpu_name, total_bytes=read.vram_total_bytes)


def outlooks(
    settings: Settings, store: ModelStore, guide: Guide, name: str | None
) -> list[list[Outlook]]:
    """Return what cards would do with models: a row for each card, all with the same models.

    ``name`` is a model (on every card) or a card (with every model); ``None`` takes every card
    and the models of ``COMPARED``.

    Raises:
        RagError: there is no such card or model.
    """
    entries = [e for e in store.catalogue if e.kind == "generator"]
    cards: Sequence[Gpu] = guide.gpus
    if name is None:
        subjects = [subject_of_entry(store.catalogue.get(larger)) for larger in COMPARED]
    elif card := _card_named(store, guide, name):
        cards, subjects = [card], [subject_of_entry(e) for e in entries]
    else:
        subjects = [subject_named(store, name)]
    beside, wanted = helpers(settings), wishes(settings)
    return [[outlook(gpu, subject, beside, wanted) for subject in subjects] for gpu in cards]


def _card_named(store: ModelStore, guide: Guide, name: str) -> Gpu | None:
    """Return a card unless a model or a path is called so.

    Raises:
        ConfigError: it looks like a card's name, and there is none.
    """
    if store.catalogue.find(name) or Path(name).expanduser().exists():
        return None
    if name.lower().startswith(("rtx", "gtx", "geforce", "nvidia", "tesla")):
        return guide.get(name)
    return guide.find(name)


def helpers(settings: Settings) -> Helpers:
    """Return what the settings' other models and text recognition take beside the language model.

    A reranker that is to stay on the CPU takes nothing of a card.
    """
    catalogue = load_catalogue()
    reranker = catalogue.find(settings.reranker.model) if settings.reranker.model else None
    found = helpers_of(catalogue.find(settings.embedder.model), reranker)
    if settings.reranker.device == "cpu":
        found = replace(found, reranker_card=0)
    if settings.ingest.ocr == "off":
        return found
    return replace(found, ocr_ram=settings.ingest.workers * OCR_PROCESS_BYTES)


def wishes(settings: Settings) -> Wishes:
    """Return what the settings leave to the planner, and what not."""
    chosen, embedder = settings.generator, settings.embedder
    context = chosen.context_tokens
    return Wishes(
        precision=_wished(chosen.quantization),
        context_tokens=None if context == "auto" else context,
        on_card=chosen.device != "cpu",
        helpers_on_card=False if embedder.device == "cpu" or embedder.engine == "onnx" else None,
    )


def _wished(quantization: str) -> Wished | None:
    """Return what the planner makes of the setting: 16 bit for all that is not quantized."""
    if quantization == "auto":
        return None
    return "int8" if quantization == "int8" else "nf4" if quantization == "nf4" else "none"


def plan_for(settings: Settings, subject: Subject, room: Room) -> Plan:
    """Return how a model is loaded with these settings into that memory."""
    if settings.generator.quantization == "fp32":
        subject = replace(subject, wide=4)
    return plan(subject, room, helpers=helpers(settings), wishes=wishes(settings))


def fitting(settings: Settings, room: Room, *, but: str = "") -> list[str]:
    """Return the models of the catalogue that fit, the largest first."""
    found = []
    for entry in load_catalogue():
        if entry.kind == "generator" and entry.name != but:
            subject = subject_of_entry(entry)
            planned = plan_for(settings, subject, room)
            if planned.fits and planned.layout.on_cards in {0, subject.shape.layers}:
                found.append((subject.shape.weights, entry.name))
    return [name for _, name in sorted(found, reverse=True)]


def placement_of(found: Plan) -> Placement:
    """Return what the transformers engine loads by."""
    layout = found.layout
    precision = _PRECISIONS.get(layout.precision or "", "auto")
    return Placement(precision, layout.context_tokens, layout.layers, layout.kv_bits)


def _on_cards(found: Plan) -> OnCards | None:
    """Return how llama.cpp is to divide a model; ``None`` where no card takes a part."""
    layers = found.layout.layers
    if not any(layers):
        return None
    return OnCards(layers, sum(layers) == found.subject.shape.layers, found.layout.kv_bits)


class ModelPlans:
    """The plans of one run, each made once: free memory counts before anything is loaded."""

    def __init__(
        self,
        settings: Settings,
        store: Callable[[], ModelStore],
        reading: Reading,
        *,
        engines: EngineMemory | None = None,
    ) -> None:
        """``reading`` gives the machine's memory as it is now.

        ``engines`` remembers which engine was faster here; ``None`` is that of this user.
        """
        self.engines = engines or EngineMemory()
        self._settings = settings
        self._store = store
        self._reading = reading
        self._room: Room | None = None
        self._made: dict[str, Plan | None] = {}
        self._unchosen = ""  # the model, once it is known
        self._guard = threading.RLock()  # a plan asks which model nobody chose
        self.loaded: Plan | None = None
        """By which the model was loaded that answers; ``None`` where nothing could be computed."""

    def of(self, name: str) -> Plan | None:
        """Return how a model is to be loaded; ``None`` where nothing can be computed for it."""
        with self._guard:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]

    def options(self, name: str, engine: str) -> dict[str, Any]:
        """Return what an engine is given by its ``load``, with nothing left "auto".

        Raises:
            OutOfMemory: there is no room for the model, however it is loaded.
        """
        settings, found = self._settings, self.of(name)
        if found is not None and self._room is not None and hopeless(found, self._room):
            raise too_large(settings, found, self._room)
        self.loaded = found
        chosen, layout = settings.generator, found.layout if found else None
        window = chosen.context_tokens
        if window == "auto":  # in main memory the window was never the planner's to cut
            window = layout.context_tokens if layout and layout.layers else WANTED_CONTEXT
        if engine == OPENVINO:
            return {"context_tokens": window, "threads": chosen.threads}
        if engine == LLAMACPP:
            cards = _on_cards(found) if found else None
            return {"context_tokens": window, "threads": chosen.threads, "cards": cards}
        precision = chosen.quantization
        if precision == "auto":
            precision = (layout.precision if layout else None) or "nf4"
        return {
            "context_tokens": window,
            "quantization": precision,
            "device": chosen.device,
            "guess": chosen.guess,
            "placement": replace(
                placement_of(found) if found and found.layout.layers else Placement("auto", window),
                saved_in=settings.models.folder / SAVED,
            ),
        }

    def offer(self) -> Text | None:
        """Return what would answer better here, in words; ``None`` where nothing would."""
        found = offer(self._settings, self._store(), self._reading())
        return offer_words(found) if found else None

    def chosen(self) -> ChosenGenerator:
        """Return which model answers, by the settings and by what this machine is.

        Raises:
            UnknownModel: the settings name no model and no path.
            ConfigError: the settings name a server that may not be asked.
        """
        generator, store = self._settings.generator, self._store()
        if ECHO in {generator.engine, generator.model}:
            return ChosenGenerator(ECHO, ECHO)
        if (address := generator.server()) is not None:
            return ChosenGenerator(f"{generator.model} @ {address.shown}", URL)
        name = generator.model
        if name == "auto":
            name = self._default(store)
        entry = store.catalogue.find(name)
        if entry is not None:
            engine: str = entry.engine if generator.engine == "auto" else generator.engine
            if generator.engine == "auto" and engine == LLAMACPP:
                engine = self._faster(store.installed(entry.name))
            return ChosenGenerator(entry.name, engine)
        path = store.resolve(name)
        engine = OPENVINO if generator.engine == OPENVINO else self._faster(path)
        return ChosenGenerator(path.name, engine if path.is_file() else "transformers", path)

    def _faster(self, path: Path | None) -> str:
        """Return the engine that was faster for a GGUF, where it may be used; else llama.cpp."""
        if path is None or not path.is_file() or not self._on_cpu() or why_not_compared(path):
            return LLAMACPP
        found = self.engines.of(path)
        if found is None or found.fastest != OPENVINO or not has_copy(path):
            return LLAMACPP
        free = self._first_room().ram_free_bytes
        beside = helpers(self._settings)
        need = round(OPENVINO_MEMORY * path.stat().st_size) + beside.embedder_ram
        if need > free:
            logger.info("OpenVINO needs %d bytes, %d are free: llama.cpp is used", need, free)
            return LLAMACPP
        return OPENVINO

    def to_compare(self) -> Path | None:
        """Return the GGUF that answers if it is not known here which engine is faster for it."""
        if self._settings.generator.engine != "auto":
            return None
        chosen = self.chosen()
        path = self.file_of(chosen)
        if chosen.engine != LLAMACPP or path is None or not self._on_cpu():
            return None
        if why := why_not_compared(path):
            logger.info("%s is run by llama.cpp: %s", path.name, why)
            return None
        known = self.engines.of(path)
        lost = known is not None and known.fastest == OPENVINO and not has_copy(path)
        return path if known is None or lost else None

    def file_of(self, chosen: ChosenGenerator) -> Path | None:
        """Return the file that is loaded; ``None`` for a folder, or what is not here yet."""
        path = chosen.path or self._store().installed(chosen.model)
        return path if path is not None and path.is_file() else None

    def _on_cpu(self) -> bool:
        """Whether no card takes a part of a GGUF."""
        return not self._first_room().cards

    def _first_room(self) -> Room:
        """Return what was free when it was first asked for: before anything was loaded."""
        if self._room is None:
            self._room = free_room(self._reading())
        return self._room

    def _runs_openvino(self, name: str) -> bool:
        """Tell whether that is the model that answers, through OpenVINO."""
        try:
            chosen = self.chosen()
        except RagError:
            return False
        return chosen.engine == OPENVINO and chosen.named == name

    def _default(self, store: ModelStore) -> str:
        """Return which model nobody chose; the same all the run, whatever it takes by then."""
        with self._guard:
            if not self._unchosen:
                self._unchosen = default_generator(
                    self._reading(), lambda name: store.installed(name) is not None
                )
            return self._unchosen

    def helper_device(self, wanted: str) -> str:
        """Return where embedder or reranker works: where its setting says, else by the plan."""
        if wanted != "auto":
            return wanted
        try:
            found = self.of(self.chosen().named)
        except RagError:  # told when the model is loaded; searching goes on without it
            return "auto"
        if found is None or not found.fits or not found.layout.layers:
            return "auto"
        return "cpu" if found.layout.helpers_card is None else "auto"

    def _make(self, name: str) -> Plan | None:
        store = self._store()
        try:
            entry = store.catalogue.find(name)
            subject = subject_of_entry(entry) if entry else subject_of_path(store.resolve(name))
        except RagError as error:
            logger.info("no plan for %s: %s", name, error.message.en)
            return None
        if self._runs_openvino(name):
            subject = replace(subject, ram_factor=OPENVINO_MEMORY)
        found = plan_for(self._settings, subject, self._first_room())
        for reason in found.reasons:
            logger.info("%s: %s", name, reason.en)
        return found


def too_large(settings: Settings, found: Plan, room: Room) -> OutOfMemory:
    """Return the failure of a model for which there is no room, with those that fit."""
    names = ", ".join(fitting(settings, room, but=found.subject.name)[:2])
    why = found.reasons[-1]
    return OutOfMemory(
        why,
        hint=Text(
            f"Choose a smaller model ({names}), or close other programs; `rag models fit` shows"
            " the arithmetic."
            if names
            else "Close other programs, or choose a smaller model; `rag models fit` shows the"
            " arithmetic.",
            f"请选择较小的模型（{names}），或关闭其他程序；`rag models fit` 会列出计算过程。"
            if names
            else "请关闭其他程序，或选择较小的模型；`rag models fit` 会列出计算过程。",
        ),
    )


def hopeless(found: Plan, room: Room) -> bool:
    """Tell whether loading must fail: on cards by the plan, else by all the memory there is.

    Without a card only the model itself counts: what stands beside it comes and goes.
    """
    if found.fits:
        return False
    own = sum(size for shelf in found.memory_uses for part, size in shelf.parts if part in _MODEL)
    return bool(found.layout.layers) or own > room.ram_total_bytes
