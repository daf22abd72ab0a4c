"""A server that answers, on the screen: where it is, and what is sent there."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from rag.app.app import AppState
from rag.text.messages import LANGUAGES, Language
from rag.types.server_address import Address
from tests.fakes import GPU, NO_GPU
from ui.views.library import landing_html
from ui.views.machine import strip_html

HERE = Address.parse("http://127.0.0.1:8000")
THERE = Address.parse("http://gpu-box:8000")
SAFE = Address.parse("https://gpu-box")
STATE = AppState("ready", "big @ gpu-box:8000", None, None, None, None, 1, NO_GPU, None)


def plain(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_server_the_strip_says_nothing_of_one(language: Language) -> None:
    assert "gpu-box:8000" not in plain(strip_html(replace(STATE, model_name="m"), language))


def test_the_strip_names_the_server_and_that_its_memory_is_not_known() -> None:
    for memory in (NO_GPU, GPU):
        strip = strip_html(replace(STATE, server=HERE, memory=memory), "en")
        assert "server 127.0.0.1:8000" in plain(strip)
        assert "model memory unknown" in plain(strip)
        assert "not known here" in strip
        assert "sent to" not in strip
    assert "服务器 127.0.0.1:8000" in plain(strip_html(replace(STATE, server=HERE), "zh"))


def test_the_strip_and_the_drop_zone_say_what_is_sent_to_another_machine() -> None:
    strip = strip_html(replace(STATE, server=THERE), "en")
    assert "sent to gpu-box:8000" in plain(strip)
    assert "unencrypted" in strip
    assert "unencrypted" not in strip_html(replace(STATE, server=SAFE), "en")
    assert "发送到 gpu-box:8000" in plain(strip_html(replace(STATE, server=THERE), "zh"))
    landing = plain(landing_html(Path("knowledge"), "en", THERE))
    assert "Nothing leaves" not in landing
    assert "passages found for them are sent to gpu-box:8000, unencrypted." in landing
    assert "会发送到 gpu-box:443。" in plain(landing_html(Path("knowledge"), "zh", SAFE))


@pytest.mark.parametrize("server", [None, HERE])
def test_the_drop_zone_says_that_nothing_leaves_only_where_that_is_so(
    server: Address | None,
) -> None:
    assert "Nothing leaves this computer." in plain(landing_html(Path("knowledge"), "en", server))
    assert "不会离开这台电脑" in plain(landing_html(Path("knowledge"), "zh", server))
