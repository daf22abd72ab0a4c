"""The words of what stands below an answer: what was searched for, and why not."""

from __future__ import annotations

from rag.text.messages import Text

WHY: dict[str, Text] = {
    "searched_for": Text("Searched for: {words}", "检索内容：{words}"),
    "searched_title": Text(
        "A follow-up is searched with what it refers to.", "追问会连同它所指的内容一起检索。"
    ),
    "lines_for": Text("Also searched for: {words}", "同时检索：{words}"),
    "lines_title": Text(
        "Reports seldom state this figure; these are the lines that it is computed from.",
        "报告很少直接给出这个指标；这些是用来计算它的报表项目。",
    ),
    "why": Text("Why not…?", "为什么没有……？"),
    "why_title": Text(
        "You know a sentence that should have been found? See which stage lost it.",
        "知道某句话本该被找到？看看它在哪一步丢失。",
    ),
    "why_sentence": Text("Paste the sentence from the document", "粘贴文档中的这句话"),
    "why_ask": Text("Find out", "查明"),
    "why_steps": Text("Every stage", "每一步"),
    "why_place": Text("{document}, page {page}:", "{document}，第 {page} 页："),
    "why_nearest": Text(
        "The nearest text: {document}, page {page}:", "最接近的文本：{document}，第 {page} 页："
    ),
    "client.why_looking": Text("Looking…", "正在查找……"),
}
