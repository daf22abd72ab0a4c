"""The folder as people, programs and other systems leave it. Real files, no model."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from rag.app import wiring
from rag.app.container import Container
from rag.indexing.library import Library
from rag.ingestion.scan import real_path, scan
from rag.storage.ledger import Ledger
from rag.storage.status import broken_invariants, document_statuses
from tests.factories import settings
from tests.pdfs import lines, write_pdf

POSIX = pytest.mark.skipif(os.name == "nt", reason="file systems of Windows refuse such names")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users of this machine can reach; pytest's own is closed to them."""
    base = Path(tempfile.mkdtemp(prefix="ragdesk-"))
    base.chmod(0o755)
    made = base / "knowledge"
    made.mkdir()
    yield made
    _open_all(base)
    shutil.rmtree(base)


def waiting_by(wait: Callable[[float], object]) -> SimpleNamespace:
    """Return ``time`` with another ``sleep`` for one module; other threads sleep as ever."""
    return SimpleNamespace(**{**vars(time), "sleep": wait})


def _open_all(base: Path) -> None:
    for path in [base, *base.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


@contextmanager
def ordinary_user(base: Path) -> Iterator[None]:
    """Be somebody whom permissions bind; as root, nothing is ever refused."""
    if os.geteuid() != 0:
        yield
        return
    nobody = 65534
    for path in [base, *base.rglob("*")]:
        os.chown(path, nobody, nobody, follow_symlinks=False)
    os.seteuid(nobody)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def library(folder: Path) -> Iterator[Library]:
    chosen = settings(folder, RAGDESK_RETRIEVE__INDEX="numpy")
    container = Container(chosen)
    ledger = container.ledger()
    yield wiring.library(container, ledger, index=None)
    container.close()
    ledger.close()


@pytest.fixture
def ledger(folder: Path, library: Library) -> Iterator[Ledger]:
    opened = Ledger(folder / ".rag" / "library.db", read_only=True)
    yield opened
    opened.close()


def reasons(ledger: Ledger) -> dict[str, str | None]:
    return {d.paths[0]: d.reason for d in document_statuses(ledger)}


def codes(failed: list[dict[str, str]]) -> dict[str, str]:
    return {f["path"]: f["code"] for f in failed}


@POSIX
def test_links_that_lead_out_or_nowhere_are_refused_with_a_reason(
    folder: Path, library: Library, ledger: Ledger
) -> None:
    outside = write_pdf(folder.parent / "private" / "diary.pdf", ["private"])
    write_pdf(folder / "sub" / "inside.pdf", ["inside"])
    (folder / "link.pdf").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent)
    (folder / "gone.pdf").symlink_to(folder / "nothing.pdf")
    (folder / "again.pdf").symlink_to(folder / "sub" / "inside.pdf")
    (folder / "loop").symlink_to(folder)
    report = library.sync()
    assert codes(report.failed) == dict.fromkeys(("link.pdf", "linked", "gone.pdf"), "link_outside")
    assert report.files["added"] == 1
    assert report.files["duplicate"] == 1
    assert reasons(ledger)["linked"] == "link_outside"
    before = dict(ledger.files())
    library.sync()
    assert ledger.files() == before
    (folder / "link.pdf").unlink()
    assert library.sync().files["removed"] == 0
    assert "link.pdf" not in reasons(ledger)


@POSIX
def test_a_folder_that_cannot_be_opened_is_reported_and_its_documents_stay(
    folder: Path, library: Library, ledger: Ledger
) -> None:
    write_pdf(folder / "sub" / "deep" / "a.pdf", ["alpha"])
    write_pdf(folder / "b.pdf", ["beta"])
    library.sync()
    (folder / "sub").chmod(0)
    with ordinary_user(folder.parent):
        report = library.sync()
    assert codes(report.failed) == {"sub": "folder_unreadable"}
    assert report.files["removed"] == 0
    assert set(reasons(ledger)) == {"b.pdf", "sub", "sub/deep/a.pdf"}
    (folder / "sub").chmod(0o755)
    report = library.sync()
    assert report.failed == []
    assert report.files["unchanged"] == 2
    assert set(reasons(ledger)) == {"b.pdf", "sub/deep/a.pdf"}


