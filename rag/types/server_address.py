"""Where a server is: the URL that a person wrote, taken apart once.

Only literal loopback addresses and the reserved name ``localhost`` are this machine. Every
other name is somebody else's word for an address, and is not looked up to find out.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from rag.errors import ConfigError
from rag.text.messages import Text

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_PATH = re.compile(r"[A-Za-z0-9._~/-]*")
_ENDPOINTS = ("/chat/completions", "/completions", "/models")
"""What people copy from a server's log together with the address."""

_LOOPBACKS = ("127.0.0.1", "::1")
_EXAMPLE = "http://127.0.0.1:8000/v1"


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address in its parts; ``host`` is a name or an address without brackets."""

    scheme: str
    host: str
    port: int
    path: str  # where its API begins, e.g. "/v1"; never ends with a slash

    @classmethod
    def parse(cls, url: str) -> Address:
        """Return the parts of a URL; without a path, ``/v1`` is meant.

        Raises:
            ConfigError: it is no plain ``http`` or ``https`` URL of a host.
        """
        try:
            parts = urlsplit(url.strip())
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:  # a port that is no number, or brackets that do not close
            raise _unreadable() from None
        plain = not (parts.query or parts.fragment or "@" in parts.netloc or "\\" in url)
        known = parts.scheme in _PORTS and bool(_NAME.fullmatch(host) or _literal(host))
        if not (plain and known and _PATH.fullmatch(parts.path)):
            raise _unreadable()
        path = parts.path.rstrip("/")
        for endpoint in _ENDPOINTS:
            path = path.removesuffix(endpoint)
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], path or "/v1")

    @property
    def shown(self) -> str:
        """Host and port, as people name a server."""
        return f"{self._bracketed}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.shown}"

    @property
    def base(self) -> str:
        """The URL below which the API's paths begin."""
        return self.origin + self.path

    @property
    def root(self) -> str:
        """The URL below which a server's own paths begin, beside the API."""
        return self.origin + self.path.removesuffix("/v1")

    @property
    def loopbacks(self) -> tuple[str, ...]:
        """The addresses on this machine that it means, to be tried in turn; none elsewhere."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return _LOOPBACKS
        literal = _literal(self.host)
        if literal is None:
            return ()
        mapped = getattr(literal, "ipv4_mapped", None)
        return (self.host,) if (mapped or literal).is_loopback else ()

    @property
    def is_here(self) -> bool:
        """Whether it is this machine."""
        return bool(self.loopbacks)

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def checked(url: str, *, may_leave: bool) -> Address:
    """Return where documents would be sent, if they may be.

    Raises:
        ConfigError: it is no URL, or of another machine and nobody allowed that.
    """
    address = Address.parse(url)
    if address.is_here or may_leave:
        return address
    literal = _literal(address.host)
    if literal is not None and literal.is_unspecified:
        raise ConfigError(
            Text(
                f"{address.host} is where a server listens, not an address to reach it at.",
                f"{address.host} 是服务器的监听地址，不能用来访问它。",
            ),
            hint=Text(
                f"For a server on this machine write http://127.0.0.1:{address.port}/v1.",
                f"如果服务器就在本机，请写 http://127.0.0.1:{address.port}/v1。",
            ),
        )
    raise ConfigError(
        Text(
            f"{address.shown} is not this machine: your questions and passages of your documents "
            "would be sent there.",
            f"{address.shown} 不是本机：你的问题和文档段落会被发送到那里。",
        ),
        hint=Text(
            "If that is what you want, set generator.documents_may_leave = true; else use a "
            "server at 127.0.0.1.",
            "如果确实需要，请设置 generator.documents_may_leave = true；否则请使用 127.0.0.1 "
            "上的服务器。",
        ),
    )


def leaving(address: Address) -> Text | None:
    """Return what leaves this machine and how; ``None`` if nothing does."""
    if address.is_here:
        return None
    open_en, open_zh = ("", "") if address.scheme == "https" else (", unencrypted", "（未加密）")
    return Text(
        f"Your questions and the passages found for them are sent to {address.shown}{open_en}.",
        f"你的问题和找到的段落会发送到 {address.shown}{open_zh}。",
    )


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if "%" in host:
        return None
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _unreadable() -> ConfigError:
    # the URL itself is not repeated: it may hold a password
    return ConfigError(
        Text(
            "generator.url is not a plain http or https URL.",
            "generator.url 不是普通的 http 或 https 网址。",
        ),
        hint=Text(
            f"Write it like {_EXAMPLE}: no password, no question mark. A key goes into "
            "RAGDESK_API_KEY or the keyring (`rag models key`).",
            f"格式如 {_EXAMPLE}，不含密码和问号。密钥请放入 RAGDESK_API_KEY 或密钥环"
            "（`rag models key`）。",
        ),
    )
