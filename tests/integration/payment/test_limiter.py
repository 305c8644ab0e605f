"""Our own limit of requests, over real sockets."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from contracts.orders import PaymentMethod, Processor
from services.chassis.clock import WallClock
from services.payment.model import PaymentFacts
from services.payment.processors.breaker import Breaker
from services.payment.processors.limiter import Limiter
from services.payment.processors.stripe_client import StripeProcessor
from tests.driving import START

LIMIT = 20
PAYMENT = PaymentFacts(
    payment_id="p1",
    processor=Processor.STRIPE,
    reference="pi_1",
    method=PaymentMethod.CARD,
    captured=5000,
    captured_at=START,
)
EMPTY = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"data": []}'


@pytest.mark.asyncio
async def test_requests_over_real_sockets_keep_the_limit() -> None:
    arrived: list[float] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                arrived.append(time.monotonic())
                writer.write(EMPTY)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    processor = StripeProcessor(
        name="stripe",
        key="sk_test_1",
        base=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        breaker=Breaker(WallClock()),
        limiter=Limiter("stripe", per_second=LIMIT),
    )
    began = time.monotonic()
    try:
        await asyncio.gather(*(processor.find(PAYMENT, "r") for _ in range(2 * LIMIT)))
    finally:
        await processor.close()
        server.close()
    assert len(arrived) == 2 * LIMIT
    assert arrived[-1] - began >= 1
