"""GGUF models through llama.cpp, inside this process.

``xllamacpp`` wraps llama.cpp's server. Questions go to it by function call and stream back
through a callback. It also opens a port of its own on 127.0.0.1, which cannot be switched
off: it gets a random key that never leaves this process, and serves to count tokens, which
the function calls do not offer.
"""

from __future__ import annotations

import logging
import secrets
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import xllamacpp

from rag.generate.failures import cannot_load, failed, prompt_too_long, unloaded
from rag.generate.gguf_check import check_gguf, why_not_loaded
from rag.generate.loopback import Loopback
from rag.generate.streaming import OneAtATime, Stopped, iterate
from rag.generate.templates import LLAMA2_CHAT, plain_turns
from rag.types import Delta, FinishReason, Message

logger = logging.getLogger(__name__)

BATCH_TOKENS = 256
"""Tokens of a prompt computed at once. A cancel is heard between two batches; larger ones read
a prompt no faster on a CPU."""

SAMPLING = {"top_k": 40, "top_p": 0.95, "min_p": 0.05}
"""llama.cpp's own defaults; without effect at temperature 0."""

_SENTENCEPIECE = 1  # llama.cpp's number for the kind of vocabulary that Llama 2 has
_LLAMA2_VOCABULARY = 32_000
_CHATML = "<|im_start|>"

Emit = Callable[[Delta], None]


class LlamaCppGenerator:
    """Streams answers from one GGUF model."""

    def __init__(self, server: Any, loopback: Loopback, *, name: str, context_tokens: int) -> None:
        self.name = name
        self.context_tokens = context_tokens
        self.loopback = loopback
        self._vram_bytes: int | None = None
        self._gate = OneAtATime()
        self._holder: list[Any] = [server]
        # a server that is dropped while the interpreter ends would take threads with it
        self._finalizer = weakref.finalize(self, _unload, self._holder, self._gate, loopback)

    @classmethod
    def load(
        cls, path: Path, *, name: str, context_tokens: int, threads: int = 0
    ) -> LlamaCppGenerator:
        """Load a ``.gguf`` file.

        ``context_tokens`` is cut to what the model was trained for. ``threads`` 0 takes one
        for each physical core.

        Raises:
            ModelMissing: there is no such file.
            ModelError: the file is damaged, or llama.cpp cannot run it.
        """
        check_gguf(path)
        _read_into_cache(path)
        free_before = _free_vram()
        params = _parameters(path, context_tokens=context_tokens, threads=threads)
        loaded = cls._start(path, params, name=name, context_tokens=context_tokens)
        if loaded._is_llama2_without_template():  # noqa: SLF001 - its own class
            loaded.close()
            params.chat_template = LLAMA2_CHAT
            loaded = cls._start(path, params, name=name, context_tokens=context_tokens)
        if free_before is not None:
            loaded._vram_bytes = max(0, free_before - (_free_vram() or 0))  # noqa: SLF001
        logger.info("loaded %s: window of %d tokens", path.name, loaded.context_tokens)
        return loaded

    @classmethod
    def _start(
        cls, path: Path, params: Any, *, name: str, context_tokens: int
    ) -> LlamaCppGenerator:
        key = secrets.token_urlsafe(32)
        params.api_keys = [key]
        try:
            server = xllamacpp.Server(params)
        except RuntimeError as error:
            why, hint = why_not_loaded(path)
            raise cannot_load(path, why, hint=hint) from error
        # A server that is dropped before its loop turns waits for it for ever; one token
        # makes sure that it turns, and that the model runs at all.
        first: dict[str, Any] = server.handle_completions({"prompt": "a", "max_tokens": 1})
        if "choices" not in first:
            raise failed(name, _message(first))
        loopback = Loopback(server.listening_address, key=key)
        window = loopback.ask("GET", "/v1/models")["data"][0]["meta"]["n_ctx"]
        return cls(server, loopback, name=name, context_tokens=min(context_tokens, int(window)))

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
        request = {
            "messages": plain_turns(messages),
            "stream": True,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "cache_prompt": True,
            "timings_per_token": True,  # carries the count of tokens behind each piece
            "return_progress": True,  # calls back between batches of the prompt, too
            **SAMPLING,
        }
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
            reply = _Reply(self.name, emit, lambda: stopped() or self._gate.closed)
            try:
                self._holder[0].handle_chat_completions(request, reply.receive)
            except (ValueError, RuntimeError) as error:  # what C++ throws, through Cython
                raise failed(self.name, str(error)) from error
            emit(reply.last())

    def memory_bytes(self) -> int | None:
        """Return by how much loading lowered the free memory of the GPUs; ``None`` without one."""
        return self._vram_bytes

    def close(self) -> None:
        """End the running generation and free the weights."""
        self._finalizer()

    def _is_llama2_without_template(self) -> bool:
        """Return whether llama.cpp had to guess the template of a Llama 2 and guessed ChatML."""
        meta = self.loopback.ask("GET", "/v1/models")["data"][0]["meta"]
        if (meta["vocab_type"], meta["n_vocab"]) != (_SENTENCEPIECE, _LLAMA2_VOCABULARY):
            return False
        return _CHATML in self.loopback.ask("GET", "/props")["chat_template"]


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
        return failed(self._name, _message(chunk))


def _message(answer: dict[str, Any]) -> str:
    error = answer.get("error", answer)
    return str(error.get("message", error))


def _parameters(path: Path, *, context_tokens: int, threads: int) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    cores = threads or _physical_cores()
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = cores
    params.n_gpu_layers = -1  # all that fit; not measured, for want of a GPU
    params.n_cache_reuse = 0  # shifted caches are faster, but change the text of answers
    params.cache_ram_mib = 0  # else up to 8 GiB of memory for prompts of the past
    params.warmup = False  # ``load`` decodes a token anyway
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.n_threads_http = 1
    params.prefill_assistant = False  # a conversation is answered, never continued
    params.enable_reasoning = 0  # the evidence is in the passages; thinking is not shown
    params.verbosity = -1  # its errors come back as messages; nothing belongs on stderr
    return params


def _physical_cores() -> int:
    """Hyperthreads share the units that multiply; one thread a core, of those allowed."""
    allowed = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else 0
    physical = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return max(1, min(physical, allowed or physical))


def _read_into_cache(path: Path) -> None:
    """Read a file once through the system's cache.

    Loading holds the interpreter's lock until the weights are in place: the disk is waited
    for here instead, where the screen stays alive.
    """
    buffer = bytearray(16 << 20)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            continue


def _free_vram() -> int | None:
    """Return the free memory of all GPUs that llama.cpp can use; ``None`` without any."""
    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    gpus = [device for device in xllamacpp.get_device_info() if device["type"] != cpu]
    return sum(device["memory_free"] for device in gpus) if gpus else None


def _unload(holder: list[Any], gate: OneAtATime, loopback: Loopback) -> None:
    gate.close()
    loopback.close()
    holder.clear()
