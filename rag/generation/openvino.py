"""GGUF models through OpenVINO GenAI, inside this process: processors read prompts faster by it.

A prompt is read in pieces, a call of the library for each: between two of them a cancel is heard.
The library keeps what it has read, so that the next piece, and the next prompt that begins alike,
goes on from there. Its ``step``, which needs no such pieces, holds the interpreter's lock while it
computes, and the screen would stand still; ``generate`` lets go of it.
"""

from __future__ import annotations

import logging
import secrets
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rag.generation.answer_stream import answer_stream
from rag.generation.detokenize import TextOfTokens
from rag.generation.engine_errors import (
    AGAIN,
    cannot_load,
    failed,
    missing,
    prompt_too_long,
    unloaded,
)
from rag.generation.openvino_copy import copy_of, drop_copy, has_copy, keep_copy, unfit
from rag.generation.prompt import plain_turns
from rag.generation.streaming import OneAtATime, Stopped
from rag.generation.thoughts import CLOSING, OPENED
from rag.system.process import give_back, physical_cores
from rag.text.messages import Text
from rag.types.answers import Delta, FinishReason, Message
from rag.types.gguf import DamagedGguf, Gguf, read_gguf

TELEMETRY = "openvino_telemetry"
# ``import openvino`` imports its converter, and that sends "general_import" to Google Analytics,
# unasked. With this the import fails, and the library takes the stand-in that it has for that.
sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type] # None forbids an import
import openvino  # noqa: E402
import openvino_genai  # noqa: E402

logger = logging.getLogger(__name__)

PIECE_TOKENS = 32
"""Tokens of a prompt that are read in one call. A cancel is heard between two.

The library keeps keys and values in blocks of so many, and goes on after the last whole block that
it knows. Read in just these, a block is always computed alike, whatever was read before, and
reading ahead changes no answer; 64 took a tenth less processor time, but changed 7 of 40
(docs/decisions.md, "OpenVINO for CPUs")."""

KEPT_TOKENS = 8192
"""Tokens of past prompts that stay computed, beside a whole window; as with llama.cpp a little
over 8,000, in 8 bits: 17 kB a token with Qwen2.5 1.5B."""

TOP_K, TOP_P, MIN_P = 40, 0.95, 0.05
"""As the llama.cpp engine; without effect at temperature 0."""

_ENDS = (
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<|eom_id|>", "<|end|>", "</s>",
)  # fmt: skip
"""What ends an answer wherever a vocabulary has it, beside the one end that a GGUF names."""

_NO_THOUGHTS = {"enable_thinking": False}
"""A word of templates of models that think; others never read it."""

Emit = Callable[[Delta], None]


