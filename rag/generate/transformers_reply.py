"""What ``generate`` calls while it works: stops it, keeps its cache, streams its ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import DynamicCache

from rag.generate.detokenize import TextOfTokens
from rag.generate.streaming import Stopped
from rag.types import Delta, FinishReason

Emit = Callable[[Delta], None]


class Cancelled(Exception):
    """Leaves a prompt that is being read."""


class Watch:
    """A stopping criterion: stops between two tokens, and remembers that it did."""

    def __init__(self, stopped: Stopped) -> None:
        self._stopped = stopped
        self.struck = False

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:  # noqa: ARG002 - theirs
        return torch.full((input_ids.shape[0],), self.look(), device=input_ids.device)

    def look(self) -> bool:
        """Return whether to stop; once true, always true."""
        self.struck = self.struck or self._stopped()
        return self.struck


class WatchedCache(DynamicCache):  # type: ignore[misc] # transformers comes without types
    """Keys and values of one answer. Every layer passes here: a place to stop inside a prompt.

    The stopping criteria are asked only after the first token, that is, after the whole prompt.
    """

    def __init__(self, config: Any, watch: Watch) -> None:
        super().__init__(config=config.get_text_config(decoder=True))
        self._watch = watch

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep one layer's ``(batch, heads, tokens, size)``; leave if the answer is cancelled."""
        if key_states.shape[-2] > 1:  # a prompt
            if key_states.is_cuda:  # else all layers would be queued before the first has run
                torch.cuda.current_stream(key_states.device).synchronize()
            if self._watch.look():
                raise Cancelled
        kept: tuple[torch.Tensor, torch.Tensor] = super().update(
            key_states, value_states, *args, **kwargs
        )
        return kept


class Reply:
    """A streamer: takes ids from ``generate`` and emits text; runs in the thread that generates."""

    def __init__(self, tokenizer: Any, emit: Emit) -> None:
        self._text = TextOfTokens(
            lambda ids: tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )
        self._emit = emit
        self._prompt_seen = False
        self._count = 0
        self._last: int | None = None

    def put(self, value: torch.Tensor) -> None:
        """Take the prompt, shape ``(1, tokens)``, at the first call, then new ids."""
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        ids = value.flatten().tolist()
        self._count += len(ids)
        self._last = ids[-1]
        self._emit(Delta(self._text.push(ids), len(ids)))

    def end(self) -> None:
        """Do nothing: only ``finish`` knows why it ended."""

    def finish(self, watch: Watch, *, ends: Sequence[int], limit: int) -> None:
        """Emit the last delta; ``ends`` are the ids that close an answer."""
        reason: FinishReason = "stop"
        if self._last not in ends:
            if watch.struck:
                reason = "cancelled"
            elif self._count >= limit:
                reason = "length"
        self._emit(Delta(self._text.flush(), 0, reason))
