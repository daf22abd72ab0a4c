"""Why a page or a file is not searchable, in both languages, and what to do about it.

Reasons are kept in the ledger as their code and turned into words only when they are shown, so
that one library can be read in both languages.
"""

from __future__ import annotations

from dataclasses import dataclass

from rag.text.messages import Language, Text


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a page or file is not searchable, and what the person can do about it."""

    what: Text
    remedy: Text

    def say(self, language: Language) -> str:
        """Return both sentences in ``language``."""
        return f"{self.what.say(language)} {self.remedy.say(language)}"


REASONS: dict[str, Reason] = {
    "no_text": Reason(
        Text("The page has pictures but no text layer.", "这一页只有图像，没有文字层。"),
        Text(
            "It waits for text recognition; `rag sync --ocr` runs it.",
            "正在等待文字识别；可用 `rag sync --ocr` 运行。",
        ),
    ),
    "picture": Reason(
        Text("The page is a picture without words.", "这一页是没有文字的图片。"),
        Text("Nothing to do.", "无需处理。"),
    ),
    "unreadable_scan": Reason(
        Text(
            "Text recognition could not read the page reliably (handwriting, a poor scan, or a"
            " script it does not know).",
            "文字识别无法可靠读取这一页（手写、扫描质量差，或不支持的文字）。",
        ),
        Text(
            "Scan it again at 200 dpi or more. Chinese, Japanese and Latin letters can be read.",
            "请以 200 dpi 以上重新扫描。可识别中文、日文和拉丁字母。",
        ),
    ),
    "ocr_worse": Reason(
        Text(
            "The page's text is unreadable, and text recognition found even less.",
            "这一页的文字层无法辨认，而文字识别得到的内容更少。",
        ),
        Text("Get another copy of the document.", "请换一份该文档的副本。"),
    ),
    "ocr_failed": Reason(
        Text("Text recognition of the page failed.", "这一页的文字识别失败。"),
        Text("`rag sync --ocr` tries again.", "可用 `rag sync --ocr` 重试。"),
    ),
    "blank": Reason(
        Text("The page is blank.", "这一页是空白页。"), Text("Nothing to do.", "无需处理。")
    ),
    "garbled": Reason(
        Text(
            "The page's text layer does not say what is printed on it.",
            "这一页的文字层与页面上印的内容不符。",
        ),
        Text(
            "It waits for text recognition; `rag sync --ocr` runs it.",
            "正在等待文字识别；可用 `rag sync --ocr` 运行。",
        ),
    ),
    "hidden": Reason(
        Text(
            "Text that nobody sees on the page (invisible, white on white or tiny) was left out.",
            "页面上看不见的文字（透明、白底白字或极小）未被收录。",
        ),
        Text("Nothing to do.", "无需处理。"),
    ),
    "only_hidden": Reason(
        Text("All text of the page is hidden from view.", "这一页的文字全部是隐藏的。"),
        Text(
            "Nothing to do; if the page shows a picture of text, `rag sync --ocr` reads it.",
            "无需处理；若页面是文字图像，可用 `rag sync --ocr` 识别。",
        ),
    ),
    "page_failed": Reason(
        Text("The page could not be read.", "这一页无法读取。"),
        Text("Open the file in a PDF viewer and save it again.", "请用 PDF 阅读器打开并另存一次。"),
    ),
    "page_timeout": Reason(
        Text("The page took too long to read.", "读取这一页耗时过长。"),
        Text(
            "Open the file in a PDF viewer and save it again, or raise ingest.page_timeout_s.",
            "请用 PDF 阅读器打开并另存一次，或调高 ingest.page_timeout_s。",
        ),
    ),
    "page_memory": Reason(
        Text("The page needs more memory than is allowed.", "读取这一页所需内存超出限制。"),
        Text(
            "Open the file in a PDF viewer and save it again, or raise ingest.memory_mb.",
            "请用 PDF 阅读器打开并另存一次，或调高 ingest.memory_mb。",
        ),
    ),
    "page_crashed": Reason(
        Text("The page made the PDF reader crash.", "这一页使 PDF 读取程序崩溃。"),
        Text("Open the file in a PDF viewer and save it again.", "请用 PDF 阅读器打开并另存一次。"),
    ),
    "encrypted": Reason(
        Text("The file is protected by a password.", "文件有密码保护。"),
        Text(
            "Give the password on the screen, or with `rag sync --password-file FILE`.",
            "请在界面上输入密码，或使用 `rag sync --password-file 文件`。",
        ),
    ),
    "wrong_password": Reason(
        Text("None of the passwords given opens the file.", "所给密码都无法打开该文件。"),
        Text(
            "Check the password, and give it on the screen or with `rag sync --password-file`.",
            "请核对密码，在界面上输入，或使用 `rag sync --password-file`。",
        ),
    ),
    "damaged": Reason(
        Text("The file is damaged or not a PDF.", "文件已损坏，或不是 PDF。"),
        Text(
            "Get a fresh copy, or open it in a PDF viewer and save it again.",
            "请重新获取文件，或用 PDF 阅读器打开并另存一次。",
        ),
    ),
    "empty_file": Reason(
        Text("The file is empty (0 bytes).", "文件是空的（0 字节）。"),
        Text("Copy the file again.", "请重新复制该文件。"),
    ),
    "no_pages": Reason(
        Text("The file has no pages.", "文件里没有任何页面。"),
        Text("Get a fresh copy.", "请重新获取文件。"),
    ),
    "timeout": Reason(
        Text("Reading took too long and was stopped.", "读取时间过长，已停止。"),
        Text(
            "Open the file in a PDF viewer and save it again, or raise ingest.timeout_s.",
            "请用 PDF 阅读器打开并另存一次，或调高 ingest.timeout_s。",
        ),
    ),
    "memory": Reason(
        Text("Reading the file needs more memory than is allowed.", "读取该文件所需内存超出限制。"),
        Text(
            "Open the file in a PDF viewer and save it again, or raise ingest.memory_mb.",
            "请用 PDF 阅读器打开并另存一次，或调高 ingest.memory_mb。",
        ),
    ),
    "reader_crashed": Reason(
        Text("The file made the PDF reader crash.", "该文件使 PDF 读取程序崩溃。"),
        Text("Open it in a PDF viewer and save it again.", "请用 PDF 阅读器打开并另存一次。"),
    ),
    "index_failed": Reason(
        Text(
            "The document was read, but its text could not be indexed: an error in this program.",
            "文档已读取，但其文字无法建立索引：这是本程序的错误。",
        ),
        Text(
            "The log has the details; please report it. `rag rebuild` tries again.",
            "详情见日志，欢迎反馈。可用 `rag rebuild` 重试。",
        ),
    ),
    "forgotten": Reason(
        Text("You asked to forget this document.", "你已要求忘记此文档。"),
        Text("`rag forget --undo` lets it in again.", "`rag forget --undo` 可重新收录。"),
    ),
    "unreadable": Reason(
        Text("The file cannot be opened by this user.", "当前用户无法打开该文件。"),
        Text("Check the file's permissions.", "请检查文件权限。"),
    ),
    "growing": Reason(
        Text("The file is still being written.", "文件仍在写入。"),
        Text(
            "It is read as soon as it stops growing; the version before answers meanwhile.",
            "写入完成后会自动读取；在此之前仍使用旧版本。",
        ),
    ),
    "link_outside": Reason(
        Text(
            "The link leads out of the folder, or to nothing, and is not followed.",
            "该链接指向文件夹之外或目标不存在，未跟随。",
        ),
        Text("Copy the file itself into the folder.", "请把文件本身复制到文件夹中。"),
    ),
    "folder_unreadable": Reason(
        Text(
            "The folder cannot be opened; what is known of its files is kept.",
            "无法打开该文件夹；已收录的内容会保留。",
        ),
        Text(
            "Check its permissions, or the network drive it is on.",
            "请检查文件夹权限，或所在的网络驱动器。",
        ),
    ),
    "path_too_long": Reason(
        Text("The path is too long for this system.", "路径超过系统允许的长度。"),
        Text("Move it to a folder with a shorter path.", "请移动到路径较短的文件夹。"),
    ),
}


def reason_text(code: str | None, language: Language) -> str:
    """Return a reason's words; an unknown code is shown as it is rather than hidden.

    >>> reason_text("blank", "en")
    'The page is blank. Nothing to do.'
    >>> reason_text(None, "en")
    ''
    """
    if not code:
        return ""
    known = REASONS.get(code.partition(":")[0])
    return known.say(language) if known else code
