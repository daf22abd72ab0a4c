"""Chooses how a model is loaded: the best of what fits into the memory that is free.

There is no table of cards: every layout is computed from the model's own sizes, the best first,
and the first that fits is taken. What did not fit is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rag.models.planning.plan import (
    PARTS,
    PRECISIONS,
    Card,
    Helpers,
    Layout,
    MemoryUse,
    Plan,
    Room,
    Subject,
    Wishes,
    memory_uses,
    offloaded_bytes,
    place_words,
)
from rag.models.shape import Precision, kv_bytes_per_token
from rag.text.messages import Text
from rag.text.sizes import memory_size
from rag.types.hardware import KvBits

WANTED_CONTEXT = 4096
"""Rules, five passages, a history and an answer are some 2,500 tokens; questions about whole
documents read in groups and are done in fewer steps with more."""
LEAST_CONTEXT = 2048
"""Below this the passages no longer fit beside an answer: rather wait than leave them out."""
STEP = 256
FEWER_BITS: KvBits = 8
"""Of keys and values, where 16 do not fit."""
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
            reasons.append(chooser.misfit(layout, found))
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
        words = self._chosen(layout, found) if fits else [self._nothing_fits(layout, found)]
        speed = self._speed(layout) if fits else None
        return Plan(
            subject=self.subject,
            layout=layout,
            memory_uses=found,
            fits=fits,
            reasons=(*reasons, *words, *([_speed_words(speed)] if speed else [])),
            longest_context=self._longest(layout) if fits else 0,
            tokens_per_second=speed,
        )

    # -- from best to least ------------------------------------------------------------------

    def attempts(self) -> Iterator[Attempt]:
        if not self.cards:
            yield from self._without_cards()
            return
        precisions = self._precisions()
        for precision in precisions:
            yield from self._whole(precision, helpers=True)
        least = precisions[-1]
        yield from self._whole(least, helpers=False)
        if self.subject.engine == "llamacpp":
            yield from self._partly(least, self.context)
            yield from self._without_cards()
            return
        yield from self._whole(least, helpers=False, kv_bits=FEWER_BITS)
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
        """The card with the most free memory alone; then all together."""
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
            for spread in self._spreads(precision, FEWER_BITS):
                yield Layout(precision, context, FEWER_BITS, spread), False

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

    # -- what is said of it -------------------------------------------------------------------

    def misfit(self, layout: Layout, found: tuple[MemoryUse, ...]) -> Text:
        """Say what did not fit."""
        what = self._arrangement(layout)
        worst = max(found, key=lambda shelf: shelf.bytes - shelf.limit_bytes)
        need, there = memory_size(worst.bytes), memory_size(worst.limit_bytes)
        return Text(
            f"{what.en}: no, {need} needed, {there} there.",
            f"{what.zh}：不行，需要 {need}，可用 {there}。",
        )

    def _nothing_fits(self, layout: Layout, found: tuple[MemoryUse, ...]) -> Text:
        """Say that nothing was found, and what is missing at the least."""
        short = sum(max(0, shelf.bytes - shelf.limit_bytes) for shelf in found)
        what = self._arrangement(layout)
        return Text(
            f"{self.subject.name} does not fit: even {what.en} lacks {memory_size(short)}.",
            f"{self.subject.name} 放不下：即使采用{what.zh}，仍缺 {memory_size(short)}。",
        )

    def _chosen(self, layout: Layout, found: tuple[MemoryUse, ...]) -> list[Text]:
        """Say what was chosen, and what each memory then holds."""
        what = self._arrangement(layout)
        words = [Text(f"{what.en}: yes.", f"{what.zh}：可以。")]
        words += [_held(shelf) for shelf in found if shelf.bytes]
        if layout.context_tokens < self.context:
            words.append(
                Text(
                    f"The window is {layout.context_tokens:,} tokens instead of {self.context:,}:"
                    " more keys and values do not fit.",
                    f"上下文为 {layout.context_tokens:,} 个 token，而不是 {self.context:,} 个："
                    "放不下更多键值缓存。",
                )
            )
        left = self.subject.shape.layers - layout.on_cards
        if layout.layers and left:
            words.append(self._slow(layout, left))
        elif self.cards and layout.helpers_card is None:
            words.append(
                Text(
                    "The embedder works on the processor; questions take a little longer.",
                    "嵌入模型在处理器上运行；提问时稍慢。",
                )
            )
        return words

    def _arrangement(self, layout: Layout) -> Text:
        precision = PRECISIONS[layout.precision]
        on_cards, total = layout.on_cards, self.subject.shape.layers
        used = [count for count in layout.layers if count]
        if not used:
            where = Text("on the processor", "在处理器上")
        elif on_cards < total:
            where = Text(
                f"{on_cards} of {total} layers on the GPU", f"{total} 层中有 {on_cards} 层在显卡上"
            )
        elif len(used) > 1:
            split = " + ".join(map(str, used))
            where = Text(
                f"on {len(used)} GPUs ({split} layers)", f"分到 {len(used)} 块显卡（{split} 层）"
            )
        else:
            where = Text("on one GPU", "在一块显卡上")
        words = [where]
        if layout.kv_bits == FEWER_BITS:
            words.append(Text("8-bit keys and values", "8 位键值缓存"))
        if layout.helpers_card is not None:
            words.append(Text("embedder on the GPU", "嵌入模型在显卡上"))
        if (tokens := layout.context_tokens) < self.context:
            words.append(Text(f"{tokens:,} tokens", f"{tokens:,} 个 token"))
        return Text(
            f"{precision.en} {', '.join(each.en for each in words)}",
            f"{precision.zh}{'，'.join(each.zh for each in words)}",
        )

    def _slow(self, layout: Layout, left: int) -> Text:
        moved = memory_size(offloaded_bytes(self.subject, layout))
        if self.subject.engine == "llamacpp":
            return Text(
                f"{left} layers are computed by the processor, which is several times slower.",
                f"{left} 层由处理器计算，速度会慢数倍。",
            )
        return Text(
            f"{left} layers wait in main memory in 16 bits: {moved} cross the bus for every token,"
            " so answers are very slow. A smaller model, or a GGUF file, is the better choice.",
            f"{left} 层以 16 位放在内存中：每个 token 都要经总线传输 {moved}，回答会非常慢。"
            "更好的选择是较小的模型或 GGUF 文件。",
        )


def _speed_words(tokens_per_second: float) -> Text:
    """Say what the memory's bandwidth allows at most."""
    return Text(
        f"Memory bandwidth allows at most {tokens_per_second:.0f} tokens/s.",
        f"受显存带宽限制，最多 {tokens_per_second:.0f} token/秒。",
    )


def _held(shelf: MemoryUse) -> Text:
    place = place_words(shelf)
    en = " + ".join(f"{PARTS[part].en} {memory_size(size)}" for part, size in shelf.parts)
    zh = " + ".join(f"{PARTS[part].zh} {memory_size(size)}" for part, size in shelf.parts)
    total = memory_size(shelf.bytes)
    return Text(
        f"{place.en}: {en} = {total} of {memory_size(shelf.limit_bytes)}.",
        f"{place.zh}：{zh} = {total}，可用 {memory_size(shelf.limit_bytes)}。",
    )
