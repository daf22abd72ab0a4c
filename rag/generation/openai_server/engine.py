"""A model behind a URL: vLLM, TensorRT-LLM, SGLang, Ollama, llama-server and their like."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import SecretStr

from rag.generation.langchain.engine import LangChainGenerator, Manners
from rag.generation.langchain.token_count import estimate
from rag.generation.openai_server.client import Clients, Patience, clients, closing, find_key
from rag.generation.openai_server.errors import Failures, is_lost
from rag.generation.openai_server.server import ModelServer, Served

if TYPE_CHECKING:
    from rag.config import GeneratorSettings
    from rag.types.server_address import Address


logger = logging.getLogger(__name__)

_ENOUGH = 4096  # tokens: what a question, its passages and an answer need
_NO_KEY = "none"  # the library wants one; the client sends none


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
        patience: tuple[float, float] | None = None,
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
        waits = Patience(*patience) if patience else Patience()
        key = key or find_key(address)
        both = clients(address, key=key, patience=waits)
        try:
            server = ModelServer(both.plain, address)
            served = server.served(model)
            count = server.counter(served)
        except BaseException:
            both.plain.close()
            raise
        window = served.window
        # an estimate is twice the tokens, so it gets twice the room where that is known to be there
        wanted = context_tokens or (_ENOUGH if count is not None or window is None else 2 * _ENOUGH)
        logger.info("%s at %s: window %s", served.name, address.shown, window)
        built = cls(
            _chat_model(address, served, both, waits),
            name=f"{served.name} @ {address.shown}",
            context_tokens=min(wanted, window or wanted),
            count=count or estimate,
            manners=Manners(explain=Failures(address.shown).explain, lost=is_lost, says_why=True),
            close=closing(both),
        )
        built.window_known, built.counts_exactly = window is not None, count is not None
        return built


def _chat_model(
    address: Address, served: Served, both: Clients, patience: Patience
) -> BaseChatOpenAI:
    """Return LangChain's model; of all that its libraries read from the environment, nothing."""
    return BaseChatOpenAI(
        model=served.name,
        base_url=address.base,
        api_key=SecretStr(_NO_KEY),
        http_client=both.plain,
        http_async_client=both.flowing,
        max_retries=0,  # tried again by us, and only before the first token
        stream_usage=True,
        stream_chunk_timeout=patience.token,
        use_responses_api=False,
        cache=False,
        extra_body=served.extra or None,
    )