class OpenVinoGenerator:
    """Streams answers from one GGUF model."""

    def __init__(self, pipeline: Any, header: Gguf, *, name: str, context_tokens: int) -> None:
        """``header`` is that of the GGUF that the pipeline was made of."""
        self.name = name
        self.context_tokens = context_tokens
        self._tokenizer = pipeline.get_tokenizer()
        self._first = _first_token(header)
        self._ends = _ends(self._tokenizer)
        self._past = _Past(context_tokens + KEPT_TOKENS)
        self._gate = OneAtATime()
        self._holder: list[Any] = [pipeline]
        self._finalizer = weakref.finalize(self, _unload, self._holder, self._gate)

    @classmethod
    def load(
        cls, path: Path, *, name: str, context_tokens: int, threads: int = 0
    ) -> OpenVinoGenerator:
        """Load a ``.gguf`` file; the first time some 20 seconds, then from the copy that is kept.

        ``context_tokens`` is cut to what the model was trained for. ``threads`` 0 takes one
        for each physical core.

        Raises:
            ModelMissing: there is no such file.
            ModelError: the file is damaged, or OpenVINO cannot run it.
        """
        header = _header(path)
        trained = int(header.of_architecture("context_length") or context_tokens)
        window = min(context_tokens, trained)
        properties = {
            "INFERENCE_NUM_THREADS": threads or physical_cores(),
            "ENABLE_CPU_PINNING": False,  # a busy neighbour's core would hold all others up
        }
        try:
            pipeline = _pipeline(path, window, properties)
            loaded = cls(pipeline, header, name=name, context_tokens=window)
            loaded._warm_up()
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:  # what C++ throws
            raise _refused(path, error) from error
        logger.info("loaded %s with OpenVINO: window of %d tokens", path.name, window)
        return loaded

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count tokens by the model's own template and tokenizer, as ``stream`` sends them.

        Raises:
            ModelError: the model's template refuses this order of roles.
        """
        if self._gate.closed:
            raise unloaded(self.name)
        return len(self._ids(messages))

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
            ModelError: OpenVINO broke off, or the model is unloaded.
        """

        def work(emit: Emit, stopped: Stopped) -> None:
            ids = self._fitting(messages)
            most = min(max_tokens, self.context_tokens - len(ids))
            config = _config(most, temperature, self._ends)
            emit(self._answer(ids, _Reply(self, emit, stopped), config))

        return answer_stream(self.name, self._gate, work, cancelled=cancelled)

    def prepare(self, messages: Sequence[Message], *, cancelled: Stopped) -> None:
        """Read a prompt into the library's cache; see ``rag.protocols.TextGenerator``.

        What is read before it gives way stays in the cache.

        Raises:
            PromptTooLong: the prompt does not fit the window.
            ModelError: OpenVINO broke off.
        """
        with self._gate.spare() as mine:
            if mine:
                reply = _Reply(self, lambda _: None, lambda: cancelled() or self._gate.wanted)
                # what a question would leave of its last block is not kept: see PIECE_TOKENS
                self._read(self._fitting(messages), reply)

    def memory_bytes(self) -> int | None:
        """Return ``None``: it runs on the CPU."""
        return None

    def close(self) -> None:
        """End the running generation and free the weights."""
        self._finalizer()

    # -- by whoever holds the model --------------------------------------------------------

    def _answer(self, ids: list[int], reply: _Reply, config: Any) -> Delta:
        """Read a prompt and write the answer; return the delta that ends it."""
        if not self._read(ids, reply):
            return Delta("", 0, "cancelled")
        self._compute(ids, config, reply)
        return reply.last(config.max_new_tokens)

    def _read(self, ids: list[int], reply: _Reply) -> bool:
        """Read what is not in the cache, but for the last piece; false if it was broken off."""
        begin = self._past.known(ids)
        config = _config(1, 0, self._ends)  # one is the least it decodes
        for end in range(begin + PIECE_TOKENS, len(ids), PIECE_TOKENS):
            if reply.stopped():
                return False
            self._compute(ids[:end], config, None)
            self._past.add(ids[:end])
            reply.tell_read((end - begin) / (len(ids) - begin))
        return not reply.stopped()

    def _compute(self, ids: list[int], config: Any, reply: _Reply | None) -> None:
        tensor = openvino.Tensor(np.array([ids], np.int64))
        held = self._holder[:1]
        if not held:  # unloaded meanwhile
            raise unloaded(self.name)
        try:
            held[0].generate([tensor], [config], reply)
        except (RuntimeError, ValueError, MemoryError) as error:  # what C++ throws
            raise failed(self.name, str(error)) from error

    def _warm_up(self) -> None:
        """Have the weights laid out for this processor, which the first prompt does otherwise."""
        ids = self._tokenizer.encode("a " * PIECE_TOKENS, add_special_tokens=False).input_ids
        self._compute(ids.data[0][:PIECE_TOKENS].tolist(), _config(1, 0, self._ends), None)
        give_back()

    def _fitting(self, messages: Sequence[Message]) -> list[int]:
        ids = self._ids(messages)
        if len(ids) >= self.context_tokens:
            raise prompt_too_long(len(ids), self.context_tokens)
        return ids

    def _ids(self, messages: Sequence[Message]) -> list[int]:
        try:
            text = self._tokenizer.apply_chat_template(
                plain_turns(messages), add_generation_prompt=True, extra_context=_NO_THOUGHTS
            )
            if text.rstrip().endswith(OPENED):  # its template knows no such word
                text = text.rstrip() + CLOSING
            found = self._tokenizer.encode(text, add_special_tokens=False).input_ids
        except (RuntimeError, ValueError) as error:
            raise failed(self.name, str(error)) from error
        ids: list[int] = found.data[0].tolist()
        return ids if self._first is None or ids[:1] == [self._first] else [self._first, *ids]

    def _text(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids))


class _Reply(openvino_genai.StreamerBase):  # type: ignore[misc] # comes without types
    """Takes token ids as they come, in a thread of the library, and emits their text."""

    def __init__(self, model: OpenVinoGenerator, emit: Emit, stopped: Stopped) -> None:
        super().__init__()
        self._text = TextOfTokens(model._text)  # noqa: SLF001 - one module
        self._ends = model._ends  # noqa: SLF001
        self._emit = emit
        self._stopped = stopped
        self._tokens = 0
        self._finish: FinishReason | None = None
        self._error: BaseException | None = None

    def stopped(self) -> bool:
        """Tell whether nobody wants the answer any more."""
        return self._stopped()

    def tell_read(self, share: float) -> None:
        """Say how much of what was not cached is read, 0 to 1."""
        self._emit(Delta("", 0, prompt_read=share))

    def write(self, token: int | Sequence[int]) -> Any:
        """Take what was decoded; say whether to go on."""
        try:
            if self._finish is None:
                self._take([token] if isinstance(token, int) else list(token))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asked
            self._error = error
            self._finish = "cancelled"
        going_on = self._finish != "cancelled"
        status = openvino_genai.StreamingStatus
        return status.RUNNING if going_on else status.CANCEL

    def _take(self, ids: list[int]) -> None:
        if not self._tokens:
            self.tell_read(1.0)
        for token in ids:
            if self._stopped():
                self._finish = "cancelled"
                return
            self._tokens += 1
            if token in self._ends:
                self._emit(Delta("", 1))
                self._finish = "stop"
                return
            self._emit(Delta(self._text.push([token]), 1))

    def end(self) -> None:
        """Nothing: what is held back is flushed by the thread that asked."""

    def last(self, most: int) -> Delta:
        """Return the delta that ends the stream, or raise what went wrong."""
        if self._error is not None:
            raise self._error
        finish = self._finish or ("length" if self._tokens >= most else "stop")
        return Delta("" if finish == "cancelled" else self._text.flush(), 0, finish)


