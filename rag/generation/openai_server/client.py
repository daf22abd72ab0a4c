"""HTTP to one server and nowhere else, with its key.

It is sent to that server alone, never written to the library, the settings or a log.

A request goes to the address that was checked, or not at all: redirects are not followed,
what LangChain or a library adds of its own is taken out, and names of this machine are
connected to by number, past proxies and name servers.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from rag.errors import ConfigError
from rag.generation.openai_server.errors import chain
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


_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "connection", "content-length", "content-type"}
    | {"transfer-encoding", "user-agent", "authorization"}
)
"""All that a server is told; the rest would say which system, library and account this is."""

_AGENT = "ragdesk"
_ONE_ANSWER_EACH = httpx2.Limits(max_keepalive_connections=0)
"""A connection is closed with its answer: none is found dead when the next question comes."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds."""

    connect: float = 10.0
    token: float = 120.0  # for the first, and from each to the next


class WrongServer(httpx2.RequestError):
    """A request was about to go to a server that nobody named."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Two ways to the same server: one that waits, one for an event loop."""

    plain: httpx2.Client
    flowing: httpx2.AsyncClient


def clients(address: Address, *, key: str | None, patience: Patience) -> Clients:
    """Return clients for one server. Both send the key to it, and to nobody else."""
    common: dict[str, Any] = {
        "follow_redirects": False,
        "timeout": httpx2.Timeout(patience.token, connect=patience.connect),
        "limits": _ONE_ANSWER_EACH,
    }
    guard = _guard(address, key)

    async def guard_flowing(request: httpx2.Request) -> None:
        guard(request)

    plain, flowing = dict(common), dict(common)
    if address.is_here:
        plain["transport"] = _Here(address.loopbacks)
        flowing["transport"] = _HereFlowing(address.loopbacks)
    return Clients(
        httpx2.Client(**plain, event_hooks={"request": [guard]}),
        httpx2.AsyncClient(**flowing, event_hooks={"request": [guard_flowing]}),
    )


def _guard(address: Address, key: str | None) -> Callable[[httpx2.Request], None]:
    def guard(request: httpx2.Request) -> None:
        url = request.url
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        if (url.scheme, url.host, port) != (address.scheme, address.host.lower(), address.port):
            raise WrongServer(f"{url.scheme}://{url.host} is not {address.shown}", request=request)
        for name in list(request.headers):
            if name.lower() not in _HEADERS:
                del request.headers[name]
        request.headers["User-Agent"] = _AGENT
        request.headers.pop("Authorization", None)
        if key is not None:
            request.headers["Authorization"] = f"Bearer {key}"

    return guard


class _Here(httpx2.BaseTransport):
    """Connects to this machine by number; the first address that takes the call is used."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses
        self._wire = httpx2.HTTPTransport(limits=_ONE_ANSWER_EACH)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        *others, last = [_by_number(request, address) for address in self._addresses]
        for numbered in others:
            try:
                return self._wire.handle_request(numbered)
            except httpx2.ConnectError as error:
                if not _nobody_there(error):
                    raise
        return self._wire.handle_request(last)

    def close(self) -> None:
        self._wire.close()


class _HereFlowing(httpx2.AsyncBaseTransport):
    """The same for an event loop."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses
        self._wire = httpx2.AsyncHTTPTransport(limits=_ONE_ANSWER_EACH)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        *others, last = [_by_number(request, address) for address in self._addresses]
        for numbered in others:
            try:
                return await self._wire.handle_async_request(numbered)
            except httpx2.ConnectError as error:
                if not _nobody_there(error):
                    raise
        return await self._wire.handle_async_request(last)

    async def aclose(self) -> None:
        await self._wire.aclose()


def _nobody_there(error: BaseException) -> bool:
    """Return whether nothing took the call; a refused certificate is an answer, too."""
    causes = chain(error)
    return not any(isinstance(cause, ssl.SSLError) for cause in causes)


def _by_number(request: httpx2.Request, address: str) -> httpx2.Request:
    """Return the request with a number for the host; name and certificate stay the host's."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )


Closing = Callable[[], Coroutine[None, None, None]]


def closing(both: Clients) -> Closing:
    """Return what closes both; it runs on the loop of the answers."""

    async def close() -> None:
        await both.flowing.aclose()
        both.plain.close()

    return close
