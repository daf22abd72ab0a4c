"""Where a server is, and whether documents may go there."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ConfigError
from rag.types.server_address import Address, checked


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        ("http://localhost:11434/v1/", "http://localhost:11434/v1"),
        ("http://[::1]:8080/v1/chat/completions", "http://[::1]:8080/v1"),
        ("https://gpu.example/llm/v1/models", "https://gpu.example:443/llm/v1"),
        ("HTTP://LocalHost:80", "http://localhost:80/v1"),
    ],
)
def test_an_address_is_completed_to_where_the_api_begins(url: str, base: str) -> None:
    assert Address.parse(url).base == base


def test_paths_beside_the_api_begin_above_it() -> None:
    assert Address.parse("http://box:8000/llm/v1").root == "http://box:8000/llm"
    assert Address.parse("http://box:8000/other").root == "http://box:8000/other"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1",
        "http://127.8.9.1:1",
        "http://localhost:1",
        "http://localhost.:1",
        "http://llm.localhost:1",
        "http://[::1]:1",
        "http://[::ffff:127.0.0.1]:1",
    ],
)
def test_loopback_is_this_machine(url: str) -> None:
    assert checked(url, may_leave=False).is_here


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.1.20:8000",
        "http://gpu-box:8000",
        "https://api.openai.com/v1",
        "http://localhost.example.com:8000",
        "http://127.0.0.1.example.com:8000",
        "http://127.1:8000",
        "http://2130706433:8000",
        "http://0x7f.0.0.1:8000",
        "http://[::ffff:8.8.8.8]:8000",
        "http://notlocalhost:8000",
    ],
)
def test_another_machine_needs_leave(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        checked(url, may_leave=False)
    assert "documents_may_leave" in refused.value.hint.en
    assert "documents_may_leave" in refused.value.hint.zh
    assert not checked(url, may_leave=True).is_here


@pytest.mark.parametrize("url", ["http://0.0.0.0:8000", "http://[::]:8000"])
def test_where_a_server_listens_is_told_from_where_it_is(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        checked(url, may_leave=False)
    assert "http://127.0.0.1:8000/v1" in refused.value.hint.en


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "localhost:8000",
        "ftp://127.0.0.1/v1",
        "http://",
        "http://127.0.0.1:eight/v1",
        "http://127.0.0.1:99999/v1",
        "http://me:secret@127.0.0.1:8000/v1",
        "http://127.0.0.1:8000@elsewhere.example/v1",
        "http://127.0.0.1\\@elsewhere.example/v1",
        "http://127.0.0.1:8000/v1?key=secret",
        "http://127.0.0.1:8000/v1#secret",
        "http://127.0.0.1:8000/v1 x",
        "http://ⓛocalhost:8000/v1",
        "http://[fe80::1%25eth0]:8000/v1",
        "http://[::1:8000/v1",
        "http://127.0.0.1:8000/%2e%2e/v1",
    ],
)
def test_what_is_no_plain_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        checked(url, may_leave=True)
    assert "secret" not in str(refused.value)


@given(st.text(alphabet="localhst127.0-:@/\\[]%x", max_size=24))
def test_no_other_host_passes_for_this_machine(text: str) -> None:
    try:
        address = Address.parse(f"http://{text}")
    except ConfigError:
        return
    if address.is_here and ":" not in address.host:
        assert re.fullmatch(r"localhost|.+\.localhost|127\.\d+\.\d+\.\d+", address.host)
