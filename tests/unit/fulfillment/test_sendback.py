"""What the customer gets back, and who is told when it does not leave the warehouse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.decisions import ReturnDecisionMade
from contracts.fulfillment import ItemDisposed, ParcelUnmatched, ReturnSentBack
from services.fulfillment.messages import (
    GoodsDispatchedBack,
    Restock,
    RestockRefused,
    SendBack,
    SendBackRefused,
)
from services.fulfillment.model import UnitState
from tests.unit.fulfillment.desk import Desk
from tests.unit.fulfillment.examples import (
    JACKET,
    NOW,
    ORDER,
    A,
    an_order,
    asked,
    decided,
    inspected,
    received,
    refunded,
)

S = UnitState
SOCKS = "SOCKS"


def two_lines() -> Desk:
    """A jacket and two pairs of socks, all asked for."""
    jacket = an_order().lines[0].model_dump()
    socks = jacket | {"line_id": "2", "sku": SOCKS, "quantity": 2, "title": "Socks"}
    question = asked()
    more = question.lines[0].model_copy(update={"line_id": "2", "sku": SOCKS, "quantity": 2})
    return Desk(
        an_order(lines=[jacket, socks]),
        question.model_copy(update={"lines": (*question.lines, more)}),
    )


def judged(jacket: str, socks: str, sequence: int = 1, decision: str = "approved") -> (
    ReturnDecisionMade
):  # fmt: skip
    first, second = (1,), (1, 2)
    return decided(
        sequence=sequence,
        decision=decision,
        lines=[
            line("1", JACKET, first, jacket),
            line("2", SOCKS, second, socks),
        ],
    )


def line(line_id: str, sku: str, units: tuple[int, ...], verdict: str) -> dict[str, Any]:
    return {
        "line_id": line_id,
        "sku": sku,
        "quantity": len(units),
        "units": units if verdict == "approved" else (),
        "verdict": verdict,
    }


def dispatched(wish: SendBack) -> GoodsDispatchedBack:
    return GoodsDispatchedBack(
        order_id=ORDER,
        return_id=A,
        shipment_id=wish.shipment_id,
        tracking_number="BACK-1",
        lines=wish.lines,
        shipped_at=NOW,
    )


def test_inspected_units_that_a_later_approval_leaves_out_go_back_and_are_never_sold() -> None:
    desk = Desk(an_order(2), asked(quantity=2), decided(A, 1, 2))
    desk.send(received(2), inspected(2, "worn"), decided(A, 1, sequence=2))
    (wish,) = desk.intents(SendBack)
    assert [(each.sku, each.units) for each in wish.lines] == [(JACKET, (2,))]
    desk.at(timedelta(hours=49))
    desk.due()
    assert [unit for event in desk.events(ItemDisposed) for unit in event.units] == [1]
    desk.send(dispatched(wish))
    (told,) = desk.events(ReturnSentBack)
    assert [(each.line_id, each.quantity) for each in told.lines] == [("1", 1)]
    assert desk.states()[1] is S.SENT_BACK


def test_a_unit_that_was_paid_is_not_sent_back() -> None:
    desk = Desk(an_order(2), asked(quantity=2), decided(A, 1, 2), received(2))
    desk.send(refunded(A, 1), decided(A, 1, 2, sequence=2, decision="rejected"))
    (wish,) = desk.intents(SendBack)
    assert [each.units for each in wish.lines] == [(2,)]


def test_a_unit_that_arrives_after_it_was_left_out_goes_to_a_person() -> None:
    desk = Desk(an_order(2), asked(quantity=2), decided(A, 1, 2), decided(A, 1, sequence=2))
    desk.send(received(2))
    (told,) = desk.events(ParcelUnmatched)
    assert told.reason == f"1 × {JACKET} that the decision leaves out"
    desk.send(inspected(2))
    desk.at(timedelta(hours=49))
    desk.due()
    assert [unit for event in desk.events(ItemDisposed) for unit in event.units] == [1]


def test_rejected_goods_of_several_articles_go_back_in_one_parcel() -> None:
    desk = two_lines()
    desk.send(judged("approved", "approved"))
    desk.send(received(lines=[{"sku": JACKET, "quantity": 1}, {"sku": SOCKS, "quantity": 2}]))
    desk.send(judged("rejected", "rejected", 2, "rejected"))
    (wish,) = desk.intents(SendBack)
    assert [(each.sku, each.pieces) for each in wish.lines] == [(JACKET, 1), (SOCKS, 2)]


def test_goods_that_came_before_any_approval_go_back_when_it_is_refused() -> None:
    desk = Desk(an_order(), asked(), decided(decision="escalated"), received())
    desk.send(decided(sequence=2, decision="rejected"))
    (wish,) = desk.intents(SendBack)
    assert [(each.line_id, each.sku, each.pieces) for each in wish.lines] == [("1", JACKET, 1)]
    desk.send(dispatched(wish))
    (told,) = desk.events(ReturnSentBack)
    assert [(each.line_id, each.quantity) for each in told.lines] == [("1", 1)]
    assert desk.goods().count_of(JACKET).unassigned == 0
    desk.send(decided(sequence=3, decision="rejected"))
    assert len(desk.intents(SendBack)) == 1


def test_the_rejected_line_of_an_approved_return_goes_back_once_a_person_has_looked() -> None:
    desk = two_lines()
    desk.send(judged("approved", "rejected"))
    desk.send(received(lines=[{"sku": JACKET, "quantity": 1}, {"sku": SOCKS, "quantity": 1}]))
    assert len(desk.events(ParcelUnmatched)) == 1
    desk.send(judged("approved", "rejected", 2))
    (wish,) = desk.intents(SendBack)
    assert [(each.sku, each.pieces) for each in wish.lines] == [(SOCKS, 1)]


def test_nothing_is_sent_back_twice() -> None:
    desk = Desk(an_order(), asked(), decided(), received())
    desk.send(decided(sequence=2, decision="rejected"), decided(sequence=3, decision="escalated"))
    desk.send(decided(sequence=4, decision="rejected"))
    assert len(desk.intents(SendBack)) == 1


def refused(wish: SendBack) -> SendBackRefused:
    return SendBackRefused(
        order_id=ORDER, return_id=A, shipment_id=wish.shipment_id, code="no", reason="no address"
    )


def test_a_person_hears_that_the_warehouse_refuses_and_the_next_decision_tries_again() -> None:
    desk = Desk(an_order(), asked(), decided(), received())
    desk.send(decided(sequence=2, decision="rejected"))
    (wish,) = desk.intents(SendBack)
    desk.send(refused(wish), refused(wish))
    (told,) = desk.events(ParcelUnmatched)
    assert "no address" in told.reason
    desk.send(decided(sequence=3, decision="escalated"), decided(sequence=4, decision="rejected"))
    assert len(desk.intents(SendBack)) == 2


@pytest.mark.parametrize("left", [False, True])
def test_a_person_hears_after_a_day_that_the_goods_are_still_here(left: bool) -> None:
    desk = Desk(an_order(), asked(), decided(), received())
    desk.send(decided(sequence=2, decision="rejected"))
    if left:
        desk.send(dispatched(*desk.intents(SendBack)))
    desk.at(timedelta(hours=25))
    desk.due()
    assert len(desk.events(ParcelUnmatched)) == (not left)


def test_a_person_hears_that_the_inventory_does_not_take_the_goods() -> None:
    desk = Desk(an_order(), asked(), decided(), received(), inspected(), refunded())
    (wish,) = desk.intents(Restock)
    fields = wish.model_dump(exclude={"reason"})
    desk.send(RestockRefused(**fields, reason="unknown SKU"))
    (told,) = desk.events(ParcelUnmatched)
    assert told.reason == f"the inventory does not take 1 × {JACKET} as restocked: unknown SKU"


def test_a_person_hears_that_what_is_approved_now_is_leaving() -> None:
    desk = Desk(an_order(), asked(), decided(), received(), inspected())
    desk.send(decided(sequence=2, decision="rejected"), decided(sequence=3), refunded())
    (told,) = desk.events(ParcelUnmatched)
    assert told.reason == f"1 × {JACKET} that is approved now is on its way back to the customer"
    assert not desk.events(ItemDisposed)
