"""The proof of a refund: release, intent, keys, submissions, the processor's object, settlement.

Each link carries the hash of its content and of the link before it: whoever keeps the last hash
can show later that nothing of the chain was changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from contracts.base import Part
from services.payment.audit import store
from services.payment.audit.reconcile import payment_of
from services.payment.processors.breaker import CircuitOpen
from services.payment.processors.choice import Processors
from services.payment.processors.port import ProcessorError


class Link(Part):
    step: str
    at: datetime | None = None
    content: dict[str, Any]
    sha256: str


class Proof(Part):
    refund_id: str
    return_id: str
    order_id: str
    state: str
    links: tuple[Link, ...]


async def prove(pool: Any, processors: Processors, refund_id: str) -> Proof | None:
    """The chain of one refund; None where there is no such refund."""
    intent = await pool.fetchrow(store.INTENT, refund_id)
    if intent is None:
        return None
    moves = await pool.fetch(store.MOVES, refund_id)
    steps: list[tuple[str, Any]] = [("release", intent)]
    steps += [("state", row) for row in moves]
    steps += [("submission", row) for row in await pool.fetch(store.SUBMISSIONS, refund_id)]
    steps += [("ledger", row) for row in await pool.fetch(store.LEDGER, refund_id)]
    steps += [("credit_note", row) for row in await pool.fetch(store.NOTES, refund_id)]
    steps += [("store_credit", row) for row in await pool.fetch(store.CREDITS, refund_id)]
    steps.sort(key=lambda step: (step[1]["at"], step[0] != "release"))
    plain = [(name, row["at"], _plain(dict(row))) for name, row in steps]
    plain.append(("processor", None, await _at_the_processor(pool, processors, intent, moves)))
    return Proof(
        refund_id=refund_id,
        return_id=intent["return_id"],
        order_id=intent["order_id"],
        state=moves[-1]["state"],
        links=tuple(chain(plain)),
    )


def chain(steps: Iterable[tuple[str, datetime | None, dict[str, Any]]]) -> Iterable[Link]:
    """Each link's hash covers its content and the hash before it."""
    before = ""
    for name, at, content in steps:
        text = json.dumps(
            {"step": name, "content": content, "before": before}, sort_keys=True, default=str
        )
        before = hashlib.sha256(text.encode()).hexdigest()
        yield Link(step=name, at=at, content=content, sha256=before)


async def _at_the_processor(
    pool: Any, processors: Processors, intent: Any, moves: Any
) -> dict[str, Any]:
    """What the processor says now, or why it says nothing."""
    payments = json.loads(await pool.fetchval(store.PAYMENT, intent["order_id"]) or "[]")
    payment = payment_of(payments, intent["payment_id"])
    if intent["method"] != "original_payment_method" or payment is None:
        return {"says": "not concerned: this was not paid through a processor"}
    reference = next(
        (row["processor_reference"] for row in reversed(moves) if row["processor_reference"]), None
    )
    try:
        processor = processors.of(payment, test=intent["test"])
        seen = await processor.find(payment, intent["refund_id"], reference)
    except (ProcessorError, CircuitOpen) as error:
        return {"says": f"no answer: {error}"}
    if seen is None:
        return {"says": "nothing with this refund's id"}
    return {"processor": processor.name, **seen.model_dump(mode="json", exclude_none=True)}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if value is not None and name != "seq"
    }
