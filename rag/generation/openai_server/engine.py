"""A model behind a URL: vLLM, TensorRT-LLM, SGLang, Ollama, llama-server and their like.

Every maker of servers answers the last two in a way of its own; what is not answered in a way
known here is left open, and never guessed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import SecretStr

from rag.errors import RagError
from rag.generation.langchain import (
    Count,
    LangChainGenerator,
    Turns,
    counted_by_text,
    estimate,
)
from rag.generation.openai_server.client import Failures, clients, find_key, is_lost
from rag.text.messages import Text
from rag.types.server_address import Address

if TYPE_CHECKING:
    from rag.config import GeneratorSettings


logger = logging.getLogger(__name__)

Json = dict[str, Any]

_OK = 200
_ENOUGH = 4096  # tokens: what a question, its passages and an answer need
_NO_KEY = "none"  # the library wants one; the client sends none
_FIRST = "auto"
_PROBE: Turns = [{"role": "user", "content": "How many tokens has this sentence?"}]
_LEAST, _MOST = 4, 2_000
"""What a server may say of ``_PROBE``: 34 letters, a template around them."""

_TAKES_TEMPLATE_WORDS = frozenset({"vllm", "sglang", "llamacpp"})
NO_THINKING: Json = {"chat_template_kwargs": {"enable_thinking": False}}
"""The evidence is in the passages; thinking costs time and is not shown."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model as a server names it. ``maker`` is the server's own word for itself, or ""."""

    name: str
    maker: str
    window: int | None  # tokens, its answer included; None where it does not say

    @property
    def extra(self) -> Json:
        """Fields for each request; only to servers known to take them, others may refuse."""
        return NO_THINKING if self.maker in _TAKES_TEMPLATE_WORDS else {}


class ModelServer:
    """One server. Every method waits for it."""

    def __init__(self, client: httpx2.Client, address: Address) -> None:
        self._client = client
        self._address = address
        self._failures = Failures(address.shown)

    def served(self, wanted: str) -> Served:
        """Return the model of that name, or the first one for ``auto``.

        Raises:
            ServerUnreachable: nothing answers.
            UnknownModel: it does not serve that model.
            ModelError: it refuses the key, or is no such server.
        """
        models = self._models()
        if wanted != _FIRST:
            names = (wanted, f"{wanted}:latest")  # the second is how Ollama completes a name
            models = [m for m in models if any(n in _names(m) for n in names)] or models[:0]
            if not models:
                served = [str(m["id"]) for m in self._models()]
                raise self._failures.wrong_model(wanted, served)
        first = models[0]
        name, maker = str(first["id"]), str(first.get("owned_by") or "")
        return Served(name, maker, self._window(first, name, maker))

    def counter(self, served: Served) -> Count | None:
        """Return what counts a prompt's tokens as the server does; ``None`` if it cannot."""
        root, base = self._address.root, self._address.base
        ways = (
            # llama.cpp's server, of late
            self._by_messages(f"{base}/chat/completions/input_tokens", served.extra),
            # vLLM, and SGLang of late
            self._by_messages(f"{root}/tokenize", {"model": served.name, **served.extra}),
            self._by_template,
            # SGLang for long, and TensorRT-LLM: plain text only, so the template is added
            self._by_text(f"{root}/tokenize", served.name),
            self._by_text(f"{root}/_internal/tokenize", served.name),
        )
        return next(filter(self._works, ways), None)

    # -- models and windows ----------------------------------------------------------------

    def _models(self) -> list[Json]:
        found = self._ask(f"{self._address.base}/models")
        models = found.get("data")
        named = isinstance(models, list) and all(
            isinstance(m, dict) and isinstance(m.get("id"), str) for m in models
        )
        if not models or not named:
            raise self._failures.no_api(
                Text("it names no models under /models", "它没有在 /models 下列出模型")
            )
        return list(models)

    def _window(self, model: Json, name: str, maker: str) -> int | None:
        said = [model.get(key) for key in ("max_model_len", "context_length", "max_seq_len")]
        window = _size(*said, _object(model.get("meta")).get("n_ctx"))
        if window is None and maker == "library":
            return self._of_ollama(name)
        if window is None:
            props = self._try("/props").get("default_generation_settings")
            window = _size(_object(props).get("n_ctx"))
        return window

    def _of_ollama(self, name: str) -> int | None:
        """Return how much the loaded model reads; it is loaded if need be.

        More than that Ollama cuts off without a word.
        """
        self._try("/api/generate", {"model": name})
        running = self._try("/api/ps").get("models")
        for model in map(_object, running if isinstance(running, list) else []):
            if name in {model.get("name"), model.get("model")}:
                return _size(model.get("context_length"))
        return None

    # -- counting --------------------------------------------------------------------------

    def _works(self, count: Count) -> bool:
        try:
            return _LEAST <= count(_PROBE) <= _MOST
        except RagError:
            return False

    def _by_messages(self, url: str, extra: Json) -> Count:
        return lambda turns: _number(self._ask(url, {"messages": list(turns), **extra}))

    def _by_template(self, turns: Turns) -> int:
        """llama.cpp's server for long: the text of the prompt first, then its tokens."""
        root = self._address.root
        prompt = self._ask(f"{root}/apply-template", {"messages": list(turns)}).get("prompt")
        body = {"content": prompt, "add_special": True, "parse_special": True}
        return len(self._ask(f"{root}/tokenize", body).get("tokens", ()))

    def _by_text(self, url: str, model: str) -> Count:
        return counted_by_text(
            lambda text: _number(self._ask(url, {"model": model, "prompt": text}))
        )

    # -- HTTP ------------------------------------------------------------------------------

    def _try(self, path: str, body: Json | None = None) -> Json:
        """Return what a path beside the API answers; nothing where there is no such path."""
        try:
            return self._ask(self._address.root + path, body)
        except RagError:
            return {}

    def _ask(self, url: str, body: Json | None = None) -> Json:
        """Get a URL, or post ``body`` to it."""
        try:
            response = self._exchange(url, body)
        except httpx2.HTTPError as error:
            told = self._failures.explain(error)
            assert told is not None, "every HTTP error has its words"
            raise told from error
        found = _json(response)
        if response.status_code != _OK:
            raise self._failures.status(response.status_code, found, response)
        if not isinstance(found, dict):
            raise self._failures.no_api(_kind(response))
        return found

    def _exchange(self, url: str, body: Json | None) -> httpx2.Response:
        """Send one request; once more if the connection is lost. Counting changes nothing."""
        method = "GET" if body is None else "POST"
        try:
            return self._client.request(method, url, json=body)
        except httpx2.TransportError as error:
            if not is_lost(error):
                raise
            return self._client.request(method, url, json=body)


