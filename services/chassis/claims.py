"""The right to handle a message, taken inside the transaction that handles it.

A record is claimed by inserting its inbox row; an outcome, a deadline or a redrive by deleting or
marking the row that it came from. Whoever comes second finds nothing, and drops the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.chassis.records import Item
from services.chassis.work import AnyConnection

# A twin in another transaction waits here until this one has ended; sorted, so that two batches
# with the same records do not wait for each other.
INBOX = """
INSERT INTO inbox (event_id, processed_at)
SELECT event_id, $2::timestamptz FROM unnest($1::uuid[]) AS new (event_id) ORDER BY event_id
ON CONFLICT DO NOTHING RETURNING event_id
"""
# The token is the lease's: an executor whose lease ran out finds nothing.
EFFECTS = """
DELETE FROM effects USING unnest($1::text[], $2::uuid[]) AS done (id, token)
WHERE effects.id = done.id AND effects.lease_token = done.token RETURNING effects.id, token
"""
# A deadline that was moved or cancelled meanwhile has another generation, or is gone.
DEADLINES = """
DELETE FROM deadlines USING unnest($1::text[], $2::text[], $3::uuid[])
    AS fired (name, subject, generation)
WHERE deadlines.name = fired.name AND deadlines.subject = fired.subject
  AND deadlines.generation = fired.generation
RETURNING deadlines.name, deadlines.subject, deadlines.generation
"""
QUARANTINE = """
UPDATE quarantine SET redriven_at = $2, redrive_requested_at = NULL
WHERE id = ANY($1::bigint[]) AND redrive_requested_at IS NOT NULL RETURNING id
"""
STATEMENTS = {
    "inbox": (INBOX, True),
    "effects": (EFFECTS, False),
    "deadlines": (DEADLINES, False),
    "quarantine": (QUARANTINE, True),
}
"""Table -> its statement, and whether that one needs to know what time it is."""


async def admit(connection: AnyConnection, items: Sequence[Item], now: datetime) -> list[Item]:
    """The items that this transaction may handle, in their order, each once.

    One statement, for a batch comes from one place. Parked messages and messages over HTTP have
    no claim here.
    """
    claimed: dict[str, set[tuple[Any, ...]]] = {}
    for table, (statement, dated) in STATEMENTS.items():
        keys = [item.claim.key for item in items if item.claim and item.claim.table == table]
        if not keys:
            continue
        columns = [list(column) for column in zip(*keys, strict=True)]
        rows = await connection.fetch(statement, *columns, *([now] if dated else []))
        claimed[table] = {tuple(row) for row in rows}
    return [item for item in items if _granted(item, claimed)]


def _granted(item: Item, claimed: dict[str, set[tuple[Any, ...]]]) -> bool:
    if item.claim is None or item.claim.table not in STATEMENTS:
        return True
    rows = claimed[item.claim.table]
    # Taken out, so that a second copy in the same batch is dropped.
    if item.claim.key not in rows:
        return False
    rows.remove(item.claim.key)
    return True
