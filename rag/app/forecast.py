"""What the next question will cost, before it is sent: tokens, memory, and whether it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.errors import RagError
from rag.generation.prompt import build_messages
from rag.models.planning.room import reserve

if TYPE_CHECKING:
    from rag.app.model_plans import ModelPlans
    from rag.config import Settings
    from rag.models.planning.plan import Plan
    from rag.protocols import TextGenerator
    from rag.types.answers import Usage
    from rag.types.hardware import MemoryReading


@dataclass(frozen=True, slots=True)
class Forecast:
    """An estimate for a question of the usual kind. ``bytes`` 0: all room is taken already."""

    tokens: int  # of the prompt: rules, passages, history
    window: int  # what the model reads at most, its answer included
    bytes: int
    fits: bool


class Forecaster:
    """Estimates from what is loaded. Cheap: only the rules are counted, once for each model."""

    def __init__(self, settings: Settings, plans: ModelPlans) -> None:
        self._settings = settings
        self._plans = plans
        self._rules: dict[str, int] = {}

    def next_question(
        self, model: TextGenerator | None, reading: MemoryReading, last: Usage | None
    ) -> Forecast | None:
        """Return what a question of ``retrieve.k`` passages costs; ``None`` without a model here.

        A chat that goes on costs what its last question did, at least.
        """
        if model is None or self._settings.generator.asked_server() is not None:
            return None
        rules = self._counted(model)
        if rules is None:
            return None
        settings = self._settings
        passages = settings.retrieve.k * settings.chunk.tokens
        answer = settings.generator.max_tokens
        tokens = max(rules + passages, last.prompt_tokens if last else 0)
        tokens = min(tokens, max(0, model.context_tokens - answer))
        plan = self._plans.loaded
        size = plan.question_bytes(tokens + answer) if plan else 0
        return Forecast(tokens, model.context_tokens, size, size <= _room(plan, reading))

    def _counted(self, model: TextGenerator) -> int | None:
        if model.name not in self._rules:
            try:
                self._rules[model.name] = model.count_tokens(build_messages("?", ()))
            except RagError:  # it is being unloaded
                return None
        return self._rules[model.name]


def _room(plan: Plan | None, reading: MemoryReading) -> int:
    """Return the memory that a question may take: of the cards that hold layers, or main memory."""
    layers = plan.layout.layers if plan else ()
    free = [
        max(0, gpu.free_bytes - reserve(gpu.total_bytes or 0))
        for place, gpu in enumerate(reading.gpus)
        if place < len(layers) and layers[place] and gpu.free_bytes is not None
    ]
    return sum(free) if free else max(0, reading.ram_total_bytes - reading.ram_used_bytes)
