"""What the store knows of the customers of a batch: past returns, orders, linked accounts, and how
people decided cases before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from contracts.decisions import EscalationReason
from contracts.orders import OrderSnapshot
from contracts.requests import Reason
from services.chassis.work import AnyConnection
from services.commerce import links
from services.commerce.judgement import History, OrdersOfTheYear, PastReturn, Precedent
from services.commerce.model import HISTORY_AGE_MAX, Return

RETURNS_OF_CUSTOMER_MAX = 200
VERDICTS_LOOKED_AT_MAX = 10
PRECEDENTS_SHOWN_MAX = 3
REASONS = sorted(set(EscalationReason) - {EscalationReason.UNKNOWN})

# Other orders of these customers may change at the same time: history is read as it stands. What
# very many accounts share is not counted to its end.
LOAD_HISTORY = """
WITH asked AS MATERIALIZED (
    SELECT customer_id, fingerprints FROM orders WHERE order_id = ANY($1::text[])
), customers AS MATERIALIZED (SELECT DISTINCT customer_id FROM asked)
SELECT 'orders' AS kind, o.customer_id, NULL AS return_id, NULL AS order_id,
    NULL::timestamptz AS at, NULL::text[] AS skus, o.currency, sum(o.value)::bigint AS value,
    NULL AS status, NULL AS reason, false AS abuse, count(*)::int AS orders,
    sum(o.disputes_counted)::int AS disputes, sum(o.not_received)::int AS not_received,
    0::bigint AS paid
FROM customers JOIN orders o USING (customer_id) WHERE o.placed_at >= $2
GROUP BY o.customer_id, o.currency
UNION ALL
SELECT 'return', c.customer_id, r.return_id, r.order_id, r.requested_at, r.skus, r.currency,
    r.value, r.status, r.reason, r.abuse, 0, 0, 0, 0
FROM customers c CROSS JOIN LATERAL (
    SELECT * FROM returns WHERE returns.customer_id = c.customer_id
        AND returns.requested_at >= $2 AND NOT returns.test
    ORDER BY returns.requested_at DESC LIMIT $3
) r
UNION ALL
SELECT 'link', c.customer_id, c.fingerprint, l.customer_id, NULL, NULL, NULL, 0, NULL, NULL,
    false, 0, 0, 0, 0
FROM (SELECT DISTINCT customer_id, unnest(fingerprints) AS fingerprint FROM asked) c
CROSS JOIN LATERAL (
    SELECT customer_id FROM links WHERE links.fingerprint = c.fingerprint
        AND links.customer_id <> c.customer_id LIMIT $4
) l
UNION ALL
SELECT 'verdict', asked.because, v.return_id, NULL, v.decided_at, v.skus, v.currency,
    v.calculated, v.decided, v.reason, false, 0, 0, 0, v.paid
FROM unnest($5::text[]) AS asked (because) CROSS JOIN LATERAL (
    SELECT * FROM verdicts WHERE asked_because = asked.because
    ORDER BY decided_at DESC LIMIT $6
) v
"""

# An account is linked once, whatever it orders; rows in one order, so that no two batches wait for
# each other in a circle.
SAVE_LINKS = """
INSERT INTO links (fingerprint, customer_id)
SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) ORDER BY 1, 2
ON CONFLICT DO NOTHING
"""

# Written once, in the transaction of the decision itself.
INSERT_VERDICTS = """
INSERT INTO verdicts (return_id, sequence, asked_because, decided, reason, skus, calculated,
    paid, currency, decided_at)
SELECT return_id, sequence, because, decided, reason, string_to_array(skus, chr(31)), calculated,
    paid, currency, decided_at
FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::bigint[], $8::bigint[], $9::text[], $10::timestamptz[])
    AS new (return_id, sequence, because, decided, reason, skus, calculated, paid, currency,
    decided_at)
