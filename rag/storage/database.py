"""The ledger's tables, and how an older file becomes a newer one.

What a chat shows stays as it was, also when its documents change or go: nothing here refers
to them.

``PRAGMA user_version`` counts the migrations that a file has seen. A migration is never
edited once released; a new one is appended.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from rag.errors import LibraryTooNew
from rag.storage.errors import store_failure, writable
from rag.text.messages import Text

CHAT_TABLES = """
CREATE TABLE chats (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  title      TEXT NOT NULL,
  created_at REAL NOT NULL
) STRICT;
CREATE TABLE turns (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  chat_id   INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
  question  TEXT NOT NULL,
  answer    TEXT NOT NULL,                   -- JSON; see rag.storage.chats
  documents TEXT NOT NULL,                   -- JSON: ids of those that were picked
  asked_at  REAL NOT NULL
) STRICT;
CREATE INDEX turns_chat ON turns (chat_id);
CREATE TABLE evidence (                      -- what was shown with an answer
  turn_id     INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
  document_id TEXT NOT NULL,
  document    TEXT NOT NULL,                 -- file name
  page        INTEGER NOT NULL,
  quote       TEXT NOT NULL,
  boxes       TEXT NOT NULL,                 -- JSON: [[page, x0, y0, x1, y1]]
  sentence    TEXT NOT NULL,                 -- that it was shown for; '' = for none
  verdict     TEXT NOT NULL
) STRICT;
CREATE INDEX evidence_turn ON evidence (turn_id);
CREATE INDEX evidence_document ON evidence (document_id);
CREATE TRIGGER turns_stay BEFORE UPDATE ON turns
  BEGIN SELECT RAISE(ABORT, 'a turn is never changed'); END;
CREATE TRIGGER evidence_stays BEFORE UPDATE ON evidence
  BEGIN SELECT RAISE(ABORT, 'evidence is never changed'); END;
"""


BUSY_TIMEOUT_MS = 30_000

_V1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE documents (
  id            TEXT PRIMARY KEY,            -- sha256 of the bytes, hex
  title         TEXT NOT NULL,
  language      TEXT NOT NULL,
  state         TEXT NOT NULL CHECK (state IN ('ready', 'partial', 'failed')),
  reason        TEXT,                        -- a code of rag/text/reasons.toml
  reader        TEXT NOT NULL,
  superseded_by TEXT,
  added_at      REAL NOT NULL,
  CHECK (state = 'ready' OR reason IS NOT NULL)
) STRICT;

CREATE TABLE files (
  path        TEXT PRIMARY KEY,              -- relative to the knowledge folder, POSIX, NFC
  size        INTEGER NOT NULL,
  mtime_ns    INTEGER NOT NULL,
  document_id TEXT REFERENCES documents (id) DEFERRABLE INITIALLY DEFERRED,
  reason      TEXT,                          -- why there is no document
  CHECK (document_id IS NOT NULL OR reason IS NOT NULL)
) STRICT;
CREATE INDEX files_document ON files (document_id);

CREATE TABLE forgotten (document_id TEXT PRIMARY KEY) STRICT;

CREATE TABLE pages (
  document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  number      INTEGER NOT NULL CHECK (number >= 1),
  label       TEXT NOT NULL,
  state       TEXT NOT NULL
              CHECK (state IN ('text', 'ocr', 'empty', 'garbled', 'failed', 'skipped')),
  reason      TEXT,
  start       INTEGER NOT NULL,              -- offset of the page's text in the document's
  text        TEXT NOT NULL,
  width       REAL NOT NULL,
  height      REAL NOT NULL,
  PRIMARY KEY (document_id, number),
  CHECK (state IN ('text', 'ocr') OR reason IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE TABLE headings (
  document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  position    INTEGER NOT NULL,
  level       INTEGER NOT NULL,
  title       TEXT NOT NULL,
  page        INTEGER NOT NULL,
  PRIMARY KEY (document_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE spaces (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  embedder   TEXT NOT NULL,
  dim        INTEGER NOT NULL,
  chunking   TEXT NOT NULL,
  analyser   TEXT NOT NULL,
  created_at REAL NOT NULL
) STRICT;

CREATE TABLE space_documents (               -- a row = the document is complete in the space
  space_id    INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
  document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  PRIMARY KEY (space_id, document_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE chunks (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: the index is keyed by it
  space_id    INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
  document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  start       INTEGER NOT NULL,
  end         INTEGER NOT NULL CHECK (end > start),
  first_page  INTEGER NOT NULL,
  last_page   INTEGER NOT NULL CHECK (last_page >= first_page),
  heading     TEXT NOT NULL,
  tokens      INTEGER NOT NULL,
  digest      BLOB NOT NULL,                 -- sha256 of what was embedded
  UNIQUE (space_id, document_id, start, end)
) STRICT;
CREATE INDEX chunks_document ON chunks (document_id, space_id);
CREATE INDEX chunks_digest ON chunks (digest);

CREATE TABLE vectors (
  chunk_id INTEGER PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
  vector   BLOB NOT NULL                     -- float16, dim of the space
) STRICT;

CREATE TABLE jobs (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  kind         TEXT NOT NULL,
  argument     TEXT NOT NULL DEFAULT '{}',   -- JSON
  state        TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
  progress     TEXT NOT NULL DEFAULT '{}',   -- JSON
  result       TEXT,                         -- JSON
  error        TEXT,                         -- JSON
  created_at   REAL NOT NULL,
  heartbeat_at REAL NOT NULL
) STRICT;
"""

