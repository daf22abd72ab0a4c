"""The engine that asks a server: what it sends, what it refuses, what it says when things break."""

from __future__ import annotations

import logging
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.app.registry import URL, without_weights
from rag.config import GeneratorSettings
from rag.errors import (
    ConfigError,
    MissingDependency,
    ModelError,
    PromptTooLong,
    RagError,
    ServerUnreachable,
    UnknownModel,
)
from rag.generation.openai_server.client import VARIABLE, find_key, keep_key
from rag.generation.openai_server.engine import UrlGenerator
from rag.types.answers import Delta, Message
from rag.types.server_address import Address
from tests.servers import Call, Reply, ScriptedServer, llama_server, scripted, serving
from tests.tiny_models import llama_gguf

ASK = [Message("system", "Rules."), Message("user", "What is the secret of the report?")]
QUICK = (2.0, 0.4)  # seconds for a connection, for a token


def never() -> bool:
    return False


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.generation.langchain._RETRY_S", (0.01, 0.02))


def load(address: Address, *, model: str = "auto", window: int = 4096, **more: Any) -> UrlGenerator:
    return UrlGenerator.load(address, model=model, context_tokens=window, patience=QUICK, **more)


def ask(generator: UrlGenerator, *, cancelled: Callable[[], bool] = never) -> list[Delta]:
    stream = generator.stream(ASK, max_tokens=20, temperature=0, cancelled=cancelled)
    return list(stream)


def says(*pieces: str, finish: str = "stop") -> Callable[[Call, Reply], None]:
    def chat(call: Call, reply: Reply) -> None:
        reply.start()
        for piece in pieces:
            reply.piece(piece)
        reply.piece(finish=finish)

    return chat


def fails(error: BaseException | None) -> RagError:
    assert isinstance(error, RagError)
    assert error.message.zh != error.message.en
    assert error.hint.zh != error.hint.en
    return error


def refused(chat: Callable[[Call, Reply], None]) -> RagError:
    """Return what is told when a question is answered so."""
    with scripted(serving(chat)) as server:
        generator = load(server.address)
        with pytest.raises(RagError) as told:
            ask(generator)
        generator.close()
    return fails(told.value)


# -- llama.cpp's own server ---------------------------------------------------------------


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    server = llama_server(llama_gguf(tmp_path_factory.mktemp("url") / "tiny.gguf"))
    yield server
    server.close()


def test_a_server_s_model_window_and_counting_are_asked_of_it(llama: Any) -> None:
    generator = load(llama.address, key=llama.key, window=100_000)
    assert generator.name.endswith(f"tiny.gguf @ {llama.address.shown}")
    assert generator.context_tokens == 512
    assert (generator.window_known, generator.counts_exactly) == (True, True)
    assert load(llama.address, key=llama.key, window=300).context_tokens == 300
    generator.close()


def test_a_wrong_key_and_no_key_are_told_apart_from_everything_else(llama: Any) -> None:
    for key in ("wrong", None):
        with pytest.raises(ModelError, match="key") as told:
            load(llama.address, key=key)
        assert VARIABLE in fails(told.value).hint.en


def test_a_model_that_is_not_served_is_told_with_those_that_are(llama: Any) -> None:
    with pytest.raises(UnknownModel, match=r"does not serve gpt-5\. It serves: .*tiny\.gguf"):
        load(llama.address, key=llama.key, model="gpt-5")


def test_a_question_after_the_end_says_that_the_model_is_unloaded(llama: Any) -> None:
    generator = load(llama.address, key=llama.key)
    generator.close()
    with pytest.raises(ModelError, match="unloaded"):
        ask(generator)


def test_without_the_optional_packages_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "rag.generation.openai_server.engine")
    for name in [name for name in sys.modules if name.partition(".")[0] == "langchain_openai"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "langchain_openai", None)
    with pytest.raises(MissingDependency) as told:
        without_weights(URL, GeneratorSettings(url="http://127.0.0.1:8000"))
    assert 'pip install "ragdesk[openai]"' in fails(told.value).hint.en


# -- what is sent -------------------------------------------------------------------------


