"""The whole app as a person meets it: real models, the shipped guide, a file dropped in."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from rag.app.app import App
from rag.config import Settings, load_settings
from tests.pdfs import write_pdf

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.timeout(1500)]
ROOT = Path(__file__).parent.parent.parent
ARTEFACTS = ROOT / "tests" / "artefacts"
SLOW_MS = 600_000  # a language model on two busy cores
GENERATOR = "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M"


@pytest.fixture(scope="module")
def real_settings(
    tmp_path_factory: pytest.TempPathFactory, model_path: Callable[[str], Path], models_folder: Path
) -> Settings:
    for name in (GENERATOR, "multilingual-e5-small"):
        model_path(name)
    folder = tmp_path_factory.mktemp("real") / "knowledge"
    folder.mkdir()
    for guide in ROOT.glob("knowledge/*.pdf"):
        shutil.copy(guide, folder)
    return load_settings(
        None,
        {
            "RAGDESK_KNOWLEDGE": str(folder),
            "RAGDESK_MODELS__FOLDER": str(models_folder),
            "RAGDESK_MODELS__OFFLINE": "true",
            "RAGDESK_GENERATOR__MODEL": GENERATOR,
        },
    )


@pytest.fixture(scope="module")
def real_desk(real_settings: Settings) -> Iterator[App]:
    app = App.open(real_settings)
    app.start()
    yield app
    app.close()


def ask(page: Page, question: str, *, turns: int) -> None:
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")
    expect(page.locator("#turns .turn")).to_have_count(turns, timeout=SLOW_MS)
    expect(page.locator("#live .turn")).to_have_count(0, timeout=SLOW_MS)


def highlighted_text(page: Page, app: App) -> str:
    """Return what stands under the highlights that are on the screen, read from the PDF."""
    import pypdfium2

    image = page.locator("#viewer-page img")
    expect(image).to_be_visible()
    frame = image.bounding_box()
    assert frame is not None
    boxes = [b for b in (h.bounding_box() for h in page.locator("#viewer-page .hl").all()) if b]
    assert boxes
    source = image.get_attribute("src") or ""
    document_id, number = source.split("?")[0].split("/")[-2:]
    path = next(d.paths[0] for d in app.documents() if d.id == document_id)
    pdf = pypdfium2.PdfDocument(app.settings.knowledge / path)
    leaf = pdf[int(number.removesuffix(".png")) - 1]
    width, height = leaf.get_size()
    text_page = leaf.get_textpage()
    found = []
    for box in boxes:
        x0 = (box["x"] - frame["x"]) / frame["width"] * width
        x1 = x0 + box["width"] / frame["width"] * width
        top = (box["y"] - frame["y"]) / frame["height"] * height
        bottom = top + box["height"] / frame["height"] * height
        found.append(
            text_page.get_text_bounded(x0 - 1, height - bottom - 1, x1 + 1, height - top + 1)
        )
    pdf.close()
    return " ".join(found)


def test_the_first_question_is_answered_from_the_guide_in_both_languages(
    real_desk: App, serve_app: Callable[[App], str], open_page: Callable[..., Page]
) -> None:
    page = open_page(serve_app(real_desk), width=1440, height=900)
    expect(page.locator(".row[data-name]")).to_have_count(2, timeout=SLOW_MS)
    expect(page.locator("#strip .word")).to_have_text("Ready", timeout=SLOW_MS)

    ask(page, "How do I add documents?", turns=1)
    answer = page.locator("#turns .a").first
    expect(answer).to_contain_text("knowledge")
    expect(page.locator("#turns .s.supported").first).to_be_visible()
    assert "knowledge" in highlighted_text(page, real_desk)
    expect(page.locator("#strip-readings")).to_contain_text("no NVIDIA GPU")
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "real-en.png")

    ask(page, "如何添加文档？", turns=2)
    answer = page.locator("#turns .a").nth(1)
    expect(answer).to_contain_text("文件夹")
    assert any("\u4e00" <= c <= "\u9fff" for c in highlighted_text(page, real_desk))
    page.screenshot(path=ARTEFACTS / "real-zh.png")


def test_a_dropped_file_is_searchable_within_seconds_and_answers(
    real_desk: App,
    serve_app: Callable[[App], str],
    open_page: Callable[..., Page],
    tmp_path: Path,
) -> None:
    page = open_page(serve_app(real_desk), width=1280, height=800)
    lease = write_pdf(
        tmp_path / "lease 2026.pdf",
        ["Lease of Harbour Street\nThe monthly rent is 950 euros.\nThe deposit is three rents."],
    )
    page.locator("input[type=file]").first.set_input_files(lease)
    row = page.locator(".row", has_text="lease 2026.pdf")
    expect(row).to_contain_text("1/1", timeout=60_000)
    assert (real_desk.settings.knowledge / "lease 2026.pdf").is_file()
    ask(page, "What is the monthly rent in Harbour Street?", turns=1)
    expect(page.locator("#turns .a")).to_contain_text("950")
    assert "950" in highlighted_text(page, real_desk)
    expect(page.locator("#evidence-list .card").first).to_contain_text("lease 2026.pdf")


def test_stop_ends_a_real_answer_at_once_and_the_next_question_works(
    real_desk: App, serve_app: Callable[[App], str], open_page: Callable[..., Page]
) -> None:
    page = open_page(serve_app(real_desk))
    expect(page.locator("#strip .word")).to_have_text("Ready", timeout=SLOW_MS)
    page.fill("#question textarea", "Explain every command of the guide in detail, one by one.")
    page.press("#question textarea", "Enter")
    expect(page.locator("#live .a")).to_contain_text(" ", timeout=SLOW_MS)
    page.click("#stop")
    expect(page.locator("#live .turn")).to_have_count(0, timeout=10_000)
    expect(page.locator("#turns .note")).to_have_text("Stopped before the end.")
    ask(page, "How do I add documents?", turns=2)
    expect(page.locator("#turns .a").nth(1)).to_contain_text("knowledge")


def test_what_the_guide_does_not_say_is_not_made_up(
    real_desk: App, serve_app: Callable[[App], str], open_page: Callable[..., Page]
) -> None:
    page = open_page(serve_app(real_desk))
    ask(page, "Which football club won the Bundesliga in 1987?", turns=1)
    expect(page.locator("#turns .turn")).to_contain_text("not", ignore_case=True)
    assert page.locator("#turns .s.supported").count() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="the process tree is read from /proc")
def test_nothing_is_left_listening_to_the_network(real_desk: App) -> None:
    import psutil

    mine = psutil.Process()
    for process in (mine, *mine.children(recursive=True)):
        connections = []
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            connections = process.net_connections(kind="inet")
        for connection in connections:
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip in {"127.0.0.1", "::1"}
