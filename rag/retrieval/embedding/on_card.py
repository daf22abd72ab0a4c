"""What an embedder and a reranker share: a model of sentence-transformers on a card or a CPU.

It can leave the card when memory runs out, and come back; a batch that runs is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from transformers.utils import logging as transformers_logging

from rag.system.cpu_precision import cpu_dtype

if TYPE_CHECKING:
    from rag.errors import OutOfMemory
    from rag.types.hardware import Holder

Device = Literal["auto", "cpu", "cuda"]


class OnCard:
    """Satisfies ``Movable`` and ``HoldsParts`` for the model in ``_model``."""

    HOLDER: ClassVar[Holder]

    def __init__(self, model: torch.nn.Module, *, device: str) -> None:
        self._model: Any = model
        self._home = self._device = device
        self._moving = Lock()

    def memory_parts(self) -> dict[Holder, int]:
        """Return what the weights take on the card."""
        if self._device == "cpu":
            return {}
        weights = sum(p.numel() * p.element_size() for p in self._model.parameters())
        return {self.HOLDER: weights}

    def to_cpu(self) -> bool:
        """Leave the card; false if it was not there. A batch that runs is waited for."""
        was = self._device != "cpu"
        if was:
            self._move("cpu")
        return was

    def to_device(self) -> None:
        """Come back to where it was loaded.

        Raises:
            OutOfMemory: there is no room any more; it stays on the CPU.
        """
        try:
            self._move(self._home)
        except torch.OutOfMemoryError as error:
            self._move("cpu")
            raise self._full() from error

    def _full(self) -> OutOfMemory:
        """Return what a person is told when the card has no room."""
        raise NotImplementedError

    def _staying(self) -> AbstractContextManager[Any]:
        """Hold the model where it is; one that has never been on a card stays anyway."""
        return nullcontext() if self._home == "cpu" else self._moving

    def _move(self, device: str) -> None:
        with self._moving:
            self._model.to(device=device, dtype=dtype_on(device))
            self._device = device


def choose_device(device: Device) -> str:
    """Return where to compute: on a card if there is one, unless told otherwise."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def dtype_on(device: str) -> torch.dtype:
    """Return the fastest type that leaves the vectors as they are (cosine above .9999)."""
    return torch.float16 if device == "cuda" else cpu_dtype()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's progress bars and load report off the person's terminal."""
    before = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
        if bars:
            transformers_logging.enable_progress_bar()
