"""Telling "the documents are silent" from claims about the world."""

from __future__ import annotations

import pytest

from rag.verification.wording import is_refusal


@pytest.mark.parametrize(
    "sentence",
    [
        "The documents do not contain the answer.",
        "The provided passages don't mention the price of the RTX 5090.",
        "None of the passages provide information about it, so I cannot answer the question.",
        "The price is not mentioned in the passages.",
        "There is no information about the AMD Radeon in the documents.",
        "The context doesn't specify the year.",
        "文档中没有答案。",
        "文档中没有提到RTX 5090的显存容量。",
        "根据提供的段落，无法确定首发价格。",
        "段落中未提及首发价格。",
        "没有找到相关信息。",
        "无法从给出的段落中得知答案。",
        "资料里找不到这个问题的答案。",
    ],
)
def test_a_refusal_is_recognised(sentence):
    assert is_refusal(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The agreement does not contain a non-compete clause.",
        "The tenant may not assign the lease.",
        "No, the company did not record a loss.",
        "The document states that the fee is not refundable.",
        "Verizon has no information security incidents to report in 2021.",
        "该卡没有风扇。",
        "公司没有债务。",
        "文档共有20页。",
        "显存没有超过24GB。",
        "合同不包含竞业条款。",
    ],
)
def test_a_claim_is_no_refusal(sentence):
    assert not is_refusal(sentence)
