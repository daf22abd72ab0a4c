"""The words of the left room: what I have, and what can be done with it."""

from __future__ import annotations

from rag.text.messages import Text

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
