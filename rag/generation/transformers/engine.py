"""A causal language model from transformers, in 16, 8 or 4 bits, on one device."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import GenerationConfig

from rag.generation.engine_errors import failed, prompt_too_long, unloaded
from rag.generation.prompt import plain_turns
from rag.generation.streaming import OneAtATime, Stopped, iterate
from rag.generation.thoughts import CLOSING, OPENED, without_thoughts
from rag.generation.transformers import generate
from rag.generation.transformers.cache import (
    Kept,
    Watch,
    WatchedCache,
    common_prefix,
    ends_of_parts,
)
from rag.generation.transformers.errors import (
    bytes_on_cards,
    empty_caches,
    is_out_of_memory,
    let_go,
    out_of_memory,
)
from rag.generation.transformers.generate import Guess
from rag.generation.transformers.loading import (
    Device,
    Loaded,
    batch_dependent,
    ends_of,
    load_model,
)
from rag.generation.transformers.weights import Quantization
from rag.text.messages import Text
from rag.types.answers import Delta, Message
from rag.types.hardware import Holder, KvBits, Placement

CHUNK_TOKENS = 512
"""Of a prompt in one pass, at most; between two progress is told. Smaller ones cost time: see
the measured decisions, "Answers of the transformers engine"."""
PARAGRAPH = "\n\n"
_OPENED_TOKENS = 12
"""As many as ``<think>`` and a line break are at most, where each letter is a token."""


class TransformersGenerator:
    """Streams answers from one model."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        name: str,
        context_tokens: int,
        kv_bits: KvBits = 16,
        guess: Guess = "exact",
    ) -> None:
        """``context_tokens`` is cut to what the model was trained for.

        With ``kv_bits`` 8 a conversation takes half the memory, and keys and values are rounded.
        """
        self.name = name
        self.context_tokens = min(context_tokens, loaded.window)
        self._model = model = loaded.model
        self._tokenizer = loaded.tokenizer
        self._template = loaded.template
        self._device: torch.device = model.device
        self._ends = ends_of(loaded)
        self._alone = not batch_dependent(model)  # a token's numbers are its own
        # in 16 bits a pass over several tokens rounds otherwise, and now and then says otherwise
        exact = self._alone and model.dtype == torch.float32
        self._lookup = guess == "always" or (guess == "exact" and exact)
        model.generation_config = GenerationConfig()  # a repetition penalty punishes quoting
        generate.go_on_from_caches(model)
        self._kept = Kept(model.config, kv_bits=kv_bits)
        self._gate = OneAtATime()
        self._encoding = threading.Lock()  # tokenizers refuse to be borrowed twice at a time

    @classmethod
    def load(  # noqa: PLR0913 - each is a setting
        cls,
        path: Path,
        *,
        name: str,
        context_tokens: int,
        quantization: Quantization = "nf4",
        device: Device = "auto",
        placement: Placement | None = None,
        guess: Guess = "exact",
    ) -> TransformersGenerator:
        """Load a folder; see ``load_model``."""
        loaded = load_model(path, quantization=quantization, device=device, placement=placement)
        kv_bits = placement.kv_bits if placement else 16
        return cls(loaded, name=name, context_tokens=context_tokens, kv_bits=kv_bits, guess=guess)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count tokens as ``stream`` sends them, chat template included.

        Raises:
            ModelError: the template refuses this order of roles.
        """
        return len(self._encode(messages))

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
            OutOfMemory: the device ran out of memory.
            ModelError: the template refuses the messages, or the model is unloaded, or did
                nothing but think.
        """
        deltas: Iterator[Delta] = iterate(
            lambda emit, stopped: self._answer(
                messages, emit, stopped, max_tokens=max_tokens, temperature=temperature
            ),
            cancelled=cancelled,
        )
        return without_thoughts(self.name, deltas)

    def prepare(self, messages: Sequence[Message], *, cancelled: Stopped) -> None:
        """Compute a prompt and keep its beginning; see ``rag.protocols.TextGenerator``.

        Raises:
            OutOfMemory: the device ran out of memory.
            ModelError: the template refuses the messages.
        """
        prompt = self._encode(messages)
        failure: Exception | None = None
        with self._gate.spare() as mine:
            if mine and len(prompt) < self.context_tokens:
                watch = Watch(lambda: cancelled() or self._gate.wanted)
                ends = self._ends_of_parts(messages, prompt)
                failure = self._run(
                    prompt,
                    ends,
                    watch,
                    lambda model, cache: generate.read(model, prompt, ends, cache),
                )
        if failure is not None:
            raise failure

    def memory_bytes(self) -> int | None:
        """Return what PyTorch holds on the GPUs, caches left out; ``None`` on the CPU."""
        if self._device.type != "cuda" or self._gate.closed:
            return None
        return sum(torch.cuda.memory_allocated(i) for i in range(torch.cuda.device_count()))

    def memory_parts(self) -> Mapping[Holder, int]:
        """Return the bytes of weights and of the kept prompt on the GPUs; nothing on the CPU."""
        if self._device.type != "cuda" or self._gate.closed:
            return {}
        return {"weights": bytes_on_cards(self._model.parameters()), "kv": self._kept.nbytes}

    def shrink_cache(self, *, small: bool) -> bool:
        """Keep keys and values in 8 bits from the next answer on, or in the full type again.

        False: layers with a window or a state of their own have no such form.
        """
        return self._kept.shrink(small=small)

    def forget(self) -> None:
        """Give back the memory of what is kept between questions."""
        self._kept.drop()
        empty_caches()

    def close(self) -> None:
        """End the running generation and free the weights."""
        self._gate.close()
        self._model = None
        self.forget()

    def _answer(
        self,
        messages: Sequence[Message],
        emit: generate.Emit,
        stopped: Stopped,
        *,
        max_tokens: int,
        temperature: float,
    ) -> None:
        with self._gate.turn(stopped) as mine:
            if self._gate.closed:
                raise unloaded(self.name)
            if not mine:
                emit(Delta("", 0, "cancelled"))
                return
            prompt = self._encode(messages)
            room = self.context_tokens - len(prompt)
            if room < 1:
                raise prompt_too_long(len(prompt), self.context_tokens)
            watch = Watch(lambda: stopped() or self._gate.closed)
            reply = generate.Reply(self._tokenizer, emit, ends=self._ends, watch=watch)
            ends = self._ends_of_parts(messages, prompt)

            def say(model: Any, cache: WatchedCache) -> None:
                generate.read(
                    model, prompt, ends, cache, lambda share: emit(Delta("", 0, prompt_read=share))
                )
                how = generate.settings(
                    ends=self._ends,
                    limit=min(max_tokens, room),
                    temperature=temperature,
                    lookup=self._lookup and cache.whole,
                )
                generate.answer(model, prompt, cache, reply, how=how, watch=watch)

            failure = self._run(prompt, ends, watch, say)
            if watch.struck and reply.reason is None:  # inside the prompt
                reply.end()
        if failure is not None:
            raise failure  # out here, where nothing refers to the cache any more

    def _run(
        self,
        prompt: list[int],
        ends: list[int],
        watch: Watch,
        work: Callable[[Any, WatchedCache], object],
    ) -> Exception | None:
        """Do something with the model; return the failure if memory ran out."""
        model = self._model
        if model is None:
            raise unloaded(self.name)
        try:
            with torch.inference_mode(), self._kept.open(prompt, ends, watch) as cache:
                work(model, cache)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failure = out_of_memory(
                Text(
                    f"answering a prompt of {len(prompt)} tokens",
                    f"回答长度为 {len(prompt)} 个 token 的提示",
                ),
                device=self._device,
                hint=Text(
                    'Lower retrieve.k, or set generator.quantization = "nf4".',
                    '请调低 retrieve.k，或设置 generator.quantization = "nf4"。',
                ),
            )
            let_go(error)
            return failure
        return None

    def _ends_of_parts(self, messages: Sequence[Message], prompt: Sequence[int]) -> list[int]:
        """Return where the parts of a prompt end that are computed in one pass each.

        One ends before the last paragraph of the longest message, the question behind passages:
        they come back with another question, or with more turns after it.
        """
        place = max(range(len(messages)), key=lambda at: len(messages[at].content))
        longest = messages[place]
        before, blank, _ = longest.content.rpartition(PARAGRAPH)
        stem = 0
        if blank and self._alone and len(prompt) > CHUNK_TOKENS:
            shared = self._encode([*messages[:place], Message(longest.role, before)])
            stem = common_prefix(shared, prompt)
        whole = len(prompt) // CHUNK_TOKENS * CHUNK_TOKENS
        return ends_of_parts(len(prompt), stem=stem or whole, most=CHUNK_TOKENS)

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        """Return the ids of a prompt; the template writes all special tokens itself."""
        try:
            with self._encoding:
                encoded = self._tokenizer.apply_chat_template(
                    plain_turns(messages),
                    chat_template=self._template,
                    add_generation_prompt=True,
                    return_dict=True,
                    sanitize_control_tokens=True,
                    enable_thinking=False,  # a word of its own templates; others never read it
                )
                ids: list[int] = encoded["input_ids"]
                return [*ids, *self._end_of_thoughts(ids)]
        except TemplateError as error:
            raise failed(self.name, f"its chat template says: {error}") from error

    def _end_of_thoughts(self, ids: Sequence[int]) -> list[int]:
        """Return the ids that end thoughts which a template begins whatever it is told."""
        last = self._tokenizer.decode(ids[-_OPENED_TOKENS:]).rstrip()
        if not last.endswith(OPENED):
            return []
        closing: list[int] = self._tokenizer.encode(CLOSING, add_special_tokens=False)
        return closing
