"""Asks an HTTP server inside this process, past every proxy, with its key."""

from __future__ import annotations

import json
import threading
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from rag.generate.failures import failed

_TIMEOUT_S = 60.0  # counting waits for nothing but a core


class Loopback:
    """One connection, kept open, used by one thread at a time."""

    def __init__(self, address: str, *, key: str) -> None:
        """``address`` is the server's URL without a path."""
        parts = urlsplit(address)
        self.address = address
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._guard = threading.Lock()

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON of the server's answer.

        Raises:
            ModelError: the server refused, or is gone.
        """
        content = None if body is None else json.dumps(body)
        with self._guard:
            try:
                status, answer = self._exchange(method, path, content)
            except (HTTPException, OSError):  # an idle connection is closed by the server
                self._connection.close()
                try:
                    status, answer = self._exchange(method, path, content)
                except (HTTPException, OSError) as error:
                    raise failed("llama.cpp", str(error)) from error
        if status != 200:  # noqa: PLR2004 - OK
            raise failed("llama.cpp", answer.get("error", {}).get("message", str(status)))
        return answer

    def close(self) -> None:
        """Let go of the connection."""
        with self._guard:
            self._connection.close()

    def _exchange(self, method: str, path: str, content: str | None) -> tuple[int, Any]:
        self._connection.request(method, path, content, self._headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())
