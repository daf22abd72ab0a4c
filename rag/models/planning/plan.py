"""A plan: how a model is loaded on a machine, what that takes, and why."""

from __future__ import annotations

from dataclasses import dataclass

from rag.models.planning.layout import Engine, Layout, MemoryUse, Subject, working_bytes
from rag.models.shape import Precision, kv_bytes_per_token
from rag.text.messages import Text


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for; ``None`` leaves it to the planner."""

    precision: Precision | None = None
    context_tokens: int | None = None
    on_card: bool = True  # False: the settings say that the processor shall do it
    helpers_on_card: bool | None = None  # the embedder's own setting
    kv_8bit: bool = False  # whether the engine can keep keys and values in 8 bits


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

    @property
    def model(self) -> str:
        """The model's name."""
        return self.subject.name

    @property
    def engine(self) -> Engine:
        """What runs it."""
        return self.subject.engine

    @property
    def layers_on_cards(self) -> int:
        """How many layers do not wait in main memory."""
        return sum(self.layout.layers)

    @property
    def bytes(self) -> int:
        """Everything, wherever it lies."""
        return sum(shelf.bytes for shelf in self.memory_uses)

    def question_bytes(self, tokens: int) -> int:
        """Return what a question of ``tokens``, its answer included, adds to a loaded model.

        llama.cpp has taken room for the whole window when it was loaded.
        """
        if self.engine == "llamacpp":
            return 0
        kept = kv_bytes_per_token(self.subject.shape, bits=self.layout.kv_bits) * tokens
        on_card = bool(self.layers_on_cards)
        room = Layout(self.layout.precision, tokens, self.layout.kv_bits, self.layout.layers)
        return kept + working_bytes(self.subject, room, on_card=on_card)