_V2 = "ALTER TABLE chunks ADD COLUMN context TEXT NOT NULL DEFAULT '';"

_V3 = """
ALTER TABLE documents DROP COLUMN superseded_by;  -- never written; a version that was replaced
CREATE TABLE superseded (                         -- is gone, but a chat may still cite it
  document_id TEXT PRIMARY KEY,
  by          TEXT NOT NULL,                      -- the document that took its path
  path        TEXT NOT NULL,
  at          REAL NOT NULL
) STRICT;

CREATE TABLE sketches (                           -- what rag.storage.near_duplicates compares
  document_id TEXT PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
  sketch      BLOB NOT NULL
) STRICT;
CREATE TABLE alike (                              -- near-duplicates; first < second
  first    TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  second   TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  likeness REAL NOT NULL,
  PRIMARY KEY (first, second)
) STRICT, WITHOUT ROWID;
CREATE INDEX alike_second ON alike (second);
"""

# How the page's text leads back to the file's characters; "" for pages read before this.
_V4 = "ALTER TABLE pages ADD COLUMN recipe TEXT NOT NULL DEFAULT '';"

# no reference to pages: what was recognised outlives a new reading of the same document
_V5 = """
CREATE TABLE ocr_pages (
  document_id TEXT NOT NULL,
  number      INTEGER NOT NULL,
  engine      TEXT NOT NULL,                 -- library, version, resolution
  state       TEXT NOT NULL,                 -- what the page becomes
  reason      TEXT,
  text        TEXT NOT NULL,
  lines       TEXT NOT NULL,                 -- JSON; see rag.types.recognised_text
  PRIMARY KEY (document_id, number)
) STRICT, WITHOUT ROWID;
"""

# What a later version found on a page that is in ocr_pages. It stays here while the document
# shows the older text: until it is committed, or for good if it is no better.
_V6 = """
CREATE TABLE ocr_aside (
  document_id TEXT NOT NULL,
  number      INTEGER NOT NULL,
  engine      TEXT NOT NULL,
  better      INTEGER NOT NULL,
  state       TEXT NOT NULL,
  reason      TEXT,
  text        TEXT NOT NULL,
  lines       TEXT NOT NULL,
  PRIMARY KEY (document_id, number)
) STRICT, WITHOUT ROWID;
"""

# What `rag eval` measured; see rag.storage.evaluations.
_V7 = """
CREATE TABLE evaluations (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  at       REAL NOT NULL,
  name     TEXT NOT NULL,
  source   TEXT NOT NULL,
  settings TEXT NOT NULL,                    -- JSON
  sets     TEXT NOT NULL,                    -- JSON: their names
  body     BLOB NOT NULL                     -- packed JSON: what became of each question
) STRICT;
CREATE INDEX evaluations_source ON evaluations (source);
CREATE TABLE evaluation_questions (          -- made from documents: they go with them
  evaluation_id INTEGER NOT NULL REFERENCES evaluations (id) ON DELETE CASCADE,
  document_id   TEXT NOT NULL,
  question      TEXT NOT NULL                -- JSON, a line of an evaluation set
) STRICT;
CREATE INDEX evaluation_questions_of ON evaluation_questions (evaluation_id);
"""