def test_a_server_is_told_nothing_of_this_machine_and_no_other_service_s_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/elsewhere")
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/elsewhere")
    with scripted(serving(says("yes"))) as server:
        generator = load(server.address)
        ask(generator)
        generator.close()
        names = {name.lower() for call in server.calls for name in call.headers}
        assert "secret" not in str([call.headers for call in server.calls])
        assert "sk-of-openai" not in str(server.calls)
    assert names <= {"host", "accept", "accept-encoding", "connection", "content-type"} | {
        "content-length",
        "user-agent",
    }


def test_the_fields_are_those_that_every_server_knows() -> None:
    with scripted(serving(says("yes"))) as server:
        generator = load(server.address)
        ask(generator)
        generator.close()
        body = server.calls[-1].body
    assert body["max_tokens"] == 20
    assert set(body) == {"model", "messages", "max_tokens", "temperature", "stream"} | {
        "stream_options"
    }


def test_thinking_is_switched_off_where_the_server_takes_the_word_for_it() -> None:
    for maker, expected in (("vllm", {"enable_thinking": False}), ("tensorrt_llm", None)):
        with scripted(serving(says("yes"), models=[{"id": "m", "owned_by": maker}])) as server:
            generator = load(server.address)
            ask(generator)
            generator.close()
            assert server.calls[-1].body.get("chat_template_kwargs") == expected


def test_what_a_server_streams_of_its_model_s_thoughts_is_cut() -> None:
    thinks = says("<think>", "Hm, page", " 3.", "</think>", "\n\nOn page 3.")
    with scripted(serving(thinks)) as server:
        generator = load(server.address)
        assert "".join(delta.text for delta in ask(generator)) == "On page 3."
        generator.close()


def test_the_key_is_sent_and_is_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(VARIABLE, "k-3141592")

    def chat(call: Call, reply: Reply) -> None:
        reply.send({"error": {"message": "no such key: none"}}, status=401)

    with scripted(serving(chat)) as server:
        generator = load(server.address)
        with pytest.raises(ModelError) as told:
            ask(generator)
        generator.close()
        assert {c.headers["Authorization"] for c in server.calls} == {"Bearer k-3141592"}
    assert "k-3141592" not in f"{told.value!r} {told.value} {caplog.text} {vars(generator)!r}"


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def proxy(call: Call, reply: Reply) -> None:
        raise AssertionError(f"the proxy was asked for {call.path}")

    with scripted(proxy) as between, scripted(serving(says("yes"))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{between.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        generator = load(server.address)
        assert ask(generator)[0].text == "yes"
        generator.close()
        assert between.calls == []


def test_the_name_localhost_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    asked: list[str] = []
    real = socket.getaddrinfo

    def noted(host: Any, *rest: Any, **more: Any) -> Any:
        asked.append(str(host))
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    with scripted(serving(says("yes"))) as server:
        generator = load(Address.parse(f"http://localhost:{server.port}"))
        assert ask(generator)[0].text == "yes"
        generator.close()
        assert server.calls[-1].headers["Host"] == f"localhost:{server.port}"
    assert set(asked) <= {"127.0.0.1", "::1"}


def test_nothing_is_reported_to_langsmith(monkeypatch: pytest.MonkeyPatch) -> None:
    def report(call: Call, reply: Reply) -> None:
        reply.send({})

    with scripted(report) as smith, scripted(serving(says("yes"))) as server:
        monkeypatch.setenv("LANGSMITH_TRACING", "true")
        monkeypatch.setenv("LANGCHAIN_TRACING_V2", "true")
        monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_x")
        monkeypatch.setenv("LANGSMITH_ENDPOINT", f"http://127.0.0.1:{smith.port}")
        generator = load(server.address)
        ask(generator)
        generator.close()
        from langchain_core.tracers.langchain import wait_for_all_tracers

        wait_for_all_tracers()
        assert smith.calls == []


# -- going elsewhere ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    def elsewhere(call: Call, reply: Reply) -> None:
        raise AssertionError("the redirect was followed")

    with scripted(elsewhere) as other:

        def chat(call: Call, reply: Reply) -> None:
            reply.start(status, length=0, Location=f"http://127.0.0.1:{other.port}/v1")

        told = refused(chat)
        assert other.calls == []
    assert "127.0.0.1" in told.message.en
    assert "not followed" in told.message.en


def test_a_list_of_models_that_moved_is_not_followed_either() -> None:
    def moved(call: Call, reply: Reply) -> None:
        reply.start(302, length=0, Location="http://10.0.0.1/")

    with scripted(moved) as server, pytest.raises(ModelError, match=r"10\.0\.0\.1"):
        load(server.address)


# -- what is not such a server ------------------------------------------------------------


def test_nobody_there() -> None:
    with scripted(serving(says())) as server:
        address = server.address
    with pytest.raises(ServerUnreachable, match="No server answers at 127"):
        load(address)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda r: r.send("<html>hello</html>", kind="text/html"), "web page"),
        (lambda r: r.send("<h1>404</h1>", status=404, kind="text/html"), "404"),
        (lambda r: r.send({"detail": "Not Found"}, status=404), "404"),
        (lambda r: r.send({"hello": "world"}), "/models"),
        (lambda r: r.send({"data": []}), "/models"),
        (lambda r: r.send({"data": ["m"]}), "/models"),
        (lambda r: r.send([1, 2]), "application/json"),
        (lambda r: r.send("pong", kind="text/plain"), "text/plain"),
    ],
)
def test_what_answers_is_no_such_server(answer: Callable[[Reply], None], words: str) -> None:
    expected = pytest.raises(ModelError, match="no OpenAI-compatible server")
    with scripted(lambda _, reply: answer(reply)) as server, expected as told:
        load(server.address)
    assert words in fails(told.value).message.en
    assert "generator.url" in told.value.hint.en


