"""Every word of the screen in both languages.

``WORDS`` is keyed by a name; the page's own script gets the ones under ``client.`` and the
frames name theirs in ``data-word``. Values in braces are filled in by ``say``.
"""

from __future__ import annotations

from rag.text.messages import Language, Text

LEFT: dict[str, Text] = {
    "chats": Text("Chats", "对话"),
    "yesterday": Text("yesterday", "昨天"),
    "chat_delete": Text("Delete the chat {name}", "删除对话 {name}"),
    "chat_delete_title": Text("Delete this chat", "删除这个对话"),
    "chat_sure": Text(
        "Delete this chat with the quotations it keeps? This cannot be undone.",
        "删除这个对话及其保存的引文？此操作无法撤销。",
    ),
    "chat_yes": Text("Yes, delete", "确认删除"),
    "client.chats_cite": Text(
        "{count} chats keep quotations from it.", "有 {count} 个对话保存了其中的引文。"
    ),
    "client.chats_cite_one": Text(
        "1 chat keeps quotations from it.", "有 1 个对话保存了其中的引文。"
    ),
    "client.chats_delete": Text("Delete these chats", "删除这些对话"),
    "client.chats_deleted": Text("Deleted.", "已删除。"),
    "new_chat": Text("New chat", "新对话"),
    "documents": Text("Documents", "文档"),
    "pages_searchable": Text("{done} / {total} pages", "{done} / {total} 页"),
    "pages_searchable_title": Text(
        "{done} of {total} pages can be searched", "共 {total} 页，其中 {done} 页可检索"
    ),
    "library_empty": Text(
        "No documents yet. Drop PDFs anywhere on this window.",
        "还没有文档。把 PDF 拖到窗口任意处即可。",
    ),
    "library_no_match": Text("No document has that name.", "没有这个名称的文档。"),
    "library_more": Text(
        "{count} more; type a part of the name above.",
        "另有 {count} 份；可在上方输入部分名称查找。",
    ),
    "find_document": Text("Find a document", "查找文档"),
    "all_documents": Text("All documents", "全部文档"),
    "pick_title": Text("Search only in the documents you pick", "只在选中的文档里检索"),
    "state_failed": Text("cannot be read", "无法读取"),
    "state_waiting": Text("being copied", "正在复制"),
    "alike": Text("Nearly the same as {names}.", "与 {names} 几乎相同。"),
    "rebuild": Text("Rebuild now", "立即重建"),
    "rebuild_title": Text(
        "The old index answers until the new one is complete and checked.",
        "新索引建好并通过检查之前，旧索引继续提供服务。",
    ),
    "forget": Text("Forget {name}", "忘记 {name}"),
    "forget_title": Text(
        "Forget: nothing of it is found any more; the file stays in the folder",
        "忘记：不再检索其中任何内容，文件仍留在文件夹中",
    ),
    "client.forgotten": Text(
        "{name} is forgotten. The file stays in the folder.", "已忘记 {name}，文件仍在文件夹中。"
    ),
    "client.undo": Text("Undo", "撤销"),
    "client.let_in": Text("{name} comes back; it is read again.", "正在重新读取 {name}。"),
    "client.not_done": Text("It could not be done; try again.", "操作未完成，请重试。"),
    "forgotten": Text("Forgotten", "已忘记"),
    "forgotten_title": Text(
        "Nothing of these files is searched; they stay in the folder.",
        "不检索这些文件的内容；文件仍在文件夹中。",
    ),
    "let_in": Text("Let in again", "重新收录"),
    "let_in_name": Text("Let {name} in again", "重新收录 {name}"),
    "kept_before": Text("Index before the last rebuild", "上次重建之前的索引"),
    "kept_after": Text("Index of the last rebuild", "上次重建得到的索引"),
    "kept_made": Text(
        "Made with {embedder} on {date}: {passages} passages{size}.",
        "由 {embedder} 于 {date} 建立：{passages} 段{size}。",
    ),
    "kept_size": Text(" of up to {tokens} tokens", "，每段最多 {tokens} 词元"),
    "kept_back": Text("Go back to it", "回退到此索引"),
    "kept_forth": Text("Use it again", "重新使用"),
    "kept_sure": Text(
        "Search with this index from now on? The present one is kept, so you can change back.",
        "从现在起改用此索引检索？当前的索引会保留，可以随时换回。",
    ),
    "kept_yes": Text("Yes, change", "确认更换"),
    "cancel": Text("Cancel", "取消"),
    "client.changing": Text("Changing…", "正在更换…"),
    "password": Text("Password", "密码"),
    "unlock": Text("Open", "打开"),
    "remember": Text("Keep it in the system keyring", "保存到系统密钥环"),
    "client.unlocked": Text("It opens. Reading…", "密码正确，正在读取…"),
    "client.unlock_failed": Text("It could not be tried; try again.", "无法验证，请重试。"),
    "why": Text("Why?", "原因"),
    "left_text": Text("{count} pages can be searched.", "{count} 页可检索。"),
    "left_text_one": Text("1 page can be searched.", "1 页可检索。"),
    "left_ocr": Text("{count} pages read by text recognition.", "{count} 页由文字识别读取。"),
    "left_ocr_one": Text("1 page read by text recognition.", "1 页由文字识别读取。"),
    "left_empty": Text("{count} blank or without text.", "{count} 页空白或没有文字。"),
    "left_garbled": Text("{count} with unreadable text.", "{count} 页文字无法辨认。"),
    "left_failed": Text("{count} could not be read.", "{count} 页无法读取。"),
    "left_skipped": Text("{count} skipped.", "{count} 页已跳过。"),
    "also_at": Text("Also stored as {paths}.", "同一文件还有：{paths}。"),
    "choose_files": Text("Drop PDFs here or choose files", "拖入 PDF，或点此选择文件"),
    "where_files_land": Text(
        "Copied to {folder}. Nothing leaves this computer.", "复制到 {folder}，不会离开这台电脑。"
    ),
    "where_files_go": Text("Copied to {folder}. {leaving}", "复制到 {folder}。{leaving}"),
    "added": Text("{name} was added.", "已添加 {name}。"),
    "dismiss": Text("Dismiss", "关闭"),
}


