"""The application around the screen: who may ask, what is answered, what is kept private."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from rag.app.app import App
from rag.errors import ConfigError, UnknownDocument
from rag.storage.vectors.manager import PreviousIndex
from rag.text.messages import Text
from rag.types.answers import Finished
from rag.types.documents import DocumentStatus
from tests.fake_script import EN, HOSTILE
from tests.fakes import FakeApp
from ui.app import PORTS_TRIED, beginning, create_app, listen
from ui.routes import MAX_WIDTH
from ui.tabs import take

HOME = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FakeApp:
    return FakeApp(tmp_path_factory.mktemp("app") / "knowledge")


@pytest.fixture(scope="module")
def client(app: FakeApp) -> Iterator[TestClient]:
    with TestClient(create_app(app, language="auto"), base_url=HOME) as client:
        yield client


def test_the_fake_answers_for_all_that_the_screen_may_ask() -> None:
    asked = {name for name, kind in vars(App).items() if callable(kind) and name[0] != "_"}
    assert {"ask", "page_image", "state"} <= asked
    assert asked - {"open", "start"} <= set(vars(FakeApp))


class Started(FakeApp):
    begun = False

    def start(self) -> None:
        self.begun = True


class Unready(FakeApp):
    """An app whose work cannot begin."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_work_that_cannot_begin_is_said_on_the_screen(tmp_path: Path) -> None:
    app = Unready(tmp_path / "knowledge")
    app.supervisor.start(beginning(app, lambda: None, ended=lambda: False))
    app.supervisor.join(timeout_s=10)
    (failure,) = app.supervisor.failures
    assert "can't start new thread" in failure.en
    app.close()


def test_the_work_begins_though_the_address_could_not_be_told(tmp_path: Path) -> None:
    def told() -> None:
        raise BrokenPipeError

    app = Started(tmp_path / "knowledge")
    app.supervisor.start(beginning(app, told, ended=lambda: False))
    app.supervisor.join(timeout_s=10)
    assert app.begun
    assert len(app.supervisor.failures) == 1
    app.close()


def test_the_work_does_not_begin_once_the_server_ends(tmp_path: Path) -> None:
    app = Started(tmp_path / "knowledge")
    app.supervisor.start(beginning(app, lambda: None, ended=lambda: True))
    app.supervisor.join(timeout_s=10)
    assert not app.begun
    app.close()


def test_the_page_comes_with_our_own_head_before_everything_else(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    head = page.text.partition("<head>")[2]
    assert head.startswith('<link rel="icon" href="/app/assets/icon.svg"')
    assert '{"language": "auto"}' in head
    assert page.headers["content-length"] == str(len(page.content))


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "rag.localhost.evil:7860", ""]
)
def test_another_host_name_is_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/app/state", "/gradio_api/info"):
        assert client.get(path, headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860"])
def test_the_names_of_this_machine_are_accepted(client: TestClient, host: str) -> None:
    assert client.get("/app/state", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_pages_of_other_sites_can_ask_for_nothing(
    client: TestClient, headers: dict[str, str]
) -> None:
    for path in ("/gradio_api/upload", "/gradio_api/queue/join"):
        assert client.post(path, headers=headers, files={"files": b"x"}).status_code == 403
    assert client.get("/app/state", headers=headers).status_code == 403


def test_our_own_page_may_ask_and_a_link_may_lead_here(client: TestClient) -> None:
    ours = {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}
    assert client.get("/app/state", headers=ours).status_code == 200
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert client.get("/", headers=link).status_code == 200


def test_every_answer_carries_the_content_policy(client: TestClient) -> None:
    for path in ("/", "/app/state", "/app/assets/style.css", "/nothing/here"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "img-src 'self' data: blob:" in policy
        assert "connect-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_a_page_image_is_drawn_and_not_kept_by_the_browser(
    client: TestClient, app: FakeApp
) -> None:
    answer = client.get(f"/app/page/{app.files[EN].id}/2.png", params={"width": 300})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, no-store"
    assert int.from_bytes(answer.content[16:20], "big") == 300


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/app/page/{id}/0.png", 422),
        ("/app/page/{id}/x.png", 422),
        ("/app/page/{id}/1.png?width=999999", 422),
        (f"/app/page/{{id}}/1.png?width={MAX_WIDTH + 1}", 422),
        ("/app/page/..%2F..%2Fetc%2Fpasswd/1.png", 404),
        ("/app/page/xyz/1.png", 422),
        ("/app/page/ABCDEF0123456789/1.png", 422),
        (f"/app/page/{'0' * 64}/1.png", 404),
    ],
)
def test_only_pages_of_known_documents_are_drawn(
    client: TestClient, app: FakeApp, path: str, status: int
) -> None:
    assert client.get(path.format(id=app.files[EN].id)).status_code == status


