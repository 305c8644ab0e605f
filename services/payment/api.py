"""Payment's HTTP face: webhooks in. Everything else is internal and read-only."""

from __future__ import annotations

from fastapi import FastAPI, Request
from prometheus_client import Counter
from starlette.requests import ClientDisconnect

from services.chassis.http import Problem
from services.chassis.runtime import Runtime
from services.payment import webhooks

WEBHOOKS = Counter("payment_webhooks_total", "Events from processors", ["outcome"])


def routes(app: FastAPI, runtime: Runtime) -> None:
    """Add the service's routes."""
    secrets = runtime.settings.webhook_secrets()

    @app.post("/webhooks/stripe")
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
        else:
            await runtime.pipeline.submit(event)
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
