"""Asks the three services' stores what they hold about a return, as an auditor would."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from services.ops.demo.scenarios import Scenario
from services.ops.demo.verify import Check

# Each statement reads one committed row set of one store; nothing is locked.
STATUS = "SELECT status, released FROM returns WHERE return_id = $1"
GOODS = "SELECT DISTINCT state FROM units WHERE return_id = $1 ORDER BY state"
REFUNDED = """
SELECT coalesce(sum(amount), 0)::bigint FROM refund_intents AS intent WHERE return_id = $1 AND (
    SELECT state FROM refund_moves WHERE refund_id = intent.refund_id ORDER BY seq DESC LIMIT 1
) = 'settled'
"""


async def checks(scenario: Scenario, return_id: str, databases: Mapping[str, str]) -> list[Check]:
    """What commerce, fulfillment and payment have stored, beside what must be there."""
    held = await _read(databases["commerce"], STATUS, return_id)
    goods = await _read(databases["fulfillment"], GOODS, return_id)
    [refunded] = await _read(databases["payment"], REFUNDED, return_id)
    found = [
        Check(
            what="commerce's store: status",
            expected=[scenario.ends],
            found=[row["status"] for row in held],
        ),
        Check(
            what="commerce's store: released",
            expected=scenario.moved,
            found=sum(row["released"] for row in held),
        ),
        Check(what="payment's store: settled", expected=scenario.moved, found=refunded["coalesce"]),
    ]
    if scenario.moved:
        found.append(
            Check(
                what="fulfillment's store: goods",
                expected=["restocked"],
                found=[row["state"] for row in goods],
            )
        )
    return found


async def _read(url: str, statement: str, return_id: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement, return_id))
    finally:
        await connection.close()
