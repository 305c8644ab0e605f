"""The internal HTTP face: quotes, and why a return was decided as it was."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from fastapi import FastAPI, Response

from contracts.base import Identifier, write
from contracts.decisions import Effect, RefundBreakdown, ReturnDecisionMade
from contracts.quotes import Quote
from contracts.requests import QuoteRequest, ReturnRequest
from services.chassis import ids
from services.chassis.http import Problem
from services.chassis.keys import ApiKeys
from services.chassis.runtime import Runtime
from services.commerce import judgement, messages, store
from services.commerce.decide.draft import Draft
from services.commerce.model import Return
from services.commerce.papers import Dossier, Facts, Order, Paper
from services.commerce.store import CommerceWork

QUOTE_VALID = timedelta(hours=24)
NOT_ASKED = (
    "whether the goods are already back in the warehouse",
    "whether the payments can still be refunded",
)
"""A quote rests on what is known here: nobody is asked for it."""


def add_routes(app: FastAPI, runtime: Runtime) -> None:
    keys = ApiKeys(runtime.settings)
    reader = [keys.holding("returns:read")]

    @app.post("/quotes", dependencies=[keys.holding("returns:write", "returns:read")])
    async def quote(body: QuoteRequest) -> Response:
        """What the same judgement would say now. Stored with its id; commits to nothing."""
        now = runtime.clock.now()
        asked = ReturnRequest(
            **body.model_dump(exclude_none=True, exclude={"requested_at"}),
            return_id=ids.new(),
            requested_at=body.requested_at or now,
        )
        work = runtime.service.work(now)
        assert isinstance(work, CommerceWork)
        async with runtime.pool.acquire() as connection:
            order = await _order(work, connection, asked)
        made = judgement.judge(_draft(work, order, asked).case(), counterfactual=False)
        disputes = order.disputes if order is not None else ()
        given = quote_of(made, ids.new(), made.decided_at + QUOTE_VALID, disputes)
        order_id = order.order_id if order is not None else None
        await runtime.submit(messages.QuoteGiven(quote=given, order_id=order_id, given_at=now))
        return Response(write(given), media_type="application/json")

    @app.get("/returns/{return_id}", dependencies=reader)
    async def process(return_id: Identifier) -> Response:
        """The process of one return as it stands. 404 where there is none."""
        document = await runtime.pool.fetchval(store.READ_RETURN, return_id)
        if document is None:
            raise Problem(404, f"no return {return_id}")
        return Response(document, media_type="application/json")

    @app.get("/returns/{return_id}/decisions", dependencies=reader)
    async def decisions(return_id: Identifier) -> Response:
        """Every decision on a return, oldest first, with all that it rests on."""
        rows = await runtime.pool.fetch(store.READ_DECISIONS, return_id)
        items = ",".join(row["document"] for row in rows)
        return Response(f'{{"items":[{items}]}}', media_type="application/json")


async def _order(work: CommerceWork, connection: Any, asked: ReturnRequest) -> Order | None:
    """The order with everything of it, and what its customer has bought and sent back."""
    claim = asked.claim
    number = claim.order_number if claim is not None else None
    keys = [key for key in (asked.order_id,) if key is not None]
    if number is not None and asked.order_id is None:
        keys = [row["key"] for row in await store.find_order(connection, number)]
    await work.load(connection, keys, [])
    await work.load_history(connection, keys)
    return work.order_named(asked)


def _draft(work: CommerceWork, order: Order | None, asked: ReturnRequest) -> Draft:
    snapshot = order.snapshot if order is not None else None
    current = Return(
        return_id=asked.return_id,
        order_key=asked.order_id or asked.return_id,
        order_id=snapshot.order_id if snapshot is not None else None,
        customer_id=snapshot.buyer.customer_id if snapshot is not None else None,
        requested_at=asked.requested_at,
    )
    dossier = Dossier(current, Paper.of(asked), Paper.of(Facts()))
    return Draft.of(dossier, work.desk(order, asked.return_id))


def quote_of(
    made: ReturnDecisionMade, quote_id: str, valid_until: datetime, disputes: Iterable[str] = ()
) -> Quote:
    """A decision as a quote: what would come back, and what a person would want to know."""
    asks = [each.explanation for each in made.findings if each.effect is Effect.REQUIRES_REVIEW]
    asks += [f"how the dispute on payment {payment_id} ends" for payment_id in disputes]
    return Quote(
        quote_id=quote_id,
        order_id=made.order_id,
        decision=made.decision,
        lines=made.lines,
        currency=made.currency,
        refund=made.refund or RefundBreakdown(),
        refund_on=made.refund_on,
        refund_due=made.refund_due,
        would_ask=(*asks, *NOT_ASKED),
        findings=made.findings,
        valid_until=valid_until,
    )
