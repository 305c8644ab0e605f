"""RUNBOOK.md#restore-a-store, done: yesterday's payment store, and nothing is refunded twice."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from contracts.base import Message
from contracts.decisions import RefundReleased
from services.chassis.pipeline import Record
from services.chassis.settings import Settings
from services.ops.embedded import postgres
from services.ops.embedded.postgres import Database
from services.payment.app import PaymentService, build
from services.payment.audit import reconcile
from services.payment.audit.difference import Kind
from tests.conftest import NewStore
from tests.driving import Drive, SteppedClock, driving, record
from tests.payments import (
    Sandbox,
    a_decision,
    a_payment,
    a_release,
    an_order,
    new_id,
    running_sandbox,
)
from tests.stores import Stores

pytestmark = pytest.mark.asyncio

BEHAVIOURS = ("ok", "no_webhook", "timeout_after_success", "error_500_after_success")
# What every book adds up to, whatever the path that led there.
TOTALS = """
SELECT order_id, captured, reserved, pending, settled, unknown FROM payment_balances
ORDER BY order_id
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    home = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(home, payment_url="http://127.0.0.1:1") as started:
        yield started


@pytest_asyncio.fixture
async def on_store(settings: Settings, sandbox: Sandbox) -> AsyncIterator[Any]:
    """``await on_store(database, clock)``: the payment service over that store."""
    async with AsyncExitStack() as stack:

        async def make(store: Database, clock: SteppedClock) -> Drive:
            own = settings.model_copy(update={"sandbox_url": sandbox.url})
            timed = partial(build, clock=clock)
            return await stack.enter_async_context(
                driving(timed, "payment", store.runtime_url, own, clock)
            )

        yield make


def run(program: str, *arguments: str) -> None:
    command = [str(postgres.binaries() / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Topic:
    """What the broker still has: every record that payment was sent, for weeks."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def send(self, payment: Drive, *messages: Message) -> None:
        fresh = [record(each, offset=len(self.records) + n) for n, each in enumerate(messages)]
        self.records += fresh
        await payment.send(*fresh)


async def wait(payment: Drive, *, seconds: int = 40) -> None:
    for _ in range(seconds):
        await payment.advance(timedelta(seconds=1))


async def decided(
    topic: Topic, payment: Drive, sandbox: Sandbox, behaviour: str
) -> tuple[str, RefundReleased]:
    """The payment's reference of an order whose refund is reserved, and the release to come."""
    order_id, return_id, reference = f"order-{uuid4().hex}", new_id(), f"pi_{uuid4().hex}"
    sandbox.pay(reference, behaviour=behaviour)
    await topic.send(payment, an_order(a_payment(reference), order_id=order_id))
    await topic.send(payment, a_decision(return_id, order_id=order_id))
    return reference, a_release(return_id, new_id(), order_id=order_id)


async def paid(topic: Topic, payment: Drive, sandbox: Sandbox, behaviour: str) -> str:
    """The reference of a payment whose refund has taken place."""
    reference, release = await decided(topic, payment, sandbox, behaviour)
    await topic.send(payment, release)
    await wait(payment)
    return reference


async def differences(payment: Drive) -> list[str]:
    assert isinstance(payment.service, PaymentService)
    since = datetime.now(UTC) - timedelta(days=1)
    report = await reconcile.reconcile(
        payment.pool, payment.service.processors, since, payment.clock.now()
    )
    return sorted(each.kind for each in report.differences)


async def test_yesterdays_payment_store_is_restored_and_nothing_is_refunded_twice(
    new_store: NewStore, stores: Stores, on_store: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    store, clock, topic = new_store("payment"), SteppedClock(datetime.now(UTC)), Topic()
    payment = await on_store(store, clock)
    references = [await paid(topic, payment, sandbox, "ok")]
    reserved, release = await decided(topic, payment, sandbox, "ok")
    run("pg_dump", "--format=custom", f"--file={tmp_path / 'payment.dump'}", store.migration_url)
    # A day goes on: what is paid in it is in the processor's book, and not in the backup.
    await topic.send(payment, release)
    references += [await paid(topic, payment, sandbox, each) for each in BEHAVIOURS]
    references.append(reserved)
    before = [tuple(row) for row in await payment.pool.fetch(TOTALS)]
    await payment.pool.close()
    stores.drop(store)

    empty = stores.server.provide("payment", database=f"restored_{uuid4().hex[:8]}")
    run("pg_restore", "--no-owner", f"--dbname={empty.migration_url}", f"{tmp_path}/payment.dump")
    clock.at += timedelta(hours=30)  # the processor has forgotten every idempotency key by now
    restored = await on_store(empty, clock)
    found = await differences(restored)
    assert found == [Kind.MISSING_HERE], found
    # The group's offsets were set back to before the backup: everything comes again.
    await restored.send(*topic.records)
    await wait(restored, seconds=90)

    assert [sandbox.kinds(each) for each in references] == [["refund"]] * len(references)
    assert [tuple(row) for row in await restored.pool.fetch(TOTALS)] == before
    assert await differences(restored) == []
    assert await restored.quarantined() == []
    await restored.pool.close()
    stores.drop(empty)
