"""What a service has come to: the columns that mean the same to every version of it."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

STATES = {
    "commerce": {
        "returns": "return_id, order_id, state, status, waiting_on, approved, released, currency",
        "decisions": "return_id, sequence, outcome",
    },
    "fulfillment": {
        "returns": "return_id, order_id, standing",
        "units": "return_id, line_id, ordinal, sku, state, grade, paid",
        "parcels": "tracking_number, return_id",
    },
    "payment": {
        "payment_balances": "order_id, payment_id, currency, captured, reserved, pending, settled,"
        " unknown, disputed",
        "account_balances": "book, holder, unit, balance",
        "refund_intents": "refund_id, return_id, method, payment_id, amount, currency",
        "credit_notes": "number, refund_id, rate_bps, net, tax",
        "store_credits": "credit_id, customer_id, amount, currency",
    },
    "gateway": {
        "orders": "order_id, version",
        "returns": "return_id, order_id, status, number",
    },
}
QUERY = "SELECT coalesce(jsonb_agg(found ORDER BY found::text), '[]') FROM (SELECT {}) AS found"
LAST_MOVES = """
SELECT coalesce(jsonb_agg(found ORDER BY found::text), '[]') FROM (
    SELECT DISTINCT ON (refund_id) refund_id, state, attempt FROM refund_moves
    ORDER BY refund_id, seq DESC
) AS found
"""


async def of(service: str, pool: Any) -> dict[str, Any]:
    """Table -> its rows, in an order that does not depend on how they came about."""
    found = {
        table: json.loads(await pool.fetchval(QUERY.format(f"{columns} FROM {table}")))
        for table, columns in STATES[service].items()
    }
    if service == "payment":
        found["refund_moves"] = json.loads(await pool.fetchval(LAST_MOVES))
    return found


# Whole tables, for a store that goes on at this point under a later version.
TABLES = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
ORDER BY relname
"""
ROWS = "SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM {} AS t"
REVISION = "SELECT version_num FROM alembic_version"


async def dump(owner_url: str) -> dict[str, Any]:
    """{revision, tables: {name: rows}}, all of it; only the owner may read all of it."""
    connection = await asyncpg.connect(owner_url)
    try:
        names = [row["relname"] for row in await connection.fetch(TABLES)]
        rows = {name: json.loads(await connection.fetchval(ROWS.format(name))) for name in names}
        return {
            "revision": await connection.fetchval(REVISION),
            "tables": {name: found for name, found in rows.items() if found},
        }
    finally:
        await connection.close()