MACHINE: dict[str, Text] = {
    "machine": Text("Machine", "机器"),
    "machine_close": Text("Close the machine panel", "关闭机器面板"),
    "machine_card": Text("Card {index}", "显卡 {index}"),
    "machine_vram": Text("Graphics memory", "显存"),
    "machine_ram": Text("Main memory", "内存"),
    "machine_of": Text("{used} of {total} GiB", "{used} / {total} GiB"),
    "machine_load": Text("Load", "负载"),
    "machine_cpu": Text("Processor load", "处理器负载"),
    "machine_used": Text("In use", "已用"),
    "machine_heat": Text("Temperature", "温度"),
    "machine_power": Text("Power", "功耗"),
    "machine_clock": Text("Clock {value} MHz", "频率 {value} MHz"),
    "machine_fan": Text("fan {value} %", "风扇 {value} %"),
    "machine_slows": Text("slows down at {value} °C", "{value} °C 起降频"),
    "machine_limit": Text("limit {value} W", "上限 {value} W"),
    "machine_span": Text("the last {minutes} min", "最近 {minutes} 分钟"),
    "machine_lowered": Text("For want of memory", "因内存不足"),
    "machine_report": Text("Write a report", "生成报告"),
    "machine_reported": Text("Saved in {folder}", "已保存到 {folder}"),
    "holder_weights": Text("weights", "权重"),
    "holder_kv": Text("keys, values, computing", "键值缓存与计算"),
    "holder_embedder": Text("embedder", "向量模型"),
    "holder_reranker": Text("reranker", "重排模型"),
    "holder_cache": Text("kept for the next tensor", "分配器保留"),
    "holder_context": Text("driver", "驱动"),
    "holder_others": Text("other programs", "其他程序"),
    "holder_process": Text("RAG Desk", "RAG Desk"),
}


