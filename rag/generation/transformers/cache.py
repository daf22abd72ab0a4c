"""Keys and values of a prompt and its answer: watched while a prompt is read, cut back, kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from rag.generation.streaming import Stopped
from rag.types.hardware import KvBits

LONG_PASS_TOKENS = 32
"""A longer pass reads a prompt and may take seconds; a shorter one decodes."""
_INT8_MOST = 127
_EIGHT: KvBits = 8


class Cancelled(Exception):
    """Leaves a prompt that is being read."""


class Watch:
    """Asks whether to stop, between two layers and two tokens; remembers that it was so."""

    def __init__(self, stopped: Stopped) -> None:
        """``stopped`` may pause, to let a card cool."""
        self._stopped = stopped
        self.struck = False

    def look(self) -> bool:
        """Return whether to stop; once true, always true."""
        self.struck = self.struck or self._stopped()
        return self.struck


class EightBitLayer(DynamicLayer):  # type: ignore[misc] # transformers comes without types
    """One layer in 8 bits: whole numbers, and for each token and head their scale.

    ``keys`` and ``values`` hold the whole numbers. A token's scale never depends on others, so
    tokens can be added and cut off. The library's own 8 bits need a package that is not
    installed, or take one scale for all tokens.
    """

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        super().lazy_initialization(key_states, value_states)
        self.keys = self.values = key_states.new_empty(0, dtype=torch.int8)
        self._key_scales = self._value_scales = key_states.new_empty(0)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep the new tokens; return all, in the precision in which they came."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys, self._key_scales = _add(self.keys, self._key_scales, key_states)
        self.values, self._value_scales = _add(self.values, self._value_scales, value_states)
        return self.keys * self._key_scales, self.values * self._value_scales

    def crop(self, tokens_to_remove: int) -> None:
        """Cut off the last tokens; the number is negative, as the library has it."""
        super().crop(tokens_to_remove)
        if self.is_initialized:
            tokens = self.get_seq_length()
            self._key_scales = self._key_scales[..., :tokens, :]
            self._value_scales = self._value_scales[..., :tokens, :]


def _add(
    numbers: torch.Tensor, scales: torch.Tensor, new: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Round ``(batch, heads, tokens, size)`` and put it behind what is kept."""
    largest = new.abs().amax(dim=-1, keepdim=True).float()
    scale = (largest / _INT8_MOST).clamp(min=torch.finfo(torch.float32).tiny)
    small = (new.float() / scale).round().to(torch.int8)
    return torch.cat([numbers, small], dim=-2), torch.cat([scales, scale.to(new.dtype)], dim=-2)


class WatchedCache(DynamicCache):  # type: ignore[misc]
    """Keys and values of one answer. Every layer passes here: a place to stop inside a prompt."""

    layers: list[Any]

    def __init__(self, config: Any, *, kv_bits: KvBits = 16) -> None:
        super().__init__(config=config.get_text_config(decoder=True))
        self.watch: Watch | None = None
        self.kv_bits = kv_bits
        self.whole = all(type(layer) is DynamicLayer for layer in self.layers)
        """Whether every layer keeps every token, so that it can be cut back anywhere."""
        if self.whole and kv_bits == _EIGHT:
            self.layers = [EightBitLayer() for _ in self.layers]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep one layer's ``(batch, heads, tokens, size)``; leave if the answer is cancelled."""
        if key_states.shape[-2] > LONG_PASS_TOKENS and self.watch is not None:
            if key_states.is_cuda:  # else all layers would be queued before the first has run
                torch.cuda.current_stream(key_states.device).synchronize()
            if self.watch.look():
                raise Cancelled
        kept: tuple[torch.Tensor, torch.Tensor] = super().update(
            key_states, value_states, *args, **kwargs
        )
        return kept

    @property
    def nbytes(self) -> int:
        """What the layers hold."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.layers)

    def shortest(self) -> int:
        """Return how many tokens every layer holds; a pass that broke off left some behind."""
        return min(int(layer.get_seq_length()) for layer in self.layers)

    def keep(self, tokens: int) -> None:
        """Cut every layer back to its first ``tokens``, also where a pass broke off between two."""
        for layer in self.layers:
            if (beyond := layer.get_seq_length() - tokens) > 0:
                layer.crop(-beyond)


class Kept:
    """The beginning of the last prompt, computed; the next one may begin alike.

    Only whole parts of a prompt are kept, and used where the next has the same parts: so a
    prompt is computed in the same steps with and without what is kept. In 16 bits other steps
    would round otherwise, and at a near tie say another word.
    """

    def __init__(self, config: Any, *, kv_bits: KvBits) -> None:
        self._config = config
        self._kv_bits = kv_bits
        self._last: tuple[list[int], list[int], WatchedCache] | None = None

    @property
    def nbytes(self) -> int:
        """What is kept between two prompts."""
        return self._last[2].nbytes if self._last else 0

    @contextmanager
    def open(
        self, prompt: Sequence[int], ends: Sequence[int], watch: Watch
    ) -> Iterator[WatchedCache]:
        """Lend a cache that holds what ``prompt`` has in common with the last one.

        ``ends`` are those of its parts. Afterwards the parts before the last are kept, also when
        the watch struck; after any other error nothing.
        """
        cache = self._take(prompt, ends) or WatchedCache(self._config, kv_bits=self._kv_bits)
        cache.watch = watch
        try:
            yield cache
        except Cancelled:
            pass
        finally:
            cache.watch = None  # it holds on to whoever asks
        read = [end for end in ends[:-1] if end <= cache.shortest()]
        if cache.whole and read:
            cache.keep(read[-1])
            self._last = list(prompt[: read[-1]]), read, cache

    def shrink(self, *, small: bool) -> bool:
        """Take 8 bits from the next prompt on, or the full type; false: there are none."""
        if not WatchedCache(self._config, kv_bits=self._kv_bits).whole:
            return False
        self._kv_bits = _EIGHT if small else 16
        self.drop()
        return True

    def drop(self) -> None:
        """Keep nothing."""
        self._last = None

    def _take(self, prompt: Sequence[int], ends: Sequence[int]) -> WatchedCache | None:
        last, self._last = self._last, None
        if last is None or last[2].kv_bits != self._kv_bits:
            return None
        alike = common_prefix(last[0], prompt)
        shared = [end for end in ends[:-1] if end <= alike and end in last[1]]
        if not shared:
            return None
        last[2].keep(shared[-1])
        return last[2]


def ends_of_parts(tokens: int, *, stem: int, most: int) -> list[int]:
    """Return where the parts of a prompt end, the last at ``tokens``.

    Parts of ``most`` tokens, and a cut at ``stem``, where what a next prompt may share ends.

    >>> ends_of_parts(1300, stem=1200, most=512)
    [512, 1024, 1200, 1300]
    """
    ends = [*range(most, stem, most), *range(stem, tokens, most), tokens]
    return [end for end in ends if end > 0]


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many ids agree from the beginning.

    >>> common_prefix([1, 2, 3], [1, 2, 4, 5])
    2
    """
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