ON CONFLICT DO NOTHING
"""


@dataclass(kw_only=True)
class Past:
    """The rows of LOAD_HISTORY, by customer and by what they are."""

    by_customer: dict[str, list[Any]] = field(default_factory=dict)
    verdicts: dict[str, list[Any]] = field(default_factory=dict)

    def history(
        self, current: Return, order: OrderSnapshot, changed: Iterable[Return], value: int
    ) -> History:
        """The customer's last twelve months. `changed`: their returns as this batch has left them;
        `value`: of this order in minor units, where the store does not have it yet."""
        found = self.by_customer.get(order.buyer.customer_id, [])
        returns = list(_of("return", found))
        past = {row["return_id"]: past_return(row, order.currency) for row in returns}
        past |= {each.return_id: past_of(each) for each in changed if not each.test}
        past.pop(current.return_id, None)
        abuse = {row["return_id"] for row in returns if row["abuse"]}
        orders = list(_of("orders", found))
        return History(
            returns=tuple(sorted(past.values(), key=lambda each: each.requested_at)),
            orders=OrdersOfTheYear(
                count=max(sum(row["orders"] for row in orders), 1),
                value=sum(row["value"] for row in orders if row["currency"] == order.currency)
                or value,
            ),
            confirmed_abuse=len(abuse - {current.return_id}),
            disputes=sum(row["disputes"] for row in orders),
            not_received_claims=sum(row["not_received"] for row in orders),
            linked_accounts=links.others(
                (row["return_id"], row["order_id"]) for row in _of("link", found)
            ),
            weight_deviation_bps=current.weight_deviation_bps,
        )

    def precedents(self, current: Return, reason: EscalationReason) -> tuple[Precedent, ...]:
        """How people decided the cases that are most like this one: the likest, newest first."""
        found = [
            _precedent(row, current)
            for row in self.verdicts.get(str(reason), [])
            if row["return_id"] != current.return_id
        ]
        found.sort(key=lambda each: (len(each.alike), each.decided_at), reverse=True)
        return tuple(found[:PRECEDENTS_SHOWN_MAX])


async def load(connection: AnyConnection, keys: Sequence[str], now: datetime) -> Past:
    """What is known of the customers of these orders: one round trip for all."""
    past = Past()
    rows = await connection.fetch(
        LOAD_HISTORY,
        keys,
        now - HISTORY_AGE_MAX,
        RETURNS_OF_CUSTOMER_MAX,
        links.SHARED_BY_MAX + 1,
        REASONS,
        VERDICTS_LOOKED_AT_MAX,
    )
    for row in rows:
        kept = past.verdicts if row["kind"] == "verdict" else past.by_customer
        kept.setdefault(row["customer_id"], []).append(row)
    return past


def _of(kind: str, rows: Iterable[Any]) -> Iterator[Any]:
    return (row for row in rows if row["kind"] == kind)


def past_of(current: Return) -> PastReturn:
    return PastReturn(
        requested_at=current.requested_at,
        order_id=current.order_id,
        skus=current.skus,
        value=current.value,
        status=str(current.shown.status) if current.shown is not None else str(current.state),
        reason=Reason(current.reason),
    )


def past_return(row: Any, currency: str) -> PastReturn:
    """Amounts in another currency than the order's say nothing about its value."""
    return PastReturn(
        requested_at=row["at"],
        order_id=row["order_id"],
        skus=tuple(row["skus"]),
        value=row["value"] if row["currency"] in (None, currency) else 0,
        status=row["status"],
        reason=Reason(row["reason"]),
    )


def _precedent(row: Any, current: Return) -> Precedent:
    alike = ["the same question"]
    if set(row["skus"]) & set(current.skus):
        alike.append("the same product")
    if row["reason"] == current.reason:
        alike.append("the same reason")
    return Precedent(
        return_id=row["return_id"],
        decided=row["status"],
        reason=Reason(row["reason"]),
        skus=tuple(row["skus"]),
        calculated=row["value"],
        paid=row["paid"],
        currency=row["currency"],
        decided_at=row["at"],
        alike=tuple(alike),
    )


def verdict_row(current: Return) -> tuple[Any, ...]:
    verdict = current.verdict
    assert verdict is not None
    return (
        current.return_id,
        verdict.sequence,
        str(verdict.asked_because),
        str(verdict.decided),
        current.reason,
        "\x1f".join(current.skus),
        verdict.calculated,
        verdict.paid,
        verdict.currency,
        verdict.decided_at,
    )
