"""What /metrics says of a store: read by SQL, kept for a while, absent when it cannot be read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from contracts.assessments import AssessmentRequested
from services.chassis.gauges import Gauges
from services.commerce import app as commerce
from services.payment import app as payment
from tests.driving import Drive, Record
from tests.unit.commerce.process import examples

pytestmark = pytest.mark.asyncio

# Decisions are never changed by the service: only their owner may.
SET_DUE = """
UPDATE decisions SET document = jsonb_set(document::jsonb, '{refund_due}', to_jsonb($1::text))
"""


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def gauges_of(service: Drive) -> Gauges:
    url = service.settings.database_url(service.service.name)
    return Gauges(url, service.service.name, service.service.readings, service.clock)


async def as_owner(service: Drive, statement: str, *arguments: object) -> None:
    url = service.settings.commerce_database_url.replace("//commerce@", "//commerce_owner@")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


async def test_open_returns_are_counted_by_status_age_and_whom_they_wait_for(drive: Any) -> None:
    service: Drive = await drive(commerce.build, "commerce")
    service.clock.at = examples.NOW
    await service.send(examples.order(), examples.request())
    gauges = gauges_of(service)
    await gauges.refresh()
    waiting = {"service": "commerce", "status": "assessing", "waiting_on": "commerce"}
    assert value("returns_open", **waiting, age="1d") == 1
    assert value("returns_waiting_on_nobody", service="commerce") == 0
    assert value("returns_outbox_backlog_rows", service="commerce") == 3
    asked = (await service.published(AssessmentRequested))[-1]
    await service.send(examples.returnable(asked), examples.refundable(asked))
    await gauges.refresh()
    assert value("returns_open", **waiting, age="1d") == 1, "read again too early"
    service.clock.at += timedelta(days=10)
    await gauges.refresh()
    row = await service.pool.fetchrow("SELECT status, waiting_on FROM returns")
    sent = {"service": "commerce", **dict(row)}
    assert value("returns_open", **sent, age="14d") == 1
    assert value("returns_open", **waiting, age="1d") is None, "an old figure stayed"


async def test_a_return_that_nothing_will_move_is_found(drive: Any) -> None:
    service: Drive = await drive(commerce.build, "commerce")
    await service.send(examples.order(), examples.request())
    await service.pool.execute("DELETE FROM deadlines")
    service.clock.at += timedelta(days=1)
    await gauges_of(service).refresh()
    assert value("returns_waiting_on_nobody", service="commerce") == 1


async def test_refunds_that_the_law_wants_soon_are_counted_by_when(drive: Any) -> None:
    service: Drive = await drive(commerce.build, "commerce")
    await service.send(examples.order(), examples.request())
    asked = (await service.published(AssessmentRequested))[-1]
    await service.send(examples.returnable(asked), examples.refundable(asked))
    due = service.clock.at + timedelta(hours=30)
    await as_owner(service, SET_DUE, due.isoformat())
    gauges = gauges_of(service)
    await gauges.refresh()
    assert value("returns_statutory_due", service="commerce", due="2d") == 1
    service.clock.at += timedelta(hours=31)
    await gauges.refresh()
    assert value("returns_statutory_due", service="commerce", due="overdue") == 1


async def test_what_is_set_aside_shows_and_a_store_that_is_away_shows_nothing(drive: Any) -> None:
    service: Drive = await drive(payment.build, "payment")
    await service.send(
        Record(topic="orders", partition=0, offset=1, key=b"k", headers=(), value=b"no json")
    )
    gauges = gauges_of(service)
    await gauges.refresh()
    assert value("returns_quarantine_open", service="payment") == 1
    failed = value("returns_gauges_failed_total", service="payment") or 0
    away = Gauges("postgresql://127.0.0.1:1/nothing", "payment", (), service.clock)
    await away.refresh()
    assert value("returns_quarantine_open", service="payment") is None
    assert value("returns_gauges_failed_total", service="payment") == failed + 1
