"""What may become of a sentence, in words, each with what to do about it."""

from __future__ import annotations

from rag.answering.explain.values import Outcome
from rag.text.messages import Text
from rag.text.reasons import reasons

_ASK_NEARER = Text(
    "Ask with words that stand in the passage itself",
    "提问时使用段落中原有的词语",
)
OUTCOMES: dict[str, tuple[Text, Text]] = {
    "no_document": (
        Text("The folder has no document {document}.", "文件夹中没有文档 {document}。"),
        Text(
            "Copy it into the folder, or check the name: `rag status` lists all documents.",
            "请把它复制到文件夹中，或核对名称：`rag status` 列出所有文档。",
        ),
    ),
    "not_indexed": (
        Text(
            "{document} lies in the folder, but has not been read yet.",
            "{document} 在文件夹中，但尚未读取。",
        ),
        Text(
            "Run `rag sync`, or wait until the open app has read it.",
            "请运行 `rag sync`，或等待已打开的应用读取完成。",
        ),
    ),
    "changed": (
        Text(
            "{document} has changed since it was read; the index holds the version before.",
            "{document} 在读取之后被修改过，索引中是之前的版本。",
        ),
        Text("Run `rag sync`.", "请运行 `rag sync`。"),
    ),
    "not_embedded": (
        Text(
            "{document} has been read, but is not yet in the index that answers.",
            "{document} 已读取，但尚未进入用于回答的索引。",
        ),
        Text(
            "Run `rag sync`, or wait until the open app is done.",
            "请运行 `rag sync`，或等待已打开的应用处理完成。",
        ),
    ),
    "out_of_scope": (
        Text(
            "The question was limited to other documents than {document}.",
            "提问时限定的文档不包括 {document}。",
        ),
        Text("Ask again without the limit.", "请取消限定后重新提问。"),
    ),
    "hidden": (
        Text(
            "It stands on page {page} of {document}, but nobody can see it there (invisible, white "
            "on white or tiny), so it was left out.",
            "它在 {document} 第 {page} 页，但在页面上看不见（透明、白底白字或极小），因此未收录。",
        ),
        Text(
            "Nothing to do: hidden text is kept out on purpose, since a document could use it to "
            "slip in what its reader does not see.",
            "无需处理：隐藏文字被有意排除，以免文档借此塞入读者看不见的内容。",
        ),
    ),
    "furniture": (
        Text(
            "On page {page} of {document} it is a running header or footer that comes back on "
            "other pages, so it was left out.",
            "它是 {document} 第 {page} 页的页眉或页脚，在其他页面重复出现，因此未收录。",
        ),
        Text(
            "Ask about what stands in the text; what is said in headers only cannot be found.",
            "请就正文内容提问；只出现在页眉页脚中的文字无法检索。",
        ),
    ),
    "scattered": (
        Text(
            "The words stand on page {page} of {document}, but in another order, as in columns or "
            "in a table.",
            "这些词语在 {document} 第 {page} 页，但顺序不同，例如在分栏或表格中。",
        ),
        Text(
            "Copy a shorter piece, such as a line or a cell, and ask about that.",
            "请复制较短的一段（例如一行或一个单元格）再试。",
        ),
    ),
    "nowhere": (
        Text(
            "It stands in no text that was read{gaps}.",
            "已读取的文本中都没有这句话{gaps}。",
        ),
        Text(
            "Compare it with the nearest text. If you can see it on a page, name the document; if "
            "it stands in a picture, `rag sync --ocr` may read it.",
            "请与最接近的文本比较。若在页面上能看到它，请指明文档；若在图片中，"
            "可用 `rag sync --ocr` 识别。",
        ),
    ),
    "cut": (
        Text(
            "It was cut between {pieces} passages, and not all of them were found.",
            "它被切分到 {pieces} 个段落中，且没有全部找到。",
        ),
        Text(
            "Set chunk.overlap to about {overlap} tokens (or chunk.tokens higher) and run "
            "`rag rebuild`; or ask for a larger k.",
            "请把 chunk.overlap 设为约 {overlap}（或调高 chunk.tokens）并运行 `rag rebuild`；"
            "或增大 k。",
        ),
    ),
    "not_found": (
        Text(
            "Neither its words nor its meaning brought it among the {candidates} candidates.",
            "无论按词语还是按语义，它都没有进入前 {candidates} 个候选。",
        ),
        Text(
            f"{_ASK_NEARER.en}{{words}}; or limit the question to {{document}}.",
            f"{_ASK_NEARER.zh}{{words}}；或把提问限定在 {{document}}。",
        ),
    ),
    "fusion": (
        Text(
            "One way of searching found it, but in place {place} when both were put together; only "
            "{looked_at} are looked at.",
            "有一种检索方式找到了它，但合并后排在第 {place}，只查看前 {looked_at} 个。",
        ),
        Text(
            f"{_ASK_NEARER.en}{{words}}; or raise retrieve.candidates.",
            f"{_ASK_NEARER.zh}{{words}}；或调高 retrieve.candidates。",
        ),
    ),
    "pages": (
        Text(
            "It came in place {before}, but better passages of the same page count first and pages "
            "are spread: now it is in place {place}, and the model is given {k}.",
            "它原排第 {before}，但同一页有更好的段落，"
            "结果会分散到不同页面：现排第 {place}，只给模型 {k} 段。",
        ),
        Text(
            "Raise retrieve.k to {place} or more, or limit the question to {document}.",
            "请把 retrieve.k 调到 {place} 或更高，或把提问限定在 {document}。",
        ),
    ),
    "reranked": (
        Text(
            "It came in place {spread}, but the reranker put it in place {place}, and the model "
            "is given the first {k}.",
            "它原排第 {spread}，但重排模型把它排到第 {place}，而只有前 {k} 段会给模型。",
        ),
        Text(
            f"{_ASK_NEARER.en}{{words}}; or raise retrieve.k to {{place}}; or try without the "
            'reranker (reranker.model = "").',
            f"{_ASK_NEARER.zh}{{words}}；或把 retrieve.k 调到 {{place}}；"
            "或关闭重排模型（reranker.model 设为空）。",
        ),
    ),
    "k": (
        Text(
            "Its passage came in place {place}, and the model is given the first {k}.",
            "它排在第 {place}，而只有前 {k} 段会给模型。",
        ),
        Text(
            f"{_ASK_NEARER.en}{{words}}; or limit the question to {{document}}; or raise "
            "retrieve.k to {place}.",
            f"{_ASK_NEARER.zh}{{words}}；或把提问限定在 {{document}}；"
            "或把 retrieve.k 调到 {place}。",
        ),
    ),
    "gate": (
        Text(
            "It was found, but the app took the question for one that your documents do not "
            "answer ({relevance} where {least} is asked for), and did not ask the model.",
            "已找到它，但应用判断你的文档无法回答此问题（相关度 {relevance}，"
            "要求 {least}），因此没有询问模型。",
        ),
        Text(
            f"{_ASK_NEARER.en}{{words}}; or lower retrieve.min_relevance.",
            f"{_ASK_NEARER.zh}{{words}}；或调低 retrieve.min_relevance。",
        ),
    ),
    "budget": (
        Text(
            "It was found, but there was no room for it in the model's window of {window} tokens.",
            "已找到它，但模型的 {window} 词元窗口中放不下。",
        ),
        Text(
            "Raise generator.context_tokens, lower generator.max_tokens, or begin a new chat.",
            "请调高 generator.context_tokens，调低 generator.max_tokens，或新建对话。",
        ),
    ),
    "unused": (
        Text(
            "The model was given it as passage {place}, and its answer is not drawn from it.",
            "它作为第 {place} 段给了模型，但回答没有用到它。",
        ),
        Text(
            "Ask for exactly what the sentence says; a larger model (`rag models list`) misses "
            "less.",
            "请更具体地询问这句话的内容；更大的模型（`rag models list`）遗漏更少。",
        ),
    ),
    "prompt": (
        Text(
            "It was not lost: the model is given it as passage {place}.",
            "它没有丢失：会作为第 {place} 段给模型。",
        ),
        Text(
            "If the answer leaves it out, `rag why … --answer` asks the model and tells whether "
            "it was used.",
            "若回答没有用到它，`rag why … --answer` 会询问模型并说明是否用到。",
        ),
    ),
    "used": (
        Text(
            "It was not lost: the answer is drawn from it (passage {place}).",
            "它没有丢失：回答引用了它（第 {place} 段）。",
        ),
        Text("Nothing to do.", "无需处理。"),
    ),
}
_NOT_SEARCHABLE = frozenset({"no_document", "not_indexed", "changed", "not_embedded"})


def outcome(code: str, /, **values: object) -> Outcome:
    """Return what became of the sentence; ``values`` fill its words in.

    A value may be a ``Text``: then each language gets its own.
    """
    what, remedy = OUTCOMES[code]
    searchable = code not in _NOT_SEARCHABLE
    return Outcome(code, fill(what, **values), fill(remedy, **values), searchable)


def of_reason(code: str, reason: str, where: Text) -> Outcome:
    """Return the outcome of a file or page that cannot be searched, with its own reason."""
    known = reasons().get(reason.partition(":")[0])
    if known is None:
        return Outcome(code, where, Text(reason, reason), searchable=False)
    what = Text(f"{where.en}: {known.what.en}", f"{where.zh}：{known.what.zh}")
    return Outcome(code, what, known.remedy, searchable=False)


def fill(text: Text, **values: object) -> Text:
    """Return ``text`` with its fields filled in.

    >>> fill(Text("a {x}", "甲 {x}"), x=Text("b", "乙")).zh
    '甲 乙'
    """
    english = {key: v.en if isinstance(v, Text) else v for key, v in values.items()}
    chinese = {key: v.zh if isinstance(v, Text) else v for key, v in values.items()}
    return Text(text.en.format(**english), text.zh.format(**chinese))
