"""Every word of the screen: in both languages, named where it is used, and none left over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

import ui
from rag.types.answers import AlsoSearched
from ui.words import WORDS, for_page

KINDS = get_args(get_type_hints(AlsoSearched)["kind"])
HOME = Path(ui.__file__).parent
TEMPLATES = sorted(HOME.glob("templates/**/*.html"))
USES = [*HOME.glob("**/*.py"), *HOME.glob("assets/*.js"), *TEMPLATES]


def test_every_word_has_both_languages_and_the_same_blanks() -> None:
    for key, text in WORDS.items():
        assert text.en, key
        assert text.zh, key
        assert key.removesuffix("_one") in WORDS, key
        assert set(re.findall(r"\{(\w+)\}", text.en)) == set(re.findall(r"\{(\w+)\}", text.zh)), key
    assert for_page()["zh"]["send"] == "发送"


def test_every_word_that_a_template_or_a_script_names_exists() -> None:
    named = set()
    for path in TEMPLATES:
        html = path.read_text("utf-8")
        named |= set(re.findall(r'data-word(?:-\w+)?="(\w+)"', html))
        named |= set(re.findall(r'tool\("[\w-]+", "(\w+)"', html))
        named |= set(re.findall(r'say\("(\w+)"[,)]', html))
        named |= {
            key for pair in re.findall(r'say\("(\w+)" if .*? else "(\w+)"', html) for key in pair
        }
    for path in HOME.glob("assets/*.js"):
        code = path.read_text("utf-8")
        named |= set(re.findall(r'(?:app|ragdesk)\.say\("([\w.]+)"', code))
        named |= set(re.findall(r'"(client\.\w+)"', code))
    assert named <= set(WORDS)
    assert len(named) > 100


def test_no_word_is_left_over() -> None:
    code = "\n".join(path.read_text("utf-8") for path in USES)
    made = re.findall(r'f"([a-z]+_)\{', code) + re.findall(r'"([a-z]+_)" ~', code)
    ends = set(re.findall(r'~ "(_[a-z]+)"', code))
    put_together = {f"{kind}{end}" for kind in KINDS for end in ends}
    left = [
        key
        for key in (name.removesuffix("_one") for name in WORDS)
        if not re.search(rf"""["']{re.escape(key)}["']""", code)
        and not any(key.startswith(prefix) for prefix in made)
        and key not in put_together
    ]
    assert left == []
