"""The gateway's store: the read model's unit of work, and what HTTP calls read and write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from contracts.orders import OrderSnapshot
from services.chassis import outbox
from services.chassis.outbox import OutboxRow
from services.chassis.work import AnyConnection, IdentityMap, Received, UnitOfWork
from services.gateway import allowed, model
from services.gateway.model import View

ACQUIRE_SECONDS_MAX = 5
KEYS_KEPT = timedelta(days=30)

# The batch holds these returns' locks, so what is read here is what is written over.
LOAD_VIEWS = "SELECT document FROM returns WHERE return_id = ANY($1::text[])"

# Under the return's lock, or right after its POST created the row: nobody else changes it.
SAVE_VIEWS = """
INSERT INTO returns (return_id, order_id, requester_id, status, changed, content_sha256, document)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::text[],
                     $7::jsonb[])
ON CONFLICT (return_id) DO UPDATE SET
    order_id = EXCLUDED.order_id, requester_id = EXCLUDED.requester_id, status = EXCLUDED.status,
    changed = EXCLUDED.changed, content_sha256 = EXCLUDED.content_sha256,
    document = EXCLUDED.document
"""

# A lower version never replaces a higher one, whichever of topic and PUT is first.
SAVE_ORDERS = """
INSERT INTO orders (order_id, version, customer_id)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])
ON CONFLICT (order_id) DO UPDATE SET
    version = EXCLUDED.version, customer_id = EXCLUDED.customer_id
WHERE orders.version < EXCLUDED.version
"""

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
# Key, return and outbox row come into being together or not at all.
ACCEPT_RETURN = """
WITH claimed AS (
    INSERT INTO idempotency_keys (caller, key, body_sha256, return_id)
    VALUES ($8, $9, $10, $11)
    ON CONFLICT DO NOTHING RETURNING return_id
), created AS (
    INSERT INTO returns (return_id, order_id, requester_id, status, content_sha256, document)
    SELECT return_id, $12, $13, $14, $15, $16::jsonb FROM claimed
    ON CONFLICT (return_id) DO NOTHING RETURNING return_id
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

# One row, as the last batch left it.
VIEW = "SELECT document FROM returns WHERE return_id = $1"

# Where the view lags, the return's id is the key: fulfillment finds the return all the same.
ORDER_OF_RETURN = "SELECT order_id FROM returns WHERE return_id = $1"

# `changed` only grows, so a stream that asks again misses nothing.
CHANGED_SINCE = """
SELECT r.return_id FROM returns r
JOIN unnest($1::text[], $2::integer[]) AS seen(return_id, changed) USING (return_id)
WHERE r.changed > seen.changed
"""

# Newest first by a number that a return keeps for ever: returns that come in while somebody
# turns pages appear before the first page and shift nothing.
PAGE = "SELECT seq, document FROM returns WHERE {conditions} ORDER BY seq DESC LIMIT {limit}"

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

# Keys this old are not repeated any more; the return itself still knows its content.
DROP_OLD_KEYS = "DELETE FROM idempotency_keys WHERE created_at < $1"


def _view(document: str) -> View:
    return View.model_validate_json(document)


def _document(view: View) -> str:
    return view.model_dump_json(exclude_none=True)


@dataclass(kw_only=True)
class GatewayWork(UnitOfWork):
    """A batch of the read model. A return is a consistency boundary of its own."""

    views: IdentityMap[View] = field(default_factory=lambda: IdentityMap(lambda v: v.return_id))
    orders: dict[str, OrderSnapshot] = field(default_factory=dict)

    async def keys(
        self, connection: AnyConnection, messages: Sequence[Received]
    ) -> list[tuple[str, ...]]:
        """The return, where a message names one: all that is kept here belongs to it."""
        named = (getattr(message.body, "return_id", None) for message in messages)
        return [(return_id,) if return_id is not None else () for return_id in named]

    async def load(
        self, connection: AnyConnection, keys: Sequence[str], messages: Sequence[Received]
    ) -> None:
        if keys:
            rows = await connection.fetch(LOAD_VIEWS, list(keys))
            self.views.load([_view(row["document"]) for row in rows])

    async def save(self, connection: AnyConnection) -> None:
        if self.orders:
            orders = [self.orders[id_] for id_ in sorted(self.orders)]
            await connection.execute(
                SAVE_ORDERS,
                [order.order_id for order in orders],
                [order.version for order in orders],
                [order.buyer.customer_id for order in orders],
            )
        views = self.views.changed()
        if views:
            await connection.execute(
                SAVE_VIEWS,
                [view.return_id for view in views],
                [view.order_id for view in views],
                [view.requester_id for view in views],
                [allowed.status(view) for view in views],
                [view.changed for view in views],
                [view.content_sha256 for view in views],
                [_document(view) for view in views],
            )

    def view(self, return_id: str, order_id: str | None) -> View:
        """The return as known so far; messages of different topics may overtake its request."""
        known = self.views.get(return_id)
        return known or model.unseen(return_id, order_id=order_id, at=self.message.envelope.time)


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What became of a POST: the return, or nothing when the key was used for another body."""

    return_id: str | None
    conflict: str | None = None


class Store:
    """What HTTP calls read and write. Each call is one transaction."""

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
        self, view: View, rows: Sequence[OutboxRow], *, caller: str, key: str, body_sha256: str
    ) -> Accepted:
        """Take a new return in, or find what the same key or the same id stands for."""
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
                    view.return_id,
                    view.order_id,
                    view.requester_id,
                    allowed.status(view),
                    view.content_sha256,
                    _document(view),
                )
                accepted = Accepted(return_id=view.return_id)
                if not made["created"]:
                    known = await connection.fetchrow(KNOWN_RETURN, caller, key)
                    accepted = _same_or_conflict(known, view, body_sha256, made["claimed"])
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
            document = await connection.fetchval(VIEW, return_id)
        return _view(document) if document is not None else None

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
            rows = await connection.fetch(query, *values)
        shown = rows[:limit]
        more = shown[-1]["seq"] if len(rows) > limit else None
        return [_view(row["document"]) for row in shown], more

    async def drop_old_keys(self, now: datetime) -> None:
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX) as connection:
            await connection.execute(DROP_OLD_KEYS, now - KEYS_KEPT)


def _same_or_conflict(
    known: asyncpg.Record, view: View, body_sha256: str, claimed: bool
) -> Accepted:
    if not claimed:
        if known["body_sha256"] == body_sha256:
            return Accepted(return_id=known["return_id"])
        return Accepted(return_id=None, conflict="this Idempotency-Key was used with another body")
    if known["content_sha256"] in (None, view.content_sha256):
        return Accepted(return_id=view.return_id)
    return Accepted(
        return_id=None, conflict="a return with this return_id exists and asks for something else"
    )