def test_the_state_speaks_both_languages(client: TestClient) -> None:
    assert "Ready" in client.get("/app/state").json()["strip"]
    assert "就绪" in client.get("/app/state", params={"language": "zh"}).json()["strip"]
    assert client.get("/app/state", params={"language": "fr"}).status_code == 422


def test_the_list_can_be_searched(client: TestClient, app: FakeApp) -> None:
    app.statuses.append(DocumentStatus("f" * 64, (HOSTILE,), "x", "en", {"text": 1}, "ready", None))
    found = client.get("/app/library", params={"find": "guide"}).json()
    assert "RAG Desk guide.pdf" in found["html"]
    assert "script" not in found["html"]
    assert found["documents"] == 3
    assert found["totals"] == "4 / 4 pages"


def test_gradio_offers_no_endpoint_and_keeps_no_record(client: TestClient) -> None:
    info = client.get("/gradio_api/info").json()
    assert info["named_endpoints"] == {}
    assert info["unnamed_endpoints"] == {}
    config = client.get("/config").json()
    assert not config["analytics_enabled"]
    assert not config.get("footer_links")
    assert not config.get("run_history")
    assert client.get("/monitoring").status_code in {401, 403, 404}
    for page in ("/docs", "/openapi.json", "/redoc"):
        assert "openapi" not in client.get(page).text


def test_uploads_wait_in_the_data_folder_and_telemetry_is_off(
    client: TestClient, app: FakeApp
) -> None:
    sent = client.post("/gradio_api/upload", files={"files": ("a.pdf", b"%PDF-1.4")})
    (path,) = sent.json()
    assert Path(path).is_relative_to((app.folder / ".rag" / "uploads").resolve())
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] in {"1", "True"}


def test_a_file_outside_of_the_upload_folder_is_left_alone(app: FakeApp, tmp_path: Path) -> None:
    outside = tmp_path / "secret.pdf"
    outside.write_bytes(b"%PDF-1.4")
    folder = tmp_path / "uploads"
    (folder / "x").mkdir(parents=True)
    (folder / "link.pdf").symlink_to(outside)
    sent = [
        {"path": str(outside), "orig_name": "secret.pdf"},
        {"path": str(folder / ".." / "secret.pdf")},
        {"path": str(folder / "link.pdf")},
        {"path": None},
        "nonsense",
    ]
    assert take(app, sent, folder=folder) == []
    assert outside.exists()
    assert take(app, None, folder=folder) == []


def test_a_folder_that_cannot_be_written_is_told_and_the_copy_is_gone(
    app: FakeApp, tmp_path: Path
) -> None:
    app.full = True
    copy = tmp_path / "hash" / "a.pdf"
    copy.parent.mkdir()
    copy.write_bytes(b"%PDF-1.4")
    (one,) = take(app, [{"path": str(copy), "orig_name": "合同.pdf"}], folder=tmp_path)
    assert one.path is None
    assert one.note is not None
    assert "合同.pdf was not added" in one.note.en
    assert "No space left" in one.note.en
    assert not copy.parent.exists()
    app.full = False


def test_a_taken_port_gives_the_next_one_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with listen(port) as other:
            assert port < other.getsockname()[1] < port + PORTS_TRIED
            assert other.getsockname()[0] == "127.0.0.1"
        assert f"port {port} is taken" in caplog.text


def test_no_free_port_is_an_error_with_a_remedy() -> None:
    with ExitStack() as stack:
        base = next(filter(None, (take_all(stack) for _ in range(100))))
        with pytest.raises(ConfigError, match="all taken") as caught:
            listen(base)
    assert "--port" in caught.value.hint.en


def take_all(stack: ExitStack) -> int | None:
    """Take a free port and those after it; ``None`` if somebody else holds one for a while."""
    with ExitStack() as taken:
        base: int = taken.enter_context(listen(0)).getsockname()[1]
        for port in range(base + 1, base + PORTS_TRIED):
            other = taken.enter_context(socket.socket())
            try:
                other.bind(("127.0.0.1", port))
            except (OSError, OverflowError):  # the last ports of all have no twenty after them
                return None
        stack.enter_context(taken.pop_all())
    return base


def test_a_rebuild_is_begun_by_our_own_page_only(client: TestClient, app: FakeApp) -> None:
    assert client.post("/app/rebuild", headers={"Origin": "http://evil.example"}).status_code == 403
    assert app.rebuilds == 0
    assert client.post("/app/rebuild", headers={"Origin": HOME}).status_code == 204
    assert app.rebuilds == 1