# Numbered places: clauses, figures and so on; see rag.storage.anchors.
_V9 = """
CREATE TABLE anchored (                      -- a row = the document was looked through
  document_id TEXT PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
  version     INTEGER NOT NULL               -- rag.storage.anchors.VERSION
) STRICT, WITHOUT ROWID;
CREATE TABLE anchors (
  document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  kind        TEXT NOT NULL,
  word        TEXT NOT NULL,                 -- what it is called there; '' for a bare number
  number      TEXT NOT NULL,
  start       INTEGER NOT NULL,
  end         INTEGER NOT NULL CHECK (end > start)
) STRICT;
CREATE INDEX anchors_number ON anchors (kind, number);
CREATE INDEX anchors_document ON anchors (document_id);
"""

MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3, _V4, _V5, _V6, _V7, CHAT_TABLES, _V9)

# Any ASCII punctuation may stand inside a term ("4-bit", "3.2%"); the analyser alone decides
# where terms end, so that passages and questions are cut alike.
_TOKENIZER = r"ascii tokenchars '!#$%&()*+,-./:;<=>?@[\]^_{|}~'"


def fts_table(version_id: int) -> str:
    """Return the name of an index version's full-text table."""
    return f"fts_{int(version_id)}"


def create_fts(connection: sqlite3.Connection, version_id: int) -> None:
    """Create an index version's full-text table: its own, so that statistics never mix."""
    name = fts_table(version_id)
    connection.execute(f'CREATE VIRTUAL TABLE {name} USING fts5(terms, tokenize="{_TOKENIZER}")')
    connection.execute(f"CREATE VIRTUAL TABLE {name}_vocab USING fts5vocab({name}, row)")


def drop_fts(connection: sqlite3.Connection, version_id: int) -> None:
    """Drop an index version's full-text table."""
    name = fts_table(version_id)
    connection.execute(f"DROP TABLE IF EXISTS {name}_vocab")
    connection.execute(f"DROP TABLE IF EXISTS {name}")


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the ledger's file with the pragmas every connection needs.

    Raises:
        StoreError: the file cannot be opened or is no SQLite file.
    """
    mode = _reading_mode(path) if read_only else ""
    try:
        uri = f"{path.absolute().as_uri()}{mode}"
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30
        )
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise store_failure(path, error) from error
    return connection


def _reading_mode(path: Path) -> str:
    """Return how to open a file to read it.

    SQLite notes its readers beside the file. Where nothing can be written, nobody else writes
    either, so the file may be read without.
    """
    wal = path.with_name(f"{path.name}-wal")
    closed = not wal.exists() or wal.stat().st_size == 0
    return "?mode=ro" if writable(path.parent) or not closed else "?immutable=1"


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to this program's version, one transaction a step.

    Another process may do the same at the same time: who comes second finds it done.

    Raises:
        LibraryTooNew: a newer program wrote the file.
        StoreError: it cannot be written.
    """
    while file_version(connection, path) < len(MIGRATIONS):
        try:
            _step(connection, path)
        except sqlite3.Error as error:
            raise store_failure(path, error) from error


def file_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return how many migrations the file has seen.

    Raises:
        LibraryTooNew: a newer program wrote it.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise LibraryTooNew(
            Text(
                f"The library {path} was written by a newer version of RAG Desk.",
                f"资料库 {path} 由更新版本的 RAG Desk 写入。",
            ),
            hint=Text("Update RAG Desk.", "请更新 RAG Desk。"),
        )
    return version


def _step(connection: sqlite3.Connection, path: Path) -> None:
    """Do the next migration, if there still is one once the file is ours to write."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = file_version(connection, path)
        for script in MIGRATIONS[version : version + 1]:
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; each ends with a line.

    ``executescript`` would do, but it ends the transaction that is open.
    """
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip(), "the last statement ends as well"
