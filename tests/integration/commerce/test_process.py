"""Returns through commerce's real pipeline and store."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.assessments import AssessmentRequested
from contracts.decisions import (
    EscalationReason,
    Outcome,
    RefundReleased,
    ReturnClosed,
    ReturnDecisionMade,
)
from contracts.lifecycle import ReturnStatusChanged
from contracts.requests import CancelReturn, ReturnRequest
from services.commerce import api, app, messages
from tests.driving import Drive, record
from tests.round_trips import ROUND_TRIPS_MAX, counted_round_trips
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


async def test_everything_twice_is_once(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    twice = [record(examples.order()), record(examples.request())]
    await service.send(*twice, *twice)
    await service.send(record(examples.request()))  # a new envelope, the same return
    asked = await service.published(AssessmentRequested)
    assert len(asked) == 1
    answers = [record(examples.returnable(asked[0])), record(examples.refundable(asked[0]))]
    await service.send(*answers, *answers)
    [made] = await service.published(ReturnDecisionMade)
    reserved = record(examples.reserved(made))
    await service.send(reserved, reserved)
    await service.send(record(examples.inspected()), record(examples.inspected()))
    latest = (await service.published(ReturnDecisionMade))[-1]
    await service.send(examples.reserved(latest))
    await service.send(examples.reserved(latest))
    assert len(await service.published(RefundReleased)) == 1
    numbers = [each.number for each in await service.published(ReturnStatusChanged)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert await service.quarantined() == []


async def test_a_request_that_overtakes_its_order_waits_ten_seconds_for_it(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    await service.send(examples.request())
    await service.advance(timedelta(seconds=9))
    assert await statuses(service) == ["requested"]
    await service.send(examples.order())
    assert await statuses(service) == ["requested", "assessing"]
    await service.advance(timedelta(seconds=5))
    assert (await assessed(service)).decision is Outcome.APPROVED


async def test_an_unknown_order_goes_to_a_person_and_is_judged_when_it_turns_up(
    drive: Any,
) -> None:
    service: Drive = await drive(app.build, "commerce")
    await service.send(examples.request())
    await service.advance(timedelta(seconds=10))
    [made] = await service.published(ReturnDecisionMade)
    assert made.escalation is not None
    assert made.escalation.reason is EscalationReason.ORDER_NOT_FOUND
    await service.send(examples.order())
    assert (await assessed(service)).sequence == 2


async def test_a_claim_finds_its_order_by_number_and_email_whichever_comes_first(
    drive: Any,
) -> None:
    service: Drive = await drive(app.build, "commerce")
    claim = {"order_number": "n1", "email": "sarah@Customer.example"}
    wrong = claim | {"email": "somebody@else.example"}

    def claiming(number: int, said: dict[str, str]) -> ReturnRequest:
        return examples.request(
            return_id=str(UUID(int=number)),
            order_id=None,
            claim=said,
            requester={"verified_by": "none"},
        )

    await service.send(claiming(1, claim), claiming(2, wrong))
    await service.send(examples.order())
    [asked] = await service.published(AssessmentRequested)
    assert asked.return_id == str(UUID(int=1))
    assert (await assessed(service)).decision is Outcome.APPROVED
    rows = await service.outbox()
    assert {row["aggregateid"] for row in rows[-2:]} == {examples.ORDER_ID}
    await service.send(claiming(3, claim))
    assert len(await service.published(AssessmentRequested)) == 2
    await service.advance(timedelta(seconds=10))
    escalated = [
        each
        for each in await service.published(ReturnDecisionMade)
        if each.return_id == str(UUID(int=2))
    ]
    assert escalated[0].decision is Outcome.ESCALATED


async def test_what_names_an_unknown_return_waits_for_it_and_then_is_set_aside(
    drive: Any,
) -> None:
    service: Drive = await drive(app.build, "commerce")
    cancel = CancelReturn(return_id=examples.RETURN_ID, requested_at=examples.NOW)
    await service.send(cancel)
    await service.send(examples.order(), examples.request())
    assert (await statuses(service))[-1] == "cancelled"
    await service.send(cancel.model_copy(update={"return_id": str(UUID(int=9))}))
    await service.advance(timedelta(hours=1))
    [row] = await service.quarantined()
    assert row["return_id"] == str(UUID(int=9))


async def test_another_request_with_a_known_id_is_the_same_return(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    await service.send(examples.order(quantity=2), examples.request())
    other = examples.request(quantity=2, order_id="another-order")
    await service.send(other)
    assert await service.count("returns") == 1
    assert len(await service.published(AssessmentRequested)) == 1


async def test_two_returns_of_one_unit_are_serialised_and_one_is_rejected(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    first, second = (examples.request(return_id=str(UUID(int=number))) for number in (1, 2))
    await service.send(examples.order(), first, second)
    asked = await service.published(AssessmentRequested)
    answers = [examples.returnable(each) for each in asked]
    await service.send(*answers, *(examples.refundable(each) for each in asked))
    made = await service.published(ReturnDecisionMade)
    assert [each.decision for each in made] == [Outcome.APPROVED, Outcome.REJECTED]
    [closed] = await service.published(ReturnClosed)
    assert closed.return_id == made[1].return_id
    # The unit is free again once the first is cancelled.
    await service.send(CancelReturn(return_id=made[0].return_id, requested_at=examples.NOW))
    third = examples.request(return_id=str(UUID(int=3)))
    await service.send(third)
    assert (await assessed(service)).decision is Outcome.APPROVED


async def test_an_older_snapshot_never_replaces_a_newer_one(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    await service.send(examples.order(version=3), examples.order(version=2, order_number="OLD"))
    await service.send(examples.order(version=1), examples.request())
    [asked] = await service.published(AssessmentRequested)
    assert asked.order_version == 3
    rows = await service.pool.fetch("SELECT version, order_number FROM orders")
    assert [tuple(row) for row in rows] == [(3, "N1")]


async def test_nine_returns_in_a_month_freeze_the_next_one_but_test_returns_do_not(
    drive: Any,
) -> None:
    for test, expected in ((True, Outcome.APPROVED), (False, Outcome.ESCALATED)):
        service: Drive = await drive(app.build, "commerce")
        channel = {"type": "api", "test": test}
        for number in range(2, 12):
            order_id = f"past-{number}"
            await service.send(
                examples.order(order_id=order_id, order_number=order_id),
                examples.request(
                    return_id=str(UUID(int=number)),
                    order_id=order_id,
                    reason="changed_mind",
                    channel=channel,
                    now=examples.NOW - timedelta(days=number * 2),
                ),
            )
        await service.send(examples.order(), examples.request(reason="changed_mind"))
        made = await assessed(service)
        assert made.decision is expected, (test, made.fraud_probability)
        if expected is Outcome.ESCALATED:
            assert made.escalation is not None
            assert made.escalation.reason is EscalationReason.FRAUD_SUSPECTED


async def test_a_batch_costs_at_most_twelve_round_trips_whatever_its_size(
    drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = []
    for count in (1, 10, 200):
        service: Drive = await drive(app.build, "commerce")
        numbers = range(1, count + 1)
        orders = [
            examples.order(order_id=f"order-{number}", order_number=f"N{number}")
            for number in numbers
        ]
        requests = [
            examples.request(return_id=str(UUID(int=number)), order_id=f"order-{number}")
            for number in numbers
        ]
        await service.send(*orders)
        with counted_round_trips(monkeypatch) as sent:
            await service.send(*requests)
        asked = await service.published(AssessmentRequested)
        await service.send(*(examples.returnable(each) for each in asked))
        with counted_round_trips(monkeypatch) as judged:
            await service.send(*(examples.refundable(each) for each in asked))
        assert len(await service.published(ReturnDecisionMade)) == count
        trips.append((len(sent), len(judged)))
    assert max(max(pair) for pair in trips) <= ROUND_TRIPS_MAX, trips
    assert len(set(trips)) == 1, trips


async def test_a_quote_is_kept_and_a_different_decision_explains_itself(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    made = await approved(service)
    quote = api.quote_of(made, "q1", examples.NOW + timedelta(hours=1))
    changed = quote.refund.model_copy(update={"total": 20000})
    given = messages.QuoteGiven(
        quote=quote.model_copy(update={"refund": changed}), given_at=examples.NOW
    )
    await service.pipeline.submit(given)
    await service.send(CancelReturn(return_id=made.return_id, requested_at=examples.NOW))
    await service.send(examples.request(return_id=str(UUID(int=2)), quote_id="q1"))
    again = await assessed(service)
    assert "quote_differs" in [each.code for each in again.findings]


async def test_every_return_that_is_not_over_waits_on_somebody(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    await approved(service)
    with pytest.raises(asyncpg.CheckViolationError):
        await service.pool.execute("UPDATE returns SET until = NULL")
    with pytest.raises(asyncpg.CheckViolationError):
        await service.pool.execute("UPDATE returns SET released = approved + 1")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.pool.execute("UPDATE decisions SET outcome = 'approved'")
