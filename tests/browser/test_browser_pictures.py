"""Pictures of the screen for people to look at, and what a machine can say about its looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from rag.errors import ModelError
from rag.text.messages import Text
from rag.types.documents import DocumentStatus
from rag.types.progress import Progress
from tests.browser.conftest import OpenPage, ServeApp
from tests.fake_script import SCRIPT_EN, SCRIPT_ZH, Said
from tests.fakes import GPU, FakeApp

pytestmark = pytest.mark.browser

Keep = Callable[[Page, str], None]
Theme = Literal["light", "dark"]
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
LOOKS = list(product(("light", "dark"), LOCALES, (1280, 1920)))
ENOUGH = 4.5  # WCAG 2.2, 1.4.3: contrast of text to what is behind it

CONTRAST = """() => {
  const parse = (text) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return {r, g, b, a: a / 255};
  };
  const over = (top, under) => ({
    r: top.r * top.a + under.r * (1 - top.a),
    g: top.g * top.a + under.g * (1 - top.a),
    b: top.b * top.a + under.b * (1 - top.a),
    a: 1,
  });
  const light = ({r, g, b}) => {
    const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const layer = parse(getComputedStyle(at).backgroundColor);
      if (layer.a > 0) layers.push(layer);
      if (layer.a === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), {r: 255, g: 255, b: 255});
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility({visibilityProperty: true}))
      continue;
    const style = getComputedStyle(node);
    if (style.fontSize === "0px" || node.closest("script, style, #viewer-page, :disabled"))
      continue;
    const back = behind(node);
    const [a, b] = [light(over(parse(style.color), back)), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < LIMIT) poor.push(`${ratio.toFixed(2)} ${walker.currentNode.data.trim()}`);
  }
  return poor;
}""".replace("LIMIT", str(ENOUGH))


def ask(page: Page, question: str, count: int = 1) -> None:
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")
    expect(page.locator("#turns .turn")).to_have_count(count)
    expect(page.locator("#live .turn")).to_have_count(0)


def settled(page: Page) -> None:
    page.wait_for_function(
        "[...document.images].every(image => image.complete && image.naturalWidth)"
    )


def at_rest(page: Page, selector: str) -> None:
    page.locator(selector).evaluate(
        "node => Promise.all(node.getAnimations().map(one => one.finished))"
    )


def library() -> Iterator[DocumentStatus]:
    """About sixty documents, some of them in trouble."""
    yield DocumentStatus(
        "c" * 64, ("合同（最终版）.pdf",), "合同", "zh", {"text": 18}, "ready", None
    )
    yield DocumentStatus("d" * 64, ("年报 2019.pdf",), "年报", "zh", {}, "failed", "encrypted")
    yield DocumentStatus(
        "e" * 64,
        ("扫描 · 会议纪要.pdf",),
        "会议纪要",
        "zh",
        {"text": 7, "empty": 5},
        "partial",
        "no_text",
    )
    name = "A very long name of a report on the long-term development of everything, volume"
    for n in range(1, 56):
        yield DocumentStatus(
            f"{n:064x}", (f"reports/{name} {n}.pdf",), name, "en", {"text": 11 * n}, "ready", None
        )


@pytest.fixture
def address(app: FakeApp, serve_app: ServeApp) -> str:
    return serve_app(app)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: "-".join(map(str, look)))
def test_an_answer_is_legible_in_both_themes_and_languages(
    app: FakeApp, address: str, open_page: OpenPage, keep: Keep, look: tuple[Theme, str, int]
) -> None:
    theme, language, width = look
    if width == 1920:
        app.memory = GPU
        app.change(memory=GPU, model_name="Llama-2-13b-chat · NF4")
    height = 800 if width == 1280 else 1080
    locale = LOCALES[language]
    page = open_page(address, width=width, height=height, locale=locale, theme=theme)
    ask(page, "How do I add documents?" if language == "en" else "如何添加文档？")
    expect(page.locator("#strip .last")).to_be_visible()
    settled(page)
    keep(page, f"answer-{theme}-{language}-{width}")
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_welcome_is_legible(
    address: str, open_page: OpenPage, keep: Keep, theme: Theme
) -> None:
    page = open_page(address, width=1280, height=800, theme=theme)
    keep(page, f"welcome-{theme}")
    assert page.evaluate(CONTRAST) == []


def test_an_empty_library_invites_to_drop_files(
    app: FakeApp, address: str, open_page: OpenPage, keep: Keep
) -> None:
    app.statuses.clear()
    app.change()
    page = open_page(address, width=1280, height=800)
    expect(page.locator(".hello .when-empty")).to_be_visible()
    expect(page.locator("#library-list .none")).to_contain_text("No documents yet")
    keep(page, "empty-library")
    assert page.evaluate(CONTRAST) == []
    app.change(sync_progress=Progress("read", 0, 2, "documents"))
    expect(page.locator("#sync .sync")).to_be_visible()
    expect(page.locator("#library-list .none")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_sixty_documents_and_a_waiting_question_are_legible(
    app: FakeApp, address: str, open_page: OpenPage, keep: Keep, theme: Theme
) -> None:
    app.statuses += library()
    progress = Progress("download", 312_000_000, 1_117_000_000, "bytes", per_second=4_100_000)
    app.change(
        model_state="downloading",
        model_progress=progress,
        sync_progress=Progress("read", 1_240, 2_903, "pages", "reports/扫描 · 会议纪要.pdf", 41),
    )
    page = open_page(address, width=1280, height=800, theme=theme)
    expect(page.locator("#find")).to_be_visible()
    page.locator(".row.partial .why").click()
    page.locator(".row .pick:not(:disabled)").nth(1).click()
    page.fill("#question textarea", "How do I add documents?")
    page.press("#question textarea", "Enter")
    expect(page.locator("#live .amount")).to_be_visible()
    keep(page, f"waiting-{theme}")
    assert page.evaluate(CONTRAST) == []
    page.fill("#find", "合同")
    expect(page.locator("#library-list .row")).to_have_count(1)
    app.change(model_state="ready", model_progress=None)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_long_conversation_with_an_error_is_legible(
    app: FakeApp, address: str, open_page: OpenPage, keep: Keep, theme: Theme
) -> None:
    table = "\n\n| Key | What it does |\n|---|---|\n| Enter | sends |\n| Esc | stops |"
    code = "\n\n```\nrag sync --json\nrag status --pages\n```\n\n1. First.\n2. Second.\n\n"
    more = Said(
        "Then it goes on for a while, so that the text has to be scrolled. " * 6, before=code
    )
    app.scripts = {
        "how": replace(
            SCRIPT_EN, sentences=(*SCRIPT_EN.sentences, more, Said("The keys:" + table))
        ),
        "如何": SCRIPT_ZH,
    }
    page = open_page(address, width=1280, height=800, theme=theme)
    ask(page, "How do I add documents?")
    ask(page, "How do I add documents from several folders, and what if " * 6, 2)
    ask(page, "如何添加文档？", 3)
    app.error = ModelError(
        Text("The graphics card ran out of memory while reading the passages.", "显存不足。"),
        hint=Text("Ask a shorter question, or choose a smaller model.", "请缩短问题或换小模型。"),
    )
    ask(page, "How?", 4)
    keep(page, f"long-{theme}-end")
    page.locator(".a pre").first.scroll_into_view_if_needed()
    page.hover(".a pre >> nth=0")
    page.mouse.wheel(0, -200)
    page.locator("#turns .s.supported").first.click()
    settled(page)
    keep(page, f"long-{theme}-middle")
    assert page.evaluate(CONTRAST) == []


def test_an_unready_model_is_told_in_the_strip(
    app: FakeApp, address: str, open_page: OpenPage, keep: Keep
) -> None:
    note = Text("No network: the model could not be downloaded.", "没有网络，无法下载模型。")
    app.change(model_state="failed", model_note=note, sync_note=Text("Disk full.", "磁盘已满。"))
    page = open_page(address, width=1280, height=800)
    expect(page.locator("#strip .note")).to_contain_text("No network")
    expect(page.locator("#sync .warn")).to_contain_text("Disk full.")
    keep(page, "model-failed")
    assert page.evaluate(CONTRAST) == []


def test_the_drawers_of_a_small_window(
    address: str, open_page: OpenPage, keep: Keep, tmp_path: Path
) -> None:
    page = open_page(address, width=1000, height=760)
    ask(page, "How do I add documents?")
    page.click(".open-evidence")
    settled(page)
    at_rest(page, "#right")
    keep(page, "drawer-1000")
    small = open_page(address, width=640, height=760, theme="dark")
    ask(small, "如何添加文档？")
    keep(small, "small-640")
    small.click(".open-library")
    at_rest(small, "#left")
    keep(small, "small-640-library")
