"""Real servers on this machine for the engine that asks by URL: llama.cpp's own, and bad ones."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rag.generation.prompt import plain_turns
from rag.types.answers import Message
from rag.types.server_address import Address


@dataclass(frozen=True)
class LlamaServer:
    """llama.cpp's server; of one GGUF file."""

    address: Address
    key: str
    generator: Any

    def close(self) -> None:
        """End it."""
        self.generator.close()

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return its answer, asked without any of our engine around it."""
        answer: dict[str, Any] = self.generator.loopback.ask("POST", "/v1/chat/completions", body)
        return answer


def llama_server(path: Path, *, context_tokens: int = 512) -> LlamaServer:
    """Start llama.cpp's server on a free port of this machine."""
    from rag.generation.llamacpp import LlamaCppGenerator

    generator = LlamaCppGenerator.load(path, name=path.stem, context_tokens=context_tokens)
    door = generator.loopback
    return LlamaServer(Address.parse(door.address), door.key, generator)


def says(server: LlamaServer, messages: Sequence[Message], max_tokens: int) -> tuple[str, int, int]:
    """Return text, tokens and prompt tokens of a plain answer."""
    body = {"messages": plain_turns(messages), "max_tokens": max_tokens, "temperature": 0}
    answer = server.ask(body)
    usage = answer["usage"]
    text = answer["choices"][0]["message"]["content"]
    return text, usage["completion_tokens"], usage["prompt_tokens"]


@dataclass(frozen=True)
class Call:
    """A request as a scripted server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class Reply:
    """What a scripted server may do with a request."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def send(self, body: object, *, status: int = 200, kind: str = "application/json") -> None:
        """Answer with JSON, or with text of another kind."""
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.start(status, kind, length=len(content))
        self._handler.wfile.write(content)

    def start(self, status: int = 200, kind: str = "text/event-stream", **headers: Any) -> None:
        """Begin an answer; without a length it ends with the connection."""
        self._handler.send_response(status)
        self._handler.send_header("Content-Type", kind)
        for name, value in headers.items():
            self._handler.send_header({"length": "Content-Length"}.get(name, name), str(value))
        self._handler.end_headers()

    def piece(self, text: str = "", *, finish: str | None = None, **more: Any) -> None:
        """Stream one piece of an answer."""
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
        self.event(
            {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            | {"choices": [choice], **more}
        )

    def event(self, data: object) -> None:
        """Stream anything."""
        self._handler.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
        self._handler.wfile.flush()

    def hang_up(self) -> None:
        """Close the connection without a word."""
        self._handler.close_connection = True
        self._handler.connection.shutdown(socket.SHUT_RDWR)

    def closed_by_client(self, seconds: float = 10) -> bool:
        """Wait until the other side hangs up."""
        self._handler.connection.settimeout(seconds)
        try:
            return bool(self._handler.connection.recv(1) == b"")
        except TimeoutError:
            return False
        except ConnectionError:
            return True


class ScriptedServer:
    """Keeps what it was asked; answers as a function says."""

    def __init__(
        self, answer: Callable[[Call, Reply], None], *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.calls: list[Call] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                call = Call(self.command, self.path, dict(self.headers.items()), body)
                outer.calls.append(call)
                answer(call, Reply(self))

            do_GET = do_POST = _any  # noqa: N815 - the names are the library's

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        self._server = Server((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def address(self) -> Address:
        return Address.parse(f"http://127.0.0.1:{self.port}")

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def scripted(answer: Callable[[Call, Reply], None], **where: Any) -> Iterator[ScriptedServer]:
    """Serve on a free port of this machine as long as the block lasts."""
    server = ScriptedServer(answer, **where)
    try:
        yield server
    finally:
        server.close()


def serving(
    chat: Callable[[Call, Reply], None], *, models: Sequence[dict[str, Any]] = ({"id": "m"},)
) -> Callable[[Call, Reply], None]:
    """Return an answer with a list of models, and ``chat`` for questions; nothing else is there."""

    def answer(call: Call, reply: Reply) -> None:
        if call.path.endswith("/models"):
            reply.send({"object": "list", "data": list(models)})
        elif call.path.endswith("/chat/completions"):
            chat(call, reply)
        else:
            reply.send({"error": {"message": "not found"}}, status=404)

    return answer
