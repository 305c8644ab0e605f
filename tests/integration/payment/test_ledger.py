"""The database has the last word: never more than was captured, nothing rewritten, few trips."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from contracts import payment as told
from services.chassis.settings import Settings
from services.ops.embedded.postgres import Database
from services.payment.app import build
from tests.driving import Drive, SteppedClock, driving, record
from tests.payments import a_decision, a_payment, an_order, new_id
from tests.stores import NewStore

COMPETITORS = 200
APPEND_ONLY = (
    "ledger",
    "refund_intents",
    "refund_moves",
    "submissions",
    "credit_notes",
    "store_credits",
    "store_credit_debits",
    "webhook_events",
    "payments",
)
INSERT = """
INSERT INTO ledger (book, holder, order_id, source, target, amount, unit, test, cause, at)
VALUES ('payment', 'p1', 'o1', $1, $2, $3, 'USD', false, '', now())
"""


@pytest.mark.asyncio
async def test_two_hundred_returns_compete_for_one_payment_and_it_is_never_overdrawn(
    new_store: NewStore, settings: Settings
) -> None:
    url = new_store("payment").runtime_url
    async with AsyncExitStack() as stack:
        drives = [
            await stack.enter_async_context(driving(build, "payment", url, settings))
            for _ in range(10)
        ]
        await drives[0].send(an_order(a_payment("pi_1", captured=22200)))
        decisions = [record(a_decision(new_id(), total=1000)) for _ in range(COMPETITORS)]
        await asyncio.gather(
            *(
                drives[number % len(drives)].pipeline.process([each])
                for number, each in enumerate(decisions)
            )
        )
        told_of = Counter(type(each) for each in await drives[0].published())
        assert told_of == {told.RefundReserved: 22, told.RefundReservationRefused: 178}
        row = await drives[0].pool.fetchrow("SELECT * FROM payment_balances")
        assert (row["captured"], row["reserved"]) == (22200, 22000)
        assert not await drives[0].quarantined()


@pytest.mark.asyncio
async def test_two_hundred_writers_that_ignore_every_lock_cannot_overdraw_a_payment(
    new_store: NewStore,
) -> None:
    pool = await asyncpg.create_pool(new_store("payment").runtime_url, min_size=20, max_size=20)
    try:
        await pool.execute(INSERT, "customer", "available", 22200)

        async def reserve() -> bool:
            try:
                await pool.execute(INSERT, "available", "reserved", 1000)
            except asyncpg.CheckViolationError:
                return False
            return True

        done = await asyncio.gather(*(reserve() for _ in range(COMPETITORS)))
        assert sum(done) == 22
        row = await pool.fetchrow("SELECT * FROM payment_balances")
        assert row["reserved"] == 22000
        assert await pool.fetchval("SELECT count(*) FROM ledger") == 23
    finally:
        await pool.close()


@pytest.mark.asyncio
async def test_the_runtime_role_can_neither_rewrite_nor_delete_money(new_store: NewStore) -> None:
    connection = await asyncpg.connect(new_store("payment").runtime_url)
    try:
        for table in APPEND_ONLY:
            for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
            column = await connection.fetchval(
                "SELECT column_name FROM information_schema.columns WHERE table_name = $1"
                " AND is_identity = 'NO' LIMIT 1",
                table,
            )
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"UPDATE {table} SET {column} = {column}")
        for table in ("payment_balances", "account_balances"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"DELETE FROM {table}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"INSERT INTO {table} DEFAULT VALUES")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM order_money")
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def one_store(stores: Any) -> Database:
    found: Database = stores.clone("payment")
    return found


MONEY = ("available", "reserved", "pending", "settled", "unknown")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    moves=strategies.lists(
        strategies.tuples(
            strategies.sampled_from(("customer", *MONEY)),
            strategies.sampled_from(("customer", *MONEY)),
            strategies.integers(1, 5000),
        ).filter(lambda move: move[0] != move[1]),
        max_size=12,
    )
)
def test_balances_are_what_the_entries_add_up_to(
    one_store: Database, moves: list[tuple[str, str, int]]
) -> None:
    """Synchronous on purpose: hypothesis drives it; any refused statement leaves no trace."""
    order_id = uuid4().hex
    balance = dict.fromkeys((*MONEY, "customer"), 0)
    with psycopg.connect(one_store.runtime_url, autocommit=True) as connection:
        for source, target, amount in moves:
            after = dict(balance)
            after[source] -= amount
            after[target] += amount
            allowed = all(after[name] >= 0 for name in MONEY)
            try:
                connection.execute(
                    "INSERT INTO ledger (book, holder, order_id, source, target, amount, unit,"
                    " test, cause, at) VALUES ('payment', 'p1', %s, %s, %s, %s, 'USD', false, '',"
                    " now())",
                    (order_id, source, target, amount),
                )
            except psycopg.errors.CheckViolation:
                assert not allowed
            else:
                assert allowed
                balance = after
        row = connection.execute(
            "SELECT captured, reserved, pending, settled, unknown FROM payment_balances"
            " WHERE order_id = %s",
            (order_id,),
        ).fetchone()
    if row is not None:
        assert row == (
            -balance["customer"],
            balance["reserved"],
            balance["pending"],
            balance["settled"],
            balance["unknown"],
        )


class Counted:
    """Counts statements that a connection is asked for."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def __call__(self, query: Any) -> None:
        self.statements.append(query.query)


@pytest.mark.parametrize("size", [1, 10, 200])
@pytest.mark.asyncio
async def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(
    new_store: NewStore, settings: Settings, size: int
) -> None:
    url = new_store("payment").runtime_url
    own = settings.model_copy(update={"payment_database_url": url})
    counted = Counted()

    async def watch(connection: Any) -> None:
        connection.add_query_logger(counted)

    pool = await asyncpg.create_pool(url, min_size=1, max_size=1, init=watch)
    service = build(own, pool)
    try:
        drive = Drive(service, pool, own, SteppedClock())
        orders = [an_order(order_id=f"o{number}") for number in range(size)]
        await drive.send(*orders)
        # The driver asks for the store's types once in a connection's life.
        await drive.send(an_order(order_id="first"), a_decision(new_id(), order_id="first"))
        counted.statements.clear()
        await drive.send(*(a_decision(new_id(), order_id=each.order_id) for each in orders))
        # Handing the connection back to the pool is not the batch's.
        trips = [each for each in counted.statements if "pg_advisory_unlock_all" not in each]
        assert len(trips) == 9, "\n--".join(trips)
        assert len(await drive.published(told.RefundReserved)) == size + 1
    finally:
        await service.close()
        await pool.close()
