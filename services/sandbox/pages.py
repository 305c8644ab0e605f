"""The tables of the outside world, read and written through one connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Json = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, parent TEXT, seq INTEGER NOT NULL,
    created INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_of_parent ON objects (kind, parent, seq);
CREATE UNIQUE INDEX IF NOT EXISTS objects_in_order ON objects (kind, seq);
CREATE TABLE IF NOT EXISTS book (seq INTEGER PRIMARY KEY, entry TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, subject TEXT NOT NULL, due REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_due ON events (due, seq);
CREATE TABLE IF NOT EXISTS later (
    what TEXT NOT NULL, subject TEXT NOT NULL, due REAL NOT NULL, PRIMARY KEY (what, subject)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS later_due ON later (due);
CREATE TABLE IF NOT EXISTS tries (subject TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
"""

# Pages of a list, newest first; the one after a place, or the one right before it.
OLDER = """
SELECT document FROM objects
 WHERE kind = :kind AND (:parent IS NULL OR parent = :parent) AND (:place IS NULL OR seq < :place)
   AND created BETWEEN :earliest AND :latest
 ORDER BY seq DESC LIMIT :limit
"""
NEWER = """
SELECT document FROM objects
 WHERE kind = :kind AND (:parent IS NULL OR parent = :parent) AND seq > :place
   AND created BETWEEN :earliest AND :latest
 ORDER BY seq LIMIT :limit
"""


class Pages:
    """Writing methods are for work that a `Book` does; reading ones for everybody."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What is written inside is undone when it raises."""
        self._database.execute("SAVEPOINT inner")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK TO inner")
            raise
        finally:
            self._database.execute("RELEASE inner")

    def put(self, kind: str, id_: str, document: Json, *, parent: str | None = None) -> None:
        """Create or replace an object; its place in lists stays that of its creation."""
        self._database.execute(
            "INSERT INTO objects (kind, id, parent, seq, created, document) VALUES"
            " (?1, ?2, ?3, (SELECT coalesce(max(seq), 0) + 1 FROM objects WHERE kind = ?1), ?4, ?5)"
            " ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document",
            (kind, id_, parent, document.get("created", 0), json.dumps(document)),
        )

    def get(self, kind: str, id_: str) -> Json | None:
        row = self._database.execute(
            "SELECT document FROM objects WHERE kind = ? AND id = ?", (kind, id_)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def place(self, kind: str, id_: str) -> int | None:
        """Where the object stands in lists of its kind."""
        row = self._database.execute(
            "SELECT seq FROM objects WHERE kind = ? AND id = ?", (kind, id_)
        ).fetchone()
        return int(row[0]) if row else None

    def delete(self, kind: str, id_: str) -> None:
        self._database.execute("DELETE FROM objects WHERE kind = ? AND id = ?", (kind, id_))

    def of(self, kind: str, parent: str) -> list[Json]:
        """All objects of a kind that belong to a parent, newest first."""
        rows = self._database.execute(
            "SELECT document FROM objects WHERE kind = ? AND parent = ? ORDER BY seq DESC",
            (kind, parent),
        )
        return [json.loads(row[0]) for row in rows]

    def older(self, **where: Any) -> list[Json]:
        """A page of a list (see OLDER): at most `limit` objects, newest first."""
        return [json.loads(row[0]) for row in self._database.execute(OLDER, where)]

    def newer(self, **where: Any) -> list[Json]:
        """The page before a place (see NEWER), oldest first."""
        return [json.loads(row[0]) for row in self._database.execute(NEWER, where)]

    def enter(self, entry: Json) -> None:
        """Write a movement of money down; it is never changed."""
        self._database.execute("INSERT INTO book (entry) VALUES (?)", (json.dumps(entry),))

    def entries(self) -> str:
        """Every movement of money in order, as a JSON array: read often, and long."""
        rows = self._database.execute("SELECT entry FROM book ORDER BY seq")
        return f"[{','.join(row[0] for row in rows)}]"

    def answer(self, key: str) -> tuple[str, int, Json] | None:
        """(request, status, body) of the first call with this idempotency key."""
        row = self._database.execute(
            "SELECT request, status, body FROM answers WHERE key = ?", (key,)
        ).fetchone()
        return (row[0], row[1], json.loads(row[2])) if row else None

    def keep_answer(self, key: str, request: str, status: int, body: Json) -> None:
        self._database.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?)", (key, request, status, json.dumps(body))
        )

    def count(self, subject: str) -> int:
        """How often this was called for `subject`, with this call: 1, 2, …"""
        row = self._database.execute(
            "INSERT INTO tries VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1"
            " RETURNING count",
            (subject,),
        ).fetchone()
        return int(row[0])

    def post_event(self, event: Json, *, subject: str, due: float) -> None:
        """Have an event sent; events of one subject are sent in this order."""
        self._database.execute(
            "INSERT INTO events (subject, due, body) VALUES (?, ?, ?)",
            (subject, due, json.dumps(event)),
        )

    def due_events(self, now: float, limit: int) -> list[tuple[int, str, int, str]]:
        """(seq, subject, tries, body) of what is to be sent, oldest first."""
        rows = self._database.execute(
            "SELECT seq, subject, tries, body FROM events WHERE due <= ? ORDER BY due, seq LIMIT ?",
            (now, limit),
        )
        return list(rows)

    def events_arrived(self, arrived: Iterable[int]) -> None:
        self._database.executemany("DELETE FROM events WHERE seq = ?", [(seq,) for seq in arrived])

    def events_again(self, again: Iterable[tuple[int, float]]) -> None:
        """(seq, due) of what did not arrive."""
        self._database.executemany(
            "UPDATE events SET due = ?2, tries = tries + 1 WHERE seq = ?1", again
        )

    def remind(self, what: str, subject: str, due: float) -> None:
        """Do `what` with `subject` at `due`, also after a restart."""
        self._database.execute(
            "INSERT OR REPLACE INTO later VALUES (?, ?, ?)", (what, subject, due)
        )

    def take_reminders(self, now: float) -> list[tuple[str, str]]:
        rows = self._database.execute(
            "DELETE FROM later WHERE due <= ? RETURNING what, subject", (now,)
        )
        return list(rows)

    def next_reminder(self) -> float | None:
        row = self._database.execute("SELECT min(due) FROM later").fetchone()
        return row[0] if row else None

    def next_event(self, after: float) -> float | None:
        row = self._database.execute(
            "SELECT min(due) FROM events WHERE due > ?", (after,)
        ).fetchone()
        return row[0] if row else None
