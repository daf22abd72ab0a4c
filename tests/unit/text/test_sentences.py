"""Splitting answers into sentences."""

from __future__ import annotations

import pytest

from rag.text.sentences import split_lines, split_prose, split_sentences


def cut(text):
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("第一句。第二句！真的吗？好", ["第一句。", "第二句！", "真的吗？", "好"]),
        ("It is 3.5 GB at 1.0 TB/s. Next.", ["It is 3.5 GB at 1.0 TB/s.", "Next."]),
        ("Mr. Smith of Acme Inc. signed. He left.", ["Mr. Smith of Acme Inc. signed.", "He left."]),
        ("Use it, e.g. Chroma. Done.", ["Use it, e.g. Chroma.", "Done."]),
        ("The U.S. economy grew. J. Doe said so.", ["The U.S. economy grew.", "J. Doe said so."]),
        ("他说：“好。”然后走了。", ["他说：“好。”", "然后走了。"]),
        ("It grew [1]. It fell.[2] It rose.", ["It grew [1].", "It fell.[2]", "It rose."]),
        ("RTX 4090有24GB显存.性能很好。", ["RTX 4090有24GB显存.", "性能很好。"]),
        ("See rag.py and v1.2.3 there. End", ["See rag.py and v1.2.3 there.", "End"]),
        ("等等……后来呢？", ["等等……", "后来呢？"]),
        ("In 2018. Revenue rose.", ["In 2018.", "Revenue rose."]),
        ("No. See No. 5 of Sec. 3. Yes.", ["No.", "See No. 5 of Sec. 3.", "Yes."]),
        ("It draws 350W. It is hot.", ["It draws 350W.", "It is hot."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text, sentences):
    assert cut(text) == sentences


def test_list_items_and_table_rows_are_sentences_of_their_own():
    text = "Steps:\n1. Open it. Then wait\n2) Close\n- 显存：24GB\n| a | b |\n| 1.5 | 2 |"
    assert cut(text) == [
        "Steps:",
        "1. Open it.",
        "Then wait",
        "2) Close",
        "- 显存：24GB",
        "| a | b |",
        "| 1.5 | 2 |",
    ]


def test_fenced_code_is_one_piece_even_when_it_is_not_closed():
    assert cut("Run:\n```sh\nrag ui. Now\nrag sync\n```\nDone. Yes.") == [
        "Run:",
        "```sh\nrag ui. Now\nrag sync\n```",
        "Done.",
        "Yes.",
    ]
    assert cut("Run:\n```\nrag ui\nrag sync") == ["Run:", "```\nrag ui\nrag sync"]


def test_prose_goes_on_over_line_breaks():
    text = "The card has\n24 GB. It\nis fast.\n显存带\n宽很高。"
    assert [text[a:b] for a, b in split_prose(text)] == [
        "The card has\n24 GB.",
        "It\nis fast.",
        "显存带\n宽很高。",
    ]


def test_lines_leave_out_blank_ones():
    text = " a b \n\n \nc\r\nd"
    assert [text[a:b] for a, b in split_lines(text)] == ["a b", "c", "d"]
