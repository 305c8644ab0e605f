"""What is looked at in a service's store after each of its steps: one statement per service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any


@dataclass(kw_only=True)
class Due:
    """What a service's store holds for later."""

    outbox: int = 0
    effects: int = 0
    attempts: int = 0
    parked: int = 0
    effect: datetime | None = None
    deadline: datetime | None = None


DUE = """
SELECT (SELECT count(*) FROM outbox) AS outbox, e.effects, e.attempts, e.effect, p.parked,
    least((SELECT min(due_at) FROM deadlines), p.until) AS deadline
FROM (SELECT count(*) AS effects, coalesce(max(attempts), 0) AS attempts, min(due_at) AS effect
      FROM effects) AS e, (SELECT count(*) AS parked, min(until) AS until FROM parked) AS p
"""
RETURNS = """
SELECT r.return_id, r.state, r.status, r.waiting_on, r.until,
    (r.document -> 'shown' ->> 'number')::int AS number,
    EXISTS (SELECT FROM deadlines d WHERE d.subject = r.return_id AND d.name = 'wait') AS watched
FROM returns r
"""
UNITS = "SELECT return_id, line_id, ordinal, state FROM units"
# Whether anything of the money has changed since the last look.
MONEY_VERSION = """
SELECT (SELECT max(seq) FROM ledger) AS ledger, (SELECT max(seq) FROM refund_moves) AS moves,
    (SELECT count(*) FROM submissions) AS submissions
"""
STORED = "SELECT count(*) AS stored FROM promised"
# What is due stands beside every row, so that one answer has both.
LOOKS = {
    service: f"SELECT * FROM ({DUE}) AS due LEFT JOIN ({rows}) AS rows ON true"
    for service, rows in {
        "commerce": RETURNS,
        "fulfillment": UNITS,
        "payment": MONEY_VERSION,
        "gateway": STORED,
    }.items()
}
NAMES = tuple(each.name for each in fields(Due))
# By which a service's rows are told from the row that there is where it has none.
KEY = {"commerce": "return_id", "fulfillment": "return_id", "payment": None, "gateway": None}


async def look(checker: Any, service: str) -> tuple[Due, Sequence[Any]]:
    """What is due in a store, and the rows by which it is checked."""
    rows = await checker.fetch(LOOKS[service])
    due = Due(**{name: rows[0][name] for name in NAMES})
    key = KEY[service]
    return due, [row for row in rows if key is None or row[key] is not None]