def _object(found: object) -> Json:
    return found if isinstance(found, dict) else {}


def _size(*said: object) -> int | None:
    """Return the first that is a number of tokens."""
    return next((value for value in said if isinstance(value, int) and value > 0), None)


def _names(model: Json) -> Sequence[str]:
    aliases = model.get("aliases")
    return [model["id"], model.get("root") or "", *(aliases if isinstance(aliases, list) else ())]


def _number(found: Json) -> int:
    """Return a count of tokens in any of the shapes it comes in; 0 if there is none."""
    for key in ("input_tokens", "count"):
        if isinstance(value := found.get(key), int):
            return value
    tokens = found.get("tokens")
    return len(tokens) if isinstance(tokens, list) else 0


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _kind(response: httpx2.Response) -> Text:
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "text/html":
        return Text("it is a web page", "它返回的是网页")
    return Text(f"it answers with {kind or 'something else'}", f"它返回的是 {kind or '其他内容'}")


class UrlGenerator(LangChainGenerator):
    """Streams answers from a server; what runs there is none of this machine's memory."""

    window_known: bool
    """Whether the server said how much it reads; else the setting is believed."""

    counts_exactly: bool
    """Whether the server counts prompts; else they are estimated, upwards."""

    @classmethod
    def of(cls, settings: GeneratorSettings) -> UrlGenerator:
        """Look what the server of the settings serves; see ``load``."""
        address = settings.server()
        assert address is not None, "the engine is chosen because there is a server"
        return cls.load(
            address,
            model=settings.model,
            context_tokens=None if settings.context_tokens == "auto" else settings.context_tokens,
            patience=(settings.connect_timeout_s, settings.token_timeout_s),
        )

    @classmethod
    def load(
        cls,
        address: Address,
        *,
        model: str,
        context_tokens: int | None = None,
        key: str | None = None,
        patience: tuple[float, float] = (10.0, 120.0),
    ) -> UrlGenerator:
        """Look what a server serves; ``model`` is its name there, or ``auto`` for the first.

        ``context_tokens`` is cut to the server's window where it says how large that is;
        ``None`` takes as much of it as a question needs.
        Without a ``key`` the one of the environment or the keyring is taken. ``patience`` is
        how many seconds to wait for a connection, and for a token.

        Raises:
            ServerUnreachable: nothing answers.
            UnknownModel: it does not serve that model.
            ModelError: it refuses the key, or is no such server.
            ConfigError: the key cannot be sent.
        """
        plain, flowing = clients(address, key=key or find_key(address), patience=patience)

        async def close() -> None:  # on the loop of the answers
            await flowing.aclose()
            plain.close()

        try:
            server = ModelServer(plain, address)
            served = server.served(model)
            count = server.counter(served)
        except BaseException:
            plain.close()
            raise
        window = served.window
        # an estimate is twice the tokens, so it gets twice the room where that is known to be there
        wanted = context_tokens or (_ENOUGH if count is not None or window is None else 2 * _ENOUGH)
        logger.info("%s at %s: window %s", served.name, address.shown, window)
        built = cls(
            _chat_model(address, served, plain, flowing, token_s=patience[1]),
            name=f"{served.name} @ {address.shown}",
            context_tokens=min(wanted, window or wanted),
            count=count or estimate,
            explain=Failures(address.shown).explain,
            lost=is_lost,
            says_why=True,
            close=close,
        )
        built.window_known, built.counts_exactly = window is not None, count is not None
        return built


def _chat_model(
    address: Address,
    served: Served,
    plain: httpx2.Client,
    flowing: httpx2.AsyncClient,
    *,
    token_s: float,
) -> BaseChatOpenAI:
    """Return LangChain's model; of all that its libraries read from the environment, nothing."""
    return BaseChatOpenAI(
        model=served.name,
        base_url=address.base,
        api_key=SecretStr(_NO_KEY),
        http_client=plain,
        http_async_client=flowing,
        max_retries=0,  # tried again by us, and only before the first token
        stream_usage=True,
        stream_chunk_timeout=token_s,
        use_responses_api=False,
        cache=False,
        extra_body=served.extra or None,
    )
