"""Migrations: safe to run twice, safe to run at the same time, and no more rights than named."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import asyncpg
import psycopg
import pytest

from services.chassis.deadlines import INBOX_RETENTION
from services.chassis.migrate import CHASSIS_LINE, SERVICE_LINE, migrate, role_of
from services.chassis.quarantine import request_redrive
from services.ops.embedded.postgres import Server
from tests.driving import Drive
from tests.integration.chassis import toy
from tests.integration.chassis.messages import request


def test_migrating_twice_and_at_the_same_time_does_it_once(postgres: Server) -> None:
    fresh = postgres.provide("commerce", database="migrated_in_parallel")
    role = role_of(fresh.runtime_url)

    def once(_: int) -> None:
        migrate("commerce", fresh.migration_url, role, versions=toy.VERSIONS)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(once, range(4)))
    with psycopg.connect(fresh.migration_url) as connection:
        lines = [
            connection.execute(f"SELECT version_num FROM {line}").fetchall()
            for line in (SERVICE_LINE, CHASSIS_LINE)
        ]
    assert lines == [[("0002",)], [("chassis_0002",)]]
    postgres.drop("migrated_in_parallel")


@pytest.mark.asyncio
async def test_the_runtime_role_may_use_its_tables_and_change_none(toys: Drive) -> None:
    await toys.send(request("o1"))
    for forbidden in ("DROP TABLE outbox", "DELETE FROM accounts", "CREATE TABLE mine (a int)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await toys.pool.execute(forbidden)


@pytest.mark.asyncio
async def test_what_nothing_can_refer_to_any_more_is_cleaned_away(toys: Drive) -> None:
    await toys.send(request("o1", "old"), request("o1", "bad", locale=toy.POISON))
    (row,) = await toys.quarantined()
    await toys.advance(INBOX_RETENTION + timedelta(days=1))
    await toys.send(request("o1", "new"))
    await toys.deadlines.clean()
    assert await toys.count("inbox") == 1
    assert await toys.count("quarantine") == 1
    async with toys.pool.acquire() as connection:
        mended = request("o1", "bad").model_dump_json(exclude_none=True).encode()
        await request_redrive(connection, row["id"], now=toys.clock.now(), value=mended)
    await toys.settle()
    await toys.advance(timedelta(days=200))
    await toys.deadlines.clean()
    assert await toys.count("quarantine") == 0
