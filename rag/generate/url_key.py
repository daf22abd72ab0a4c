"""The key of a server: from the environment, or kept in the system's own store for its address.

It is sent to that server alone, never written to the library, the settings or a log.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rag.errors import ConfigError
from rag.system.secrets import NoStore, keep_secret, kept_secret
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.types.server_address import Address

VARIABLE = "RAGDESK_API_KEY"


def find_key(address: Address) -> str | None:
    """Return the key for a server; ``None`` if there is none.

    Raises:
        ConfigError: it holds characters that cannot be sent.
    """
    key = os.environ.get(VARIABLE, "").strip() or kept_secret(_entry(address))
    if key and not (key.isascii() and key.isprintable()):
        raise ConfigError(
            Text("The key holds characters that no key has.", "密钥中含有无效字符。"),
            hint=Text(
                f"Look at {VARIABLE}, or enter it anew with `rag models key`.",
                f"请检查 {VARIABLE}，或用 `rag models key` 重新输入。",
            ),
        )
    return key or None


def keep_key(address: Address, key: str) -> None:
    """Keep a key in the system's store, for this server; an empty one is forgotten.

    Raises:
        ConfigError: there is no such store here.
    """
    try:
        keep_secret(_entry(address), key)
    except NoStore as error:
        raise ConfigError(
            Text(
                "There is no keyring here to keep the key in.", "此系统没有可用的密钥环来保存密钥。"
            ),
            hint=Text(
                f"{error.remedy.en}, or set the environment variable {VARIABLE}.",
                f"{error.remedy.zh}，或设置环境变量 {VARIABLE}。",
            ),
        ) from error


def _entry(address: Address) -> str:
    return f"key {address.origin}"