def test_what_speaks_no_http_at_all_is_told() -> None:
    with scripted(lambda _, reply: reply.hang_up()) as server, pytest.raises(ServerUnreachable):
        load(server.address)


def test_plain_http_where_tls_is_asked_for_is_told_as_such() -> None:
    expected = pytest.raises(ServerUnreachable, match="No secure connection")
    with scripted(serving(says())) as server, expected:
        load(Address.parse(f"https://127.0.0.1:{server.port}"))


def test_a_certificate_that_nobody_vouches_for_is_told(tmp_path: Path) -> None:
    with scripted(serving(says())) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(tmp_path))
        inner = server._server
        inner.socket = context.wrap_socket(inner.socket, server_side=True)
        with pytest.raises(ServerUnreachable, match="self-signed") as told:
            load(Address.parse(f"https://localhost:{server.port}"))
    assert "SSL_CERT_FILE" in fails(told.value).hint.en


def _certificate(folder: Path) -> Path:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


# -- errors in answers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "kind", "words"),
    [
        (401, {"message": "bad key"}, ModelError, "key"),
        (403, {"message": "forbidden"}, ModelError, "key"),
        (404, {"message": "The model `m` does not exist."}, UnknownModel, "does not exist"),
        (404, {"message": "Not Found"}, ModelError, "404"),
        (429, {"message": "slow down"}, ServerUnreachable, "busy"),
        (503, {"message": "Loading model"}, ServerUnreachable, "Loading model"),
        (500, {"message": "CUDA error"}, ModelError, "CUDA error"),
        (400, {"message": "x", "code": "context_length_exceeded"}, PromptTooLong, "window"),
        (400, {"message": "x", "type": "exceed_context_size_error"}, PromptTooLong, "window"),
        (
            400,
            {"message": "This model's maximum context length is 512 tokens. You asked for 600."},
            PromptTooLong,
            "512",
        ),
    ],
)
def test_an_error_of_the_server_is_told_in_words(
    status: int, error: dict[str, str], kind: type[RagError], words: str
) -> None:
    told = refused(lambda _, reply: reply.send({"error": error}, status=status))
    assert isinstance(told, kind)
    assert words in told.message.en
    assert words in told.message.zh or words in {"key", "busy", "window"}


def test_an_error_in_the_middle_of_an_answer_is_told() -> None:
    def chat(call: Call, reply: Reply) -> None:
        reply.start()
        reply.piece("The")
        reply.event({"error": {"message": "out of memory on the server", "code": 500}})

    assert "out of memory on the server" in refused(chat).message.en


@pytest.mark.parametrize("polite", [True, False])
def test_a_server_that_goes_away_within_an_answer_is_told_and_not_asked_again(
    polite: bool,
) -> None:
    asked: list[Call] = []

    def chat(call: Call, reply: Reply) -> None:
        asked.append(call)
        reply.start()
        reply.piece("The ")
        reply.piece("sec")
        if not polite:
            reply.hang_up()

    with scripted(serving(chat)) as server:
        generator = load(server.address)
        stream = generator.stream(ASK, max_tokens=9, temperature=0, cancelled=never)
        assert [next(stream).text, next(stream).text] == ["The ", "sec"]
        with pytest.raises(ServerUnreachable, match="lost before the answer was complete"):
            next(stream)
        generator.close()
    assert len(asked) == 1


