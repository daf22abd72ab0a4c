"""A card that runs out at a set size, and what computes on it: a language model, an embedder.

Sizes are in made-up bytes, small enough to follow by eye. Like PyTorch's allocator, the card
keeps what is freed for the next tensor, and counts it as used until it is emptied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rag.errors import OutOfMemory
from rag.protocols import Share
from rag.text.messages import Text
from rag.types.answers import Delta, Message

WEIGHTS = 1000
KV = 2  # per token, halved in 8 bits
_WORD = re.compile(r"\s*\S+")


@dataclass
class FakeCard:
    """Satisfies ``rag.protocols.Allocator``."""

    total: int
    allocated: dict[str, int] = field(default_factory=dict)
    kept: int = 0  # freed, and not given back
    others: int = 0  # other processes
    peak: int = 0
    emptied: int = 0
    refusals: int = 0

    def take(self, name: str, count: int) -> None:
        """Hold more under a name; what is kept is used first."""
        again = min(self.kept, count)
        if self.used + count - again > self.total:
            self.refusals += 1
            raise OutOfMemory(
                Text(f"{self.used} of {self.total} are in use.", f"已用 {self.used}。"),
                hint=Text("Use less.", "请减少用量。"),
            )
        self.kept -= again
        self.allocated[name] = self.allocated.get(name, 0) + count
        self.peak = max(self.peak, self.used)

    def free(self, name: str) -> None:
        self.kept += self.allocated.pop(name, 0)

    @property
    def used(self) -> int:
        return sum(self.allocated.values()) + self.kept + self.others

    def shares(self) -> Sequence[Share]:
        held = sum(self.allocated.values())
        return [Share("GPU-0", held, held + self.kept)]

    def empty(self) -> None:
        self.emptied += 1
        self.kept = 0


class CardGenerator:
    """Repeats the first passage, as the echo does, with a cache that grows on the card."""

    name = "on a card"

    def __init__(self, card: FakeCard, *, context_tokens: int = 4096, answer: int = 40) -> None:
        self.context_tokens = context_tokens
        self._card = card
        self._answer = answer  # tokens that it wants to say
        self.per_token = KV
        self.asked: list[tuple[int, int]] = []  # tokens of each prompt, longest reply
        card.take("weights", WEIGHTS)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(_WORD.findall(message.content)) for message in messages)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        cancelled: Callable[[], bool],
    ) -> Iterator[Delta]:
        prompt = self.count_tokens(messages)
        self.asked.append((prompt, max_tokens))
        try:
            self._card.take("kv", prompt * self.per_token)
            for token in range(min(self._answer, max_tokens)):
                if cancelled():
                    yield Delta("", 0, "cancelled")
                    return
                self._card.take("kv", self.per_token)
                yield Delta(f"word{token} ", 1)
            yield Delta("", 0, "length" if self._answer > max_tokens else "stop")
        finally:
            self._card.free("kv")

    def prepare(self, messages: Sequence[Message], *, cancelled: Callable[[], bool]) -> None:
        return None

    def memory_bytes(self) -> int:
        return WEIGHTS

    def close(self) -> None:
        self._card.free("weights")


class SmallCacheGenerator(CardGenerator):
    """One that can keep keys and values in 8 bits."""

    def shrink_cache(self, *, small: bool) -> bool:
        self.per_token = KV // 2 if small else KV
        return True


class CardEmbedder:
    """Satisfies ``rag.protocols.Movable``: only what it holds, and where."""

    def __init__(self, card: FakeCard, size: int = 200) -> None:
        self._card = card
        self._size = size
        self.on_card = True
        card.take("embedder", size)

    def to_cpu(self) -> bool:
        was, self.on_card = self.on_card, False
        self._card.free("embedder")
        return was

    def to_device(self) -> None:
        self._card.take("embedder", self._size)
        self.on_card = True
