"""Opens a library for a program that composes with LangChain."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.app import wiring
from rag.app.container import Factory
from rag.config import Settings, load_settings, setting_keys
from rag.interop.chat_model import RagChatModel
from rag.interop.retriever import RagRetriever
from rag.storage.vectors.manager import exact_index
from rag.system.environment import renaming_note

if TYPE_CHECKING:
    from rag.protocols import TextGenerator
    from rag.storage.ledger import Ledger
    from rag.types.answers import SearchResult


@dataclass
class OpenLibrary:
    """A library that is read, never written; the app may be open beside it."""

    factory: Factory
    ledger: Ledger
    _generators: list[TextGenerator] = field(default_factory=list)

    def retriever(self, **options: Any) -> RagRetriever:
        """Return the search; ``options`` are fields of ``RagRetriever``, such as ``k``."""
        pipeline = wiring.pipeline(
            self.factory,
            self.ledger,
            index=lambda space: exact_index(self.ledger, space),
            generator=lambda _: None,
        )

        def search(question: str, **more: Any) -> SearchResult:
            return pipeline.search(question, **more)

        return RagRetriever(search=search, **options)

    def chat_model(self, **options: Any) -> RagChatModel:
        """Return the model of the settings, loaded once; ``options`` as of ``RagChatModel``.

        Raises:
            RagError: it cannot be had.
        """
        if not self._generators:
            self._generators.append(self.factory.generator())
        chosen = self.factory.settings.generator
        options = {
            "max_tokens": chosen.max_tokens,
            "temperature": chosen.temperature,
            **options,
        }
        return RagChatModel(generator=self._generators[0], **options)

    def close(self) -> None:
        """Unload the model and let go of the library."""
        for generator in self._generators:
            generator.close()
        self.factory.close()
        self.ledger.close()


@contextmanager
def open_library(
    knowledge: str | Path | None = None, *, settings: Settings | None = None
) -> Iterator[OpenLibrary]:
    """Open the library of a folder that `rag sync` has read.

    ``settings`` are those of ``ragdesk.toml`` and the environment if left out; ``knowledge``
    names another folder.

    Raises:
        RagError: there is no library, or a setting is wrong.
    """
    if settings is None and (note := renaming_note(os.environ, setting_keys())):
        warnings.warn(note.en, FutureWarning, stacklevel=3)  # of this, of contextlib, of the caller
    chosen = settings or load_settings(None)
    if knowledge is not None:
        chosen = chosen.model_copy(update={"knowledge": Path(knowledge)})
    factory = Factory(chosen)
    library = OpenLibrary(factory, factory.ledger(read_only=True))
    try:
        yield library
    finally:
        library.close()
