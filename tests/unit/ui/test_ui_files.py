"""What a forged request may reach through the running screen: no file that was not dropped."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fake_pdf import typeset
from tests.fakes import FakeApp
from ui.app import ScreenServer, create_app, listen
from ui.layout import REFUSED

SECRET = b"%PDF-1.4 the owner's own"
_sessions = count()


class Screen:
    """The mounted application on a port of this machine, asked as any program here may."""

    def __init__(self, app: FakeApp, address: str) -> None:
        self.app = app
        self.uploads = app.folder / ".rag" / "uploads"
        self.http = httpx.Client(base_url=address, timeout=30, trust_env=False)
        config = self.http.get("/config").json()
        self.events: list[dict[str, Any]] = config["dependencies"]
        self._names = {part["id"]: part["props"].get("elem_id") for part in config["components"]}

    def event(self, name: str) -> dict[str, Any]:
        """Return the event of the component called ``name``."""
        (found,) = [e for e in self.events if self._names.get(e["targets"][0][0]) == name]
        return found

    def ask(self, event: dict[str, Any], sent: list[object]) -> dict[str, Any]:
        """Send values to an event through Gradio's queue; return how it ended."""
        session = f"forged{next(_sessions)}"
        body = {"data": sent, "fn_index": event["id"], "session_hash": session}
        assert self.http.post("/gradio_api/queue/join", json=body).status_code == 200
        where = {"session_hash": session}
        with self.http.stream("GET", "/gradio_api/queue/data", params=where) as lines:
            for line in lines.iter_lines():
                told = json.loads(line.removeprefix("data:")) if line else {}
                if told.get("msg") == "process_completed":
                    return dict(told)
        raise AssertionError("the event did not end")

    def drop(self, name: str, content: bytes) -> str:
        """Upload a file as the page does; return where Gradio put it."""
        (path,) = self.http.post("/gradio_api/upload", files={"files": (name, content)}).json()
        return str(path)

    def copies(self) -> list[Path]:
        """Return the files in the upload folder that hold the secret."""
        found = [path for path in self.uploads.rglob("*") if path.is_file()]
        return [path for path in found if path.read_bytes() == SECRET]


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    app = FakeApp(tmp_path_factory.mktemp("app") / "knowledge")
    listener = listen(0)
    command_line = create_app(app, language="auto")
    server = ScreenServer(command_line, end_streams=command_line.state.end_streams)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    screen = Screen(app, f"http://127.0.0.1:{listener.getsockname()[1]}")
    yield screen
    screen.http.close()
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.pdf"
    path.write_bytes(SECRET)
    return path


def named(path: object) -> dict[str, object]:
    return {"path": str(path), "orig_name": "a.pdf", "meta": {"_type": "gradio.FileData"}}


def test_a_question_that_is_a_file_is_refused(screen: Screen, secret: Path) -> None:
    told = screen.ask(screen.event("send"), [None, named(secret), None])
    assert (told["success"], told["output"]["error"]) == (False, REFUSED)
    assert screen.copies() == []


def test_no_input_of_any_event_copies_a_file(screen: Screen, secret: Path) -> None:
    forged = [
        (event, place)
        for event in screen.events
        for place in range(len(event["inputs"]))
        if event["targets"]
    ]
    assert len(forged) > 10
    for event, place in forged:
        for value in (named(secret), [{"deep": [named(secret)]}]):
            sent: list[object] = [None] * len(event["inputs"])
            sent[place] = value
            assert screen.ask(event, sent)["output"]["error"] == REFUSED
            again = {"data": sent, "fn_index": event["id"], "session_hash": "forged"}
            answer = screen.http.post("/gradio_api/run/predict", json=again)
            assert answer.status_code >= 400
    assert screen.copies() == []


@pytest.mark.parametrize("outside", ["{secret}", "{uploads}/../../../secret.pdf", "{uploads}/link"])
def test_an_upload_names_no_file_that_was_not_uploaded(
    screen: Screen, secret: Path, outside: str
) -> None:
    (screen.uploads / "link").unlink(missing_ok=True)
    (screen.uploads / "link").symlink_to(secret)
    path = outside.format(secret=secret, uploads=screen.uploads)
    told = screen.ask(screen.event("upload"), [None, [named(path)]])
    assert told["output"]["error"] == REFUSED
    assert secret.exists()
    (screen.uploads / "link").unlink()
    assert screen.copies() == []


@pytest.mark.parametrize("place", ["send", "upload"])
def test_no_url_is_fetched(screen: Screen, place: str) -> None:
    url = named("http://127.0.0.1:9/secret.pdf")
    sent: list[object] = [None, [url]] if place == "upload" else [None, url, None]
    assert screen.ask(screen.event(place), sent)["output"]["error"] == REFUSED
    for way in ("file=", "proxy="):
        answer = screen.http.get(f"/gradio_api/{way}http://127.0.0.1:9/secret.pdf")
        assert answer.status_code == 404


def test_what_was_dropped_is_taken_and_handed_out_to_nobody(screen: Screen) -> None:
    path = screen.drop("report.pdf", typeset(("Dropped.",)).data)
    for way in ("file=", "file/"):
        assert screen.http.get(f"/gradio_api/{way}{path}").status_code == 404
    sent = {**named(path), "url": f"{screen.http.base_url}/gradio_api/file={path}"}
    told = screen.ask(screen.event("upload"), [{"language": "en"}, [sent]])
    assert told["success"]
    assert not Path(path).exists()
    assert "a.pdf" in json.dumps(told["output"]["data"])