WHY: dict[str, Text] = {
    "searched_for": Text("Searched for: {words}", "检索内容：{words}"),
    "searched_title": Text(
        "A follow-up is searched with what it refers to.", "追问会连同它所指的内容一起检索。"
    ),
    "computed_from_for": Text("Also searched for: {words}", "同时检索：{words}"),
    "computed_from_title": Text(
        "Reports seldom state this figure; these are the lines that it is computed from.",
        "报告很少直接给出这个指标；这些是用来计算它的报表项目。",
    ),
    "also_called_for": Text("Also searched for: {words}", "同时检索：{words}"),
    "also_called_title": Text(
        "Your term files say that it is called this, too.", "术语文件中列出了它的其他名称。"
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


WORDS: dict[str, Text] = {
    "opening": Text("Opening…", "正在打开…"),
    **LEFT,
    **MACHINE,
    **WHY,
    # -- sync and download, by stage
    "stage_scan": Text("Looking through the folder", "正在查看文件夹"),
    "stage_read": Text("Reading", "正在读取"),
    "stage_ocr": Text("Recognising text", "正在识别文字"),
    "minutes_left": Text("about {value} min left", "约剩 {value} 分钟"),
    "stage_embed": Text("Indexing", "正在建立索引"),
    "stage_write": Text("Saving", "正在保存"),
    "stage_check": Text("Checking", "正在检查"),
    "stage_download": Text("Downloading", "正在下载"),
    "stage_verify": Text("Verifying", "正在校验"),
    "stage_load": Text("Loading", "正在载入"),
    "unit_pages": Text("pages", "页"),
    "unit_passages": Text("passages", "段"),
    "unit_documents": Text("documents", "份文档"),
    "unit_questions": Text("questions", "个问题"),
    "per_second": Text("{value} {unit}/s", "{value} {unit}/秒"),
    # -- middle room: what I ask
    "scope_all": Text("Scope: all documents", "范围：全部文档"),
    "scope_some": Text("Scope: {count} documents", "范围：{count} 份文档"),
    "scope_some_one": Text("Scope: 1 document", "范围：1 份文档"),
    "ask_placeholder": Text("Ask your documents…", "向你的文档提问…"),
    "ask_label": Text("Your question", "你的问题"),
    "send": Text("Send", "发送"),
    "stop": Text("Stop", "停止"),
    "send_hint": Text("Enter sends · Shift+Enter starts a new line", "回车发送 · Shift+回车换行"),
    "hello": Text("Ask your documents", "向你的文档提问"),
    "hello_more": Text(
        "Answers stream in here. Every sentence leads to the place on the page that supports it.",
        "回答会逐字出现在这里，每一句都能点到文档中支持它的位置。",
    ),
    "hello_empty": Text(
        "Drop a PDF anywhere on this window to begin.",
        "把 PDF 拖到窗口任意处即可开始。",
    ),
    "example_en": Text("How do I add documents?", "How do I add documents?"),
    "example_zh": Text("如何添加文档？", "如何添加文档？"),
    "searching": Text("Searching your documents", "正在检索文档"),
    "queued": Text(
        "Another question is being answered; this one is next", "正在回答另一个问题，随后轮到这个"
    ),
    "reading_passages": Text("Reading {count} passages", "正在阅读 {count} 段原文"),
    "reading_whole": Text(
        "Reading everything: {done} of {total} passages", "正在通读：{total} 段中的 {done} 段"
    ),
    "reading_condense": Text("Shortening the notes", "正在精简笔记"),
    "reading_compose": Text("Everything is read; writing", "已通读，正在撰写"),
    "coverage": Text("Read {done} of {total} passages", "已读 {total} 段中的 {done} 段"),
    "not_read": Text("{count} other documents not read", "另有 {count} 份文档未读"),
    "not_read_one": Text("1 other document not read", "另有 1 份文档未读"),
    "and_more": Text("{names} and {count} more", "{names} 等，另有 {count} 份"),
    "offer": Text(
        "Answered from the best passages only. Everything: {passages} passages, {pages} pages",
        "以上仅根据最相关的段落回答。全部共 {passages} 段，{pages} 页",
    ),
    "offer_yes": Text("Read everything", "通读全部"),
    "time_minutes": Text("about {value} min", "约 {value} 分钟"),
    "time_short": Text("less than a minute", "不到 1 分钟"),
    "mode_auto": Text("Reads: as needed", "阅读：按需"),
    "mode_whole": Text("Reads: everything", "阅读：通读"),
    "mode_passages": Text("Reads: best passages", "阅读：仅相关段落"),
    "mode_title": Text(
        "As needed: questions about whole documents (summarise, list all, how many, compare) "
        "read everything, others the best passages. Click to change.",
        "按需：涉及整份文档的问题（总结、列出所有、有多少、比较）会通读，其他问题只读最相关的段落。"
        "点击切换。",
    ),
    "reading_passages_one": Text("Reading 1 passage", "正在阅读 1 段原文"),
    "stopping": Text("Stopped", "已停止"),
    "stopped_note": Text("Stopped before the end.", "回答未完成就停止了。"),
    "cut_note": Text(
        "The answer reached its longest length (setting generator.max_tokens).",
        "回答已达到最大长度（设置项 generator.max_tokens）。",
    ),
    "model_downloading": Text(
        "Your question waits: the model is being downloaded", "问题已排队：正在下载模型"
    ),
    "model_loading": Text(
        "Your question waits: the model is being loaded", "问题已排队：正在载入模型"
    ),
    "not_in_documents": Text("Not in your documents", "你的文档里没有答案"),
    "quoted_title": Text(
        "Quoted from your documents as the likeliest place; the model's answer follows.",
        "从你的文档中引用的最可能的位置；模型的回答在下面。",
    ),
    "unproven": Text("Your documents do not support this", "你的文档不支持这个回答"),
    "unproven_hint": Text(
        "No sentence that the model wrote stands in the passages that were found. The nearest "
        "passages are shown beside it.",
        "模型写出的每一句话都没有在找到的段落中得到印证。旁边列出了最接近的段落。",
    ),
    "unproven_text": Text("What the model wrote", "模型写出的内容"),
    "not_in_documents_scope": Text(
        "Only {count} of your documents were searched.", "本次只检索了 {count} 份文档。"
    ),
    "not_in_documents_scope_one": Text(
        "Only 1 of your documents was searched.", "本次只检索了 1 份文档。"
    ),
    "sentences_supported": Text(
        "{done} of {total} sentences supported", "{total} 句中 {done} 句有依据"
    ),
    "sentences_weak": Text("{count} weak", "{count} 句依据较弱"),
    "sentences_unsupported": Text("{count} unsupported", "{count} 句没有依据"),
    "verdict_supported": Text(
        "Supported by passage {number}, {page}", "依据第 {number} 段，{page}"
    ),
    "verdict_weak": Text(
        "Weakly supported by passage {number}, {page}", "第 {number} 段可作较弱依据，{page}"
    ),
    "verdict_unsupported": Text(
        "Nothing in the passages supports this sentence", "所引段落中没有支持这一句的内容"
    ),
    "verdict_unsupported_near": Text(
        "Not supported; looked for in passage {number}, {page}",
        "没有依据；已在第 {number} 段（{page}）查找",
    ),
    "left_out": Text(
        "{count} sentences without support were left out", "已略去 {count} 句没有依据的内容"
    ),
    "left_out_one": Text("1 sentence without support was left out", "已略去 1 句没有依据的内容"),
    "first_token": Text("first {seconds} s", "首字 {seconds} 秒"),
    "speed": Text("{value} tokens/s", "{value} 词元/秒"),
    "retrieval": Text("search {value} ms", "检索 {value} 毫秒"),
    "usage_title": Text(
        "{prompt} tokens read, {completion} written, {seconds} s in all",
        "读入 {prompt} 词元，写出 {completion} 词元，共 {seconds} 秒",
    ),
    "copy": Text("Copy", "复制"),
    "error_inside": Text(
        "Something went wrong inside RAG Desk ({kind}).", "RAG Desk 内部出错（{kind}）。"
    ),
    "error_inside_hint": Text(
        "Ask again; if it comes back, the terminal shows the details.",
        "请再问一次；若仍出错，终端里有详细信息。",
    ),
    # -- right room: what proves it
    "evidence": Text("Evidence", "依据"),
    "evidence_none": Text(
        "The passages an answer rests on appear here, with the page they stand on.",
        "回答所依据的段落和所在页面会显示在这里。",
    ),
    "passages": Text("{count} passages", "{count} 段"),
    "passages_one": Text("1 passage", "1 段"),
    "documents_count": Text("{count} documents", "{count} 份文档"),
    "documents_count_one": Text("1 document", "1 份文档"),
    "page_label": Text("p. {label}", "第 {label} 页"),
    "pdf_page": Text("PDF page {number}", "PDF 第 {number} 页"),
    "pdf_pages": Text("PDF pages {first}–{last}", "PDF 第 {first}–{last} 页"),
    "ranks": Text("words {lexical} · meaning {dense}", "词 {lexical} · 义 {dense}"),
    "ranks_read": Text(" · read {rerank}", " · 重排 {rerank}"),
    "ranks_title": Text(
        "Rank in the search by words (BM25) and in the search by meaning (embeddings); "
        "– means that this search did not find it",
        "按词语检索（BM25）和按含义检索（向量）的名次；– 表示该检索没有找到",
    ),
    "score": Text("score {value}", "得分 {value}"),
    "score_title": Text(
        "Relevance after both searches are combined; higher is better",
        "两种检索合并后的相关度，越高越好",
    ),
    "dropped": Text(
        "{count} more found, but there was no room for them", "另找到 {count} 段，因篇幅未交给模型"
    ),
    "dropped_one": Text(
        "1 more found, but there was no room for it", "另找到 1 段，因篇幅未交给模型"
    ),
    "prev": Text("Previous", "上一处"),
    "next": Text("Next", "下一处"),
    "zoom_in": Text("Larger", "放大"),
    "zoom_out": Text("Smaller", "缩小"),
    "zoom_fit": Text("Fit the width", "适合宽度"),
    "close": Text("Close", "关闭"),
    # -- the strip: what the machine is doing
    "word_ready": Text("Ready", "就绪"),
    "word_prefetch": Text("Reading ahead", "正在预读"),
    "word_downloading": Text("Downloading", "下载中"),
    "word_loading": Text("Loading", "载入中"),
    "word_failed": Text("No model", "模型不可用"),
    "word_none": Text("Starting", "启动中"),
    "word_indexing": Text("Indexing", "索引中"),
    "memory": Text("Memory", "内存"),
    "vram": Text("VRAM", "显存"),
    "vram_title": Text(
        "Graphics memory: {model} GiB by this model, {other} GiB by everything else, "
        "{total} GiB in all",
        "显存：本模型 {model} GiB，其他 {other} GiB，共 {total} GiB",
    ),
    "ram_title": Text(
        "Main memory: {process} GiB by RAG Desk, {other} GiB by other programs, {total} GiB in all",
        "内存：RAG Desk {process} GiB，其他程序 {other} GiB，共 {total} GiB",
    ),
    "model_share": Text("model {value}", "模型 {value}"),
    "process_share": Text("RAG Desk {value}", "RAG Desk {value}"),
    "server_here": Text("server {server}", "服务器 {server}"),
    "server_there": Text("sent to {server}", "发送到 {server}"),
    "server_memory": Text(
        "The model runs in a server; how much memory it takes there is not known here.",
        "模型在服务器中运行；这里无法得知它在那里占用多少内存。",
    ),
    "share_unknown": Text("model memory unknown", "模型内存未知"),
    "no_gpu": Text("no NVIDIA GPU", "没有 NVIDIA 显卡"),
    "gpu_load": Text("GPU {value} %", "GPU {value} %"),
    "cpu_load": Text("CPU {value} %", "CPU {value} %"),
    "temperature": Text("Temperature of the graphics card", "显卡温度"),
    "power": Text("Power drawn by the graphics card", "显卡功耗"),
    "load": Text("Load", "负载"),
    "last_answer": Text(
        "The last answer: tokens per second, and seconds to its first word",
        "上一次回答：每秒词元数，以及出现首字的秒数",
    ),
    "next_question": Text("next ≈ {tokens} tokens", "下一问 ≈ {tokens} 词元"),
    "next_fits": Text("there is room for it", "内存足够"),
    "next_does_not_fit": Text(
        "there is not enough memory: fewer passages will be shown to the model",
        "内存不足：会减少给模型的段落",
    ),
    "next_title": Text(
        "What the next question takes, with all its passages; {fits}. The model reads {window}"
        " tokens at most.",
        "下一个问题连同全部段落的开销；{fits}。模型最多读取 {window} 个词元。",
    ),
    "theme": Text("Light or dark", "浅色或深色"),
    "language": Text("切换到中文", "Switch to English"),
    "language_short": Text("中文", "EN"),
    # -- said by the page itself
    "client.answering": Text("Answering", "回答中"),
    "client.copied": Text("Copied", "已复制"),
    "client.copy_failed": Text("Could not copy", "无法复制"),
    "client.only_pdf": Text("Only PDF files can be added: {names}", "只能添加 PDF 文件：{names}"),
    "client.drop": Text("Drop PDFs to add them to your documents", "松开即可把 PDF 添加到文档"),
    "client.uploading": Text("Copying {count} files", "正在复制 {count} 个文件"),
    "client.uploading_one": Text("Copying 1 file", "正在复制 1 个文件"),
    "client.gone": Text(
        "RAG Desk is not answering. If you closed it, start it again with `rag ui`.",
        "RAG Desk 没有响应。如果已关闭，请用 `rag ui` 重新启动。",
    ),
    "client.word_gone": Text("Not running", "未运行"),
    "client.restarted": Text(
        "RAG Desk was restarted. Load the page anew.", "RAG Desk 已重新启动，请重新载入页面。"
    ),
    "client.reload": Text("Reload", "重新载入"),
    "client.no_image": Text(
        "This page cannot be shown. The document may have been moved or removed.",
        "无法显示这一页。文档可能已移动或删除。",
    ),
    "absent_gone": Text("no longer in the folder", "已不在文件夹中"),
    "absent_forgotten": Text("forgotten", "已忘记"),
    "absent_older": Text("older version", "旧版本"),
    "client.older": Text("older version", "旧版本"),
    "client.page_of": Text("PDF page {page} / {pages}", "PDF 第 {page} / {pages} 页"),
    "client.page": Text("PDF page {page}", "PDF 第 {page} 页"),
    "client.unmarked": Text("The place on this page is not known.", "无法标出在这一页上的位置。"),
    "client.image_alt": Text("Page {page} of {name}", "{name} 第 {page} 页"),
}


def say(key: str, language: Language, **values: object) -> str:
    """Return the words for ``key`` in ``language``, braces filled with ``values``.

    With ``count=1`` the words for one are taken where there are such.

    >>> say("passages", "en", count=3), say("passages", "en", count=1)
    ('3 passages', '1 passage')
    """
    one = f"{key}_one" if values.get("count") == 1 else key
    words = WORDS.get(one, WORDS[key]).say(language)
    return words.format(**values) if values else words


def for_page() -> dict[str, dict[str, str]]:
    """Return every word by language, for the page's own script."""
    return {
        "en": {key: text.en for key, text in WORDS.items()},
        "zh": {key: text.zh for key, text in WORDS.items()},
    }