class _Past:
    """Remembers which prompts the library has read, as far as they are still in its cache."""

    def __init__(self, room_tokens: int) -> None:
        self._room = room_tokens
        self._read: deque[list[int]] = deque()

    def known(self, ids: list[int]) -> int:
        """Return how many tokens at the beginning need not be read again, in whole pieces."""
        most = max((_shared(ids, past) for past in self._read), default=0)
        return most // PIECE_TOKENS * PIECE_TOKENS

    def add(self, ids: list[int]) -> None:
        """Note a prompt; it replaces those that it goes on from, and the oldest make room."""
        self._read = deque(past for past in self._read if ids[: len(past)] != past)
        self._read.append(ids)
        while sum(map(len, self._read)) > self._room and len(self._read) > 1:
            self._read.popleft()


def _shared(one: list[int], other: list[int]) -> int:
    """Return how many tokens two prompts have in common from their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _config(most: int, temperature: float, ends: frozenset[int]) -> Any:
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = most
    config.stop_token_ids = set(ends)
    if temperature > 0:
        config.do_sample = True
        config.temperature = temperature
        config.top_k, config.top_p, config.min_p = TOP_K, TOP_P, MIN_P
        config.rng_seed = secrets.randbits(32)  # left alone it draws the same every time
    return config


def _first_token(header: Gguf) -> int | None:
    """Return the token that a prompt has to begin with; ``None`` if there is none."""
    if not header.values.get("tokenizer.ggml.add_bos_token"):
        return None
    found = header.values.get("tokenizer.ggml.bos_token_id")
    return None if found is None else int(found)


def _ends(tokenizer: Any) -> frozenset[int]:
    vocabulary = tokenizer.get_vocab()
    named = {vocabulary.get(end.encode()) for end in _ENDS} - {None}
    return frozenset({tokenizer.get_eos_token_id(), *named})


def _header(path: Path) -> Gguf:
    """Return the header of a file that OpenVINO should be able to read."""
    try:
        header = read_gguf(path)
    except FileNotFoundError as error:
        raise missing(path, kind=Text("file", "文件")) from error
    except DamagedGguf as error:
        why = Text("the file is damaged or incomplete.", "文件已损坏或不完整。")
        raise cannot_load(path, why, hint=AGAIN) from error
    except OSError as error:
        raise cannot_load(path, Text(f"{error}.", f"{error}。")) from error
    if (why_not := unfit(header)) is not None:
        raise cannot_load(path, why_not, hint=_OTHER_ENGINE)
    return header


_OTHER_ENGINE = Text(
    "Set generator.engine to llamacpp, or to auto, which takes what can run the file.",
    "请把 generator.engine 设为 llamacpp，或设为 auto（自动选择可用的引擎）。",
)


def _pipeline(path: Path, window: int, properties: dict[str, Any]) -> Any:
    """Load the copy of a GGUF, which is made first if need be; the GGUF where none can be kept."""
    if has_copy(path):
        try:
            return _open(copy_of(path), window, properties)
        except RuntimeError as error:
            logger.warning("what OpenVINO kept of %s is damaged, and made anew", path.name)
            logger.debug("%s", error)
            drop_copy(path)
    kept = keep_copy(path, lambda link: _write(link, properties))
    give_back()
    return _open(copy_of(path) if kept else path, window, properties)


def _write(link: Path, properties: dict[str, Any]) -> None:
    """Have the library write what it makes of a GGUF beside it."""
    openvino_genai.LLMPipeline(str(link), "CPU", enable_save_ov_model=True, **properties)


def _open(source: Path, window: int, properties: dict[str, Any]) -> Any:
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.enable_prefix_caching = True
    scheduler.dynamic_split_fuse = True
    scheduler.max_num_batched_tokens = PIECE_TOKENS
    scheduler.max_num_seqs = 1
    scheduler.num_kv_blocks = -(-(window + KEPT_TOKENS) // PIECE_TOKENS)
    return openvino_genai.ContinuousBatchingPipeline(str(source), scheduler, "CPU", properties)


def _refused(path: Path, error: Exception) -> Exception:
    detail = " ".join(str(error).split())[-200:]
    why = Text(f"OpenVINO says: {detail}", f"OpenVINO 报告：{detail}")
    return cannot_load(path, why, hint=_OTHER_ENGINE)


def _unload(holder: list[Any], gate: OneAtATime) -> None:
    gate.close()
    holder.clear()
