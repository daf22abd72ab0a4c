"""Answers as HTML: a little markup, everything escaped, each sentence where it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.types.answers import Sentence
from tests.fake_script import HOSTILE
from ui.render import render
from ui.views.answer import DrawnSentence, Mark, answer_values, blocks, settled

ALLOWED = {
    *("p", "h4", "ul", "ol", "li", "pre", "code", "strong", "br", "span", "sup"),
    *("div", "table", "tr", "th", "td"),
}
MARKUP = st.text(
    alphabet=st.sampled_from(list("ab 。，\n\n-*`|#.1<>&\"'[]()!/:{}$\\")), max_size=80
)


def answer_html(text: str, sentences: Sequence[DrawnSentence] = ()) -> str:
    return render("answer", "en", **answer_values(text, sentences))


class Reader(HTMLParser):
    """Collects the tags and the visible text of some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def marked(*sentences: Sentence) -> list[DrawnSentence]:
    """Sentences with one mark each, which says the number of its sentence."""
    return [
        DrawnSentence(sentence, marks=(Mark(number, "why"),))
        for number, sentence in enumerate(sentences, start=1)
    ]


def marks_in(html: str) -> list[str]:
    return re.findall(r'<sup[^>]*><button[^>]* data-n="(\d+)"', html)


def plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("One.\nTwo.", "<p>One.<br>Two.</p>"),
        ("One.\n\nTwo.", "<p>One.</p><p>Two.</p>"),
        ("Use **this** and `that`.", "<p>Use <strong>this</strong> and <code>that</code>.</p>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        (
            "1. a\n2) b\n3、丙",
            '<ol><li value="1">a</li><li value="2">b</li><li value="3">丙</li></ol>',
        ),
        ("254.7 tokens", "<p>254.7 tokens</p>"),
        ("* a\n  more", "<ul><li>a<br>more</li></ul>"),
        ("```py\na < b\n\nc\n```\nd", "<pre><code>a &lt; b\n\nc</code></pre><p>d</p>"),
        ("```\nnever closed", "<pre><code>never closed</code></pre>"),
        ("## Title\ntext", "<h4>Title</h4><p>text</p>"),
        (
            "|a|b|\n|--|--|\n|1|**2**|",
            (
                '<div class="table"><table><tr><th>a</th><th>b</th></tr>'
                "<tr><td>1</td><td><strong>2</strong></td></tr></table></div>"
            ),
        ),
        ("a | b\nc | d", "<p>a | b<br>c | d</p>"),
        ("2 * 3 * 4 ** 5", "<p>2 * 3 * 4 ** 5</p>"),
        ("", ""),
    ],
)
def test_the_little_markup(text: str, html: str) -> None:
    assert answer_html(text) == html


def test_what_would_be_a_link_an_image_or_a_tag_stays_text() -> None:
    html = answer_html(HOSTILE)
    assert {tag for tag, _ in Reader(html).tags} <= ALLOWED
    assert plain(html) == HOSTILE


@given(MARKUP)
def test_no_text_makes_another_tag_or_an_attribute_of_its_own(text: str) -> None:
    reader = Reader(answer_html(text, [DrawnSentence(Sentence(0, len(text), "weak"))]))
    assert {tag for tag, _ in reader.tags} <= ALLOWED
    assert {name for _, given in reader.tags for name in given} <= {
        *("class", "value", "data-s", "data-evidence")
    }
    assert not reader.open


@given(MARKUP)
def test_every_letter_of_an_answer_is_shown_once_and_in_order(text: str) -> None:
    shown = "".join(re.findall(r"[ab。，]", plain(answer_html(text))))
    fences = re.sub(r"(?m)^\s{0,3}```.*$", "", text)  # what follows a fence names a language
    assert shown == "".join(re.findall(r"[ab。，]", fences))


@given(MARKUP)
def test_runs_are_in_order_and_do_not_overlap(text: str) -> None:
    end = 0
    for block in blocks(text):
        for run in (run for cell in block.cells for run in cell):
            assert end <= run.start <= run.end <= len(text)
            end = run.end


@given(MARKUP, st.data())
def test_each_sentence_is_marked_once_after_its_last_word(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=4)))
    sentences = [
        Sentence(start, end, "supported") for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    marks = marks_in(answer_html(text, marked(*sentences)))
    assert len(marks) == len(set(marks))
    assert marks == sorted(marks, key=int)


def test_a_sentence_across_bold_and_code_is_wrapped_as_a_whole() -> None:
    text = "First **one.** Then `two` here. Rest."
    sentences = [Sentence(0, 14, "supported"), Sentence(15, 31, "weak")]
    html = answer_html(text, marked(*sentences))
    words = re.sub(r"<sup.*?</sup>", lambda found: f"<sup>{marks_in(found[0])[0]}</sup>", html)
    assert re.sub(r' data-[a-z]+="[^"]*"', "", words) == (
        '<p><span class="s supported">First <strong>one.</strong></span><sup>1</sup> '
        '<span class="s weak">Then <code>two</code> here.</span><sup>2</sup> Rest.</p>'
    )


def test_a_sentence_over_several_items_is_wrapped_in_each_and_marked_at_the_end() -> None:
    text = "It has:\n- one\n- two"
    html = answer_html(text, marked(Sentence(0, len(text), "weak")))
    assert html.count('<span class="s weak"') == 3
    assert marks_in(html) == ["1"]
    assert re.search(r"two</span><sup.*</sup></li></ul>$", html)


@given(MARKUP)
def test_what_is_still_being_written_loses_no_word(text: str) -> None:
    assert settled(text).startswith(text.rstrip("*`"))
