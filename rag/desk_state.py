"""What the screen sees of the app."""

from __future__ import annotations

from dataclasses import dataclass

from rag.forecast import Forecast
from rag.model_loading import ModelState
from rag.text.messages import Text
from rag.types.answers import Usage
from rag.types.hardware import MemoryReading
from rag.types.progress import Progress
from rag.types.server_address import Address


@dataclass(frozen=True, slots=True)
class DeskState:
    """The app at one moment. Cheap to take; the screen asks once a second."""

    model_state: ModelState
    model_name: str
    model_progress: Progress | None
    model_note: Text | None
    sync_progress: Progress | None
    sync_note: Text | None
    documents_revision: int
    memory: MemoryReading
    last_usage: Usage | None
    reading_ahead: bool = False
    stale: Text | None = None  # what a rebuild would mend, and what it costs
    server: Address | None = None  # that answers, where the model does not run in this program
    lowered: tuple[Text, ...] = ()  # what answers do without, for want of memory
    heat: Text | None = None  # why answers come with pauses
    forecast: Forecast | None = None  # of the next question, where a model is loaded here
    failures: tuple[Text, ...] = ()  # background parts that do not work now, why, and a remedy