def test_the_list_names_the_versions_that_were_replaced(client: TestClient, app: FakeApp) -> None:
    app.replaced = ("ab" * 32,)
    assert client.get("/app/library").json()["older"] == ["ab" * 32]


@pytest.mark.parametrize(
    ("password", "remember", "opened", "note"),
    [
        ("sesame", False, True, ""),
        ("sesame", True, True, "此系统没有密钥环。"),
        ("wrong", False, False, "所给密码都无法打开该文件。"),
    ],
)
def test_a_password_goes_to_the_app_and_what_became_of_it_comes_back(
    client: TestClient, app: FakeApp, password: str, *, remember: bool, opened: bool, note: str
) -> None:
    document = app.files[EN].id
    sent = {"document": document, "password": password, "remember": remember, "language": "zh"}
    answer = client.post("/app/unlock", json=sent)
    assert answer.json() == {"opened": opened, "note": note}
    assert app.unlocked[-1] == (document, password, remember)


def test_a_document_is_forgotten_by_our_own_page_and_listed_apart(
    client: TestClient, app: FakeApp
) -> None:
    sent = {"document": app.files[EN].id, "language": "zh"}
    elsewhere = {"Origin": "http://evil.example"}
    assert client.post("/app/forget", json=sent, headers=elsewhere).status_code == 403
    assert client.post("/app/forget", json={**sent, "document": "../x"}).status_code == 422
    before = client.get("/app/library").json()["documents"]
    assert client.post("/app/forget", json=sent).json() == {"note": "", "chats": []}
    found = client.get("/app/library").json()
    assert found["documents"] == before - 1
    assert (EN in found["html"], EN in found["more"]) == (False, True)
    assert client.post("/app/remember", json={"path": EN, "language": "en"}).json()["note"] == ""
    found = client.get("/app/library").json()
    assert (EN in found["html"], found["more"]) == (True, "")


def test_chats_are_listed_and_deleted_by_our_own_page_and_quotations_outlive_documents(
    client: TestClient, app: FakeApp
) -> None:
    answer = next(
        event.answer
        for event in app.ask("How do I add documents?", cancelled=lambda: False)
        if isinstance(event, Finished)
    )
    stamp = client.get("/app/state").json()["chats"]
    chat = app.chats.add(None, replace(answer, question="<b>How?</b>"))
    try:
        assert client.get("/app/state").json()["chats"] != stamp
        listed = client.get("/app/chats").json()
        assert listed["count"] == 1
        assert "&lt;b&gt;How?" in listed["html"]
        document = app.files[EN].id
        sent = {"documents": [document], "language": "zh"}
        assert client.post("/app/absent", json=sent).json() == {}
        forgotten = client.post("/app/forget", json={"document": document, "language": "zh"})
        assert forgotten.json() == {"note": "", "chats": [chat]}
        assert client.post("/app/absent", json=sent).json() == {document: "已忘记"}
    finally:
        app.remember(EN)
    wish = {"chats": [chat], "language": "en"}
    elsewhere = {"Origin": "http://evil.example"}
    assert client.post("/app/chats/delete", json=wish, headers=elsewhere).status_code == 403
    assert client.post("/app/chats/delete", json={**wish, "chats": ["x"]}).status_code == 422
    assert client.post("/app/chats/delete", json=wish).json() == {"note": ""}
    assert client.get("/app/chats").json() == {"html": "", "count": 0}


def test_why_a_document_could_not_be_forgotten_is_said(
    client: TestClient, app: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = UnknownDocument(Text("No.", "没有。"), hint=Text("Look.", "请看。"))
    monkeypatch.setattr(app, "error", error)
    sent = {"document": app.files[EN].id, "language": "zh"}
    assert "没有。" in client.post("/app/forget", json=sent).json()["note"]


def test_another_index_is_offered_only_where_there_is_one(
    client: TestClient, app: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "data-fold" not in client.get("/app/library").json()["more"]
    kept = PreviousIndex("multilingual-e5-small", 230, 1234, 0.0, newer=False)
    monkeypatch.setattr(app, "kept", kept)
    assert "Go back to it" in client.get("/app/library").json()["more"]
    elsewhere = {"Origin": "http://evil.example"}
    assert client.post("/app/roll-back", headers=elsewhere).status_code == 403
    assert client.post("/app/roll-back", headers={"Origin": HOME}).status_code == 204
    assert "Use it again" in client.get("/app/library").json()["more"]
