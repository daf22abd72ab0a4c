"""The language model of the running app: fetched and loaded beside everything else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from rag.errors import ModelError, RagError, ServerUnreachable
from rag.protocols import parts_of
from rag.text.messages import Text
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.app.container import Container
    from rag.protocols import TextGenerator
    from rag.types.hardware import Holder


logger = logging.getLogger(__name__)
ModelState = Literal["none", "downloading", "loading", "ready", "failed"]
_POLL_S = 0.1


class ModelLoader:
    """What became of the model, for the screen, and the model itself for whoever asks."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        """``stopped`` ends the waiting, and the loading where it can be ended."""
        self._stopped = stopped
        self._ended = threading.Event()
        self._error: RagError | None = None
        self._source: Container | None = None
        self._guard = threading.Lock()  # of a second attempt
        self._generator: TextGenerator | None = None
        self._progress: Progress | None = None
        self.state: ModelState = "none"
        self.name = ""
        self.note: Text | None = None
        self.offer: Text | None = None
        """What would answer better on this machine, before the model that there is took memory."""

    @property
    def progress(self) -> Progress | None:
        """How far it is; ``None`` once it has ended."""
        return None if self._ended.is_set() else self._progress

    def tell(self, progress: Progress) -> None:
        """Hear how far a download or loading is."""
        self._progress = progress
        if self.state not in {"ready", "failed"}:
            self.state = "loading" if progress.stage == "load" else "downloading"

    def load(self, source: Container) -> None:
        """Fetch and load what the settings ask for; what goes wrong is kept for ``wait``."""
        self._source = source
        loading = source.settings.embedder.model
        try:
            # the small one first: syncing and searching wait for it
            source.embedder(loading)
            chosen = source.chosen_generator()
            self.offer = source.offered_generator()
            self.name = loading = chosen.model
            self._generator = source.generator(self._stopped)
            self.name = self._generator.name
            self.state = "ready"
        except RagError as error:
            self._fail(error)
        except BaseException as error:  # whatever it is, questions must not wait or seem cancelled
            logger.exception("%s could not be loaded", loading)
            self._fail(_unexpected(loading, error))
        finally:
            self._ended.set()

    def _fail(self, error: RagError) -> None:
        self._error = error
        self.note = error.text
        self.state = "failed"

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
            if isinstance(self._error, ServerUnreachable) and self._source is not None:
                self._error = self.note = None
                self.state = "loading"
                self.load(self._source)
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


def _unexpected(name: str, error: BaseException) -> ModelError:
    """Say that loading ended in an error that no engine knows."""
    detail = f"{type(error).__name__}: {error}"
    found = ModelError(
        Text(f"{name} could not be loaded: {detail}", f"无法加载 {name}：{detail}"),
        hint=Text(
            "Delete its files and run `rag models pull`, or choose another model from `rag models "
            "list`; the terminal of the app shows the details.",
            "请删除其文件并运行 `rag models pull`，或从 `rag models list` 中选择其他模型；"
            "应用的终端里有详细信息。",
        ),
    )
    found.__cause__ = error
    return found
