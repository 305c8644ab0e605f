"""Store credit ends by itself on its day: once, and only what is left of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from contracts import payment as told
from services.chassis import database
from services.payment.app import build
from services.payment.audit.credits import CreditsHeld, credits_of
from services.payment.messages import DebitKind, DebitStoreCredit
from services.payment.store import PaymentWork
from tests.conftest import DriveService
from tests.driving import START, Drive, SteppedClock
from tests.payments import Sandbox, a_decision, a_payment, a_release, a_reversal, an_order, new_id
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio
DAYS = 365
AMOUNT = 22200
# Whoever waits for an order's, or a customer's, lock in this test's own database.
BLOCKED = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""


@pytest_asyncio.fixture
async def ending(drive: DriveService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Drive:
    """A payment service whose store credit can be spent for a year."""
    monkeypatch.setenv("STORE_CREDIT_DAYS", str(DAYS))
    clock = SteppedClock()

    def made(settings: Any, pool: Any) -> Any:
        return build(settings, pool, clock)

    return await drive(made, "payment", clock=clock, sandbox_url=sandbox.url)


@dataclass(kw_only=True)
class Slow:
    """A second process on the same store: it has read, and decides when it is told to go on."""

    drive: Drive
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def a_slow_process(payment: Drive) -> AsyncIterator[Slow]:
    @dataclass(kw_only=True)
    class SlowWork(PaymentWork):
        async def load(self, *arguments: Any) -> None:
            await super().load(*arguments)
            slow.loaded.set()
            await slow.go_on.wait()

    service = replace(payment.service, work=lambda now: SlowWork(now=now, credit_days=DAYS))
    pool = await database.connect_pool(payment.settings.payment_database_url, "payment")
    slow = Slow(drive=Drive(service, pool, payment.settings, payment.clock))
    try:
        yield slow
    finally:
        await pool.close()


async def credited(payment: Drive, sandbox: Sandbox, order_id: str, **more: Any) -> str:
    """The return that is paid as store credit to the customer of this order."""
    reference, return_id = f"pi_{new_id()}", new_id()
    sandbox.pay(reference)
    await payment.send(an_order(a_payment(reference), order_id=order_id))
    decision = a_decision(return_id, order_id=order_id, method="store_credit", **more)
    release = a_release(
        return_id, new_id(), order_id=order_id, method="store_credit", payment_id=None, **more
    )
    await payment.send(decision)
    await payment.send(release)
    await payment.settle()
    return return_id


async def spend(payment: Drive, order_id: str, amount: int) -> None:
    wish = DebitStoreCredit(
        debit_id=new_id(),
        customer_id=f"c-{order_id}",
        kind=DebitKind.REDEEMED,
        amount=amount,
        currency="USD",
        order_id="order-of-later",
    )
    await payment.pipeline.submit(wish)


async def held(payment: Drive, order_id: str) -> CreditsHeld:
    return await credits_of(payment.pool, f"c-{order_id}")


async def expiries(payment: Drive) -> list[tuple[str, int]]:
    rows = await payment.pool.fetch(
        "SELECT customer_id, amount FROM store_credit_debits WHERE kind = 'expired' ORDER BY 1"
    )
    return [(row["customer_id"], row["amount"]) for row in rows]


async def test_on_its_day_what_is_left_of_a_credit_ends(ending: Drive, sandbox: Sandbox) -> None:
    for order_id in ("spent", "partly", "kept"):
        await credited(ending, sandbox, order_id)
    for issued in await ending.published(told.StoreCreditIssued):
        assert issued.expires_at == START + timedelta(days=DAYS)
    await spend(ending, "spent", AMOUNT)
    await spend(ending, "partly", 20000)
    await ending.advance(timedelta(days=DAYS, seconds=-1))
    assert not await expiries(ending)
    [still] = (await held(ending, "partly")).credits
    assert (still.left, still.expires_at) == (2200, START + timedelta(days=DAYS))
    await ending.advance(timedelta(seconds=1))
    assert await expiries(ending) == [("c-kept", AMOUNT), ("c-partly", 2200)]
    for order_id in ("spent", "partly", "kept"):
        now = await held(ending, order_id)
        assert [each.balance for each in now.balances] == [0]
        assert not now.credits
    assert not await ending.quarantined()


async def test_without_the_setting_store_credit_never_ends(
    payment: Drive, sandbox: Sandbox
) -> None:
    await credited(payment, sandbox, "kept")
    [issued] = await payment.published(told.StoreCreditIssued)
    assert issued.expires_at is None
    await payment.advance(timedelta(days=36500))
    assert [each.left for each in (await held(payment, "kept")).credits] == [AMOUNT]


async def test_a_test_return_s_credit_ends_in_the_book_of_test_returns(
    ending: Drive, sandbox: Sandbox
) -> None:
    await credited(ending, sandbox, "tried", test=True)
    await credited(ending, sandbox, "tried-for-real")
    balances = "SELECT test, balance FROM account_balances WHERE book = 'store_credit'"
    assert dict(await ending.pool.fetch(balances)) == {True: AMOUNT, False: AMOUNT}
    await ending.advance(timedelta(days=DAYS))
    assert dict(await ending.pool.fetch(balances)) == {True: 0, False: 0}
    assert not await ending.quarantined()


@pytest.mark.parametrize("first", ["expiry", "reversal"])
async def test_a_reversal_and_an_expiry_at_the_same_time_take_the_credit_once(
    ending: Drive, sandbox: Sandbox, first: str
) -> None:
    return_id = await credited(ending, sandbox, "raced")
    reversal = a_reversal(return_id, "rv-1", amount=AMOUNT, consent=False, order_id="raced")
    ending.clock.at += timedelta(days=DAYS)
    acts = {"expiry": lambda by: by.deadlines.fire(), "reversal": lambda by: by.send(reversal)}
    [second] = acts.keys() - {first}
    async with a_slow_process(ending) as slow:
        ahead = asyncio.create_task(acts[first](slow.drive))
        await slow.loaded.wait()
        behind = asyncio.create_task(acts[second](ending))

        async def blocked_or_done() -> bool:
            blocked: int = await slow.drive.pool.fetchval(BLOCKED)
            return behind.done() or blocked > 0

        await wait_for(blocked_or_done, what="the second one at its lock")
        slow.go_on.set()
        await asyncio.gather(ahead, behind)
    assert not await ending.quarantined()
    settled = await ending.published(told.ReversalSettled)
    assert [type(each) for each in settled] == [
        told.ReversalRefused if first == "expiry" else told.ReversalSettled
    ]
    assert await expiries(ending) == ([("c-raced", AMOUNT)] if first == "expiry" else [])
    assert [each.balance for each in (await held(ending, "raced")).balances] == [0]
