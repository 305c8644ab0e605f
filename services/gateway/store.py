"""What HTTP calls read and write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from contracts.base import Message, write
from contracts.orders import OrderSnapshot
from contracts.requests import ReturnRequest
from services.chassis import outbox
from services.chassis.outbox import OutboxRow
from services.gateway import evolve
from services.gateway.model import View
from services.gateway.work import Head

ACQUIRE_SECONDS_MAX = 5
FACTS_MAX = 2000
"""Of a return with more facts than these, the oldest are not shown."""
KEYS_KEPT = timedelta(days=30)
TYPES: dict[str, type[Message]] = {model.__name__: model for model in evolve.MOVES}

# The row lock of a newer version is held until the outbox row is committed, so that versions
# are published in ascending order. Nothing is published for an older or equal version.
PUT_ORDER = """
WITH stored AS (
    INSERT INTO orders (order_id, version, customer_id) VALUES ($8, $9, $10)
    ON CONFLICT (order_id) DO UPDATE SET
        version = EXCLUDED.version, customer_id = EXCLUDED.customer_id
    WHERE orders.version < EXCLUDED.version
    RETURNING order_id
), outgoing AS (
    INSERT INTO outbox (id, aggregatetype, aggregateid, type, topic, payload, headers)
    SELECT o.* FROM stored, unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                                   $6::bytea[], $7::jsonb[]) AS o
)
SELECT EXISTS (SELECT FROM stored)
"""

# A twin with the same key waits here for the first one's commit and then claims nothing.
# Key, return, fact and outbox rows come into being together or not at all.
ACCEPT_RETURN = """
WITH claimed AS (
    INSERT INTO idempotency_keys (caller, key, body_sha256, return_id)
    VALUES ($8, $9, $10, $11)
    ON CONFLICT DO NOTHING RETURNING return_id
), created AS (
    INSERT INTO returns (return_id, order_id, requester_id, status, content_sha256)
    SELECT return_id, $12, $13, $14, $15 FROM claimed
    ON CONFLICT (return_id) DO NOTHING RETURNING return_id
), first_fact AS (
    INSERT INTO facts (return_id, type, payload)
    SELECT return_id, 'ReturnRequest', $16 FROM created
    ON CONFLICT DO NOTHING
), outgoing AS (
    INSERT INTO outbox (id, aggregatetype, aggregateid, type, topic, payload, headers)
    SELECT o.* FROM created, unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                                    $6::bytea[], $7::jsonb[]) AS o
)
SELECT EXISTS (SELECT FROM claimed) AS claimed, EXISTS (SELECT FROM created) AS created
"""

# Asked in the transaction that claimed nothing or created nothing: the other one has committed.
KNOWN_RETURN = """
SELECT k.body_sha256, k.return_id, r.content_sha256
FROM idempotency_keys k LEFT JOIN returns r USING (return_id) WHERE k.caller = $1 AND k.key = $2
"""

# One snapshot: the head and the facts belong together.
VIEWS = """
SELECT r.return_id, r.first_seen, r.changed, f.type, f.payload
FROM returns r LEFT JOIN LATERAL (
    SELECT seq, type, payload FROM facts WHERE facts.return_id = r.return_id
    ORDER BY seq DESC LIMIT $2
) AS f ON true
WHERE r.return_id = ANY($1::text[])
ORDER BY r.seq DESC, f.seq
"""

# Where the head lags, the return's id is the key: fulfillment finds the return all the same.
ORDER_OF_RETURN = "SELECT order_id FROM returns WHERE return_id = $1"

# `changed` only grows, so a stream that asks again misses nothing.
CHANGED_SINCE = """
SELECT r.return_id FROM returns r
JOIN unnest($1::text[], $2::integer[]) AS seen(return_id, changed) USING (return_id)
WHERE r.changed > seen.changed
"""

# Newest first by a number that a return keeps for ever: returns that come in while somebody
# turns pages appear before the first page and shift nothing.
PAGE = "SELECT seq, return_id FROM returns WHERE {conditions} ORDER BY seq DESC LIMIT {limit}"

# Keys this old are not repeated any more; the return itself still knows its content.
DROP_OLD_KEYS = "DELETE FROM idempotency_keys WHERE created_at < $1"

# A customer's returns are those of their orders; where the order is not known, those that they
# say they asked for.
CONDITIONS = {
    "before": "seq < ${n}",
    "status": "status = ${n}",
    "order_id": "order_id = ${n}",
    "customer_id": """return_id IN (
    SELECT r.return_id FROM orders o JOIN returns r USING (order_id) WHERE o.customer_id = ${n}
    UNION ALL
    SELECT r.return_id FROM returns r WHERE r.requester_id = ${n}
    AND NOT EXISTS (SELECT FROM orders o WHERE o.order_id = r.order_id))""",
}


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What became of a POST: the return, or nothing when the key was used for another body."""

    return_id: str | None
    conflict: str | None = None


