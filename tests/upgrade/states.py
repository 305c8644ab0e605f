"""What a service has come to: the columns that mean the same to every version of it."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

STATES = {
    "commerce": {
        "returns": "return_id, order_id, state, status, waiting_on, approved, released, currency,"
        " document->'exchange'->>'state' AS replacement FROM returns",
        "decisions": "return_id, sequence, outcome FROM decisions",
        "reversals": "return_id, made->'amount' AS amount, made->'settled' AS settled"
        " FROM returns, jsonb_array_elements(document->'reversals') AS made",
    },
    "fulfillment": {
        "returns": "return_id, order_id, standing FROM returns",
        "units": "return_id, line_id, ordinal, sku, state, grade, paid FROM units",
        "parcels": "tracking_number, return_id FROM parcels",
        "replacements": "return_id, sent->'sku' AS sku, sent->'state' AS state"
        " FROM returns, jsonb_array_elements(document->'replacements') AS sent",
    },
    "payment": {
        "payment_balances": "order_id, payment_id, currency, captured, reserved, pending, settled,"
        " unknown, disputed FROM payment_balances",
        "account_balances": "book, holder, unit, balance FROM account_balances",
        "refund_intents": "refund_id, return_id, method, payment_id, amount, currency"
        " FROM refund_intents",
        "credit_notes": "number, refund_id, rate_bps, net, tax FROM credit_notes",
        "store_credits": "credit_id, customer_id, amount, currency FROM store_credits",
        "refund_moves": "DISTINCT ON (refund_id) refund_id, state, attempt FROM refund_moves"
        " ORDER BY refund_id, seq DESC",
        "disputes": "order_id, value->'state' AS state, value->'amount' AS amount"
        " FROM order_money, jsonb_each(document->'disputes')",
        "reversals": "order_id, value->'return_id' AS return_id, value->'amount' AS amount,"
        " value->'state' AS state, value->'method' AS method"
        " FROM order_money, jsonb_each(document->'reversals')",
    },
    "gateway": {
        "orders": "order_id, version FROM orders",
        "returns": "return_id, order_id, status, number FROM returns",
    },
}
"""What of a document is compared has its name for good: a field renamed later is read by both."""
QUERY = "SELECT coalesce(jsonb_agg(found ORDER BY found::text), '[]') FROM (SELECT {}) AS found"


async def of(service: str, pool: Any) -> dict[str, Any]:
    """What it holds -> its rows, in an order that does not depend on how they came about."""
    return {
        name: json.loads(await pool.fetchval(QUERY.format(rows)))
        for name, rows in STATES[service].items()
    }


# Whole tables, for a store that goes on at this point under a later version.
TABLES = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
AND relname NOT IN ('alembic_version', 'chassis_version')
ORDER BY relname
"""
ROWS = "SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM {} AS t"
REVISION = "SELECT version_num FROM alembic_version"
CHASSIS = "SELECT version_num FROM chassis_version"


async def dump(owner_url: str) -> dict[str, Any]:
    """{revision, chassis, tables: {name: rows}}, all of it; only the owner may read all of it."""
    connection = await asyncpg.connect(owner_url)
    try:
        names = [row["relname"] for row in await connection.fetch(TABLES)]
        rows = {name: json.loads(await connection.fetchval(ROWS.format(name))) for name in names}
        return {
            "revision": await connection.fetchval(REVISION),
            "chassis": await connection.fetchval(CHASSIS),
            "tables": {name: found for name, found in rows.items() if found},
        }
    finally:
        await connection.close()
