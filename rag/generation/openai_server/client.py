"""HTTP to one server and nowhere else, with its key; and what is said when it fails.

The key is sent to that server alone, never written to the library, the settings or a log.

A request goes to the address that was checked, or not at all: redirects are not followed,
what LangChain or a library adds of its own is taken out, and names of this machine are
connected to by number, past proxies and name servers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx2
import openai

from rag.errors import (
    ConfigError,
    ModelError,
    PromptTooLong,
    RagError,
    ServerUnreachable,
    UnknownModel,
)
from rag.generation.engine_errors import failed
from rag.system.secrets import NoStore, keep_secret, kept_secret
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.types.server_address import Address


VARIABLE = "RAGDESK_API_KEY"

_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "connection", "content-length", "content-type"}
    | {"transfer-encoding", "user-agent", "authorization"}
)
"""All that a server is told; the rest would say which system, library and account this is."""

_AGENT = "ragdesk"
_ONE_ANSWER_EACH = httpx2.Limits(max_keepalive_connections=0)
"""A connection is closed with its answer: none is found dead when the next question comes."""

_SHOWN_MODELS = 5
_SHOWN_CHARACTERS = 300  # of what a server says
_UNAUTHORISED, _FORBIDDEN, _NOT_FOUND, _BUSY, _STARTING = 401, 403, 404, 429, 503
_REDIRECTS = range(300, 400)
_OVERFLOW = ("context_length_exceeded", "exceed_context_size", "maximum context length")
_LENGTH_WORDS = ("context length", "context size", "context window", "max_seq_len", "too long")

_CHECK_URL = Text(
    "Check generator.url: host, port and path (most servers want /v1 at the end).",
    "请检查 generator.url 的主机、端口和路径（多数服务器以 /v1 结尾）。",
)

_NOTHING = Text("", "")
_WORDS: dict[str, tuple[type[ModelError], Text, Text]] = {
    "unreachable": (
        ServerUnreachable,
        Text("No server answers at {server}.", "{server} 没有服务器响应。"),
        Text(
            "Start it, or check generator.url; the next question tries again.",
            "请启动服务器，或检查 generator.url；下次提问时会重新连接。",
        ),
    ),
    "silent": (
        ServerUnreachable,
        Text(
            "The server at {server} has been silent for too long.",
            "位于 {server} 的服务器长时间没有响应。",
        ),
        Text(
            "Ask again, or raise generator.token_timeout_s if it needs longer to begin.",
            "请重试；如果它需要更久才能开始回答，请调大 generator.token_timeout_s。",
        ),
    ),
    "broke_off": (
        ServerUnreachable,
        Text(
            "The connection to {server} was lost before the answer was complete.",
            "与 {server} 的连接在回答完成之前中断。",
        ),
        Text(
            "What is shown is incomplete. See whether the server still runs, and ask again.",
            "已显示的内容不完整。请确认服务器仍在运行，然后重新提问。",
        ),
    ),
    "no_api": (
        ModelError,
        Text(
            "What answers at {server} is no OpenAI-compatible server: {why}.",
            "{server} 上的服务不是兼容 OpenAI 接口的服务器：{why}。",
        ),
        _CHECK_URL,
    ),
    "wrong_model": (
        UnknownModel,
        Text(
            "The server at {server} does not serve {wanted}. It serves: {served}.",
            "位于 {server} 的服务器不提供 {wanted}。它提供：{served}。",
        ),
        Text(
            "Set generator.model to one of these, or to auto for the first.",
            "请把 generator.model 设为其中之一，或设为 auto 使用第一个。",
        ),
    ),
    "wrong_key": (
        ModelError,
        Text(
            "The server at {server} does not accept the key, or wants one.",
            "位于 {server} 的服务器不接受该密钥，或需要密钥。",
        ),
        Text(
            "Set RAGDESK_API_KEY, or keep the key in the system keyring: `rag models key`.",
            "请设置 RAGDESK_API_KEY，或用 `rag models key` 把密钥存入系统密钥环。",
        ),
    ),
    "moved": (
        ModelError,
        Text(
            "{server} sends us on{why}; that is not followed.",
            "{server} 要求转向{why}，程序不会跟随。",
        ),
        Text(
            "Set generator.url to where the server really is.",
            "请把 generator.url 设为服务器的实际地址。",
        ),
    ),
    "too_long": (
        PromptTooLong,
        Text(
            "The prompt does not fit the server's window: {said}",
            "提示超出服务器的上下文窗口：{said}",
        ),
        Text(
            "Lower generator.context_tokens to the server's window, or start the server with "
            "a larger one.",
            "请把 generator.context_tokens 调低到服务器的窗口大小，或以更大的窗口启动服务器。",
        ),
    ),
    "tls": (
        ServerUnreachable,
        Text("No secure connection to {server}: {why}.", "无法与 {server} 建立安全连接：{why}。"),
        Text(
            "Check https or http in generator.url; a certificate of your own authority goes "
            "into the file that SSL_CERT_FILE names.",
            "请检查 generator.url 中的 https 或 http；自签机构的证书请放入 SSL_CERT_FILE "
            "指定的文件。",
        ),
    ),
    "busy": (
        ServerUnreachable,
        Text(
            "The server at {server} is busy or still starting ({status}). {said}",
            "位于 {server} 的服务器正忙或仍在启动（{status}）。{said}",
        ),
        Text("Ask again in a moment.", "请稍后再问一次。"),
    ),
    "unknown_model": (
        UnknownModel,
        Text(
            "The server at {server} does not know the model: {said}",
            "位于 {server} 的服务器没有该模型：{said}",
        ),
        Text(
            "Set generator.model to one it serves, or to auto.",
            "请把 generator.model 设为它提供的模型，或设为 auto。",
        ),
    ),
}
"""Each failure: its kind, what is told, the remedy."""

_KINDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ssl.SSLError,), "tls"),
    ((httpx2.ConnectError, httpx2.ConnectTimeout), "unreachable"),
    # LangChain's own limit between two pieces is a TimeoutError
    ((httpx2.TimeoutException, TimeoutError), "silent"),
    ((httpx2.HTTPError, EOFError), "broke_off"),
)
"""What libraries raise, and which of ``_WORDS`` it is: the first that is among the causes."""


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


class WrongServer(httpx2.RequestError):
    """A request was about to go to a server that nobody named."""


def clients(
    address: Address, *, key: str | None, patience: tuple[float, float]
) -> tuple[httpx2.Client, httpx2.AsyncClient]:
    """Return clients for one server: one that waits, one for an event loop.

    Both send the key to it, and to nobody else. ``patience`` is how many seconds to wait for a
    connection, and for a token: the first, and from each to the next.
    """
    connect_s, token_s = patience
    common: dict[str, Any] = {
        "follow_redirects": False,
        "timeout": httpx2.Timeout(token_s, connect=connect_s),
        "limits": _ONE_ANSWER_EACH,
    }
    plain, flowing = dict(common), dict(common)
    if address.is_here:  # with a transport of its own a client asks no proxy
        plain["transport"] = httpx2.HTTPTransport(limits=_ONE_ANSWER_EACH)
        flowing["transport"] = httpx2.AsyncHTTPTransport(limits=_ONE_ANSWER_EACH)
    guard = _guard(address, key, connect_s=connect_s)

    async def guard_flowing(request: httpx2.Request) -> None:
        await asyncio.to_thread(guard, request)

    return (
        httpx2.Client(**plain, event_hooks={"request": [guard]}),
        httpx2.AsyncClient(**flowing, event_hooks={"request": [guard_flowing]}),
    )


def _number(address: Address, connect_s: float) -> str:
    """Return the first of its addresses on this machine that takes a call, else the last."""
    *others, last = address.loopbacks
    for number in others:
        with suppress(OSError), socket.create_connection((number, address.port), connect_s):
            return number
    return last


def _guard(
    address: Address, key: str | None, *, connect_s: float
) -> Callable[[httpx2.Request], None]:
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
        if address.is_here:  # the name in headers and certificate stays the host's
            request.url = url.copy_with(host=_number(address, connect_s))
            request.extensions = {**request.extensions, "sni_hostname": url.host}

    return guard


class Failures:
    """Puts what went wrong with one server into words."""

    def __init__(self, server: str) -> None:
        """``server`` is its host and port."""
        self._server = server

    def explain(self, error: BaseException) -> RagError | None:
        """Return what to tell for what a library raised; ``None`` if it is something else."""
        if isinstance(error, openai.APIStatusError):
            return self.status(error.status_code, error.body, error.response)
        if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
            return self._told(error.body or error.message)
        causes = list(chain(error))
        for kinds, failure in _KINDS:
            found = next((cause for cause in causes if isinstance(cause, kinds)), None)
            if found is not None:
                return self._say(failure, _why(found))
        return None

    def status(self, status: int, body: object, response: httpx2.Response) -> RagError:
        """Return the words for an answer that is an error."""
        said = _said(body)
        if status in {_UNAUTHORISED, _FORBIDDEN}:
            return self._say("wrong_key")
        if status in _REDIRECTS:
            return self._moved(response)
        if _is_overflow(body, said):
            return self._say("too_long", said=said)
        if status == _NOT_FOUND:
            return self._not_found(said)
        if status in {_BUSY, _STARTING}:
            return self._say("busy", status=status, said=said)
        return self._told(body, status)

    def no_api(self, why: Text) -> RagError:
        """Say that something answers there, but not as such a server does."""
        return self._say("no_api", why)

    def wrong_model(self, wanted: str, served: Sequence[str]) -> RagError:
        """Say that a model is not served, and which are."""
        some = ", ".join(served[:_SHOWN_MODELS]) + (" …" if len(served) > _SHOWN_MODELS else "")
        return self._say("wrong_model", wanted=wanted, served=some)

    def _not_found(self, said: str) -> RagError:
        if "model" in said.lower():
            return self._say("unknown_model", said=said)
        return self.no_api(Text("the path is not found (404)", "找不到该路径（404）"))

    def _moved(self, response: httpx2.Response) -> RagError:
        try:
            target = httpx2.URL(response.headers.get("location", "")).host
        except httpx2.InvalidURL:
            target = ""
        return self._say("moved", Text(f" to {target}", f"到 {target}") if target else _NOTHING)

    def _told(self, body: object, status: int | None = None) -> RagError:
        said = _said(body) or (f"HTTP {status}" if status else "")
        if _is_overflow(body, said):
            return self._say("too_long", said=said)
        return failed(self._server, said)

    def _say(self, failure: str, why: Text = _NOTHING, **details: object) -> RagError:
        kind, message, hint = _WORDS[failure]
        told = Text(
            message.en.format(server=self._server, why=why.en, **details),
            message.zh.format(server=self._server, why=why.zh, **details),
        )
        return kind(told, hint=hint)


def _why(error: BaseException) -> Text:
    """Return why there is no secure connection, in the library's English."""
    why = getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error)
    return Text(why, why)


def is_lost(error: BaseException) -> bool:
    """Return whether the connection broke or never came about, so that it may be tried again."""
    if isinstance(error, (TimeoutError, openai.APITimeoutError, openai.APIStatusError)):
        return False
    causes = list(chain(error))
    if any(isinstance(cause, (ssl.SSLError, httpx2.TimeoutException)) for cause in causes):
        return False
    return any(isinstance(cause, (httpx2.TransportError, EOFError)) for cause in causes)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what caused it, what caused that."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _said(body: object) -> str:
    """Return what the server says of an error, in one line of printable characters."""
    found: Any = body
    while isinstance(found, dict):
        found = found.get("message") or found.get("error") or found.get("detail") or ""
    line = " ".join(str(found or "").split())
    shown = "".join(character for character in line if character.isprintable())
    return shown[:_SHOWN_CHARACTERS]


def _is_overflow(body: object, said: str) -> bool:
    kind = f"{body.get('type', '')} {body.get('code', '')}" if isinstance(body, dict) else ""
    named = f"{kind} {said}".lower()
    return any(word in named for word in _OVERFLOW) or (
        "token" in named and any(word in named for word in _LENGTH_WORDS)
    )
