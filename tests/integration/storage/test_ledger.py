"""The ledger's file: who has it open, and how an older one becomes a newer one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from rag.errors import LibraryTooNew, StoreError
from rag.storage.database import MIGRATIONS, connect, migrate
from rag.storage.ledger import Ledger
from tests.integration.indexing.test_folder import ordinary_user

resource = pytest.importorskip("resource")


# -- connections ---------------------------------------------------------------------------


def test_a_threads_connection_is_closed_when_the_thread_ends(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "library.db")
    kept: list[sqlite3.Connection] = []

    def ask() -> None:
        assert ledger.connection is ledger.connection
        kept.append(ledger.connection)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept[0].execute("SELECT 1")
    assert ledger.meta("active_space") is None, "this thread's is open"
    ledger.close()


def test_closing_the_ledger_closes_what_other_threads_still_have(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "library.db")
    had: list[sqlite3.Connection] = []
    opened, closed = threading.Event(), threading.Event()

    def wait() -> None:
        had.append(ledger.connection)
        opened.set()
        assert closed.wait(20)

    thread = threading.Thread(target=wait)
    thread.start()
    assert opened.wait(20)
    ledger.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        had[0].execute("SELECT 1")
    closed.set()
    thread.join()


@contextmanager
def files_left(count: int) -> Iterator[None]:
    """Let this process open only so many more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    taken = []
    try:
        while True:
            try:
                taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        for _ in range(count):
            os.close(taken.pop())
        yield
    finally:
        for handle in taken:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("left", [0, 1, 2])
def test_too_many_open_files_are_no_damage(tmp_path: Path, left: int) -> None:
    Ledger(tmp_path / "library.db").close()
    with files_left(left), pytest.raises(StoreError) as told:
        Ledger(tmp_path / "library.db").meta("active_space")
    for words in (told.value.say("en"), told.value.say("zh")):
        assert "ulimit" in words
        assert ".rag " not in words


# -- migrations ----------------------------------------------------------------------------


def older(path: Path, version: int) -> Path:
    """Make a library as a program of that version would."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    for script in MIGRATIONS[:version]:
        connection.executescript(script)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    return path


def tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
@pytest.mark.parametrize("read_only", [False, True])
def test_a_library_of_any_version_is_read_with_the_tables_of_today(
    tmp_path: Path, version: int, read_only: bool
) -> None:
    whole = sqlite3.connect(older(tmp_path / "whole.db", len(MIGRATIONS)))
    ledger = Ledger(older(tmp_path / "library.db", version), read_only=read_only)
    assert tables(ledger.connection) == tables(whole)
    assert ledger.connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    ledger.close()
    whole.close()


def test_who_only_reads_an_older_library_changes_nothing(tmp_path: Path) -> None:
    path = older(tmp_path / "library.db", 3)
    writer = connect(path)  # an app of that version, open: what it wrote is in the log
    writer.execute("INSERT INTO meta VALUES ('who', 'older')")
    ledger = Ledger(path, read_only=True)
    assert ledger.meta("who") == "older"
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        ledger.connection.execute("DELETE FROM meta")
    assert threads_read(ledger, "who") == ["older", "older"]
    writer.execute("UPDATE meta SET value = 'newer'")  # nobody is in its way
    writer.execute("UPDATE meta SET value = 'older'")
    ledger.close()
    assert writer.execute("PRAGMA user_version").fetchone() == (3,)
    writer.close()


def test_reading_an_older_library_leaves_its_log_as_it_is(tmp_path: Path) -> None:
    path = older(tmp_path / "library.db", 3)
    writer = connect(path)
    writer.execute("INSERT INTO meta VALUES ('who', 'older')")
    before = contents(tmp_path)
    assert len(before["library.db-wal"]) > 0
    with closing(Ledger(path, read_only=True)) as ledger:
        assert ledger.meta("who") == "older"
    assert contents(tmp_path) == before
    writer.close()


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in the files; not the index of the log, where SQLite notes who reads."""
    files = [path for path in folder.rglob("*") if path.suffix != ".db-shm" and path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def threads_read(ledger: Ledger, key: str) -> list[str | None]:
    found: list[str | None] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: found.append(ledger.meta(key)))
        thread.start()
        thread.join(60)
    return found


def test_what_a_killed_reader_left_of_an_older_library_goes(tmp_path: Path) -> None:
    path = older(tmp_path / "library.db", 3)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    left = tmp_path / f"ragdesk-older-{ended.pid}-x"
    fresh = tmp_path / f"ragdesk-older-{os.getpid()}-x"
    for folder in (left, fresh):
        folder.mkdir()
        (folder / "library.db").write_bytes(b"text")
        os.utime(folder, (0, 0))  # a service keeps its copy as long as it runs
    Ledger(path, read_only=True).close()
    assert not left.exists()
    assert fresh.exists(), "somebody may be reading it"


def test_who_comes_second_finds_an_older_library_brought_up_to_date(tmp_path: Path) -> None:
    path = older(tmp_path / "library.db", 1)
    first, second = connect(path), connect(path)
    waits = threading.Event()
    second.set_trace_callback(lambda statement: waits.set() if "BEGIN" in statement else None)
    failed: list[Exception] = []

    def come_second() -> None:
        try:
            migrate(second, path)
        except (StoreError, sqlite3.Error) as error:
            failed.append(error)

    first.execute("BEGIN IMMEDIATE")
    thread = threading.Thread(target=come_second)
    thread.start()
    assert waits.wait(20), "it has read the version, and wants to write"
    first.execute(MIGRATIONS[1])
    first.execute("PRAGMA user_version = 2")
    first.execute("COMMIT")
    thread.join(60)
    assert failed == []
    assert second.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    first.close()
    second.close()


def test_a_step_that_fails_leaves_the_library_as_it_was(tmp_path: Path) -> None:
    path = older(tmp_path / "library.db", 2)
    connection = connect(path)
    connection.execute("CREATE TABLE alike (something)")  # in the way of the next step
    before = tables(connection)
    with pytest.raises(StoreError):
        migrate(connection, path)
    assert tables(connection) == before
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert not connection.in_transaction
    connection.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_library_of_a_newer_program_is_left_alone(tmp_path: Path, read_only: bool) -> None:
    path = older(tmp_path / "library.db", len(MIGRATIONS))
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(LibraryTooNew, match="newer version"):
        Ledger(path, read_only=read_only)


def test_an_older_library_that_cannot_be_written_is_read() -> None:
    base = Path(tempfile.mkdtemp(prefix="ragdesk-"))
    older(base / "library.db", 3)
    try:
        base.chmod(0o755)
        with ordinary_user(base):
            (base / "library.db").chmod(0o444)
            base.chmod(0o555)
            with closing(Ledger(base / "library.db", read_only=True)) as ledger:
                assert ledger.files() == {}
        assert [path.name for path in base.iterdir()] == ["library.db"]
    finally:
        base.chmod(0o755)
        shutil.rmtree(base)
