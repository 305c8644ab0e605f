"""Returns through commerce's real pipeline and store."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.assessments import AssessmentRequested
from contracts.decisions import Outcome, RefundReleased, ReturnDecisionMade
from contracts.lifecycle import ReturnStatusChanged
from services.commerce import app
from tests.driving import Drive
from tests.unit.commerce.process import examples

pytestmark = pytest.mark.asyncio


async def approved(service: Drive, **changes: Any) -> ReturnDecisionMade:
    """A return that was asked for, assessed and approved."""
    await service.send(examples.order(**changes))
    await service.send(examples.request(quantity=changes.get("quantity", 1)))
    return await assessed(service)


async def assessed(service: Drive) -> ReturnDecisionMade:
    asked = (await service.published(AssessmentRequested))[-1]
    await service.send(examples.returnable(asked), examples.refundable(asked))
    made: ReturnDecisionMade = (await service.published(ReturnDecisionMade))[-1]
    return made


async def statuses(service: Drive) -> list[str]:
    return [str(each.status) for each in await service.published(ReturnStatusChanged)]


async def test_the_jacket_goes_its_whole_way(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    made = await approved(service)
    assert made.decision is Outcome.APPROVED
    assert made.refund is not None and made.refund.total == 22200
    await service.send(examples.reserved(made), examples.labelled())
    await service.send(examples.shipped())
    await service.send(examples.delivered())
    await service.send(examples.received())
    await service.send(examples.inspected())
    again = (await service.published(ReturnDecisionMade))[-1]
    assert (again.sequence, again.decision) == (2, Outcome.APPROVED)
    assert await service.published(RefundReleased) == []
    await service.send(examples.reserved(again))
    [released] = await service.published(RefundReleased)
    assert (released.amount, released.payment_id, released.decision_sequence) == (22200, "p1", 2)
    assert released.legs is not None
    await service.send(examples.settled(released))
    assert await statuses(service) == [
        "requested",
        "assessing",
        "awaiting_physical_receipt",
        "awaiting_physical_receipt",
        "in_transit",
        "physically_received",
        "quality_check",
        "pending_settlement",
        "pending_settlement",
        "settled",
    ]
    changes = await service.published(ReturnStatusChanged)
    assert [each.number for each in changes] == list(range(1, 11))
    assert await service.count("deadlines") == 0
    assert await service.quarantined() == []