def test_a_connection_lost_before_the_first_token_is_tried_again() -> None:
    asked: list[Call] = []

    def chat(call: Call, reply: Reply) -> None:
        asked.append(call)
        if len(asked) == 1:
            reply.hang_up()
        else:
            says("here")(call, reply)

    with scripted(serving(chat)) as server:
        generator = load(server.address)
        assert "".join(delta.text for delta in ask(generator)) == "here"
        generator.close()
    assert len(asked) == 2


def test_a_connection_that_is_lost_every_time_is_given_up() -> None:
    asked: list[Call] = []

    def chat(call: Call, reply: Reply) -> None:
        asked.append(call)
        reply.hang_up()

    assert isinstance(refused(chat), ServerUnreachable)
    assert len(asked) == 3


@pytest.mark.parametrize("begun", [True, False])
def test_a_server_that_falls_silent_is_given_up(begun: bool) -> None:
    def chat(call: Call, reply: Reply) -> None:
        reply.start()
        if begun:
            reply.piece("The")
        reply.closed_by_client()

    began = time.monotonic()
    assert "silent" in refused(chat).message.en
    assert time.monotonic() - began < 8


def test_a_cancel_closes_the_connection_even_while_the_server_is_silent() -> None:
    closed = threading.Event()
    cancel = threading.Event()

    def chat(call: Call, reply: Reply) -> None:
        reply.start()
        cancel.set()
        if reply.closed_by_client():
            closed.set()

    with scripted(serving(chat)) as server:
        generator = UrlGenerator.load(server.address, model="auto", context_tokens=4096)
        deltas = ask(generator, cancelled=cancel.is_set)
        assert closed.wait(5)
        generator.close()
    assert deltas == [Delta("", 0, "cancelled")]


def test_a_server_that_ignores_the_limit_is_cut_at_it() -> None:
    with scripted(serving(says(*("word " * 60).split(), finish="stop"))) as server:
        generator = load(server.address)
        deltas = ask(generator)
        generator.close()
    assert sum(delta.tokens for delta in deltas) == 20
    assert deltas[-1].finish == "length"


def test_the_server_s_own_count_of_tokens_is_right_in_the_end() -> None:
    def chat(call: Call, reply: Reply) -> None:
        reply.start()
        reply.piece("three tokens at once")
        reply.piece(finish="stop")
        usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
        reply.event(
            {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            | {"choices": [], "usage": usage}
        )

    with scripted(serving(chat)) as server:
        generator = load(server.address)
        assert sum(delta.tokens for delta in ask(generator)) == 5
        generator.close()


# -- windows and counting, maker by maker -------------------------------------------------


def test_the_window_is_read_where_each_maker_puts_it() -> None:
    for model, window in (
        ({"id": "m", "owned_by": "vllm", "max_model_len": 2048}, 2048),
        ({"id": "m", "owned_by": "sglang", "max_model_len": 1024}, 1024),
        ({"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx": 3000}}, 3000),
        ({"id": "m", "max_model_len": None}, 4096),
        ({"id": "m", "max_model_len": "many"}, 4096),
    ):
        with scripted(serving(says(), models=[model])) as server:
            generator = load(server.address)
        assert generator.context_tokens == window
        assert generator.window_known == (window != 4096)


def test_ollama_loads_the_model_and_then_says_how_much_it_reads() -> None:
    loaded: list[str] = []

    def answer(call: Call, reply: Reply) -> None:
        if call.path == "/api/generate":
            loaded.append(call.body["model"])
            reply.send({"done": True})
        elif call.path == "/api/ps":
            models = [{"name": name, "model": name, "context_length": 1500} for name in loaded]
            reply.send({"models": models})
        else:
            serving(says(), models=[{"id": "llama3:latest", "owned_by": "library"}])(call, reply)

    with scripted(answer) as server:
        generator = load(server.address, model="llama3")
    assert generator.name.startswith("llama3:latest @ ")
    assert generator.context_tokens == 1500
    assert not generator.counts_exactly


