"""Gradio's page, which takes file values where files are dropped and nowhere else.

Gradio copies any file that a value names into its folder before a handler sees the value, and
fetches it first where the value names a URL. Only the drop zone needs that, and only for what
the browser has just uploaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

REFUSED = "Only files that were dropped onto the page are taken."


class ScreenPage(gr.Blocks):  # type: ignore[misc]  # Gradio has no types
    """A page whose requests name no files but those that lie in ``uploads``."""

    def __init__(self, *, uploads: Path, **options: Any) -> None:
        super().__init__(**options)
        # Gradio looks where a file lies only if ``launch`` started the page, and it was mounted
        self.has_launched = True
        self._uploads = uploads.resolve()

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *state: Any, **options: Any
    ) -> list[Any]:
        """Turn what the browser sent into what the handler takes; every request comes by here.

        Raises:
            gr.Error: a value names a file that may not be taken.
        """
        for place, value in enumerate(inputs):
            drops = place < len(block_fn.inputs) and isinstance(
                block_fn.inputs[place], gr.UploadButton
            )
            if any(not (drops and self._was_dropped(path)) for path in _paths(value)):
                raise gr.Error(REFUSED, print_exception=False)  # forged: no bug of ours
        made: list[Any] = await super().preprocess_data(block_fn, inputs, *state, **options)
        return made

    def _was_dropped(self, path: object) -> bool:
        """Return whether ``path`` lies in the upload folder; a URL lies in no folder."""
        try:
            return isinstance(path, str) and Path(path).resolve().is_relative_to(self._uploads)
        except (OSError, ValueError):  # no name that a file could have
            return False


def _paths(value: object) -> Iterator[object]:
    """Yield every ``path`` in a value, however deep."""
    if isinstance(value, dict):
        if "path" in value:
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _paths(item)
