"""Every word of the screen: in both languages, named where it is used, and none left over."""

from __future__ import annotations

import re
from pathlib import Path

from ui import skeleton
from ui.words import WORDS, for_page

USES = [
    *Path(skeleton.__file__).parent.rglob("*.py"),
    *Path(skeleton.__file__).parent.glob("assets/*"),
]


def test_every_word_has_both_languages_and_the_same_blanks() -> None:
    for key, text in WORDS.items():
        assert text.en, key
        assert text.zh, key
        assert key.removesuffix("_one") in WORDS, key
        assert set(re.findall(r"\{(\w+)\}", text.en)) == set(re.findall(r"\{(\w+)\}", text.zh)), key
    assert for_page()["zh"]["send"] == "发送"


def test_every_word_a_frame_or_a_script_names_exists() -> None:
    html = "".join(value for value in vars(skeleton).values() if isinstance(value, str))
    named = set(re.findall(r'data-word(?:-\w+)?="(\w+)"', html))
    for path in USES:
        if path.suffix == ".js":
            code = path.read_text("utf-8")
            named |= set(re.findall(r'desk\.say\("([\w.]+)"', code))
            named |= set(re.findall(r'"(client\.\w+)"', code))
    assert named <= set(WORDS)
    assert named


def test_no_word_is_left_over() -> None:
    code = "\n".join(
        path.read_text("utf-8")
        for path in USES
        if path.stem not in {"words", "words_left"} and path.suffix != ".png"
    )
    made = [prefix for prefix in re.findall(r'f"([a-z]+_)\{', code) if prefix]
    ends = set(re.findall(r"""f["']\{\w+\}(_[a-z]+)["']""", code))
    left = [
        key
        for key in (name.removesuffix("_one") for name in WORDS)
        if not re.search(rf"""["']{re.escape(key)}["']""", code)
        and not any(key.startswith(prefix) for prefix in made)
        and not any(key.endswith(end) for end in ends)
    ]
    assert left == []
