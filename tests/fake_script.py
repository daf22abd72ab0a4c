"""What the fake desk says: questions, passages, answers, and hostile text."""

from __future__ import annotations

from dataclasses import dataclass

from rag.types.answers import Verdict


@dataclass(frozen=True)
class Said:
    """One sentence of a script: its words and the lines of passages that support it."""

    text: str
    verdict: Verdict = "supported"
    lines: tuple[tuple[int, str], ...] = ()  # (passage, line)
    before: str = " "  # what stands between it and the sentence before


@dataclass(frozen=True)
class Script:
    """What the app answers: passages as lines of one document, then sentences."""

    passages: tuple[tuple[str, tuple[str, ...]], ...]  # (document name, lines)
    sentences: tuple[Said, ...]
    language: str = "en"
    verdict: Verdict = "supported"
    dropped: tuple[tuple[str, tuple[str, ...]], ...] = ()
    quoted: tuple[int, str] | None = None  # (passage, line) shown before the answer

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join((s.before if i else "") + s.text for i, s in enumerate(self.sentences))


EN, ZH = "RAG Desk guide.pdf", "RAG Desk 使用指南.pdf"
DROP_EN = "Drop PDF files anywhere on the window, or copy them into the knowledge folder."
FOUND_EN = "New files are found within a few seconds and indexed one after the other."
WHILE_EN = "You can ask questions while indexing is still running."
TEXT_EN = "Pages without a text layer are named together with the reason and a remedy."
KEYS_EN = "Enter sends a question, Shift and Enter begin a new line, Escape stops an answer."
DROP_ZH = "把 PDF 文件拖到窗口任意处，或者复制到 knowledge 文件夹。"
FOUND_ZH = "新文件会在几秒钟内被发现，并逐个建立索引。"

SCRIPT_EN = Script(
    passages=((EN, (DROP_EN, FOUND_EN, WHILE_EN)), (EN, (TEXT_EN,)), (EN, (KEYS_EN,))),
    sentences=(
        Said(
            "Drop your PDFs **anywhere on the window**, or copy them into the `knowledge` folder.",
            lines=((0, DROP_EN),),
        ),
        Said("New files are found within a few seconds.", lines=((0, FOUND_EN),)),
        Said(
            "Pages without a text layer are shown with the reason.",
            "weak",
            ((1, TEXT_EN),),
            before="\n\n- ",
        ),
        Said("Spreadsheets are converted first.", "unsupported", before="\n- "),
    ),
    dropped=((ZH, (DROP_ZH,)),),
)
SCRIPT_ZH = Script(
    passages=((ZH, (DROP_ZH, FOUND_ZH)), (EN, (DROP_EN, FOUND_EN, WHILE_EN))),
    sentences=(
        Said("把 PDF 拖到窗口任意处，或复制到 `knowledge` 文件夹。", lines=((0, DROP_ZH),)),
        Said("新文件会在几秒钟内被发现。", lines=((0, FOUND_ZH), (1, FOUND_EN)), before=""),
        Said("扫描件也会立刻可检索。", "unsupported", before=""),
    ),
    language="zh",
)
HOSTILE = (
    "<script>window.hacked = 1</script> <img src=http://attacker.invalid/x onerror=window.hacked=2>"
    " ![x](http://attacker.invalid/y) [l](javascript:window.hacked=3) ${window.hacked=4} {{x}} `"
)
SCRIPT_HOSTILE = Script(
    passages=((HOSTILE, (HOSTILE,)),), sentences=(Said(HOSTILE, lines=((0, HOSTILE),)),)
)
SCRIPT_ABSENT = Script((), (Said("I found nothing about this in your documents."),), "en")
SCRIPT_QUOTED = Script(
    passages=SCRIPT_EN.passages,
    sentences=(Said("Enter sends it.", lines=((2, KEYS_EN),)),),
    quoted=(2, KEYS_EN),
)
SCRIPT_UNPROVEN = Script(
    passages=SCRIPT_EN.passages,
    sentences=(Said("Spreadsheets are converted first.", "unsupported"),),
    verdict="unsupported",
)
SCRIPTS = {
    "which key": SCRIPT_QUOTED,
    "spreadsheet": SCRIPT_UNPROVEN,
    "summarise": SCRIPT_EN,
    "how do i": SCRIPT_EN,
    "如何": SCRIPT_ZH,
    "hostile": SCRIPT_HOSTILE,
}
