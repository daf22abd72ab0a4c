"""A causal language model from transformers, in 16, 8 or 4 bits, on one device."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError

from rag.generate.failures import failed, prompt_too_long, unloaded
from rag.generate.streaming import OneAtATime, Stopped, iterate
from rag.generate.templates import plain_turns
from rag.generate.torch_memory import empty_caches, is_out_of_memory, let_go, out_of_memory
from rag.generate.transformers_loading import Device, Quantization, load_model, plain_generation
from rag.generate.transformers_reply import Cancelled, Emit, Reply, Watch, WatchedCache
from rag.types import Delta, Message
from rag.words import Text

SAMPLING = {"top_k": 40, "top_p": 0.95, "min_p": 0.05}
"""As the llama.cpp engine; without effect at temperature 0."""


class TransformersGenerator:
    """Streams answers from one model."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        context_tokens: int,
        template: str | None = None,
    ) -> None:
        """``template`` replaces the tokenizer's own chat template; ``None`` keeps that."""
        self.name = name
        self.context_tokens = context_tokens
        self._model = model
        self._tokenizer = tokenizer
        self._template = template
        self._device: torch.device = model.device
        model.generation_config = plain_generation(model, tokenizer, template)
        self._gate = OneAtATime()
        self._encoding = threading.Lock()  # tokenizers refuse to be borrowed twice at a time

    @classmethod
    def load(
        cls,
        source: Path | str,
        *,
        name: str,
        context_tokens: int,
        quantization: Quantization = "nf4",
        device: Device = "auto",
        local_files_only: bool = True,
    ) -> TransformersGenerator:
        """Load a folder, or a repository of the hub's cache; see ``load_model``.

        ``context_tokens`` is cut to what the model was trained for.
        """
        loaded = load_model(
            source, quantization=quantization, device=device, local_files_only=local_files_only
        )
        return cls(
            loaded.model,
            loaded.tokenizer,
            name=name,
            context_tokens=min(context_tokens, loaded.window),
            template=loaded.template,
        )

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count tokens as ``stream`` sends them, chat template included.

        Raises:
            ModelError: the template refuses this order of roles.
        """
        return int(self._encode(messages).shape[1])

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
            ModelError: the template refuses the messages, or the model is unloaded.
        """
        return iterate(
            lambda emit, stopped: self._answer(
                messages, emit, stopped, max_tokens=max_tokens, temperature=temperature
            ),
            cancelled=cancelled,
        )

    def prepare(self, messages: Sequence[Message], *, cancelled: Stopped) -> None:
        """Do nothing: what a prompt computed is not kept."""

    def memory_bytes(self) -> int | None:
        """Return what PyTorch holds on the GPU, caches left out; ``None`` on the CPU."""
        if self._device.type != "cuda" or self._gate.closed:
            return None
        return int(torch.cuda.memory_allocated(self._device))

    def close(self) -> None:
        """End the running generation and free the weights."""
        self._gate.close()
        self._model = None
        empty_caches()

    def _answer(
        self,
        messages: Sequence[Message],
        emit: Emit,
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
            prompt = self._encode(messages).to(self._device)  # (1, prompt tokens)
            room = self.context_tokens - prompt.shape[1]
            if room < 1:
                raise prompt_too_long(prompt.shape[1], self.context_tokens)
            reply = Reply(self._tokenizer, emit)
            options = {"do_sample": True, "temperature": temperature, **SAMPLING}
            self._generate(
                prompt,
                reply,
                lambda: stopped() or self._gate.closed,
                max_new_tokens=min(max_tokens, room),
                **(options if temperature > 0 else {"do_sample": False}),
            )

    def _generate(
        self, prompt: torch.Tensor, reply: Reply, stopped: Stopped, **options: Any
    ) -> None:
        model, watch = self._model, Watch(stopped)
        failure: Exception | None = None
        try:
            with torch.inference_mode():
                model.generate(
                    prompt,
                    attention_mask=torch.ones_like(prompt),
                    past_key_values=WatchedCache(model.config, watch),
                    streamer=reply,
                    stopping_criteria=[watch],
                    **options,
                )
        except Cancelled:
            pass  # inside the prompt; the watch remembers it
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failure = self._ran_out(prompt.shape[1])
            let_go(error)
        if failure is not None:
            raise failure  # out here, where nothing refers to the cache any more
        ends = model.generation_config.eos_token_id or ()
        reply.finish(watch, ends=ends, limit=options["max_new_tokens"])

    def _ran_out(self, prompt_tokens: int) -> Exception:
        return out_of_memory(
            Text(
                f"answering a prompt of {prompt_tokens} tokens",
                f"回答长度为 {prompt_tokens} 个 token 的提示",
            ),
            device=self._device,
            hint=Text(
                'Lower retrieve.k, or set generator.quantization = "nf4".',
                '请调低 retrieve.k，或设置 generator.quantization = "nf4"。',
            ),
        )

    def _encode(self, messages: Sequence[Message]) -> torch.Tensor:
        """Return ids of shape ``(1, tokens)``; the template writes all special tokens itself."""
        try:
            with self._encoding:
                encoded = self._tokenizer.apply_chat_template(
                    plain_turns(messages),
                    chat_template=self._template,
                    add_generation_prompt=True,
                    return_tensors="pt",
                    return_dict=True,
                    sanitize_control_tokens=True,
                )
        except TemplateError as error:
            raise failed(self.name, f"its chat template says: {error}") from error
        ids: torch.Tensor = encoded["input_ids"]
        return ids
