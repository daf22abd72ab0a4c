"""The system's own store for secrets, where there is one."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

SERVICE = "ragdesk"
# keyring's own errors are RuntimeErrors, except KeyringError, which is a plain Exception; the
# system's side may fail in any way of its own
STORE_ERRORS = (Exception,)


class Store(Protocol):
    """The part of the package keyring that is used."""

    def get_password(self, service: str, name: str, /) -> str | None: ...
    def set_password(self, service: str, name: str, password: str, /) -> None: ...
    def delete_password(self, service: str, name: str, /) -> None: ...


def system_store() -> Store | None:
    """Return the system's store; ``None`` where the package for it is not installed."""
    if find_spec("keyring") is None:
        return None
    store: Store = import_module("keyring")
    return store
