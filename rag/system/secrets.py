"""The system's own store for secrets, where there is one."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from rag.text.messages import Text

SERVICE = "ragdesk"
# keyring's own errors are RuntimeErrors, except KeyringError, which is a plain Exception; the
# system's side may fail in any way of its own
STORE_ERRORS = (Exception,)


class NoStore(Exception):
    """There is no store here that works; ``remedy`` is half a sentence."""

    def __init__(self, remedy: Text) -> None:
        super().__init__(remedy.en)
        self.remedy = remedy


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


def has_store() -> bool:
    """Return whether there may be something to look into."""
    return system_store() is not None


def kept_secret(name: str) -> str | None:
    """Return what is kept under a name; a system without a store keeps nothing."""
    store = system_store()
    if store is None:
        return None
    try:
        return store.get_password(SERVICE, name)
    except STORE_ERRORS:
        return None


def keep_secret(name: str, secret: str) -> None:
    """Keep a secret under a name; an empty one is forgotten.

    Raises:
        NoStore: it cannot be kept.
    """
    store = system_store()
    if store is None:
        raise NoStore(Text("Run `pip install keyring`", "请运行 `pip install keyring`"))
    try:
        if secret:
            store.set_password(SERVICE, name, secret)
        elif store.get_password(SERVICE, name) is not None:
            store.delete_password(SERVICE, name)
    except STORE_ERRORS as error:
        raise NoStore(
            Text(
                "Set up a keyring (on Linux GNOME Keyring or KWallet)",
                "请先启用系统密钥环（Linux 上为 GNOME Keyring 或 KWallet）",
            )
        ) from error
