"""An operator may drive anything again, also what nobody can read: the others come through."""

from __future__ import annotations

import pytest

from services.chassis import quarantine
from services.chassis.records import Quarantined, Record
from tests.conftest import DriveService
from tests.driving import Drive, SteppedClock
from tests.hostile.services import builder, inbox_id, neighbour

pytestmark = pytest.mark.asyncio

HANDLED = "SELECT count(*) FROM inbox WHERE event_id = $1"
REDRIVEN = "SELECT count(*) FROM quarantine WHERE redriven_at IS NOT NULL"
TYPED = (("ce_id", b"1"), ("ce_type", b"returns.ReturnDue.v1"))
BROKEN = {
    "a message to self of a type that is gone": ("deadline", TYPED, b"{}"),
    "a message to self without headers": ("deadline", (), b"{}"),
    "a message to self that is no JSON": (
        "effect", (("ce_id", b"1"), ("ce_type", b"returns.OrderSnapshot.v1")), b"{",
    ),
    "a record that is still no message": ("orders", (), b"\xff"),
    "a record of a topic that is gone": ("returns.yesterday", TYPED, b"{}"),
}  # fmt: skip


@pytest.mark.parametrize("service", ["commerce", "payment"])
async def test_what_still_cannot_be_read_says_why_and_holds_up_nobody(
    service: str, drive: DriveService
) -> None:
    clock = SteppedClock()
    driven = await drive(builder(service, clock), service, clock=clock)
    good = neighbour()
    for topic, headers, value in BROKEN.values():
        await put_aside(driven, Record(
            topic=topic, partition=0, offset=0, key=None, headers=headers, value=value,
        ))  # fmt: skip
    await put_aside(driven, good)
    for row in await driven.quarantined():
        await quarantine.request_redrive(driven.pool, row["id"], now=clock.now())
    assert await driven.pipeline.redrive() == len(BROKEN) + 1
    assert await driven.pool.fetchval(REDRIVEN) == 1
    rows = await driven.quarantined()
    assert [row["redrive_requested_at"] for row in rows] == [None] * len(rows)
    assert all(row["reason"] != "as a test wants it" for row in rows[:-1])
    # Handled again under the quarantine's claim, not under the inbox's.
    assert await driven.pool.fetchval(HANDLED, inbox_id(good)) == 0
    assert await driven.pipeline.redrive() == 0


async def put_aside(driven: Drive, record: Record) -> None:
    row = Quarantined(record=record, reason="as a test wants it")
    name = driven.service.name
    await driven.pool.execute(
        quarantine.INSERT, *quarantine.columns([row], name, driven.clock.now())
    )
