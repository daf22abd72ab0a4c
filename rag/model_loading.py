"""The language model of the running app: fetched and loaded beside everything else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from rag.device import parts_of
from rag.errors import RagError, ServerUnreachable
from rag.types import Progress
from rag.words import Text

if TYPE_CHECKING:
    from rag.factory import Factory
    from rag.machine import Holder
    from rag.protocols import TextGenerator

ModelState = Literal["none", "downloading", "loading", "ready", "failed"]
_POLL_S = 0.1


class ModelLoading:
    """What became of the model, for the screen, and the model itself for whoever asks."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        """``stopped`` ends the waiting, and the loading where it can be ended."""
        self._stopped = stopped
        self._ended = threading.Event()
        self._error: RagError | None = None
        self._factory: Factory | None = None
        self._guard = threading.Lock()  # of a second attempt
        self._generator: TextGenerator | None = None
        self._progress: Progress | None = None
        self.state: ModelState = "none"
        self.name = ""
        self.note: Text | None = None

    @property
    def progress(self) -> Progress | None:
        """How far it is; ``None`` once it has ended."""
        return None if self._ended.is_set() else self._progress

    def tell(self, progress: Progress) -> None:
        """Hear how far a download or loading is."""
        self._progress = progress
        if self.state not in {"ready", "failed"}:
            self.state = "loading" if progress.stage == "load" else "downloading"

    def load(self, factory: Factory) -> None:
        """Fetch and load what the settings ask for; what goes wrong is kept for ``wait``."""
        self._factory = factory
        try:
            # the small one first: syncing and searching wait for it
            factory.embedder(factory.settings.embedder.model)
            chosen = factory.chosen_generator()
            self.name = chosen.model
            self._generator = factory.generator(self._stopped)
            self.name = self._generator.name
            self.state = "ready"
        except RagError as error:
            self._error = error
            self.state = "failed"
            self.note = Text(error.say("en"), error.say("zh"))
        finally:
            self._ended.set()

    def wait(self, cancelled: Callable[[], bool]) -> TextGenerator | None:
        """Return the model once it is there; ``None`` if nobody wants it any more.

        A server that could not be reached is asked again.

        Raises:
            RagError: it cannot be had.
        """
        while not self._ended.wait(_POLL_S):
            if cancelled() or self._stopped():
                return None
        with self._guard:
            if isinstance(self._error, ServerUnreachable) and self._factory is not None:
                self._error = self.note = None
                self.state = "loading"
                self.load(self._factory)
        if self._error is not None:
            raise self._error
        return self._generator

    @property
    def loaded(self) -> TextGenerator | None:
        """The model if it is there; nothing is waited for."""
        return self._generator if self.state == "ready" else None

    def parts(self) -> dict[Holder, int]:
        """Return what it holds on the device, by holder; nothing without one."""
        generator = self._generator
        found = parts_of([generator])
        whole = generator.memory_bytes() if generator and not found else None
        return found if whole is None else {"weights": whole}

    def close(self) -> None:
        """Free the weights."""
        if self._generator is not None:
            self._generator.close()
