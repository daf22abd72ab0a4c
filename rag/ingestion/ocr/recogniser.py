"""Text recognition of one page, as it is drawn: RapidOCR, with the models in its wheel.

Runs in worker processes. Nothing is downloaded. What is judged is the drawn page, not the
pictures in the file: vector letters, stamps and scans are all the same to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rapidocr import RapidOCR
from rapidocr.utils.output import RapidOCROutput

from rag.ingestion.ocr.page_text import Piece, Placed, knows_script, page_of, plausible
from rag.ingestion.pdf.page import hyphens
from rag.ingestion.pdf.pdfium import opened
from rag.ingestion.pdf.text_quality import verdict
from rag.types.index_version import DPI, ocr_name
from rag.types.recognised_text import RecognisedPage

if TYPE_CHECKING:
    import pypdfium2


_MAX_SIDE = 4000  # pixels; a poster is drawn smaller instead of filling memory
_SURE = 0.5  # a line's score; below it lies what is no text
_SURE_PAGE = 0.7  # mean over the page's characters
_BLANK = 24  # grey levels between the darkest and the lightest spot of an empty page
_POINTS = 72.0


class RapidRecogniser:
    """Satisfies ``Recogniser``."""

    name = ocr_name()

    def __init__(self, *, threads: int) -> None:
        self._engine = _Engine(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,  # it turned lines over that stood upright
                "Global.text_score": 0.0,  # judged here, where words and lines still match
                "Global.max_side_len": _MAX_SIDE,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, path: Path, *, page: int, passwords: Sequence[str] = ()) -> RecognisedPage:
        """Return what stands on the page, and what becomes of it.

        Raises:
            UnreadableDocument: PDFium cannot open the file or draw the page.
        """
        with opened(path, passwords) as pdf:
            leaf = pdf[page - 1]
            image, scale = _drawn(leaf)
            original = hyphens(leaf.get_textpage().get_text_range())
            leaf.close()
        if int(image.max()) - int(image.min()) < _BLANK:
            return RecognisedPage(page, "empty", "blank", engine=self.name)
        pieces, sure = self._pieces(image, scale)
        if not pieces:
            reason = "picture" if sure is None else "unreadable_scan"
            return RecognisedPage(page, "empty", reason, engine=self.name)
        text, lines = page_of(pieces)
        # a hidden layer is no rival: nobody sees it
        if verdict(original)[0] == "garbled" and plausible(text) < plausible(original):
            return RecognisedPage(page, "garbled", "ocr_worse", engine=self.name)
        return RecognisedPage(page, "ocr", None, text, lines, self.name)

    def _pieces(
        self, image: np.ndarray[Any, Any], scale: float
    ) -> tuple[list[Piece], float | None]:
        """Return the lines that can be trusted, and how sure the whole page is, 0 to 1.

        ``None`` if nothing looks like text at all.
        """
        found = self._engine(image, return_word_box=True)
        if not knows_script(self._engine.lines):
            return [], 0.0
        if not isinstance(found, RapidOCROutput) or not found.txts or found.boxes is None:
            return [], None
        texts, scores = found.txts, found.scores
        words = found.word_results or ()
        aligned: Sequence[Any] = words if len(words) == len(texts) else [()] * len(texts)
        pieces: list[Piece] = []
        weight = sum(len(text) for text in texts)
        sure = sum(score * len(t) for score, t in zip(scores, texts, strict=True)) / weight
        for text, score, box, own in zip(texts, scores, found.boxes, aligned, strict=True):
            if score >= _SURE and text.strip():
                (x0, y0), (x1, y1) = box.min(axis=0) / scale, box.max(axis=0) / scale
                place = Placed(text.strip(), float(x0), float(y0), float(x1), float(y1))
                pieces.append((place, [(w[0], _across(w[2], scale)) for w in own]))
        return (pieces, sure) if sure >= _SURE_PAGE else ([], sure)


class _Engine(RapidOCR):  # type: ignore[misc] # the library has no types
    """Remembers the lines in which it could not read anything, which the library drops."""

    lines: Sequence[tuple[str, float]] = ()
    """Of the last page: what was read, and how many times longer than high the line is."""

    def build_final_output(
        self, image: Any, detected: Any, turned: Any, read: Any, *rest: Any
    ) -> Any:
        boxes, texts = detected.boxes, read.txts
        known = boxes is not None and texts is not None and len(boxes) == len(texts)
        self.lines = [(t, _length(b)) for t, b in zip(texts, boxes, strict=True)] if known else ()
        return super().build_final_output(image, detected, turned, read, *rest)


def _length(quad: np.ndarray[Any, Any]) -> float:
    """Return the longer side of a line's four corners, in shorter sides."""
    sides = [float(np.linalg.norm(quad[i + 1] - quad[i])) for i in (0, 1)]
    return max(sides) / max(min(sides), 1.0)


def _drawn(leaf: pypdfium2.PdfPage) -> tuple[np.ndarray[Any, Any], float]:
    """Return the page as an image, BGR, and its pixels per point."""
    width, height = leaf.get_size()
    scale = min(DPI / _POINTS, _MAX_SIDE / max(width, height, 1.0))
    return np.ascontiguousarray(leaf.render(scale=scale, rev_byteorder=False).to_numpy()), scale


def _across(quad: Sequence[Sequence[float]], scale: float) -> tuple[float, float]:
    return min(p[0] for p in quad) / scale, max(p[0] for p in quad) / scale