@POSIX
def test_a_file_that_cannot_be_opened_keeps_what_was_known_of_it(
    folder: Path, library: Library, ledger: Ledger
) -> None:
    path = write_pdf(folder / "a.pdf", ["alpha"])
    library.sync()
    write_pdf(path, ["beta"])
    path.chmod(0)
    with ordinary_user(folder.parent):
        report = library.sync()
    assert codes(report.failed) == {"a.pdf": "unreadable"}
    assert reasons(ledger) == {"a.pdf": "unreadable"}
    assert len(ledger.document_ids()) == 1, "the version before goes on answering"
    path.chmod(0o644)
    assert library.sync().files["updated"] == 1
    assert reasons(ledger) == {"a.pdf": None}


def test_a_half_copied_file_waits_until_it_stops_growing(
    folder: Path, library: Library, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_pdf(folder.parent / "whole.pdf", [lines("alpha", repeat=30)] * 4).read_bytes()
    target = folder / "a.pdf"
    target.write_bytes(whole[: len(whole) // 3])

    def grow(_: float) -> None:
        with target.open("ab") as file:
            file.write(whole[target.stat().st_size :][: len(whole) // 3])

    monkeypatch.setattr("rag.indexing.library.time", waiting_by(grow))
    report = library.sync()
    assert report.waiting == ["a.pdf"]
    assert report.failed == []
    assert reasons(ledger) == {"a.pdf": "growing"}
    grow(0)
    grow(0)
    report = library.sync()
    assert report.waiting == []
    assert report.files["added"] == 1
    assert reasons(ledger) == {"a.pdf": None}


def test_a_file_that_stopped_growing_too_soon_is_called_damaged_at_the_second_look(
    folder: Path, library: Library
) -> None:
    (folder / "a.pdf").write_bytes(b"%PDF-1.4 and then the copying stopped")
    report = library.sync()
    assert codes(report.failed) == {"a.pdf": "damaged"}
    assert report.waiting == []


def test_the_old_version_answers_while_the_new_one_is_being_copied(
    folder: Path, library: Library, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pdf(folder / "a.pdf", ["alpha"])
    library.sync()
    (old,) = ledger.document_ids()
    monkeypatch.setattr(
        "rag.indexing.library.time",
        waiting_by(lambda _: (folder / "a.pdf").write_bytes(b"%PDF-1.7 more more")),
    )
    (folder / "a.pdf").write_bytes(b"%PDF-1.7 more")
    assert library.sync().waiting == ["a.pdf"]
    assert ledger.document_ids() == {old}
    assert reasons(ledger) == {"a.pdf": "growing"}


def test_a_file_that_changes_while_it_is_read_is_not_taken_for_what_it_was(
    folder: Path, library: Library, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_pdf(folder / "a.pdf", ["alpha"])
    from rag.indexing.incoming import to_pending as honest

    def slow(identity, reading, files, **options):
        made = honest(identity, reading, files, **options)
        write_pdf(path, ["omega", "and more"])
        return made

    monkeypatch.setattr("rag.indexing.library.to_pending", slow)
    assert library.sync().waiting == ["a.pdf"]
    assert ledger.document_ids() == set()
    monkeypatch.undo()
    library.sync()
    (text,) = ledger.connection.execute("SELECT text FROM pages WHERE number = 1").fetchone()
    assert "omega" in text


@POSIX
def test_names_of_every_kind_are_found_and_opened_again(
    folder: Path, library: Library, ledger: Ledger
) -> None:
    decomposed = unicodedata.normalize("NFD", "Übersicht é.pdf")
    write_pdf(folder / decomposed, ["first"])
    write_pdf(folder / "two\nlines.pdf", ["second"])
    write_pdf(folder / "v1.2" / "带 空格 and 'quotes'\t.PDF", ["third"])
    raw = os.fsdecode(os.fsencode(str(folder)) + b"/\xb0\xa1.pdf")  # GBK
    shutil.copy(write_pdf(folder.parent / "x.pdf", ["fourth"]), raw)
    report = library.sync()
    assert report.files["added"] == 4
    assert report.failed == []
    names = set(reasons(ledger))
    assert unicodedata.normalize("NFC", "Übersicht é.pdf") in names
    assert "two\nlines.pdf" in names
    assert "\\xb0\\xa1.pdf" in names
    assert all(real_path(folder, name).is_file() for name in names)
    assert library.sync().files["unchanged"] == 4


@POSIX
def test_two_names_that_differ_only_in_their_encoding_are_two_files(
    folder: Path, library: Library, ledger: Ledger
) -> None:
    write_pdf(folder / unicodedata.normalize("NFC", "é.pdf"), ["one"])
    write_pdf(folder / unicodedata.normalize("NFD", "é.pdf"), ["two"])
    if len(list(folder.glob("*.pdf"))) == 1:
        pytest.skip("this file system takes both for one name")
    assert library.sync().files["added"] == 2
    assert len(reasons(ledger)) == 2
    assert library.sync().files["unchanged"] == 2


@POSIX
def test_a_path_that_is_too_long_is_reported_and_the_rest_is_read(
    folder: Path, library: Library
) -> None:
    write_pdf(folder / "a.pdf", ["alpha"])
    long = write_pdf(folder / ("长" * 60) / ("n" * 200 + ".pdf"), ["beta"])
    assert long.is_file()
    here = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(20):  # deeper than any path may be
            os.mkdir("d" * 240, dir_fd=here)
            deeper = os.open("d" * 240, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = deeper
    finally:
        os.close(here)
    try:
        report = library.sync()
    finally:
        os.system(f"rm -rf {folder}/ddd*")  # shutil cannot go as deep
    assert report.files["added"] == 2
    assert list(codes(report.failed).values()) == ["path_too_long"]


def test_swapped_names_cost_no_reading(folder: Path, library: Library, ledger: Ledger) -> None:
    a, b = write_pdf(folder / "a.pdf", ["alpha"]), write_pdf(folder / "b.pdf", ["beta"])
    library.sync()
    before = ledger.files()
    a.rename(folder / "c.tmp")
    b.rename(a)
    (folder / "c.tmp").rename(b)
    report = library.sync()
    assert sum(report.pages.values()) == 0
    after = ledger.files()
    assert after["a.pdf"].document_id == before["b.pdf"].document_id
    assert after["b.pdf"].document_id == before["a.pdf"].document_id
    assert ledger.superseded() == {}, "both versions are still there"
    assert broken_invariants(ledger) == []


def test_a_replaced_version_is_remembered_as_older(
    folder: Path, library: Library, ledger: Ledger
) -> None:
    path = write_pdf(folder / "a.pdf", ["first version"])
    library.sync()
    (first,) = ledger.document_ids()
    kept = path.read_bytes()
    write_pdf(path, ["second version"])
    library.sync()
    (second,) = ledger.document_ids()
    write_pdf(path, ["third version"])
    library.sync()
    (third,) = ledger.document_ids()
    assert ledger.superseded() == {first: third, second: third}
    path.write_bytes(kept)
    library.sync()
    assert first not in ledger.superseded()
    path.unlink()
    library.sync()
    assert ledger.document_ids() == set()
    assert broken_invariants(ledger) == []


def test_another_export_of_a_document_is_pointed_out(
    folder: Path, library: Library, ledger: Ledger
) -> None:
    import random

    rolls = random.Random(5)
    words = [f"{a}{b}" for a in ("con", "re", "sub", "per", "dis") for b in
             ("tract", "mit", "port", "cept", "fer", "solve", "gress", "spect")]  # fmt: skip
    texts = [" ".join(rolls.choices(words, k=300)) for _ in range(3)]

    def typeset(text: str, width: int) -> str:
        split = text.split()
        return "\n".join(" ".join(split[i : i + width]) for i in range(0, len(split), width))

    write_pdf(folder / "a.pdf", [typeset(t, 9) for t in texts], title="One")
    write_pdf(folder / "b.pdf", [typeset(t, 7) for t in texts], title="Other")
    write_pdf(folder / "c.pdf", [typeset(" ".join(rolls.choices(words, k=900)), 9)])
    library.sync()
    alike = {d.paths[0]: d.alike for d in document_statuses(ledger)}
    assert alike == {"a.pdf": ("b.pdf",), "b.pdf": ("a.pdf",), "c.pdf": ()}
    (folder / "b.pdf").unlink()
    library.sync()
    assert all(d.alike == () for d in document_statuses(ledger))


def test_looking_lists_each_folder_once_and_opens_no_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        below = folder / f"{number:03}"
        below.mkdir()
        for file in range(20):
            (below / f"{file:03}.pdf").touch()
    listed: list[str] = []

    def listing(path: str) -> object:
        listed.append(path)
        return real(path)

    def opening(*_: object, **__: object) -> object:
        raise AssertionError("a file was opened")

    real = os.scandir
    with monkeypatch.context() as watched:
        watched.setattr(os, "scandir", listing)
        watched.setattr(os, "open", opening)
        watched.setattr("builtins.open", opening)
        found = scan(folder)
    assert len(found) == 400
    assert len(listed) == len(set(listed)) == 21
