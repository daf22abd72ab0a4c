"""A real system keyring: GNOME's, in a session bus of its own. Nothing of it is faked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.pdfs import write_pdf

SECRET = "open sesame"
DAEMON = "gnome-keyring-daemon"
MISSING = [name for name in ("dbus-run-session", DAEMON) if shutil.which(name) is None]
MISSING += [name for name in ("keyring", "secretstorage") if find_spec(name) is None]


def may_run() -> bool:
    """Some containers forbid a program that wants to lock its memory."""
    try:
        subprocess.run([DAEMON, "--version"], capture_output=True, check=False, timeout=30)
    except PermissionError:
        return False
    except FileNotFoundError:
        pass  # said as missing
    return True


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING) and not os.environ.get("RAG_TEST_ALL"), reason=f"not here: {MISSING}"
    ),
    pytest.mark.skipif(not may_run(), reason=f"this container does not let {DAEMON} run"),
]

# the daemon is unlocked as a login does it, and outlives nothing but its session
SESSION = (
    "printf login-password | gnome-keyring-daemon --unlock --components=secrets > /dev/null;"
    ' exec "$@"'
)


def rag_in_a_session(home: Path, folder: Path, *words: str) -> dict[str, Any]:
    """Run ``rag`` in a desktop session of its own and return what it printed as JSON."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DBUS_", "XDG_", "GNOME_", "RAG_"))
    }
    environment |= {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "RAGDESK_KNOWLEDGE": str(folder),
        "RAGDESK_EMBEDDER__MODEL": "hashing",
        "RAGDESK_INGEST__OCR": "off",
        "RAGDESK_RETRIEVE__INDEX": "numpy",
    }
    rag = [sys.executable, "-c", "from rag.cli import main; main()", *words, "--json"]
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", SESSION, "sh", *rag],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def test_a_password_outlives_the_session_in_the_keyring_and_nowhere_else(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "knowledge"
    home.mkdir(mode=0o700)
    write_pdf(folder / "locked.pdf", ["hiddenword here"], password=SECRET)
    passwords = home / "passwords.txt"
    passwords.write_text(f"{SECRET}\n", "utf-8")

    first = rag_in_a_session(home, folder, "sync", "--password-file", str(passwords), "--remember")
    assert first["pages"]["text"] == 1
    passwords.unlink()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("keyrings" in path.parts for path in files)
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]

    shutil.rmtree(folder / ".rag")  # as on the day when the library is made anew
    again = rag_in_a_session(home, folder, "sync")
    assert again["pages"]["text"] == 1

    shutil.rmtree(home / ".local")
    shutil.rmtree(folder / ".rag")
    without = rag_in_a_session(home, folder, "sync")
    assert without["pages"]["text"] == 0, "the password came from somewhere else"
