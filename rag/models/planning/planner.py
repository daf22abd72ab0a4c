"""Chooses how a model is loaded: the best of what fits into the memory that is free.

There is no table of cards: every layout is computed from the model's own sizes, the best first,
and the first that fits is taken. What did not fit is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rag.models.planning.plan import (
    Card,
    Helpers,
    Layout,
    MemoryUse,
    Plan,
    Room,
    Subject,
    Wishes,
    chosen_words,
    memory_uses,
    misfit,
    nothing_fits,
    speed_words,
)
from rag.models.shape import Precision, kv_bytes_per_token
from rag.text.messages import Text
from rag.types.hardware import KvBits

WANTED_CONTEXT = 4096
"""Rules, five passages, a history and an answer are some 2,500 tokens; questions about whole
documents read in groups and are done in fewer steps with more."""
LEAST_CONTEXT = 2048
"""Below this the passages no longer fit beside an answer: rather wait than leave them out."""
STEP = 256
AUTOMATIC: tuple[Precision, ...] = ("none", "nf4")
"""Best first. int8 only on request: bitsandbytes' own benchmark has it at 15 tokens/s where NF4
with double quantisation does 39 (Qwen2.5-14B, RTX 4090, its release 0.45), in twice the memory."""


Attempt = tuple[Layout, bool]
"""A layout, and whether it is worth saying that it did not fit."""


def plan(
    subject: Subject, room: Room, *, helpers: Helpers | None = None, wishes: Wishes | None = None
) -> Plan:
    """Return how to load a model; nothing is loaded and no weight is read."""
    chooser = _Chooser(subject, room, helpers or Helpers(), wishes or Wishes())
    reasons: list[Text] = []
    last: Layout | None = None
    for layout, tell in chooser.attempts():
        found = chooser.memory_uses(layout)
        last = layout
        if all(shelf.fits for shelf in found):
            return chooser.plan(layout, found, reasons, fits=True)
        if tell:
            reasons.append(misfit(subject, layout, found, chooser.context))
    assert last is not None
    return chooser.plan(last, chooser.memory_uses(last), reasons, fits=False)


@dataclass(frozen=True)
class _Chooser:
    """Walks from the best layout to the least."""

    subject: Subject
    room: Room
    helpers: Helpers
    wishes: Wishes

    @property
    def cards(self) -> tuple[Card, ...]:
        return self.room.cards if self.wishes.on_card else ()

    @property
    def context(self) -> int:
        return min(self.wishes.context_tokens or WANTED_CONTEXT, self.subject.shape.window)

    def memory_uses(self, layout: Layout) -> tuple[MemoryUse, ...]:
        return memory_uses(self.subject, layout, self.helpers, self.cards, self.room.ram_free_bytes)

    def plan(
        self, layout: Layout, found: tuple[MemoryUse, ...], reasons: list[Text], *, fits: bool
    ) -> Plan:
        said = (self.subject, layout, found, self.context)
        words = chosen_words(*said, len(self.cards)) if fits else [nothing_fits(*said)]
        speed = self._speed(layout) if fits else None
        return Plan(
            subject=self.subject,
            layout=layout,
            memory_uses=found,
            fits=fits,
            reasons=(*reasons, *words, *([speed_words(speed)] if speed else [])),
            longest_context=self._longest(layout) if fits else 0,
            tokens_per_second=speed,
        )

    # -- from best to least ------------------------------------------------------------------

    def attempts(self) -> Iterator[Attempt]:
        if not self.cards:
            yield from self._without_cards()
            return
        precisions = self._precisions()
        for precision in precisions[:-1]:
            yield from self._whole(precision, helpers=True)
        least = precisions[-1]
        yield from self._whole(least, helpers=True)
        yield from self._whole(least, helpers=False)
        if self.subject.engine == "llamacpp":
            yield from self._partly(least, self.context)
            yield from self._without_cards()
            return
        yield from self._whole(least, helpers=False, kv_bits=8)
        yield from self._shorter(least)
        yield from self._partly(least, min(self.context, LEAST_CONTEXT))

    def _precisions(self) -> tuple[Precision | None, ...]:
        if self.subject.engine == "llamacpp":
            return (None,)
        return (self.wishes.precision,) if self.wishes.precision else AUTOMATIC

    def _without_cards(self) -> Iterator[Attempt]:
        """On a processor the precision stays what it is by default: 4 bits."""
        own: Precision | None = self.wishes.precision or "nf4"
        precision = None if self.subject.engine == "llamacpp" else own
        for context in self._contexts():
            yield Layout(precision, context), context == self.context

    def _whole(
        self, precision: Precision | None, *, helpers: bool, kv_bits: KvBits = 16
    ) -> Iterator[Attempt]:
        """All layers on one card, else on several; the helpers on a card or in main memory."""
        if helpers and not self._helpers_may:
            return
        for spread in self._spreads(precision, kv_bits):
            base = Layout(precision, self.context, kv_bits, spread)
            places = self._helper_places(spread) if helpers else [None]
            for place in places:
                yield replace(base, helpers_card=place), place == places[-1]

    @property
    def _helpers_may(self) -> bool:
        return self.helpers.embedder_card > 0 and self.wishes.helpers_on_card is not False

    def _helper_places(self, spread: tuple[int, ...]) -> list[int]:
        """Beside a model a helper is nearest; then on whichever card has the most room."""
        free = sorted(range(len(self.cards)), key=lambda i: -self.cards[i].free_bytes)
        empty = [i for i in free if i >= len(spread) or not spread[i]]
        return empty + [i for i in free if i not in empty]

    def _spreads(self, precision: Precision | None, kv_bits: KvBits) -> Iterator[tuple[int, ...]]:
        """Every card alone, the one with the most free memory first; then all together."""
        total = self.subject.shape.layers
        best = max(range(len(self.cards)), key=lambda i: self.cards[i].free_bytes)
        yield tuple(total if i == best else 0 for i in range(len(self.cards)))
        if len(self.cards) > 1:
            yield self._filled(Layout(precision, self.context, kv_bits), total)

    def _filled(self, layout: Layout, wanted: int) -> tuple[int, ...]:
        """Deal layers out one by one, each to the card with the most room left."""
        weights = self.subject.weights(layout.precision)
        kept = kv_bytes_per_token(self.subject.shape, bits=layout.kv_bits) * layout.context_tokens
        each = weights.per_layer + kept // self.subject.shape.layers
        left = [card.free_bytes for card in self.cards]
        counts = [0] * len(left)
        for _ in range(wanted):
            most = max(range(len(left)), key=lambda i: left[i])
            counts[most] += 1
            left[most] -= each
        return tuple(counts)

    def _contexts(self) -> list[int]:
        least = min(self.context, LEAST_CONTEXT)
        return [self.context, *range(self.context // STEP * STEP - STEP, least - 1, -STEP)]

    def _shorter(self, precision: Precision | None) -> Iterator[Attempt]:
        for context in self._contexts()[1:]:
            for spread in self._spreads(precision, 8):
                yield Layout(precision, context, 8, spread), False

    def _partly(self, precision: Precision | None, context: int) -> Iterator[Attempt]:
        """As many layers on the cards as fit, the rest in main memory."""
        for layers in range(self.subject.shape.layers - 1, 0, -1):
            base = Layout(precision, context)
            yield replace(base, layers=self._filled(base, layers)), layers == 1

    # -- what becomes of a choice ------------------------------------------------------------

    def _longest(self, layout: Layout) -> int:
        """Return the longest context with which this layout still fits."""
        low, high = layout.context_tokens, self.subject.shape.window
        while low + STEP <= high:
            middle = (low + high + STEP) // 2 // STEP * STEP
            longer = replace(layout, context_tokens=middle)
            if all(shelf.fits for shelf in self.memory_uses(longer)):
                low = middle
            else:
                high = middle - STEP
        return low

    def _speed(self, layout: Layout) -> float | None:
        """Return tokens a second if only memory counted: every weight is read once a token.

        Only where all is on cards whose bandwidth is known; the cards take turns.
        """
        used = [(c, n) for c, n in zip(self.cards, layout.layers, strict=False) if n]
        whole = layout.on_cards == self.subject.shape.layers
        if not whole or not all(card.bandwidth for card, _ in used):
            return None
        total = self.subject.weights(layout.precision).read_per_token
        share = total / self.subject.shape.layers
        return 1 / sum(share * count / card.bandwidth for card, count in used)
