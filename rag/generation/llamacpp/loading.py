"""Starts llama.cpp's server in this process, on one GGUF file, and says why it cannot."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import xllamacpp

from rag.errors import ModelMissing
from rag.generation.engine_errors import cannot_load, failed
from rag.generation.prompt import LLAMA2_CHAT
from rag.text.messages import Text
from rag.types.gguf import DamagedGguf, read_gguf
from rag.types.hardware import OnCards

_MAGIC = b"GGUF"


def check_gguf(path: Path) -> None:
    """Look at the first bytes, before llama.cpp does.

    Raises:
        ModelMissing: there is no such file.
        ModelError: it cannot be read, or is no GGUF file.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except FileNotFoundError as error:
        raise ModelMissing(
            Text(f"There is no file {path}.", f"文件 {path} 不存在。"),
            hint=Text(
                "Run `rag models pull` to download the model.",
                "请运行 `rag models pull` 下载模型。",
            ),
        ) from error
    except OSError as error:
        raise cannot_load(path, Text(f"{error}.", f"{error}。")) from error
    if magic != _MAGIC:
        raise cannot_load(
            path,
            Text("it is not a GGUF file.", "它不是 GGUF 文件。"),
            hint=Text(
                "Choose a file whose name ends in .gguf, or a model from `rag models list`.",
                "请选择以 .gguf 结尾的文件，或 `rag models list` 中的模型。",
            ),
        )


def why_not_loaded(path: Path) -> tuple[Text, Text]:
    """Return why llama.cpp may have refused a file that begins like a GGUF, and a remedy."""
    try:
        architecture = read_gguf(path).architecture or "?"
    except (OSError, DamagedGguf):
        return (
            Text("the file is damaged or incomplete.", "文件已损坏或不完整。"),
            Text(
                "Delete it and download it again, with `rag models pull` if it is in the list.",
                "请删除后重新下载；列表中的模型可用 `rag models pull` 下载。",
            ),
        )
    return (
        Text(
            f"there is too little memory for it, or llama.cpp does not know models of the kind "
            f"'{architecture}' or this chat template.",
            f"内存不足，或 llama.cpp 不支持“{architecture}”类模型或其对话模板。",
        ),
        Text(
            "Close other programs, lower generator.context_tokens, choose a smaller model, or "
            "run `pip install --upgrade xllamacpp`.",
            "请关闭其他程序、调低 generator.context_tokens、选择更小的模型，"
            "或运行 `pip install --upgrade xllamacpp`。",
        ),
    )


_TIMEOUT_S = 60.0  # counting waits for nothing but a core


class Loopback:
    """One connection, kept open, used by one thread at a time."""

    def __init__(self, address: str, *, key: str) -> None:
        """``address`` is the server's URL without a path."""
        parts = urlsplit(address)
        self.address = address
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._guard = threading.Lock()

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON of the server's answer.

        Raises:
            ModelError: the server refused, or is gone.
        """
        content = None if body is None else json.dumps(body)
        with self._guard:
            try:
                status, answer = self._exchange(method, path, content)
            except (HTTPException, OSError):  # an idle connection is closed by the server
                self._connection.close()
                try:
                    status, answer = self._exchange(method, path, content)
                except (HTTPException, OSError) as error:
                    raise failed("llama.cpp", str(error)) from error
        if status != 200:  # noqa: PLR2004 - OK
            raise failed("llama.cpp", answer.get("error", {}).get("message", str(status)))
        return answer

    def close(self) -> None:
        """Let go of the connection."""
        with self._guard:
            self._connection.close()

    def _exchange(self, method: str, path: str, content: str | None) -> tuple[int, Any]:
        self._connection.request(method, path, content, self._headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())


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


@dataclass(frozen=True, slots=True)
class Opened:
    """A server that answers, and the locked door to it."""

    server: Any
    loopback: Loopback
    window: int  # tokens; at most what the model was trained for
    vram_bytes: int | None  # by how much opening lowered the GPUs' free memory; None without one


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
    server, loopback, meta = _usable(path, params, name=name)
    taken = None if free is None else max(0, free - (_free_vram() or 0))
    return Opened(server, loopback, int(meta["n_ctx"]), taken)


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
