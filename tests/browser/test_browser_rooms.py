"""The rooms around the conversation: documents, scope, files, language, theme, strip."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page, expect

from rag.types.documents import DocumentStatus
from rag.types.progress import Progress
from tests.browser.conftest import OpenPage, ServeApp
from tests.fake_pdf import typeset
from tests.fake_script import HOSTILE
from tests.fakes import GPU, FakeApp
from ui.app import ScreenServer, create_app, listen
from ui.opening import Opening

pytestmark = pytest.mark.browser


def ask(page: Page, question: str) -> None:
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")
    expect(page.locator("#turns .turn")).to_have_count(1)


def test_a_chosen_file_lands_in_the_folder_and_in_the_list(
    browser_page: Page, app: FakeApp, tmp_path: Path
) -> None:
    pdf = tmp_path / "合同（最终版）#1.pdf"
    pdf.write_bytes(typeset(("A contract.",)).data)
    text = tmp_path / "notes.pdf"
    text.write_text("no PDF at all")
    browser_page.set_input_files('#left input[type="file"]', [pdf, text])
    said = browser_page.locator(".added")
    expect(said).to_contain_text("合同（最终版）#1.pdf was added.")
    expect(said).to_contain_text("notes.pdf is not a PDF and was not added.")
    assert (app.folder / "合同（最终版）#1.pdf").read_bytes() == pdf.read_bytes()
    expect(browser_page.locator('.row[data-name="合同（最终版）#1.pdf"]')).to_be_visible()
    assert not [f for f in (app.folder / ".rag" / "uploads").rglob("*") if f.is_file()]


def test_files_may_be_dropped_anywhere_but_only_pdfs_are_taken(
    browser_page: Page, app: FakeApp
) -> None:
    data = [*typeset(("Dropped.",)).data]
    transfer = browser_page.evaluate_handle(
        """bytes => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "dropped.pdf"));
          data.items.add(new File(["x"], "photo.jpg"));
          return data;
        }""",
        data,
    )
    browser_page.dispatch_event("#talk", "dragenter", {"dataTransfer": transfer})
    expect(browser_page.locator("#drop")).to_be_visible()
    browser_page.dispatch_event("#talk", "drop", {"dataTransfer": transfer})
    expect(browser_page.locator("#drop")).to_be_hidden()
    expect(browser_page.locator(".added")).to_contain_text("dropped.pdf was added.")
    expect(browser_page.locator("#notes")).to_contain_text("photo.jpg")
    expect(browser_page.locator("#notes .uploading")).to_have_count(0)
    assert (app.folder / "dropped.pdf").is_file()


def test_picked_documents_limit_the_question(browser_page: Page, app: FakeApp) -> None:
    row = browser_page.locator(".row", has_text="使用指南")
    row.locator(".pick").click()
    expect(browser_page.locator("#scope")).to_have_text("Scope: 1 document")
    ask(browser_page, "How do I add documents?")
    assert app.asked[0][2] == {app.files["RAG Desk 使用指南.pdf"].id}
    browser_page.click("#scope")
    expect(browser_page.locator("#scope")).to_have_text("Scope: all documents")


def test_a_document_that_cannot_be_read_says_why_and_what_to_do(
    browser_page: Page, app: FakeApp, keep: Callable[[Page, str], None]
) -> None:
    app.statuses.append(
        DocumentStatus("a" * 64, ("locked.pdf",), "locked", "en", {}, "failed", "encrypted")
    )
    app.statuses.append(
        DocumentStatus(
            "b" * 64, ("scan.pdf",), "scan", "en", {"text": 7, "empty": 5}, "partial", "no_text"
        )
    )
    app.change()
    locked = browser_page.locator(".row.failed")
    expect(locked).to_contain_text("protected by a password")
    expect(locked).to_contain_text("Give the password on the screen")
    locked.get_by_role("textbox", name="Password").fill("open")
    locked.get_by_role("button", name="Open", exact=True).click()
    expect(locked).to_contain_text("None of the passwords given opens the file.")
    locked.get_by_role("textbox", name="Password").fill("sesame")
    locked.get_by_role("button", name="Open", exact=True).click()
    expect(locked).not_to_contain_text("None of the passwords given opens the file.")
    assert app.unlocked == [("a" * 64, "open", False), ("a" * 64, "sesame", False)]
    keep(browser_page, "locked")
    scan = browser_page.locator(".row.partial")
    expect(scan.locator(".reason")).to_be_hidden()
    scan.locator(".why").click()
    expect(scan.locator(".reason")).to_contain_text("5 blank or without text")


def test_a_running_sync_is_counted_and_does_not_hinder_a_question(
    browser_page: Page, app: FakeApp
) -> None:
    app.change(sync_progress=Progress("read", 37, 120, "pages", "合同.pdf", 14.2))
    sync = browser_page.locator(".sync")
    expect(sync).to_contain_text("Reading")
    expect(sync).to_contain_text("37 / 120 pages · 14 pages/s")
    expect(browser_page.locator("#strip .word")).to_have_text("Indexing")
    ask(browser_page, "How do I add documents?")
    app.change(sync_progress=None)
    expect(sync).to_have_count(0)


def test_language_and_theme_switch_at_once_and_are_remembered(
    browser_page: Page, app: FakeApp
) -> None:
    ask(browser_page, "How do I add documents?")
    browser_page.click("#strip .language")
    expect(browser_page.locator("#new")).to_have_text("新对话")
    expect(browser_page.locator(".foot")).to_contain_text("4 句中 2 句有依据")
    expect(browser_page.locator("#strip .word")).to_have_text("就绪")
    expect(browser_page.locator("#evidence h2")).to_have_text("依据")
    expect(browser_page.locator("#question textarea")).to_have_attribute(
        "placeholder", "向你的文档提问…"
    )
    browser_page.click("#strip .theme")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert browser_page.evaluate(paper) == "rgb(21, 24, 27)"
    browser_page.reload()
    expect(browser_page.locator("#new")).to_have_text("新对话")
    assert browser_page.evaluate(paper) == "rgb(21, 24, 27)"


def test_a_chinese_browser_gets_chinese(
    app: FakeApp, serve_app: ServeApp, open_page: OpenPage
) -> None:
    page = open_page(serve_app(app), locale="zh-CN")
    expect(page.locator(".hello h1")).to_have_text("向你的文档提问")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"


def test_the_strip_tells_the_graphics_card_or_that_there_is_none(
    browser_page: Page, app: FakeApp
) -> None:
    strip = browser_page.locator("#strip-readings")
    expect(strip).to_contain_text("no NVIDIA GPU")
    expect(strip).to_contain_text("6.2 / 16.0 GiB")
    expect(strip).to_contain_text("CPU 37 %")
    app.change(memory=GPU)
    expect(strip).to_contain_text("13.1 / 24.0 GiB")
    expect(strip).to_contain_text("61 °C")
    expect(strip).to_contain_text("287 W")
    expect(strip).to_contain_text("GPU 74 %")
    ask(browser_page, "How do I add documents?")
    expect(strip).to_contain_text("12 tokens/s · first 0.4 s")


def test_hostile_text_from_a_document_and_a_model_stays_text(
    browser_page: Page, app: FakeApp
) -> None:
    pdf = app.files[HOSTILE]
    app.statuses.append(
        DocumentStatus(pdf.id, (f"x/{HOSTILE}.pdf",), HOSTILE, "en", {"text": 1}, "ready", HOSTILE)
    )
    app.change(sync_progress=Progress("read", 1, 2, "pages", HOSTILE))
    ask(browser_page, f"hostile {HOSTILE}")
    expect(browser_page.locator("#turns .a")).to_contain_text("<script>window.hacked = 1</script>")
    expect(browser_page.locator("#library-list")).to_contain_text("<script>")
    expect(browser_page.locator(".sync")).to_contain_text("<img src=http://attacker")
    browser_page.click("#evidence-list .card")
    browser_page.click("#strip .language")
    expect(browser_page.locator("#new")).to_have_text("新对话")
    assert browser_page.evaluate("window.hacked") is None
    rooms = "#turns :is(img, script, a, iframe), #evidence-list :is(img, script, a, iframe)"
    assert browser_page.locator(rooms).count() == 0
    assert browser_page.locator("#library-list :is(img, script, a)").count() == 0


def test_a_narrow_window_keeps_the_evidence_in_a_drawer(
    app: FakeApp, serve_app: ServeApp, open_page: OpenPage
) -> None:
    page = open_page(serve_app(app), width=1000, height=760)
    ask(page, "How do I add documents?")
    expect(page.locator("#right")).to_be_hidden()
    page.click(".n.supported button >> nth=0")
    expect(page.locator("#viewer-page .hl")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#right")).to_be_hidden()


def test_the_page_says_when_the_program_has_ended(browser_page: Page, app: FakeApp) -> None:
    browser_page.route("**/app/state*", lambda route: route.abort())
    expect(browser_page.locator("#banner")).to_contain_text("start it again with `rag ui`")
    expect(browser_page.locator("#strip .word")).to_have_text("Not running")
    browser_page.unroute("**/app/state*")
    expect(browser_page.locator("#banner")).to_be_hidden()
    expect(browser_page.locator("#strip .word")).to_have_text("Ready")
    browser_page.watch.wrong.clear()  # type: ignore[attr-defined]  # the lost requests


def test_nothing_is_wider_than_the_window(
    app: FakeApp, serve_app: ServeApp, open_page: OpenPage
) -> None:
    long = "Ein_sehr_langer_Dateiname_" * 8
    app.statuses += [
        DocumentStatus(f"{n:064x}", (f"{long}{n}.pdf",), long, "de", {"text": n}, "ready", None)
        for n in range(60)
    ]
    address = serve_app(app)
    for width in (1920, 1280, 1000, 640):
        page = open_page(address, width=width, height=800)
        ask(page, f"How do I {'wordwithoutend' * 40}")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        talk = page.locator("#talk").evaluate("node => node.scrollWidth - node.clientWidth")
        assert talk <= 0, width


def test_the_screen_can_be_opened_before_it_is_made(
    app: FakeApp, open_page: OpenPage, keep: Callable[[Page, str], None]
) -> None:
    listener, go, made = listen(0), threading.Event(), threading.Event()

    def make() -> FastAPI:
        assert go.wait(30)
        return create_app(app, language="auto")

    opening = Opening(make, language="zh", made=made.set)
    server = ScreenServer(opening, end_streams=opening.end_streams)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    page = open_page(f"http://127.0.0.1:{listener.getsockname()[1]}", ready=".opening p")
    expect(page.locator(".opening")).to_have_text("正在打开…")
    keep(page, "opening")
    go.set()
    expect(page.locator("#turns .hello")).to_be_visible()
    assert made.is_set()
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()
    page.watch.wrong.clear()  # type: ignore[attr-defined]  # polls that found nobody
