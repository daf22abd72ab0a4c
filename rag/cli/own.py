"""stub"""

from __future__ import annotations

from rag.cli.context import Context
from rag.cli.wanted import Measured, Wanted


def measure_own(context: Context, wanted: Wanted) -> Measured:
    raise NotImplementedError
