"""GGUF models through llama.cpp, inside this process.

``xllamacpp`` wraps llama.cpp's server. Questions go to it by function call and stream back
through a callback. It also opens a port of its own on 127.0.0.1, which cannot be switched
off: it gets a random key that never leaves this process, and serves to count tokens, which
the function calls do not offer.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rag.generation.engine_errors import failed, prompt_too_long, unloaded
from rag.generation.llamacpp.loading import Loopback, Opened, error_message, open_server
from rag.generation.prompt import plain_turns
from rag.generation.streaming import OneAtATime, Stopped, iterate
from rag.types.answers import Delta, FinishReason, Message
from rag.types.hardware import OnCards

logger = logging.getLogger(__name__)

SAMPLING = {"top_k": 40, "top_p": 0.95, "min_p": 0.05}
"""llama.cpp's own defaults; without effect at temperature 0."""

Emit = Callable[[Delta], None]


class LlamaCppGenerator:
    """Streams answers from one GGUF model."""

    def __init__(self, opened: Opened, *, name: str, context_tokens: int) -> None:
        self.name = name
        self.context_tokens = context_tokens
        self.loopback = opened.loopback
        self._vram_bytes = opened.vram_bytes
        self._gate = OneAtATime()
        self._holder: list[Any] = [opened.server]
        # a server that is dropped while the interpreter ends would take threads with it
        self._finalizer = weakref.finalize(self, _unload, self._holder, self._gate, self.loopback)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        name: str,
        context_tokens: int,
        threads: int = 0,
        cards: OnCards | None = None,
    ) -> LlamaCppGenerator:
        """Load a ``.gguf`` file.

        ``context_tokens`` is cut to what the model was trained for. ``threads`` 0 takes one
        for each physical core. ``cards`` is the plan; ``None`` leaves it to llama.cpp.

        Raises:
            ModelMissing: there is no such file.
            ModelError: the file is damaged, or llama.cpp cannot run it.
        """
        opened = open_server(
            path, name=name, context_tokens=context_tokens, threads=threads, cards=cards
        )
        logger.info("loaded %s: window of %d tokens", path.name, opened.window)
        return cls(opened, name=name, context_tokens=min(context_tokens, opened.window))

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count tokens by the server's own template and tokenizer, as ``stream`` sends them.

        Raises:
            ModelError: the model's template refuses this order of roles.
        """
        if self._gate.closed:
            raise unloaded(self.name)
        found = self.loopback.ask(
            "POST", "/v1/chat/completions/input_tokens", {"messages": plain_turns(messages)}
        )
        return int(found["input_tokens"])

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        cancelled: Stopped,
    ) -> Iterator[Delta]:
        """Yield text as it is decoded; see ``rag.protocols.TextGenerator``.

        Raises:
            PromptTooLong: the prompt does not fit the window.
            ModelError: llama.cpp broke off, or the model is unloaded.
        """
        request = _request(messages, max_tokens=max_tokens, temperature=temperature)
        return iterate(
            lambda emit, stopped: self._generate(request, emit, stopped), cancelled=cancelled
        )

    def _generate(self, request: dict[str, Any], emit: Emit, stopped: Stopped) -> None:
        with self._gate.turn(stopped) as mine:
            if self._gate.closed:
                raise unloaded(self.name)
            if not mine:
                emit(Delta("", 0, "cancelled"))
                return
            emit(self._run(request, emit, lambda: stopped() or self._gate.closed))

    def _run(self, request: dict[str, Any], emit: Emit, stopped: Stopped) -> Delta:
        """Have a request computed by whoever holds the model; return the delta that ends it."""
        reply = _Reply(self.name, emit, stopped)
        try:
            self._holder[0].handle_chat_completions(request, reply.receive)
        except (ValueError, RuntimeError) as error:  # what C++ throws, through Cython
            raise failed(self.name, str(error)) from error
        return reply.last()

    def prepare(self, messages: Sequence[Message], *, cancelled: Stopped) -> None:
        """Compute a prompt into the server's cache; see ``rag.protocols.TextGenerator``.

        What is computed before it gives way stays in the cache.

        Raises:
            PromptTooLong: the prompt does not fit the window.
            ModelError: llama.cpp broke off.
        """
        request = _request(messages, max_tokens=1, temperature=0)  # one is the least it decodes
        with self._gate.spare() as mine:
            if mine:
                self._run(request, lambda _: None, lambda: cancelled() or self._gate.wanted)

    def memory_bytes(self) -> int | None:
        """Return by how much loading lowered the free memory of the GPUs; ``None`` without one."""
        return self._vram_bytes

    def close(self) -> None:
        """End the running generation and free the weights."""
        self._finalizer()


def _request(messages: Sequence[Message], *, max_tokens: int, temperature: float) -> dict[str, Any]:
    return {
        "messages": plain_turns(messages),
        "stream": True,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "cache_prompt": True,
        "timings_per_token": True,  # carries the count of tokens behind each piece
        "return_progress": True,  # calls back between batches of the prompt, too
        **SAMPLING,
    }


class _Reply:
    """Takes what the server streams; runs in the thread that asked."""

    def __init__(self, name: str, emit: Emit, stopped: Stopped) -> None:
        self._name = name
        self._emit = emit
        self._stopped = stopped
        self._tokens = 0  # decoded so far
        self._pending = 0  # of them not yet behind an emitted piece
        self._finish: FinishReason | None = None
        self._error: BaseException | None = None

    def receive(self, chunk: dict[str, Any]) -> bool:
        """Take one message of the server; true stops it."""
        try:
            return self._take(chunk)
        except BaseException as error:  # noqa: BLE001 - xllamacpp would swallow it
            self._error = error
            return True

    def last(self) -> Delta:
        """Return the delta that ends the stream, or raise what went wrong."""
        if self._error is not None:
            raise self._error
        if self._finish is None:
            raise failed(self._name, "llama.cpp gave no reason for its end")
        return Delta("", self._pending, self._finish)

    def _take(self, chunk: dict[str, Any]) -> bool:
        if self._stopped():
            self._finish = "cancelled"
            return True
        if "choices" not in chunk:
            self._error = self._refusal(chunk)
            return True
        if (read := chunk.get("prompt_progress")) and not self._tokens:
            self._emit(Delta("", 0, prompt_read=_share_read(read)))
        decoded = chunk.get("timings", {}).get("predicted_n", self._tokens)
        self._pending += decoded - self._tokens
        self._tokens = decoded
        for choice in chunk["choices"]:
            if text := choice["delta"].get("content"):
                self._emit(Delta(text, self._pending))
                self._pending = 0
            if reason := choice["finish_reason"]:
                self._finish = "length" if reason == "length" else "stop"
        return False

    def _refusal(self, chunk: dict[str, Any]) -> Exception:
        error = chunk.get("error", chunk)
        if error.get("type") == "exceed_context_size_error":
            return prompt_too_long(error["n_prompt_tokens"], error["n_ctx"])
        return failed(self._name, error_message(chunk))


def _share_read(progress: Mapping[str, int]) -> float:
    """Return how much of what was not cached is computed, 0 to 1."""
    fresh = progress["total"] - progress["cache"]
    return min(1.0, (progress["processed"] - progress["cache"]) / fresh) if fresh > 0 else 1.0


def _unload(holder: list[Any], gate: OneAtATime, loopback: Loopback) -> None:
    gate.close()
    loopback.close()
    holder.clear()
