"""A batch of the read model: facts are appended, and the head of each return moves forward.

Nothing is loaded and nothing needs a lock: messages of one order come in order within their
topic, and between topics their order does not matter (see evolve).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts import decisions, lifecycle, orders, requests
from contracts.base import Message, write
from contracts.lifecycle import Status
from services.chassis.work import AnyConnection, Received, UnitOfWork

# Of two versions the higher one stays, whichever of topic and PUT brings it first. Rows are
# locked in the order of their keys.
SAVE_ORDERS = """
INSERT INTO orders (order_id, version, customer_id)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])
ON CONFLICT (order_id) DO UPDATE SET
    version = EXCLUDED.version, customer_id = EXCLUDED.customer_id
WHERE orders.version < EXCLUDED.version
"""

# Status and order are those of the highest number, whatever the order of arrival; `changed` only
# grows. Heads are locked in the order of their keys. The first request of a return stays.
SAVE_FACTS = """
WITH heads AS (
    INSERT INTO returns (return_id, order_id, requester_id, status, number, changed,
                         content_sha256)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[],
                         $6::integer[], $7::text[])
    ON CONFLICT (return_id) DO UPDATE SET
        order_id = CASE WHEN EXCLUDED.number > returns.number
            THEN COALESCE(EXCLUDED.order_id, returns.order_id)
            ELSE COALESCE(returns.order_id, EXCLUDED.order_id) END,
        requester_id = CASE WHEN returns.content_sha256 IS NULL
            THEN EXCLUDED.requester_id ELSE returns.requester_id END,
        status = CASE WHEN EXCLUDED.number > returns.number
            THEN EXCLUDED.status ELSE returns.status END,
        number = GREATEST(returns.number, EXCLUDED.number),
        changed = returns.changed + EXCLUDED.changed,
        content_sha256 = COALESCE(returns.content_sha256, EXCLUDED.content_sha256)
    WHERE EXCLUDED.changed > 0 OR returns.content_sha256 IS NULL OR returns.order_id IS NULL
)
INSERT INTO facts (return_id, type, payload)
SELECT * FROM unnest($8::text[], $9::text[], $10::text[])
ON CONFLICT DO NOTHING
"""


@dataclass(kw_only=True, slots=True)
class Head:
    """What lists and filters must see of a return, without its facts."""

    return_id: str
    order_id: str | None = None
    requester_id: str | None = None
    status: Status = Status.REQUESTED
    number: int = 0
    """Of the status change that gave `status`."""
    changed: int = 0
    content_sha256: str | None = None

    def requested(self, request: requests.ReturnRequest) -> None:
        """The first request of an id counts; a later one with other content is ignored."""
        if self.content_sha256 is not None:
            return
        self.content_sha256 = content_sha256(request)
        self.order_id = self.order_id or request.order_id
        self.requester_id = request.requester.customer_id if request.requester else None

    def status_changed(self, change: lifecycle.ReturnStatusChanged) -> None:
        self.changed += 1
        if change.number > self.number:
            self.number, self.status = change.number, change.status
            self.order_id = change.order_id or self.order_id

    def decided(self, decision: decisions.ReturnDecisionMade) -> None:
        self.order_id = self.order_id or decision.order_id


def content_sha256(request: requests.ReturnRequest) -> str:
    """Of what a request asks for; who repeats it may name another time."""
    content = request.model_dump_json(exclude_none=True, exclude={"requested_at"})
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(kw_only=True)
class GatewayWork(UnitOfWork):
    heads: dict[str, Head] = field(default_factory=dict)
    facts: list[tuple[str, Message]] = field(default_factory=list)
    orders: dict[str, orders.OrderSnapshot] = field(default_factory=dict)

    async def keys(
        self, connection: AnyConnection, messages: Sequence[Received]
    ) -> list[tuple[str, ...]]:
        return [()] * len(messages)

    async def load(
        self, connection: AnyConnection, keys: Sequence[str], messages: Sequence[Received]
    ) -> None:
        return

    async def save(self, connection: AnyConnection) -> None:
        if self.orders:
            await connection.execute(SAVE_ORDERS, *_order_columns(self.orders))
        if self.facts:
            await connection.execute(
                SAVE_FACTS,
                *head_columns([self.heads[id_] for id_ in sorted(self.heads)]),
                [return_id for return_id, _ in self.facts],
                [type(fact).__name__ for _, fact in self.facts],
                [write(fact).decode() for _, fact in self.facts],
            )

    def head(self, return_id: str) -> Head:
        return self.heads.setdefault(return_id, Head(return_id=return_id))


def _order_columns(known: dict[str, orders.OrderSnapshot]) -> tuple[list[str] | list[int], ...]:
    found = [known[order_id] for order_id in sorted(known)]
    return (
        [order.order_id for order in found],
        [order.version for order in found],
        [order.buyer.customer_id for order in found],
    )


def head_columns(heads: Sequence[Head]) -> tuple[Sequence[object], ...]:
    """The heads as the first seven arrays of SAVE_FACTS."""
    return (
        [head.return_id for head in heads],
        [head.order_id for head in heads],
        [head.requester_id for head in heads],
        [head.status for head in heads],
        [head.number for head in heads],
        [head.changed for head in heads],
        [head.content_sha256 for head in heads],
    )
