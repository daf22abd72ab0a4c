"""The command line inside the test's own process: the start of a program is not paid each time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from rag.cli import app
from rag.errors import RagError


class Inside:
    """As ``tests.integration.cli.test_cli.Shell``, without processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "LC_ALL": "C.UTF-8",
            "RAGDESK_KNOWLEDGE": str(folder),
            "RAGDESK_EMBEDDER__MODEL": "hashing",
            "RAGDESK_GENERATOR__ENGINE": "echo",
            "RAGDESK_INGEST__WORKERS": "1",
            "RAGDESK_INGEST__OCR": "off",
            "RAGDESK_RETRIEVE__INDEX": "numpy",
        }

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        found = CliRunner().invoke(app, words, env={**self.environment, **environment})
        if isinstance(found.exception, RagError):  # ``rag.cli.main`` says it and ends with 1
            said = found.stderr + found.exception.say("en")
            return subprocess.CompletedProcess(words, 1, found.stdout, said)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return subprocess.CompletedProcess(words, found.exit_code, found.stdout, found.stderr)

    def json(self, *words: str, code: int = 0, **environment: str) -> Any:
        done = self.run(*words, "--json", **environment)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)
