"""What a person is told when a server does not answer as it should."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
import openai

from rag.errors import ModelError, PromptTooLong, RagError, ServerUnreachable, UnknownModel
from rag.generation.engine_errors import failed
from rag.text.messages import Text

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
        for kinds, words in (
            ((ssl.SSLError,), self._tls),
            ((httpx2.ConnectError, httpx2.ConnectTimeout), self.unreachable),
            # LangChain's own limit between two pieces is a TimeoutError
            ((httpx2.TimeoutException, TimeoutError), self.silent),
            ((httpx2.HTTPError, EOFError), self.broke_off),
        ):
            found = next((cause for cause in causes if isinstance(cause, kinds)), None)
            if found is not None:
                return words(found)
        return None

    def status(self, status: int, body: object, response: httpx2.Response) -> RagError:
        """Return the words for an answer that is an error."""
        said = _said(body)
        if status in {_UNAUTHORISED, _FORBIDDEN}:
            return self._wrong_key()
        if status in _REDIRECTS:
            return self._moved(response)
        if _is_overflow(body, said):
            return self._too_long(said)
        if status == _NOT_FOUND:
            return self._not_found(said)
        if status in {_BUSY, _STARTING}:
            return ServerUnreachable(
                Text(
                    f"The server at {self._server} is busy or still starting ({status}). {said}",
                    f"位于 {self._server} 的服务器正忙或仍在启动（{status}）。{said}",
                ),
                hint=Text("Ask again in a moment.", "请稍后再问一次。"),
            )
        return self._told(body, status)

    def unreachable(self, _: BaseException | None = None) -> ServerUnreachable:
        """Say that nothing listens there."""
        return ServerUnreachable(
            Text(f"No server answers at {self._server}.", f"{self._server} 没有服务器响应。"),
            hint=Text(
                "Start it, or check generator.url; the next question tries again.",
                "请启动服务器，或检查 generator.url；下次提问时会重新连接。",
            ),
        )

    def silent(self, _: BaseException | None = None) -> ServerUnreachable:
        """Say that it took the question and says nothing more."""
        return ServerUnreachable(
            Text(
                f"The server at {self._server} has been silent for too long.",
                f"位于 {self._server} 的服务器长时间没有响应。",
            ),
            hint=Text(
                "Ask again, or raise generator.token_timeout_s if it needs longer to begin.",
                "请重试；如果它需要更久才能开始回答，请调大 generator.token_timeout_s。",
            ),
        )

    def broke_off(self, _: BaseException | None = None) -> ServerUnreachable:
        """Say that the connection was lost with the answer under way."""
        return ServerUnreachable(
            Text(
                f"The connection to {self._server} was lost before the answer was complete.",
                f"与 {self._server} 的连接在回答完成之前中断。",
            ),
            hint=Text(
                "What is shown is incomplete. See whether the server still runs, and ask again.",
                "已显示的内容不完整。请确认服务器仍在运行，然后重新提问。",
            ),
        )

    def no_api(self, why: Text) -> ModelError:
        """Say that something answers there, but not as such a server does."""
        return ModelError(
            Text(
                f"What answers at {self._server} is no OpenAI-compatible server: {why.en}.",
                f"{self._server} 上的服务不是兼容 OpenAI 接口的服务器：{why.zh}。",
            ),
            hint=_CHECK_URL,
        )

    def wrong_model(self, wanted: str, served: Sequence[str]) -> UnknownModel:
        """Say that a model is not served, and which are."""
        some = ", ".join(served[:_SHOWN_MODELS]) + (" …" if len(served) > _SHOWN_MODELS else "")
        return UnknownModel(
            Text(
                f"The server at {self._server} does not serve {wanted}. It serves: {some}.",
                f"位于 {self._server} 的服务器不提供 {wanted}。它提供：{some}。",
            ),
            hint=Text(
                "Set generator.model to one of these, or to auto for the first.",
                "请把 generator.model 设为其中之一，或设为 auto 使用第一个。",
            ),
        )

    def _wrong_key(self) -> ModelError:
        return ModelError(
            Text(
                f"The server at {self._server} does not accept the key, or wants one.",
                f"位于 {self._server} 的服务器不接受该密钥，或需要密钥。",
            ),
            hint=Text(
                "Set RAGDESK_API_KEY, or keep the key in the system keyring: `rag models key`.",
                "请设置 RAGDESK_API_KEY，或用 `rag models key` 把密钥存入系统密钥环。",
            ),
        )

    def _moved(self, response: httpx2.Response) -> ModelError:
        try:
            target = httpx2.URL(response.headers.get("location", "")).host
        except httpx2.InvalidURL:
            target = ""
        to = (f" to {target}", f"到 {target}") if target else ("", "")
        return ModelError(
            Text(
                f"{self._server} sends us on{to[0]}; that is not followed.",
                f"{self._server} 要求转向{to[1]}，程序不会跟随。",
            ),
            hint=Text(
                "Set generator.url to where the server really is.",
                "请把 generator.url 设为服务器的实际地址。",
            ),
        )

    def _not_found(self, said: str) -> ModelError:
        if "model" in said.lower():
            return UnknownModel(
                Text(
                    f"The server at {self._server} does not know the model: {said}",
                    f"位于 {self._server} 的服务器没有该模型：{said}",
                ),
                hint=Text(
                    "Set generator.model to one it serves, or to auto.",
                    "请把 generator.model 设为它提供的模型，或设为 auto。",
                ),
            )
        return self.no_api(Text("the path is not found (404)", "找不到该路径（404）"))

    def _too_long(self, said: str) -> PromptTooLong:
        return PromptTooLong(
            Text(
                f"The prompt does not fit the server's window: {said}",
                f"提示超出服务器的上下文窗口：{said}",
            ),
            hint=Text(
                "Lower generator.context_tokens to the server's window, or start the server with "
                "a larger one.",
                "请把 generator.context_tokens 调低到服务器的窗口大小，或以更大的窗口启动服务器。",
            ),
        )

    def _tls(self, error: BaseException) -> ServerUnreachable:
        why = getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error)
        return ServerUnreachable(
            Text(
                f"No secure connection to {self._server}: {why}.",
                f"无法与 {self._server} 建立安全连接：{why}。",
            ),
            hint=Text(
                "Check https or http in generator.url; a certificate of your own authority goes "
                "into the file that SSL_CERT_FILE names.",
                "请检查 generator.url 中的 https 或 http；自签机构的证书请放入 SSL_CERT_FILE "
                "指定的文件。",
            ),
        )

    def _told(self, body: object, status: int | None = None) -> RagError:
        said = _said(body) or (f"HTTP {status}" if status else "")
        if _is_overflow(body, said):
            return self._too_long(said)
        return failed(self._server, said)


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
