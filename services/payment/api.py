"""Payment's HTTP face: webhooks in; for operators, the books to read."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Annotated, Any, Literal

import asyncpg
from fastapi import FastAPI, Query, Request, Response
from prometheus_client import Counter
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from contracts.base import Currency, Identifier, Instant, MinorUnits
from services.chassis.errors import Transient
from services.chassis.http import Problem, problems
from services.chassis.keys import ApiKeys
from services.chassis.runtime import Runtime
from services.payment import webhooks
from services.payment.app import PaymentService
from services.payment.audit import proof, reconcile, store
from services.payment.audit.credits import CreditsHeld, credits_of
from services.payment.decide.credit import Overdrawn
from services.payment.intake import Intake
from services.payment.messages import DebitKind, DebitStoreCredit, ScheduleReconciliation
from services.payment.processors.breaker import CircuitOpen
from services.payment.processors.port import ProcessorError
from services.payment.store import PaymentWork

WEBHOOKS = Counter("payment_webhooks_total", "Events from processors", ["outcome"])
READ, WRITE = "returns:read", "orders:write"
READING = problems(401, 403)
TAX_REVERSALS: dict[int | str, dict[str, Any]] = READING | {
    200: {"description": "The credit notes", "content": {"application/json": {}, "text/csv": {}}}
}


class Debit(BaseModel):
    """What is taken off a customer's store credit; `amount` in minor units."""

    debit_id: Identifier
    kind: DebitKind
    amount: Annotated[MinorUnits, Field(gt=0)]
    currency: Currency
    order_id: Identifier


def routes(app: FastAPI, runtime: Runtime) -> None:
    """Add the service's routes and start what stands behind them."""
    _webhooks(app, runtime)
    _books(app, runtime)

    async def schedule() -> None:
        await runtime.submit(ScheduleReconciliation())

    runtime.spawn(schedule)


def _webhooks(app: FastAPI, runtime: Runtime) -> None:
    secrets = runtime.settings.webhook_secrets()
    intake = Intake(runtime.pipeline)
    runtime.spawn(intake.run)

    @app.post("/webhooks/stripe", responses=problems(400, 413, 503))
    async def stripe_webhook(request: Request) -> dict[str, bool]:
        """200 once the event is stored; 400 for what is not a genuine event."""
        try:
            body = await _body(request)
            header = request.headers.get("stripe-signature", "")
            webhooks.verify(body, header, secrets, runtime.clock.now())
            event = webhooks.read(body)
        except webhooks.Refused as refused:
            WEBHOOKS.labels(refused.reason).inc()
            raise Problem(400, str(refused)) from None
        if event is None:
            WEBHOOKS.labels("not_for_us").inc()
            return {"received": True}
        try:
            await intake.put(event)
        except Transient:
            raise Problem(503, "the store is away: send it again") from None
        WEBHOOKS.labels("stored").inc()
        return {"received": True}


async def _body(request: Request) -> bytes:
    """The raw bytes, never more than the bound. Raises Refused."""
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > webhooks.BODY_BYTES_MAX:
                raise webhooks.Refused("oversized", "the event is too large")
            chunks.append(chunk)
    except ClientDisconnect:
        raise webhooks.Refused("incomplete", "the event did not arrive whole") from None
    return b"".join(chunks)


def _books(app: FastAPI, runtime: Runtime) -> None:
    keys = ApiKeys(runtime.settings)
    assert isinstance(runtime.service, PaymentService)
    processors = runtime.service.processors

    @app.get("/reconciliation", responses=READING)
    async def reconciliation(request: Request, since: Instant | None = None) -> reconcile.Report:
        """Our books against the processors'; nothing is changed."""
        keys.allow(request, READ)
        now = runtime.clock.now()
        begin = since or now - timedelta(days=reconcile.SINCE_DAYS)
        try:
            return await reconcile.reconcile(runtime.pool, processors, begin, now)
        except (ProcessorError, CircuitOpen) as error:
            raise Problem(503, f"a processor does not answer: {error}") from error

    @app.get("/refunds/{refund_id}/proof", responses=problems(404) | READING)
    async def prove(request: Request, refund_id: Identifier) -> proof.Proof:
        keys.allow(request, READ)
        found = await proof.prove(runtime.pool, processors, refund_id)
        if found is None:
            raise Problem(404, f"no refund is called {refund_id}")
        return found

    @app.get("/returns/{return_id}/refunds", responses=READING)
    async def refunds(request: Request, return_id: Identifier) -> dict[str, list[str]]:
        keys.allow(request, READ)
        rows = await runtime.pool.fetch(store.OF_RETURN, return_id)
        return {"refunds": [row["refund_id"] for row in rows]}

    @app.get("/tax-reversals", response_model=None, responses=TAX_REVERSALS)
    async def tax_reversals(
        request: Request,
        period: Annotated[str | None, Query(pattern=r"^[0-9]{4}-[0-9]{2}$")] = None,
        format_: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
    ) -> Response | dict[str, Any]:
        """Credit notes for the tax tool, in the order of their numbers; `period` is YYYY-MM."""
        keys.allow(request, READ)
        rows = [dict(row) for row in await runtime.pool.fetch(store.TAX_REVERSALS, period)]
        if format_ == "json":
            return {"tax_reversals": rows}
        return Response(_csv(rows), media_type="text/csv; charset=utf-8")

    @app.get("/store-credits/{customer_id}", responses=READING)
    async def store_credit(request: Request, customer_id: Identifier) -> CreditsHeld:
        """What a customer holds per currency, and what is left of each credit."""
        keys.allow(request, READ)
        return await credits_of(runtime.pool, customer_id)

    @app.post(
        "/store-credits/{customer_id}/debits",
        status_code=201,
        responses=problems(409) | READING,
    )
    async def debit(request: Request, customer_id: Identifier, body: Debit) -> dict[str, Any]:
        """Spend store credit, or let it expire; the same debit_id again changes nothing."""
        keys.allow(request, WRITE)
        message = DebitStoreCredit(customer_id=customer_id, **body.model_dump())
        try:
            work = await runtime.submit(message)
        except (Overdrawn, asyncpg.CheckViolationError):
            raise Problem(409, "the customer holds less store credit than that") from None
        assert isinstance(work, PaymentWork)
        known = work.known_debits.get(message.debit_id)
        if known is not None and known != message:
            raise Problem(409, "this debit_id was used for something else")
        return message.model_dump(mode="json")


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