Counter = Callable[[Call, Reply], None]


def _by_messages(call: Call, reply: Reply) -> None:
    if "messages" not in call.body:
        reply.send({"error": "messages are missing"}, status=400)
    else:
        reply.send({"count": sum(len(m["content"]) for m in call.body["messages"]), "tokens": []})


def _by_text(call: Call, reply: Reply) -> None:
    if "prompt" not in call.body:
        reply.send({"error": "prompt is missing"}, status=422)
    else:
        reply.send({"tokens": list(call.body["prompt"].encode())})


@pytest.mark.parametrize(
    ("path", "counter", "least"),
    [
        ("/tokenize", _by_messages, 39),  # as vLLM
        ("/tokenize", _by_text, 39),  # as SGLang did
        ("/_internal/tokenize", _by_text, 39),  # as TensorRT-LLM
    ],
)
def test_a_prompt_is_counted_by_whatever_the_server_offers(
    path: str, counter: Counter, least: int
) -> None:
    def answer(call: Call, reply: Reply) -> None:
        if call.path == path:
            counter(call, reply)
        else:
            serving(says())(call, reply)

    with scripted(answer) as server:
        generator = load(server.address)
        assert generator.counts_exactly
        counted = generator.count_tokens(ASK)
        asked = len(server.calls)
        assert generator.count_tokens(ASK) == counted
        assert len(server.calls) == asked  # the same prompt is not counted twice
        generator.close()
    assert least <= counted <= least + 150


def test_a_prompt_over_the_window_is_refused_before_it_is_sent() -> None:
    with scripted(serving(says("no"))) as server:
        generator = load(server.address, window=150)
        with pytest.raises(PromptTooLong, match="150"):
            list(
                generator.stream(
                    [Message("user", "many words " * 200)],
                    max_tokens=5,
                    temperature=0,
                    cancelled=never,
                )
            )
        generator.close()
        assert not any(call.path.endswith("completions") for call in server.calls)


# -- keys ---------------------------------------------------------------------------------


class Vault:
    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, password: str) -> None:
        self.kept[service, name] = password

    def delete_password(self, service: str, name: str) -> None:
        del self.kept[service, name]


def test_a_kept_key_belongs_to_one_server(monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault()
    monkeypatch.setattr("rag.system.secrets.system_store", lambda: vault)
    here, there = Address.parse("http://127.0.0.1:8000"), Address.parse("http://127.0.0.1:9000")
    keep_key(here, "k-1")
    assert (find_key(here), find_key(there)) == ("k-1", None)
    monkeypatch.setenv(VARIABLE, "k-2")
    assert find_key(here) == "k-2"
    monkeypatch.delenv(VARIABLE)
    keep_key(here, "")
    keep_key(here, "")  # forgetting what is not there is no error
    assert find_key(here) is None


def test_a_key_that_cannot_be_sent_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "schlüssel\x07")
    with pytest.raises(ConfigError) as told:
        find_key(Address.parse("http://127.0.0.1:8000"))
    assert "schl" not in str(fails(told.value))


def test_a_system_without_a_keyring_says_what_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.system.secrets.system_store", lambda: None)
    address = Address.parse("http://127.0.0.1:8000")
    assert find_key(address) is None
    with pytest.raises(ConfigError) as told:
        keep_key(address, "k")
    assert VARIABLE in fails(told.value).hint.en


def test_other_servers_are_never_sent_to(tmp_path: Path) -> None:
    from rag.generation.openai_server.client import WrongServer, clients

    with scripted(serving(says())) as server:
        plain, _ = clients(server.address, key="k", patience=QUICK)
        other = ScriptedServer(serving(says()))
        try:
            with pytest.raises(WrongServer):
                plain.get(f"http://127.0.0.1:{other.port}/v1/models")
            assert other.calls == []
        finally:
            other.close()
            plain.close()


def test_a_server_of_this_machine_is_found_at_whichever_address_it_listens() -> None:
    with scripted(serving(says("four"))) as four:
        generator = load(Address.parse(f"http://localhost:{four.port}"))
        assert ask(generator)[0].text == "four"
    with scripted(serving(says("six")), host="::1", port=four.port):  # started anew
        assert ask(generator)[0].text == "six"
    generator.close()
