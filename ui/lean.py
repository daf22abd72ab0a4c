"""A quicker import of Gradio."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_stubs() -> Iterator[None]:
    """Keep Gradio from writing a type stub beside each of its components while it is imported.

    It parses its own sources for that on every start: 2.7 of 4.9 seconds on two cores
    (Gradio 6.31, ``component_meta.create_or_modify_pyi``), and files in site-packages. A
    component whose source cannot be found is skipped there, so its source is not found.
    Garbage collection is paused too: an import makes no garbage, only objects to count.
    """
    getfile = inspect.getfile

    def hidden(object: Any) -> str:  # noqa: A002  # the name in the original
        if isinstance(object, type) and object.__module__.startswith("gradio."):
            raise OSError("no stub wanted")
        return getfile(object)

    collecting = gc.isenabled()
    gc.disable()
    inspect.getfile = hidden
    try:
        yield
    finally:
        inspect.getfile = getfile
        if collecting:
            gc.enable()
