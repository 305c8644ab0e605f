"""Fulfillment on its real store, with a carrier and a warehouse over real HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from contracts.assessments import ReturnabilityAssessed
from contracts.base import Message
from contracts.fulfillment import (
    ItemDisposed,
    ParcelUnmatched,
    ReplacementFailed,
    ReplacementScheduled,
    ReplacementShipped,
    ReturnInspected,
    ReturnLabelFailed,
    ReturnLabelIssued,
    ReturnLost,
    ReturnNotSent,
    ReturnReceived,
    ReturnSentBack,
)
from services.fulfillment import api, store
from services.fulfillment.messages import BuyLabel, VoidLabel
from tests.driving import START, Drive, record
from tests.integration.fulfillment.conftest import OutsideWorld
from tests.unit.fulfillment.examples import (
    ORDER,
    A,
    B,
    an_order,
    asked,
    closed,
    decided,
    inspected,
    received,
    refunded,
    replacement_released,
    return_id,
    scanned,
)

pytestmark = pytest.mark.asyncio


async def states(agent: Drive, id_: str = A) -> list[str]:
    goods = await store.find_return(agent.pool, id_)
    assert goods is not None
    return [str(unit.state) for unit in goods.units]


async def names(agent: Drive) -> list[str]:
    return [type(body).__name__ for body in await agent.published()]


async def test_an_escalation_does_not_wait_for_an_order_that_nobody_knows(agent: Drive) -> None:
    await agent.send(decided(decision="escalated"))
    await agent.advance(timedelta(hours=2))
    assert await agent.count("parked") == 0
    assert await agent.quarantined() == []


async def test_the_jacket_goes_all_the_way(agent: Drive, world: OutsideWorld) -> None:
    await agent.send(an_order(), asked())
    await agent.send(decided())
    await agent.settle()
    await agent.send(scanned("accepted"), scanned("delivered"))
    await agent.send(received(), inspected())
    await agent.send(refunded())
    await agent.settle()
    assert await names(agent) == [
        "ReturnabilityAssessed",
        "ReturnLabelIssued",
        "ReturnShipped",
        "ReturnDelivered",
        "ReturnReceived",
        "ReturnInspected",
        "ItemDisposed",
    ]
    assert await states(agent) == ["restocked"]
    assert world.purchases == 1
    assert [r["quantity"] for r in world.restocks.values()] == [1]
    assert not await agent.quarantined()
    for row in await agent.outbox():
        assert row["headers"]["ce_causationid"]
        assert row["headers"]["ce_subject"] == A
        assert row["aggregateid"] == ORDER


async def test_a_whole_life_in_one_batch_backwards_ends_the_same(agent: Drive) -> None:
    await agent.send(
        inspected(), received(), scanned("delivered"), scanned("accepted"), decided(), asked(),
        an_order(),
    )  # fmt: skip
    await agent.settle()
    assert await states(agent) == ["inspected"]
    assert len(await agent.published(ReturnInspected)) >= 1


@pytest.mark.parametrize(
    ("behaviours", "purchases"),
    [
        (["error_500_after_success"], 1),
        (["error_500"], 2),
        (["error_500", "error_500_after_success"], 2),
    ],
)
async def test_an_unclear_purchase_is_looked_up_and_no_second_label_is_bought(
    agent: Drive, world: OutsideWorld, behaviours: list[str], purchases: int
) -> None:
    world.behaviours = behaviours
    await agent.send(an_order(), asked(), decided())
    await agent.settle()
    for _ in range(4):
        await agent.advance(timedelta(seconds=10))
    assert len(await agent.published(ReturnLabelIssued)) == 1
    assert len(world.labels) == 1
    assert world.purchases == purchases


async def test_a_crash_after_the_purchase_buys_no_second_label(
    agent: Drive, world: OutsideWorld
) -> None:
    await agent.send(an_order(), asked(), decided())
    row = await agent.pool.fetchrow("SELECT payload FROM effects WHERE type = 'BuyLabel'")
    wish = BuyLabel.model_validate_json(row["payload"])
    await agent.service.executors[BuyLabel](wish)  # and the process dies before it can say so
    assert world.purchases == 1
    await agent.advance(timedelta(seconds=60))
    await agent.advance(timedelta(seconds=60))
    assert world.purchases == len(world.labels) == 1
    assert len(await agent.published(ReturnLabelIssued)) == 1


async def test_a_refused_label_is_told_with_its_reason(agent: Drive, world: OutsideWorld) -> None:
    world.behaviours = ["refused"]
    await agent.send(an_order(), asked(), decided())
    await agent.settle()
    (failed,) = await agent.published(ReturnLabelFailed)
    assert (failed.code, failed.reason) == ("address_invalid", "no such street")
    await agent.send(decided(sequence=2))
    await agent.settle()
    assert len(await agent.published(ReturnLabelIssued)) == 1


async def test_a_carrier_that_never_works_ends_in_a_failure_after_bounded_attempts(
    agent: Drive, world: OutsideWorld
) -> None:
    world.behaviours = ["error_500"] * 50
    await agent.send(an_order(), asked(), decided())
    for _ in range(10):
        await agent.advance(timedelta(seconds=30))
    (failed,) = await agent.published(ReturnLabelFailed)
    assert failed.code == "carrier_unavailable"
    assert world.purchases == 5


async def test_a_label_is_voided_when_the_return_is_cancelled_before_the_first_scan(
    agent: Drive, world: OutsideWorld
) -> None:
    await agent.send(an_order(), asked(), decided())
    await agent.settle()
    await agent.send(closed())
    await agent.settle()
    assert world.voided == ["T1"]


async def test_a_label_bought_for_a_return_that_closed_meanwhile_is_voided_unseen(
    agent: Drive, world: OutsideWorld
) -> None:
    await agent.send(an_order(), asked(), decided(), closed())
    await agent.settle()
    assert world.voided == ["T1"]
    assert not await agent.published(ReturnLabelIssued)


def labels_not_voided() -> float:
    """As /metrics says it."""
    name = "returns_goods_troubles_total"
    return REGISTRY.get_sample_value(name, {"kind": "label_not_voided"}) or 0.0


@pytest.mark.parametrize(
    "needless",
    [closed(), decided(sequence=2, required=False, label=False)],
    ids=["closed", "the customer keeps the goods"],
)
async def test_a_label_that_the_carrier_does_not_take_back_is_told_and_kept_with_its_words(
    agent: Drive, world: OutsideWorld, needless: Message
) -> None:
    world.refuses.add("/carrier/labels/T1/void")
    counted = labels_not_voided()
    await agent.send(an_order(), asked(), decided())
    await agent.settle()
    await agent.send(needless)
    await agent.settle()
    assert labels_not_voided() == counted + 1
    (told,) = await agent.published(ReturnLabelFailed)
    assert told.code == "not_voided"
    assert "T1" in told.reason and "no such article" in told.reason
    kept = await store.find_return(agent.pool, A)
    assert kept is not None and kept.label is not None
    assert (kept.label.state, kept.label.not_voided) == ("issued", "unknown_sku: no such article")


async def test_a_service_that_stops_ends_its_connections_to_the_outside(agent: Drive) -> None:
    await agent.send(an_order(), asked(), decided())
    await agent.settle()
    await agent.service.close()
    void = VoidLabel(order_id=ORDER, return_id=A, name="n", tracking_number="T1")
    with pytest.raises(RuntimeError, match="closed"):
        await agent.service.executors[VoidLabel](void)


async def test_a_used_label_is_not_voided_and_the_scan_is_published(
    agent: Drive, world: OutsideWorld
) -> None:
    await agent.send(an_order(), asked(), decided())
    await agent.settle()
    await agent.send(scanned("accepted"), closed())
    await agent.settle()
    assert world.voided == []
    assert "ReturnShipped" in await names(agent)


async def test_units_never_sent_are_told_after_the_last_day(agent: Drive) -> None:
    await agent.send(an_order(3), asked(quantity=3), decided(A, 1, 2, 3))
    await agent.settle()
    await agent.send(scanned("accepted"), received(2))
    await agent.advance(timedelta(days=15))
    (told,) = await agent.published(ReturnNotSent)
    assert [(line.line_id, line.quantity) for line in told.lines] == [("1", 1)]
    assert await states(agent) == ["received", "received", "never_sent"]


async def test_a_parcel_that_nobody_scans_any_more_is_lost_and_may_turn_up(agent: Drive) -> None:
    await agent.send(an_order(), asked(), decided())
    await agent.settle()
    await agent.send(scanned("accepted"))
    await agent.advance(timedelta(days=20))
    await agent.send(scanned("in_transit"))
    await agent.advance(timedelta(days=20))
    assert not await agent.published(ReturnLost)
    await agent.advance(timedelta(days=2))
    (lost,) = await agent.published(ReturnLost)
    assert lost.lines[0].quantity == 1
    await agent.send(received())
    assert await states(agent) == ["received"]


async def test_an_unknown_parcel_waits_an_hour_and_then_a_person_looks(agent: Drive) -> None:
    await agent.send(an_order(), asked(), decided(label=False))
    mine = scanned("accepted", id_=None, tracking="T404", order_id=ORDER, event="mine")
    await agent.send(mine, scanned("accepted", id_=None, tracking="T405"))
    told = len(await agent.published())
    await agent.advance(timedelta(minutes=59))
    assert len(await agent.published()) == told
    await agent.advance(timedelta(minutes=2))
    (unmatched,) = await agent.published(ParcelUnmatched)
    assert (unmatched.return_id, unmatched.tracking_number) == (A, "T404")
    (row,) = await agent.quarantined()
    assert row["reason"].endswith("no return is known by T405")


async def test_a_scan_waits_for_the_label_that_it_names(agent: Drive) -> None:
    await agent.send(scanned("accepted", id_=None, tracking="T1"))
    await agent.send(an_order(), asked(), decided())
    await agent.settle()
    assert await states(agent) == ["in_transit"]


async def test_a_question_waits_for_its_order_and_its_version(agent: Drive) -> None:
    await agent.send(asked(order_version=2))
    await agent.send(an_order())
    assert not await agent.published()
    await agent.send(an_order(version=2))
    assert len(await agent.published(ReturnabilityAssessed)) == 1


async def test_a_replacement_is_offered_reserved_and_shipped(
    agent: Drive, world: OutsideWorld
) -> None:
    world.stock["JACKET-L"] = 1
    wish: dict[str, Any] = {"resolution": "replacement", "replacement_sku": "JACKET-L"}
    await agent.send(an_order(), asked(**wish))
    await agent.settle()
    (answer,) = await agent.published(ReturnabilityAssessed)
    assert answer.replacement.available
    assert answer.replacement.ship_by == START + timedelta(days=2)
    await agent.send(decided(resolution="replacement"), replacement_released())
    await agent.settle()
    assert len(await agent.published(ReplacementScheduled)) == 1
    (shipped,) = await agent.published(ReplacementShipped)
    assert shipped.tracking_number == "OUT-replacement-1"
    assert world.shipments["replacement-1"]["ship_to"]["name"] == "Sarah"
    assert world.stock["JACKET-L"] == 0


async def test_an_empty_shelf_fails_the_replacement_and_a_later_release_tries_again(
    agent: Drive, world: OutsideWorld
) -> None:
    await agent.send(an_order(), asked(), decided(), replacement_released())
    await agent.settle()
    (failed,) = await agent.published(ReplacementFailed)
    assert failed.reason == "none left"
    world.stock["JACKET-L"] = 5
    await agent.send(replacement_released())
    await agent.settle()
    assert len(await agent.published(ReplacementShipped)) == 1


async def test_rejected_goods_go_back_to_the_customer(agent: Drive, world: OutsideWorld) -> None:
    await agent.send(an_order(), asked(), decided())
    await agent.settle()
    await agent.send(scanned("accepted"), received(), inspected(grade="worn"))
    await agent.send(decided(sequence=2, decision="escalated"))
    await agent.send(decided(sequence=3, decision="rejected"))
    await agent.settle()
    (back,) = await agent.published(ReturnSentBack)
    assert back.lines[0].quantity == 1
    (disposed,) = await agent.published(ItemDisposed)
    assert disposed.disposition == "sent_back"
    (shipment,) = world.shipments.values()
    assert shipment["lines"] == [{"sku": "JACKET-M", "quantity": 1}]
    assert not shipment["from_stock"]


async def test_what_the_warehouse_refuses_is_told_to_a_person_and_not_tried_for_ever(
    agent: Drive, world: OutsideWorld
) -> None:
    world.refuses = {"/warehouse/shipments", "/inventory/restocks"}
    await agent.send(an_order(2), asked(quantity=2), decided(A, 1, 2), received(2), inspected(2))
    await agent.send(refunded(A, 1))
    await agent.send(decided(A, 2, sequence=2, decision="rejected"))
    await agent.settle()
    reasons = [event.reason for event in await agent.published(ParcelUnmatched)]
    assert sorted(reasons) == [
        "the inventory does not take 1 × JACKET-M as restocked: no such article",
        "the warehouse does not send the goods back to the customer: no such article",
    ]
    assert await agent.count("effects") == 0


async def test_a_test_return_says_so_in_every_message(agent: Drive, world: OutsideWorld) -> None:
    await agent.send(an_order(), asked(test=True), decided(test=True))
    await agent.settle()
    await agent.send(scanned("accepted"), received(), inspected())
    published = await agent.published()
    assert len(published) >= 5
    assert all(body.test for body in published)
    assert all(label["sent"]["test"] for label in world.labels.values())


async def test_every_unit_has_a_history_of_its_own(agent: Drive) -> None:
    await agent.send(an_order(2), asked(quantity=2), decided(A, 1, 2))
    await agent.settle()
    at = START + timedelta(days=2)
    seen = scanned("accepted", at=at, location="Reno")
    await agent.send(seen, seen, received(1, occurred_at=at), inspected(1, occurred_at=at))
    history = await store.find_history(agent.pool, A)
    assert [state for _, state in history["1", 1]] == [
        "authorised", "label_issued", "in_transit", "received", "inspected",
    ]  # fmt: skip
    assert [state for _, state in history["1", 2]] == [
        "authorised", "label_issued", "in_transit", "short_shipped",
    ]  # fmt: skip
    assert [when for when, _ in history["1", 1]] == [START, START, at, at, at]
    goods = await store.find_return(agent.pool, A)
    assert goods is not None
    shown = api.view(goods, history)
    assert [len(unit.history) for unit in shown.units] == [5, 4]
    assert [unit.next.who for unit in shown.units] == ["nobody", "customer"]
    assert shown.next.by == goods.send_by
    assert [(scan.what, scan.where) for scan in shown.tracking] == [("accepted", "Reno")]


async def test_a_foreign_order_is_quarantined_and_told(agent: Drive) -> None:
    await agent.send(an_order(), asked(), decided())
    await agent.send(received(order_id="order-2"))
    (row,) = await agent.quarantined()
    assert "order-2" in row["reason"]
    assert (await names(agent))[-1] == "RecordQuarantined"
    assert not await agent.published(ReturnReceived)


async def test_the_database_refuses_what_must_never_be(agent: Drive) -> None:
    await agent.send(an_order(), asked(), decided(), received(), asked(B), decided(B, 1))
    for broken in (
        "UPDATE units SET state = 'received'",
        "UPDATE units SET ordinal = 2",
        "UPDATE units SET state = 'inspected', grade = NULL",
        "UPDATE units SET state = 'eaten'",
        """UPDATE returns SET document = jsonb_set(document, '{counts,0,assigned}', '2')
           WHERE document ? 'counts'""",
        """UPDATE returns SET document = jsonb_set(document, '{counts,0,back}', '1')
           WHERE document ? 'counts'""",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await agent.pool.execute(broken)


async def test_a_redelivered_batch_changes_nothing(agent: Drive) -> None:
    batch = [
        record(message, id_=f"e{number}", offset=number)
        for number, message in enumerate(
            (an_order(2), asked(quantity=2), decided(A, 1, 2), received(2), inspected(2))
        )
    ]
    for _ in range(3):
        await agent.pipeline.process(batch)
        await agent.settle()
    assert (await names(agent)).count("ReturnReceived") == 1
    assert (await names(agent)).count("ReturnLabelIssued") <= 1


@pytest.mark.parametrize("size", [1, 10, 100])
async def test_the_number_of_statements_does_not_depend_on_the_batch(
    agent: Drive, size: int
) -> None:
    orders = [an_order(order_id=f"o{n}") for n in range(size)]
    await agent.send(*orders)
    await agent.send(
        *(asked(return_id(str(n)), order_id=f"o{n}") for n in range(size)),
        *(decided(return_id(str(n)), order_id=f"o{n}") for n in range(size)),
    )
    await agent.settle()
    seen: list[str] = []

    def logged(query: Any) -> None:
        seen.append(query.query)

    async with agent.pool.acquire() as connection:
        connection.add_query_logger(logged)
    events = [scanned("accepted", id_=return_id(str(n))) for n in range(size)]
    await agent.send(
        *events, *(received(id_=return_id(str(n)), event=f"r{n}") for n in range(size))
    )
    assert len(await agent.published(ReturnReceived)) == size
    assert len([q for q in seen if "RESET" not in q and "pg_advisory_unlock" not in q]) <= 14
