"""Starts llama.cpp's server in this process, on one GGUF file."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from rag.generate.failures import cannot_load, failed
from rag.generate.gguf_check import check_gguf, why_not_loaded
from rag.generate.llamacpp_cores import Cores, ThreadNames, cores_for, nobodys, wait_spinning
from rag.generate.loopback import Loopback
from rag.generate.templates import LLAMA2_CHAT
from rag.types.hardware import OnCards

wait_spinning()  # OpenMP comes with xllamacpp, and reads the environment as it is loaded
import xllamacpp  # noqa: E402

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

_SENTENCEPIECE = 1  # llama.cpp's number for the kind of vocabulary that Llama 2 has
_LLAMA2_VOCABULARY = 32_000
_CHATML = "<|im_start|>"
_NUMBERS = count()


@dataclass(frozen=True, slots=True)
class Opened:
    """A server that answers, and the locked door to it."""

    server: Any
    loopback: Loopback
    window: int  # tokens; at most what the model was trained for
    vram_bytes: int | None  # by how much opening lowered the GPUs' free memory; None without one
    cores: Cores  # where its threads run


def open_server(
    path: Path, *, name: str, context_tokens: int, threads: int, cards: OnCards | None = None
) -> Opened:
    """Load a ``.gguf`` file; ``threads`` 0 takes one for each physical core.

    ``cards`` says what goes where; ``None`` leaves it to llama.cpp.

    Raises:
        ModelMissing: there is no such file.
        ModelError: the file is damaged, or llama.cpp cannot run it.
    """
    check_gguf(path)
    _read_into_cache(path)
    free = _free_vram()
    params = _parameters(path, context_tokens=context_tokens, threads=threads)
    if free is not None:
        params.n_batch = params.n_ubatch = GPU_BATCH_TOKENS
        params.fit_params = cards is None
        params.cache_ram_mib = 0  # its memory is dear, and it reads fast; not measured
    if cards is not None:
        _divide(params, cards)
    names = ThreadNames(next(_NUMBERS))
    with names.given():
        server, loopback, meta = _usable(path, params, name=name)
    taken = None if free is None else max(0, free - (_free_vram() or 0))
    spinning = free is None and "OPENMP = 1" in xllamacpp.get_system_info()
    cores = cores_for(names, threads=params.cpuparams.n_threads) if spinning else nobodys()
    return Opened(server, loopback, int(meta["n_ctx"]), taken, cores)


def _usable(path: Path, params: Any, *, name: str) -> tuple[Any, Loopback, dict[str, Any]]:
    """Start a server, once more with the right template where llama.cpp guessed a wrong one."""
    server, loopback, meta = _start(path, params, name=name)
    if _is_llama2_without_template(loopback, meta):
        loopback.close()
        del server
        params.chat_template = LLAMA2_CHAT
        server, loopback, meta = _start(path, params, name=name)
    return server, loopback, meta


def error_message(answer: dict[str, Any]) -> str:
    """Return what the server says of an error."""
    error = answer.get("error", answer)
    return str(error.get("message", error))


def _start(path: Path, params: Any, *, name: str) -> tuple[Any, Loopback, dict[str, Any]]:
    """Return a server, the door to it, and what it says of its model."""
    key = secrets.token_urlsafe(32)
    params.api_keys = [key]
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        why, hint = why_not_loaded(path)
        raise cannot_load(path, why, hint=hint) from error
    # A server that is dropped before its loop turns waits for it for ever; one token makes
    # sure that it turns, and that the model runs at all.
    first: dict[str, Any] = server.handle_completions({"prompt": "a", "max_tokens": 1})
    if "choices" not in first:
        raise failed(name, error_message(first))
    loopback = Loopback(server.listening_address, key=key)
    meta: dict[str, Any] = loopback.ask("GET", "/v1/models")["data"][0]["meta"]
    return server, loopback, meta


def _is_llama2_without_template(loopback: Loopback, meta: dict[str, Any]) -> bool:
    """Return whether llama.cpp had to guess the template of a Llama 2, and guessed ChatML."""
    if (meta["vocab_type"], meta["n_vocab"]) != (_SENTENCEPIECE, _LLAMA2_VOCABULARY):
        return False
    return _CHATML in loopback.ask("GET", "/props")["chat_template"]


def _parameters(path: Path, *, context_tokens: int, threads: int) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    cores = threads or _physical_cores()
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
