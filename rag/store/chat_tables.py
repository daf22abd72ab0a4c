"""The tables of kept chats.

What a chat shows stays as it was, also when its documents change or go: nothing here refers
to them.
"""

from __future__ import annotations

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
  answer    TEXT NOT NULL,                   -- JSON; see rag.store.snapshots
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
