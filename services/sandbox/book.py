"""What the outside world remembers, in a file that survives `kill -9`.

Objects are JSON documents by kind and id; the book of money is append-only.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, parent TEXT, seq INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX IF NOT EXISTS objects_of_parent ON objects (kind, parent, seq);
CREATE INDEX IF NOT EXISTS objects_in_order ON objects (kind, seq);
CREATE TABLE IF NOT EXISTS book (seq INTEGER PRIMARY KEY, entry TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, due REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS later (
    id TEXT PRIMARY KEY, due REAL NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS tries (subject TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""


class Book:
    """One SQLite file in WAL mode: a commit is on its way to disk before anybody is answered."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(SCHEMA)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is written inside."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def put(self, kind: str, id_: str, document: Json, *, parent: str | None = None) -> None:
        """Create or replace an object; its place in lists stays that of its creation."""
        self._database.execute(
            "INSERT INTO objects (kind, id, parent, seq, document) VALUES"
            " (?, ?, ?, (SELECT coalesce(max(seq), 0) + 1 FROM objects WHERE kind = ?), ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document",
            (kind, id_, parent, kind, json.dumps(document)),
        )

    def get(self, kind: str, id_: str) -> Json | None:
        row = self._database.execute(
            "SELECT document FROM objects WHERE kind = ? AND id = ?", (kind, id_)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def delete(self, kind: str, id_: str) -> None:
        self._database.execute("DELETE FROM objects WHERE kind = ? AND id = ?", (kind, id_))

    def of(self, kind: str, parent: str | None = None) -> list[Json]:
        """All objects of a kind (of a parent), newest first."""
        rows = self._database.execute(
            "SELECT document FROM objects WHERE kind = ?1 AND (?2 IS NULL OR parent = ?2)"
            " ORDER BY seq DESC",
            (kind, parent),
        )
        return [json.loads(row[0]) for row in rows]

    def enter(self, entry: Json) -> None:
        """Write a movement of money down; it is never changed."""
        self._database.execute("INSERT INTO book (entry) VALUES (?)", (json.dumps(entry),))

    def entries(self) -> list[Json]:
        rows = self._database.execute("SELECT entry FROM book ORDER BY seq")
        return [json.loads(row[0]) for row in rows]

    def answer(self, key: str) -> tuple[str, int, Json] | None:
        """(request, status, body) of the first call with this idempotency key."""
        row = self._database.execute(
            "SELECT request, status, body FROM answers WHERE key = ?", (key,)
        ).fetchone()
        return (row[0], row[1], json.loads(row[2])) if row else None

    def keep_answer(self, key: str, request: str, status: int, body: Json) -> None:
        self._database.execute(
            "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)",
            (key, request, status, json.dumps(body)),
        )

    def count(self, subject: str) -> int:
        """How often this was called for `subject`, with this call: 1, 2, …"""
        row = self._database.execute(
            "INSERT INTO tries VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1"
            " RETURNING count",
            (subject,),
        ).fetchone()
        return int(row[0])

    def post_event(self, event: Json, due: float) -> None:
        self._database.execute(
            "INSERT INTO events (id, due, body) VALUES (?, ?, ?)",
            (f"{event['id']}:{self.count('event')}", due, json.dumps(event)),
        )

    def due_events(self, now: float, limit: int) -> list[tuple[str, int, Json]]:
        rows = self._database.execute(
            "SELECT id, tries, body FROM events WHERE due <= ? ORDER BY due, id LIMIT ?",
            (now, limit),
        )
        return [(row[0], row[1], json.loads(row[2])) for row in rows]

    def event_done(self, id_: str) -> None:
        self._database.execute("DELETE FROM events WHERE id = ?", (id_,))

    def event_again(self, id_: str, due: float) -> None:
        self._database.execute(
            "UPDATE events SET due = ?, tries = tries + 1 WHERE id = ?", (due, id_)
        )

    def remind(self, what: str, subject: str, due: float) -> None:
        """Do `what` with `subject` at `due`, also after a restart."""
        self._database.execute(
            "INSERT OR REPLACE INTO later VALUES (?, ?, ?, ?)",
            (f"{what}:{subject}", due, what, subject),
        )

    def due_reminders(self, now: float) -> list[tuple[str, str]]:
        rows = self._database.execute(
            "DELETE FROM later WHERE due <= ? RETURNING what, subject", (now,)
        )
        return [(row[0], row[1]) for row in rows]
