"""What code that reads text raises when it meets text that nobody thought of.

Such a failure costs a passage a feature, a sentence its check or a document its place in the
index, and is logged; it never ends a sync or an answer. A full disk, a missing model, memory
that ran out and a cancelled job are none of it: they concern everything, and go on upwards.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TEXT_ERRORS = (
    ArithmeticError,  # decimal.InvalidOperation is one
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,  # UnicodeError is one
    re.error,
)

logger = logging.getLogger(__name__)


def attempt(call: Callable[[], T], *, instead: T, what: str) -> T:
    """Return what ``call`` returns, or ``instead`` where it fails over its text.

    ``what`` names in the log what was lost; the text itself is not logged.
    """
    try:
        return call()
    except TEXT_ERRORS:
        logger.exception("failed over odd text: %s", what)
        return instead
