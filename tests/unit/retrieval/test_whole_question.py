"""Which questions are about whole documents, and which only look so."""

from __future__ import annotations

import pytest

from rag.retrieval.query.named_places import named_documents
from rag.retrieval.query.whole_document import may_be_whole, whole_task

WHOLE = {
    "summary": (
        "Summarise this contract",
        "Summarize the report.",
        "Can you summarise the annual report for me?",
        "Please summarize it in three sentences.",
        "summarise",
        "Give me a short summary",
        "Give me a summary of the lease agreement",
        "What is this document about?",
        "What's the paper about?",
        "What are the main points of the report?",
        "tl;dr",
        "Sum up the key findings of this paper",
        "总结",
        "总结一下",
        "请总结这份合同",
        "帮我概括一下全文",
        "总结这篇论文的主要内容",
        "概括这两份报告的要点",
        "把这份文档总结一下",
        "给出全文摘要",
        "写一份简短的摘要",
        "这份文档讲了什么？",
        "这篇文章主要讲的是什么内容？",
        "本文的主要内容是什么",
        "这份报告的要点有哪些？",
        "用三句话总结这份文档",
        "请用中文总结这篇文章，100字以内",
    ),
    "list": (
        "List all deadlines",
        "List all fees mentioned in the contract",
        "Please list every party",
        "List everything that is paid",
        "What are all the fees in the lease?",
        "Give me a complete list of products",
        "列出所有费用",
        "请列举合同中的全部截止日期",
        "列出文档里提到的所有产品",
        "文中所有的型号有哪些",
        "逐条列出违约责任",
        "把所有日期列出来",
    ),
    "count": (
        "How many products are mentioned in this report?",
        "How many definitions does the agreement list?",
        "How many times does the word rent appear across the documents?",
        "How many of my contracts mention a cap?",
        "Count all the warnings",
        "这份报告一共提到了几种显卡？",
        "文档中共有多少条警告",
        "有多少份合同提到了押金？",
    ),
    "compare": (
        "What are the differences between these two contracts?",
        "Compare both reports",
        "比较这两份合同",
        "这两份报告有什么不同？",
    ),
}
ORDINARY = (
    "How many GB does the A100 have?",
    "How many employees does the company have?",
    "How many pages may I print a month?",
    "How many parameters does the model in the paper have?",
    "How many days' notice must be given?",
    "How many reports did the company file in 2019?",
    "How much is the rent in total?",
    "What is the difference between gross and net margin?",
    "Compare the A100 and the H100",
    "Compare the battery life of both phones",
    "Summarise the termination clause",
    "Summarize the risk factors in the report",
    "List the three segments",
    "Name the governing law",
    "What is the summary judgment about?",
    "What does the contract say about pets?",
    "What is the total of all fees?",
    "Is the list of products complete?",
    "Which law governs the contract?",
    "What is the main advantage of FP8?",
    "What are the main topics of section 3?",
    "Who wrote the summary of the report in 2019?",
    "Find the date of the agreement",
    "How do I add documents?",
    "A100有多少GB显存？",
    "公司有多少名员工？",
    "有多少个CUDA核心？",
    "合同的期限是多少年？",
    "总结终止条款",
    "总结合同的终止条款",
    "总结了哪些经验？",
    "A100和H100有什么区别？",
    "比较A100和H100的带宽",
    "列出三种方法",
    "怎样添加文档？",
    "这份合同的甲方是谁？",
    "报告中提到的增长率是多少？",
    "所有费用总计多少？",
    "摘要中提到的方法是什么？",
    "他写了几本书？",
    "全部显存是多少？",
)


@pytest.mark.parametrize(
    ("task", "question"), [(t, q) for t, asked in WHOLE.items() for q in asked]
)
def test_a_question_about_everything_is_recognised(task: str, question: str) -> None:
    assert whole_task(question, documents=0) == task
    assert may_be_whole(question)


@pytest.mark.parametrize("question", ORDINARY)
def test_an_ordinary_question_is_not_taken_for_one(question: str) -> None:
    assert whole_task(question, documents=1) is None


@pytest.mark.parametrize(
    "question",
    ["List everything on page 4", "列出第2页的所有要点", "List all dates on the cover page"],
)
def test_a_page_is_searched_and_not_read_whole(question: str) -> None:
    assert whole_task(question, documents=1) is None


@pytest.mark.parametrize(
    "question",
    [
        "List all dates from the first page to the last page",
        "列出从第一页到最后一页的所有日期",
    ],
)
def test_from_the_first_page_to_the_last_is_the_whole(question: str) -> None:
    assert whole_task(question, documents=1) == "list"


def test_two_things_are_compared_whole_only_if_they_are_documents() -> None:
    names = {"a": ["lease-a.pdf"], "b": ["lease b.pdf"], "c": ["rtx4090-llm.pdf", "显卡指南"]}
    for question, ids in (
        ("Compare Lease A and lease_b", ("a", "b")),
        ("What differs between lease b.pdf and lease-a.pdf?", ("b", "a")),
        ("《显卡指南》和 lease b 有什么区别？", ("c", "b")),
    ):
        named = named_documents(question, names)
        assert named.ids == ids
        assert whole_task(named.question, documents=len(named.ids)) == "compare"
    named = named_documents("Compare the rents of A and B", names)
    assert named.ids == ()
    assert whole_task(named.question, documents=0) is None


@pytest.mark.parametrize(
    ("question", "task"),
    [
        ("Summarise 3M 2018 10-K", "summary"),
        ('Summarise "lease 2.pdf".', "summary"),
        ("What is lease 2 about?", "summary"),
        ("总结 rtx4090-llm", "summary"),
        ("总结《合同（最终版）》", "summary"),
        ("rtx4090-llm 讲了什么？", "summary"),
        ("How many employees does 3M_2018_10K report?", None),
        ("What does lease 2 say about pets?", None),
    ],
)
def test_a_documents_name_counts_as_the_document(question: str, task: str | None) -> None:
    names = {
        "a": ["3M_2018_10K.pdf"],
        "b": ["lease.pdf"],
        "c": ["lease 2.pdf"],
        "d": ["rtx4090-llm.pdf"],
        "e": ["合同（最终版）.pdf"],
    }
    named = named_documents(question, names)
    assert len(named.ids) == 1
    assert whole_task(named.question, documents=1) == task


def test_a_name_inside_another_word_or_a_longer_name_is_none() -> None:
    names = {"a": ["lease.pdf"], "b": ["lease 2.pdf"], "c": ["Summary"]}
    assert named_documents("please release it", names).ids == ()
    assert named_documents("Summarise lease 2", names).ids == ("b",)
    assert named_documents("Give me a summary", names).ids == ()
