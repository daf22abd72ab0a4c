"""Frozen values as JSON and back, for what has to outlive the program that wrote it."""

from __future__ import annotations

import json
import types
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_json(value: Any) -> str:
    """Return a dataclass, with everything in it, as JSON."""
    return json.dumps(asdict(value), ensure_ascii=False, separators=(",", ":"))


def from_json(kind: type[T], text: str) -> T:
    """Return what ``to_json`` was given.

    Fields that are not known any more are left out; missing ones take their defaults.
    """
    value: T = _revive(kind, json.loads(text))
    return value


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _revive(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        known = {field.name for field in fields(kind)}
        return kind(**{k: _revive(hints[k], v) for k, v in value.items() if k in known})
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(_revive(inner[0], one) for one in value)
    if origin in {Union, types.UnionType} and value is not None:
        return _revive(next(one for one in inner if one is not type(None)), value)
    return value
