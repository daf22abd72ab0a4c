"""Small real PDFs, typeset on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

_CHINESE = "STSong-Light"


def write_pdf(
    path: Path,
    pages: Sequence[str],
    *,
    title: str = "",
    outline: Sequence[tuple[int, str, int]] = (),
    password: str | None = None,
    rotate: int = 0,
) -> Path:
    """Write one page per text, a line per line; "" is a blank page, "#" a page with a picture.

    ``outline`` lists ``(level, heading, 1-based page)``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE))
    encrypt = None
    if password is not None:
        from reportlab.lib.pdfencrypt import StandardEncryption

        encrypt = StandardEncryption(password, ownerPassword=f"{password}-owner")
    canvas = Canvas(str(path), pagesize=A4, invariant=True, encrypt=encrypt)
    if title:
        canvas.setTitle(title)
    for number, text in enumerate(pages, start=1):
        for level, heading, page in outline:
            if page == number:
                canvas.bookmarkPage(f"{heading}-{page}")
                canvas.addOutlineEntry(heading, f"{heading}-{page}", level)
        _draw(canvas, text)
        canvas.showPage()
    canvas.save()
    if rotate:
        _rotate(path, rotate)
    return path


def _rotate(path: Path, degrees: int) -> None:
    import pypdf

    writer = pypdf.PdfWriter(clone_from=path)
    for page in writer.pages:
        page.rotate(degrees)
    writer.write(path)


def _draw(canvas: Canvas, text: str) -> None:
    if text == "#":
        canvas.rect(100, 100, 300, 300, fill=1)
        return
    y = 780
    for line in text.splitlines():
        canvas.setFont("Helvetica" if line.isascii() else _CHINESE, 11)
        canvas.drawString(72, y, line)
        y -= 16


def lines(*sentences: str, repeat: int = 1) -> str:
    return "\n".join(f"{s} ({i})" if repeat > 1 else s for i in range(repeat) for s in sentences)