class Store:
    """Each call is one transaction."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def put_order(self, order: OrderSnapshot, rows: Sequence[OutboxRow]) -> bool:
        """Whether this version is newer than the known one and will be published."""
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            stored: bool = await connection.fetchval(
                PUT_ORDER,
                *outbox.columns(rows),
                order.order_id,
                order.version,
                order.buyer.customer_id,
            )
        return stored

    async def accept(
        self,
        request: ReturnRequest,
        rows: Sequence[OutboxRow],
        *,
        caller: str,
        key: str,
        body_sha256: str,
    ) -> Accepted:
        """Take a new return in, or find what the same key or the same id stands for."""
        head = Head(return_id=request.return_id)
        head.requested(request)
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                made = await connection.fetchrow(
                    ACCEPT_RETURN,
                    *outbox.columns(rows),
                    caller,
                    key,
                    body_sha256,
                    head.return_id,
                    head.order_id,
                    head.requester_id,
                    head.status,
                    head.content_sha256,
                    write(request).decode(),
                )
                accepted = Accepted(return_id=head.return_id)
                if not made["created"]:
                    known = await connection.fetchrow(KNOWN_RETURN, caller, key)
                    accepted = _same_or_conflict(known, head, body_sha256, made["claimed"])
            except BaseException:
                await transaction.rollback()
                raise
            await (transaction.rollback if accepted.conflict else transaction.commit)()
        return accepted

    async def publish(self, rows: Sequence[OutboxRow]) -> None:
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            await connection.execute(outbox.INSERT, *outbox.columns(rows))

    async def view(self, return_id: str) -> View | None:
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            rows = await connection.fetch(VIEWS, [return_id], FACTS_MAX)
        return _view(rows) if rows else None

    async def order_of(self, return_id: str) -> str | None:
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            found: str | None = await connection.fetchval(ORDER_OF_RETURN, return_id)
        return found

    async def changed_since(self, seen: dict[str, int]) -> list[str]:
        """Which of these returns have had more status changes than the number given."""
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            rows = await connection.fetch(CHANGED_SINCE, list(seen), list(seen.values()))
        return [row["return_id"] for row in rows]

    async def page(self, filters: dict[str, Any], limit: int) -> tuple[list[View], int | None]:
        """Up to `limit` returns, newest first, and where the next page begins, if there is one."""
        conditions, values = ["true"], []
        for name, value in filters.items():
            if value is not None:
                values.append(value)
                conditions.append(CONDITIONS[name].replace("{n}", str(len(values))))
        query = PAGE.format(conditions=" AND ".join(conditions), limit=limit + 1)
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            heads = await connection.fetch(query, *values)
            shown = heads[:limit]
            rows = await connection.fetch(VIEWS, [row["return_id"] for row in shown], FACTS_MAX)
        grouped: dict[str, list[asyncpg.Record]] = {}
        for row in rows:
            grouped.setdefault(row["return_id"], []).append(row)
        more = shown[-1]["seq"] if len(heads) > limit else None
        return [_view(of_one) for of_one in grouped.values()], more

    async def drop_old_keys(self, now: datetime) -> None:
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            await connection.execute(DROP_OLD_KEYS, now - KEYS_KEPT)


def _view(rows: Sequence[asyncpg.Record]) -> View:
    head = rows[0]
    return evolve.folded(
        head["return_id"], _facts(rows), first_seen=head["first_seen"], changed=head["changed"]
    )


def _facts(rows: Iterable[asyncpg.Record]) -> Iterable[Message]:
    for row in rows:
        if row["type"] in TYPES:  # a return may have no facts yet, or one of a later release
            yield TYPES[row["type"]].model_validate_json(row["payload"])


def _same_or_conflict(
    known: asyncpg.Record, head: Head, body_sha256: str, claimed: bool
) -> Accepted:
    if not claimed:
        if known["body_sha256"] == body_sha256:
            return Accepted(return_id=known["return_id"])
        return Accepted(return_id=None, conflict="this Idempotency-Key was used with another body")
    if known["content_sha256"] in (None, head.content_sha256):
        return Accepted(return_id=head.return_id)
    return Accepted(
        return_id=None, conflict="a return with this return_id exists and asks for something else"
    )
