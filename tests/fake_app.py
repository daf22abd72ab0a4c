"""An app without models: real PDFs, and answers from a script."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from typing import Any

import pypdfium2

from rag.answering.explain.outcomes import outcome
from rag.answering.explain.values import Explanation, SentencePlace, SentenceQuestion, Step
from rag.app.app import App, AppState
from rag.app.machine_monitor import MachineMonitor, sample_of
from rag.app.supervisor import Supervisor
from rag.config import Settings
from rag.errors import RagError, UnknownDocument, UnreadableDocument
from rag.ingestion.uploads import Added
from rag.storage.chats import Absence, Chats
from rag.storage.ledger import Ledger
from rag.storage.vectors.manager import PreviousIndex
from rag.text.messages import Text
from rag.types.answers import (
    Answer,
    AskMode,
    Coverage,
    Delta,
    Event,
    Evidence,
    Finished,
    Message,
    Offer,
    Passage,
    Quoted,
    Ranks,
    ReadingProgress,
    Retrieved,
    Sentence,
    TypedDraft,
    Usage,
)
from rag.types.documents import Chunk, DocumentStatus
from rag.types.hardware import GpuReading, Held, MemoryReading, Sample
from tests.fake_pdf import Typeset, guide_en, guide_zh, typeset
from tests.fake_script import EN, HOSTILE, SCRIPT_ABSENT, SCRIPTS, ZH, Said, Script

GIB = 1024**3
NO_GPU = MemoryReading(int(1.9 * GIB), int(6.2 * GIB), 16 * GIB, cpu_percent=37)
GPU = MemoryReading(
    int(3.1 * GIB),
    int(14.8 * GIB),
    64 * GIB,
    cpu_percent=12,
    gpu_name="NVIDIA GeForce RTX 4090",
    vram_used_bytes=int(13.1 * GIB),
    vram_total_bytes=24 * GIB,
    vram_model_bytes=int(9.2 * GIB),
    temperature_c=61,
    power_w=287,
    gpu_percent=74,
)
CARD = GpuReading(
    0,
    uuid="GPU-0",
    name="NVIDIA GeForce RTX 4090",
    used_bytes=int(13.1 * GIB),
    total_bytes=24 * GIB,
    percent=74,
    temperature_c=61,
    slowdown_c=90,
    power_w=287,
    power_limit_w=450,
    clock_mhz=2520,
    max_clock_mhz=3105,
    fan_percent=41,
)
HELD = (
    Held("weights", int(7.3 * GIB)),
    Held("kv", int(1.9 * GIB)),
    Held("embedder", int(1.4 * GIB)),
    Held("cache", int(0.6 * GIB)),
    Held("context", int(0.5 * GIB)),
    Held("others", int(1.4 * GIB)),
)
GPU = replace(GPU, gpus=(CARD,), held=HELD)
MODEL = "Qwen2.5-Coder-1.5B-Instruct Q4_K_M"
LOST = {"place": 9, "k": 5, "words": Text(" (<rare>)", "（<rare>）"), "document": EN}
_PDFIUM = Lock()  # PDFium may be entered by one thread at a time


class FakeChats(Chats):
    """Real chats over documents that are not in a ledger."""

    def __init__(self, ledger: Ledger, app: FakeApp) -> None:
        super().__init__(ledger)
        self._app = app

    def absent(self, documents: Iterable[str]) -> dict[str, Absence]:
        here = {status.id for status in self._app.statuses}
        return {document: "forgotten" for document in documents if document not in here}


class FakeMachine(MachineMonitor):
    """Ten minutes of a machine that works in waves, with or without a card."""

    def __init__(self, memory: MemoryReading) -> None:
        self.memory = memory
        self.reports: list[Path] = []
        self.error: RagError | None = None

    def history(self, seconds: float) -> tuple[Sample, ...]:
        samples = []
        for second in range(600):
            wave = 0.5 + 0.5 * math.sin(second / 23) * math.sin(second / 7)
            cards = tuple(
                replace(
                    card,
                    percent=100 * wave,
                    used_bytes=int((11 + 2 * wave) * GIB),
                    temperature_c=52 + 14 * wave,
                    power_w=60 + 330 * wave,
                )
                for card in self.memory.gpus
            )
            at = replace(self.memory, cpu_percent=100 * wave, gpus=cards)
            samples.append(sample_of(at, 1_800_000_000.0 + second))
        return tuple(one for one in samples if one.at >= 1_800_000_600.0 - seconds)

    def report(self, folder: Path) -> dict[str, Any]:
        if self.error:
            raise self.error
        self.reports.append(folder)
        folder.mkdir(parents=True)
        (folder / "report.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        return {"files": ["report.json", "report.png"]}


@dataclass
class FakeApp(App):
    """The app over real small PDFs. Everything a test wants to see can be set."""

    folder: Path
    scripts: dict[str, Script] = field(default_factory=lambda: dict(SCRIPTS))
    memory: MemoryReading = NO_GPU
    pace_s: float = 0.0  # between two pieces of an answer
    hold_after: int | None = None  # pieces; then wait for ``go`` or a cancel
    error: RagError | None = None
    sizeless: str = ""  # the id of a document whose pages have no size
    full: bool = False  # no room for another file
    rebuilds: int = 0
    doubted: list[SentenceQuestion] = field(default_factory=list)
    unlocked: list[tuple[str, str, bool]] = field(default_factory=list)
    replaced: tuple[str, ...] = ()  # ids of older versions
    kept: PreviousIndex | None = None
    passed_over: dict[str, DocumentStatus] = field(default_factory=dict)
    offer: Offer | None = None  # of reading everything; then only mode "whole" does
    drafts: list[TypedDraft] = field(default_factory=list)
    modes: list[AskMode] = field(default_factory=list)
    deaf: bool = False  # does not notice a cancel while it holds

    def __post_init__(self) -> None:
        self.settings = Settings(knowledge=self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.go, self.was_cancelled = Flag(), Flag()
        self.supervisor = Supervisor(Flag())
        self._ledger = Ledger(self.folder / ".rag" / "library.db")
        self.chats: Chats = FakeChats(self._ledger, self)
        self.machine: FakeMachine = FakeMachine(self.memory)
        self.cancelled_after = -1
        self.asked: list[tuple[str, tuple[Message, ...], frozenset[str]]] = []
        self.now = AppState("ready", MODEL, None, None, None, None, 1, self.memory, None)
        self.files: dict[str, Typeset] = {}
        self.statuses: list[DocumentStatus] = []
        self._put(EN, guide_en())
        self._put(ZH, guide_zh())
        hostile = typeset((HOSTILE,))
        self.files[HOSTILE] = hostile  # not in the list unless a test puts it there

    def _put(self, name: str, pdf: Typeset) -> None:
        (self.folder / name).write_bytes(pdf.data)
        self.files[name] = pdf
        self.statuses.append(
            DocumentStatus(pdf.id, (name,), name[:-4], "en", {"text": pdf.pages}, "ready", None)
        )

    def change(self, **values: object) -> None:
        """Replace parts of the state, and tell the page that the list may differ."""
        revision = self.now.documents_revision + 1
        self.now = replace(self.now, documents_revision=revision, **values)  # type: ignore[arg-type]

    def state(self) -> AppState:
        return self.now

    def documents(self) -> list[DocumentStatus]:
        return sorted(self.statuses, key=lambda status: status.paths)

    def close(self) -> None:
        self.go.set()
        self._ledger.close()

    def typed(self, draft: TypedDraft) -> None:
        self.drafts.append(draft)

    def older(self) -> set[str]:
        return set(self.replaced)

    def rebuild_soon(self) -> None:
        self.rebuilds += 1
        self.change(stale=None)

    def kept_index(self) -> PreviousIndex | None:
        return self.kept

    def roll_back_soon(self) -> None:
        assert self.kept is not None
        self.kept = replace(self.kept, newer=not self.kept.newer)
        self.change()

    def forget(self, document_id: str) -> None:
        if self.error:
            raise self.error
        gone = next(status for status in self.statuses if status.id == document_id)
        self.statuses.remove(gone)
        self.statuses.append(DocumentStatus("", gone.paths, "", "", {}, "failed", "forgotten"))
        self.passed_over[gone.paths[0]] = gone
        self.change()

    def remember(self, path: str) -> None:
        self.statuses = [s for s in self.statuses if s.paths != (path,) or not s.forgotten]
        self.statuses.append(self.passed_over.pop(path))
        self.change()

    def why(self, asked: SentenceQuestion) -> Explanation:
        if self.error:
            raise self.error
        self.doubted.append(asked)
        name = next(iter(self.files))
        place = SentencePlace(
            self.files[name].id, name, name, 2, 0, 9, "<b>Drop</b> your PDFs", 0.97
        )
        steps = (
            Step("text", Text("It stands there.", "它在那里。"), passed=True),
            Step("k", Text("Only five are <shown>.", "只显示五段。"), passed=False),
        )
        return Explanation(asked.question, asked.sentence, outcome("k", **LOST), place, steps)

    def sync_soon(self) -> None:
        self.change()

    def unlock(self, document_id: str, password: str, *, remember: bool) -> Text | None:
        self.unlocked.append((document_id, password, remember))
        if password != "sesame":
            raise UnreadableDocument(
                Text("None of the passwords given opens the file.", "所给密码都无法打开该文件。"),
                hint=Text("Check it.", "请核对。"),
                reason="wrong_password",
            )
        return Text("There is no keyring here.", "此系统没有密钥环。") if remember else None

    def add_files(self, files: Sequence[tuple[str, Path]]) -> list[Added]:
        if self.full:
            raise OSError(28, "No space left on device")
        added = [self._add(name, path) for name, path in files]
        self.change()
        return added

    def _add(self, name: str, path: Path) -> Added:
        data = path.read_bytes()
        if not data.startswith(b"%PDF"):
            return Added(
                name,
                None,
                Text(f"{name} is not a PDF and was not added.", f"{name} 不是 PDF，未添加。"),
            )
        landed = name
        if (self.folder / name).exists():
            landed = f"{name[:-4]} (2).pdf"
        pages = len(pypdfium2.PdfDocument(data))
        self._put(landed, replace(typeset((landed,)), data=data, pages=pages))
        note = (
            Text(f"It was added as {landed}.", f"已另存为 {landed}。") if landed != name else None
        )
        return Added(name, landed, note)

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Collection[str] | None = None,
        mode: AskMode = "auto",
        cancelled: Callable[[], bool],
    ) -> Iterator[Event]:
        self.modes.append(mode)
        self.asked.append((question, tuple(history), frozenset(documents or ())))
        while self.now.model_state in {"downloading", "loading"} and not cancelled():
            self.go.wait(0.01)
        if self.error:
            raise self.error
        script = next(
            (s for key, s in self.scripts.items() if key in question.lower()), SCRIPT_ABSENT
        )
        passages = tuple(self._passage(n, spec) for n, spec in enumerate(script.passages))
        dropped = tuple(self._passage(n, spec) for n, spec in enumerate(script.dropped))
        followed = history and question.lower().startswith(("and ", "那"))
        searched = f"{history[-2].content} {question}" if followed else ""
        whole = mode == "whole" or ("summarise" in question.lower() and not self.offer)
        coverage = Coverage(0, 212, (EN, ZH), 58, 3) if whole and mode != "passages" else None
        if coverage:
            yield from self._read(coverage, cancelled)
            coverage = replace(coverage, read=212)
        else:
            yield Retrieved(passages, dropped, searched)
        quotation = self._quotation(script, passages)
        if quotation:
            yield Quoted(quotation)
        text = ""
        for count, piece in enumerate(_pieces(script.text)):
            while count == self.hold_after and not self.go.wait(0.01):
                if cancelled() and not self.deaf:
                    break
            if cancelled():
                self.cancelled_after = count
                self.was_cancelled.set()
                break
            self.go.wait(self.pace_s)
            text += piece
            yield Delta(piece, 1)
        answer = self._answer(question, script, text, passages, dropped)
        answer = replace(answer, quotation=quotation)
        if coverage:
            answer = replace(answer, coverage=coverage)
        yield Finished(replace(answer, offer=None if coverage else self.offer))

    def _read(self, coverage: Coverage, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Read; with ``hold_after`` set, wait in the middle of it."""
        yield ReadingProgress(coverage)
        yield ReadingProgress(replace(coverage, read=120), "read", 290)
        while self.hold_after is not None and not self.go.wait(0.01) and not cancelled():
            pass
        yield ReadingProgress(replace(coverage, read=212), "compose")

    def _answer(
        self,
        question: str,
        script: Script,
        text: str,
        passages: tuple[Passage, ...],
        dropped: tuple[Passage, ...],
    ) -> Answer:
        usage = Usage(812, 46, retrieve_s=0.018, first_token_s=0.42, total_s=4.3)
        self.now = replace(self.now, last_usage=usage)
        return Answer(
            question,
            text,
            script.language,
            script.verdict if passages else "not_in_documents",
            passages,
            dropped,
            tuple(self._sentences(script, len(text), passages)) if passages else (),
            usage,
            MODEL,
            "stop" if text == script.text else "cancelled",
            self.memory,
        )

    def _quotation(self, script: Script, passages: tuple[Passage, ...]) -> Sentence | None:
        if script.quoted is None:
            return None
        said = Said("", lines=(script.quoted,))
        (quoted,) = self._sentences(replace(script, sentences=(said,)), 0, passages)
        return quoted

    def _sentences(
        self, script: Script, written: int, passages: tuple[Passage, ...]
    ) -> Iterator[Sentence]:
        at = 0
        for index, said in enumerate(script.sentences):
            start = at + (len(said.before) if index else 0)
            at = start + len(said.text)
            if at > written:
                return
            evidence = []
            for number, line in said.lines:
                passage = passages[number]
                box = self.files[passage.document].lines[line]
                evidence.append(
                    Evidence(number, passage.document, box.page, line, 0, len(line), 0.9, (box,))
                )
            yield Sentence(start, at, said.verdict, tuple(evidence))

    def _passage(self, number: int, spec: tuple[str, tuple[str, ...]]) -> Passage:
        name, lines = spec
        pdf = self.files[name]
        boxes = tuple(pdf.lines[line] for line in lines)
        text = "\n".join(lines)
        heading = f"{name[:-4]} › {'Adding documents' if number == 0 else 'What is searchable'}"
        chunk = Chunk(
            pdf.id, 0, len(text), boxes[0].page, boxes[-1].page, text, heading, len(text) // 4
        )
        ranks = Ranks(dense=number + 1, lexical=2 * number + 1 if number < 2 else None)
        label = {1: "i", 2: "2"}.get(boxes[0].page, "")
        return Passage(number + 1, chunk, name, name, label, 0.91 - 0.17 * number, ranks, boxes)

    def _open(self, document_id: str) -> pypdfium2.PdfDocument:
        for pdf in self.files.values():
            if pdf.id == document_id != self.sizeless:
                return pypdfium2.PdfDocument(pdf.data)
        raise UnknownDocument(
            Text("There is no such document.", "没有这份文档。"),
            hint=Text("Sync again.", "请重新同步。"),
        )

    def page_size(self, document_id: str, page: int) -> tuple[float, float]:
        with _PDFIUM:
            width, height = self._open(document_id)[page - 1].get_size()
            return float(width), float(height)

    def page_image(self, document_id: str, *, page: int, width: int) -> bytes:
        with _PDFIUM:
            shown = self._open(document_id)[page - 1]
            picture = shown.render(scale=width / shown.get_width()).to_pil()
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()


def _pieces(text: str) -> list[str]:
    """Cut as a tokenizer would: words in Latin script, two characters in Chinese."""
    return re.findall(r"\s*[^\W\u3000-\u9fff]+|[\u3000-\u9fff]{1,2}|\s*[^\w\s]|\s+", text)
