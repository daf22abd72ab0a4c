"""Which pages a question names."""

from __future__ import annotations

import pytest

from rag.retrieval.query.named_places import named_pages


@pytest.mark.parametrize(
    ("question", "pages"),
    [
        ("What is the number of red logos in page 10?", [10]),
        ("What is the fax number on page fourteen?", [14]),
        ("How many lines are highlighted on the first page?", [1]),
        ("What type of court is noted on the cover page?", [1]),
        ("Who signed on the last page?", [-1]),
        ("What do pages 3-5 say?", [3, 4, 5]),
        ("Compare pages 3 and 8.", [3, 8]),
        ("See p. 7 and pp. 8–9", [7, 8, 9]),
        ("第12页讲了什么？", [12]),
        ("第十二页讲了什么？", [12]),
        ("第3到第5页", [3, 4, 5]),
        ("第三页和第10页有什么区别？", [3, 10]),
        ("封面上写了什么？", [1]),
        ("最后一页的签名是谁的？", [-1]),
    ],
)
def test_pages_are_found(question: str, pages: list[int]) -> None:
    assert named_pages(question) == pages


@pytest.mark.parametrize(
    "question",
    [
        "List all pages with a logo, formatted as a list like ['Page 2', 'Page 4'].",
        "How many pages has the contract?",
        "What is the page number for the balance sheet?",
        "What stands on the second cover page?",
        "Who approves the Co-Branded Pages in the site?",
        "What does the law say about page 2000 to 9000?",
        "How fast is the page 3D printer?",
        "本文共12页吗？",
        "公司网站首页的网址是什么？",
        "支援手机网页功能是为什么？",
    ],
)
def test_other_questions_name_none(question: str) -> None:
    assert named_pages(question) == []
