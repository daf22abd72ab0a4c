"""GGUF models through llama.cpp, inside this process.

``xllamacpp`` wraps llama.cpp's server. Questions go to it by function call and stream back
through a callback. It also opens a port of its own on 127.0.0.1, which cannot be switched
off: it gets a random key that never leaves this process, and serves to count tokens, which
the function calls do not offer.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rag.errors import ModelError
from rag.generation.answer_stream import answer_stream
from rag.generation.engine_errors import (
    AGAIN,
    cannot_load,
    failed,
    missing,
    prompt_too_long,
    unloaded,
)
from rag.generation.prompt import LLAMA2_CHAT, LLAMA2_VOCABULARY, plain_turns
from rag.generation.streaming import OneAtATime, Stopped
from rag.generation.thoughts import CLOSED, OPENED
from rag.system.process import physical_cores
from rag.text.messages import Text
from rag.types.answers import Delta, FinishReason, Message
from rag.types.gguf import DamagedGguf, read_gguf
from rag.types.hardware import OnCards

SPIN_TURNS = 300
"""How long llama.cpp's OpenMP threads wait for each other awake, in turns of a loop (some µs).

They meet after every operation. Asleep at once, which suits torch, they write 25.6 tokens/s where
nobody else computes; at OpenMP's own 300,000 turns 35, but then 11 beside one busy process, which
keeps one of them waiting for the other. At 300: 33 and 20 (docs/decisions.md, "llama.cpp beside a
busy process")."""

# OpenMP comes with xllamacpp, and reads the environment as it is loaded
os.environ.setdefault("GOMP_SPINCOUNT", str(SPIN_TURNS))
import xllamacpp  # noqa: E402

logger = logging.getLogger(__name__)

SAMPLING = {"top_k": 40, "top_p": 0.95, "min_p": 0.05}
"""llama.cpp's own defaults; without effect at temperature 0."""

BATCH_TOKENS = 64
"""Tokens of a prompt that a CPU computes at once. A cancel is heard between two batches, and
larger ones read a prompt no faster: processor ms a token 22 at 32, 21 at 64, 22 at 128, 23 at
256 (Qwen2.5 0.5B Q4_K_M, two cores), and 48, 39 and 43 at 32, 64 and 128 with 1.5B."""

GPU_BATCH_TOKENS = 512
"""llama.cpp's own default: a GPU needs more at once, and is through with it sooner."""

PROMPTS_MIB = 256
"""Memory for what prompts of the past have computed, so that a conversation that is gone back to,
or a draft that was typed in between, costs nothing anew. About 9,000 tokens of Qwen2.5 1.5B;
llama.cpp keeps at least one prompt, however large."""

_TIMEOUT_S = 60.0  # counting waits for nothing but a core
_SENTENCEPIECE = 1  # llama.cpp's number for the kind of vocabulary that Llama 2 has
_MAGIC = b"GGUF"
_CHATML = "<|im_start|>"

Emit = Callable[[Delta], None]


class LlamaCppGenerator:
    """Streams answers from one GGUF model."""

    def __init__(
        self, server: _Server, *, name: str, context_tokens: int, vram_bytes: int | None
    ) -> None:
        """``vram_bytes`` is by how much loading lowered the GPUs' free memory."""
        self.name = name
        self.context_tokens = context_tokens
        self.loopback = server.loopback
        self._vram_bytes = vram_bytes
        self._gate = OneAtATime()
        self._holder: list[Any] = [server.handle]
        # a server that is dropped while the interpreter ends would take threads with it
        self._finalizer = weakref.finalize(self, _unload, self._holder, self._gate)

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
        _read_into_cache(path)
        free = _free_vram()
        params = _parameters(path, context_tokens=context_tokens, threads=threads)
        if free is not None:
            params.n_batch = params.n_ubatch = GPU_BATCH_TOKENS
            params.fit_params = cards is None
            params.cache_ram_mib = 0  # its memory is dear, and it reads fast; not measured
        if cards is not None:
            _divide(params, cards)
        server = _usable(path, params, name=name)
        taken = None if free is None else max(0, free - (_free_vram() or 0))
        window = int(server.meta["n_ctx"])  # tokens; at most what the model was trained for
        logger.info("loaded %s: window of %d tokens", path.name, window)
        tokens = min(context_tokens, window)
        return cls(server, name=name, context_tokens=tokens, vram_bytes=taken)

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
            ModelError: llama.cpp broke off, or the model is unloaded, or did nothing but think.
        """
        request = _request(messages, max_tokens=max_tokens, temperature=temperature)

        def work(emit: Emit, stopped: Stopped) -> None:
            emit(self._run(request, emit, stopped))

        return answer_stream(self.name, self._gate, work, cancelled=cancelled)

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
        self._thinking = False
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
            raise self._refusal(chunk)
        if (read := chunk.get("prompt_progress")) and not self._tokens:
            self._emit(Delta("", 0, prompt_read=_share_read(read)))
        decoded = chunk.get("timings", {}).get("predicted_n", self._tokens)
        self._pending += decoded - self._tokens
        self._tokens = decoded
        for choice in chunk["choices"]:
            if text := self._marked(choice["delta"]):
                self._emit(Delta(text, self._pending))
                self._pending = 0
            if reason := choice["finish_reason"]:
                self._finish = "length" if reason == "length" else "stop"
        return False

    def _marked(self, delta: Mapping[str, str | None]) -> str:
        """Return what is said; thoughts, which come under a name of their own, as a mark only."""
        said = delta.get("content") or ""
        if delta.get("reasoning_content") and not self._thinking:
            self._thinking = True
            said = OPENED + said
        elif self._thinking and said:
            self._thinking = False
            said = CLOSED + said
        return said

    def _refusal(self, chunk: dict[str, Any]) -> Exception:
        error = chunk.get("error", chunk)
        if error.get("type") == "exceed_context_size_error":
            return prompt_too_long(error["n_prompt_tokens"], error["n_ctx"])
        return failed(self._name, _error_message(chunk))


def _share_read(progress: Mapping[str, int]) -> float:
    """Return how much of what was not cached is computed, 0 to 1."""
    fresh = progress["total"] - progress["cache"]
    return min(1.0, (progress["processed"] - progress["cache"]) / fresh) if fresh > 0 else 1.0


def _unload(holder: list[Any], gate: OneAtATime) -> None:
    gate.close()
    holder.clear()


class Loopback:
    """The door to one server, which its key opens."""

    def __init__(self, address: str, *, key: str) -> None:
        """``address`` is the server's URL without a path."""
        self.address = address
        self.key = key

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON of the server's answer.

        A connection for each question: that takes no longer than one that is kept open, and is
        never found closed (2.6 and 2.7 ms for a prompt of 700 tokens).

        Raises:
            ModelError: the server refused, or is gone.
        """
        content = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        server = urlsplit(self.address)
        connection = HTTPConnection(server.hostname or "", server.port, timeout=_TIMEOUT_S)
        try:
            with closing(connection):
                connection.request(method, path, content, {**headers, "Connection": "close"})
                response = connection.getresponse()
                answer = json.loads(response.read())
        except (HTTPException, OSError) as error:
            raise failed("llama.cpp", str(error)) from error
        if response.status != 200:  # noqa: PLR2004 - OK
            raise failed("llama.cpp", answer.get("error", {}).get("message", str(response.status)))
        return answer


class _Server(NamedTuple):
    """A server that answers, the locked door to it, and what it says of its model."""

    handle: Any
    loopback: Loopback
    meta: Mapping[str, Any]


def _usable(path: Path, params: Any, *, name: str) -> _Server:
    """Start a server, once more with the right template where llama.cpp guessed a wrong one."""
    server = _start(path, params, name=name)
    if _is_llama2_without_template(server):
        del server
        params.chat_template = LLAMA2_CHAT
        server = _start(path, params, name=name)
    return server


def _error_message(answer: dict[str, Any]) -> str:
    """Return what the server says of an error."""
    error = answer.get("error", answer)
    return str(error.get("message", error))


def _start(path: Path, params: Any, *, name: str) -> _Server:
    key = secrets.token_urlsafe(32)
    params.api_keys = [key]
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise _refused(path) from error
    # A server that is dropped before its loop turns waits for it for ever; one token makes
    # sure that it turns, and that the model runs at all.
    first: dict[str, Any] = server.handle_completions({"prompt": "a", "max_tokens": 1})
    if "choices" not in first:
        raise failed(name, _error_message(first))
    loopback = Loopback(server.listening_address, key=key)
    return _Server(server, loopback, loopback.ask("GET", "/v1/models")["data"][0]["meta"])


def _is_llama2_without_template(server: _Server) -> bool:
    """Return whether llama.cpp had to guess the template of a Llama 2, and guessed ChatML."""
    kind = server.meta["vocab_type"], server.meta["n_vocab"]
    if kind != (_SENTENCEPIECE, LLAMA2_VOCABULARY):
        return False
    return _CHATML in server.loopback.ask("GET", "/props")["chat_template"]


def _read_into_cache(path: Path) -> None:
    """Look at the first bytes of a file, and read it once through the system's cache.

    Loading holds the interpreter's lock until the weights are in place: the disk is waited
    for here instead, where the screen stays alive.

    Raises:
        ModelMissing: there is no such file.
        ModelError: it cannot be read, or is no GGUF file.
    """
    buffer = bytearray(16 << 20)
    try:
        with path.open("rb", buffering=0) as file:
            is_gguf = file.read(len(_MAGIC)) == _MAGIC
            while is_gguf and file.readinto(buffer):
                continue
    except FileNotFoundError as error:
        raise missing(path, kind=Text("file", "文件")) from error
    except OSError as error:
        raise cannot_load(path, Text(f"{error}.", f"{error}。")) from error
    if not is_gguf:
        raise cannot_load(
            path,
            Text("it is not a GGUF file.", "它不是 GGUF 文件。"),
            hint=Text(
                "Choose a file whose name ends in .gguf, or a model from `rag models list`.",
                "请选择以 .gguf 结尾的文件，或 `rag models list` 中的模型。",
            ),
        )


def _refused(path: Path) -> ModelError:
    """Say why llama.cpp may have refused a file that begins like a GGUF, with a remedy."""
    try:
        architecture = read_gguf(path).architecture or "?"
    except (OSError, DamagedGguf):
        why = Text("the file is damaged or incomplete.", "文件已损坏或不完整。")
        return cannot_load(path, why, hint=AGAIN)
    return cannot_load(
        path,
        Text(
            f"there is too little memory for it, or llama.cpp does not know models of the kind "
            f"'{architecture}' or this chat template.",
            f"内存不足，或 llama.cpp 不支持“{architecture}”类模型或其对话模板。",
        ),
        hint=Text(
            "Close other programs, lower generator.context_tokens, choose a smaller model, or "
            "run `pip install --upgrade xllamacpp`.",
            "请关闭其他程序、调低 generator.context_tokens、选择更小的模型，"
            "或运行 `pip install --upgrade xllamacpp`。",
        ),
    )


def _parameters(path: Path, *, context_tokens: int, threads: int) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    cores = threads or physical_cores()
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = cores
    params.n_gpu_layers = -1  # all that fit; not measured, for want of a GPU
    params.fit_params = False  # without a GPU a second reading of the file for nothing
    # 32 would compute less when passages move, but changed 8 of 9 answers, some for the worse
    params.n_cache_reuse = 0
    params.cache_ram_mib = PROMPTS_MIB
    params.warmup = False  # ``load`` decodes a token anyway
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.n_threads_http = 1
    params.prefill_assistant = False  # a conversation is answered, never continued
    params.enable_reasoning = 0  # the evidence is in the passages; thinking is not shown
    params.verbosity = -1  # its errors come back as messages; nothing belongs on stderr
    return params


def _divide(params: Any, cards: OnCards) -> None:
    """Put layers where the plan wants them. Not measured, for want of a GPU."""
    if not cards.whole:
        params.n_gpu_layers = sum(cards.layers)
    shares = [float(layers) for layers in cards.layers]
    params.tensor_split = shares + [0.0] * (len(params.tensor_split) - len(shares))
    if cards.kv_bits == 8:  # noqa: PLR2004 - bits
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0


def _free_vram() -> int | None:
    """Return the free memory of all GPUs that llama.cpp can use; ``None`` without any."""
    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    gpus = [device for device in xllamacpp.get_device_info() if device["type"] != cpu]
    return sum(device["memory_free"] for device in gpus) if gpus else None
