"""Replacements: stock is held when it is promised, and leaves when commerce says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from contracts.assessments import ReturnabilityAssessed
from contracts.base import Message
from contracts.decisions import ReturnDecisionMade
from contracts.fulfillment import ReplacementFailed, ReplacementScheduled, ReplacementShipped
from services.fulfillment import messages
from services.fulfillment.messages import OfAttempt, ReleaseStock, ReserveStock, ShipReplacement
from services.fulfillment.model import ReplacementState, UnitState
from tests.unit.fulfillment.desk import Desk
from tests.unit.fulfillment.examples import (
    JACKET,
    NOW,
    SEND_BY,
    A,
    B,
    an_order,
    asked,
    closed,
    decided,
    inspected,
    received,
    replacement_released,
    return_id,
    scanned,
)


def promised(sequence: int = 1, sku: str = "JACKET-L", **changes: Any) -> ReturnDecisionMade:
    replacement = {"sku": sku, "quantity": 1, "ship_on": "receipt"}
    return decided(sequence=sequence, resolution="exchange", replacement=replacement, **changes)


def approved() -> Desk:
    return Desk(an_order(), asked(), promised())


def of(wish: OfAttempt) -> dict[str, Any]:
    return wish.model_dump(include={"order_id", "return_id", "name", "attempt"})


def reserved(wish: ReserveStock) -> Message:
    return messages.StockReserved(**of(wish))


def refused(wish: ReserveStock) -> Message:
    return messages.StockRefused(**of(wish), code="out_of_stock", reason="none left")


def test_stock_is_held_from_the_approval_until_the_goods_may_be_here() -> None:
    desk = approved()
    (wish,) = desk.intents(ReserveStock)
    assert (wish.sku, wish.quantity) == ("JACKET-L", 1)
    assert wish.expires_at == SEND_BY + timedelta(days=21)
    desk.send(reserved(wish))
    assert desk.goods().replacements[0].state is ReplacementState.HELD
    assert not desk.intents(ShipReplacement)
    assert not desk.events(ReplacementScheduled)


def test_what_is_held_ships_when_commerce_releases_it_and_is_not_reserved_again() -> None:
    desk = approved()
    (wish,) = desk.intents(ReserveStock)
    desk.send(reserved(wish), replacement_released(), replacement_released())
    (ship,) = desk.intents(ShipReplacement)
    assert (ship.name, ship.replacement_id) == (wish.name, "replacement-1")
    assert len(desk.intents(ReserveStock)) == 1
    (told,) = desk.events(ReplacementScheduled)
    assert told.replacement_id == "replacement-1"
    desk.send(messages.ReplacementDispatched(**of(ship), tracking_number="OUT-1", shipped_at=NOW))
    (shipped,) = desk.events(ReplacementShipped)
    assert (shipped.replacement_id, shipped.tracking_number) == ("replacement-1", "OUT-1")


def test_a_release_that_overtakes_the_reservation_ships_once_it_is_there() -> None:
    desk = approved()
    (wish,) = desk.intents(ReserveStock)
    desk.send(replacement_released())
    assert not desk.intents(ShipReplacement)
    desk.send(reserved(wish), reserved(wish))
    assert len(desk.intents(ShipReplacement)) == 1


def test_the_customer_hears_at_once_that_nothing_is_left() -> None:
    desk = approved()
    desk.send(refused(*desk.intents(ReserveStock)))
    (failed,) = desk.events(ReplacementFailed)
    assert failed.reason == "none left"
    desk.send(replacement_released())
    first, second = desk.intents(ReserveStock)
    assert (second.name, second.attempt) == (first.name, 2)
    desk.send(reserved(second))
    assert len(desk.intents(ShipReplacement)) == 1


def test_stock_whose_hold_ran_out_is_reserved_anew() -> None:
    desk = approved()
    desk.send(reserved(*desk.intents(ReserveStock)))
    desk.at(SEND_BY + timedelta(days=22))
    desk.send(replacement_released())
    assert not desk.intents(ShipReplacement)
    second = desk.intents(ReserveStock)[1]
    desk.send(reserved(second))
    assert len(desk.intents(ShipReplacement)) == 1


def test_a_later_approval_of_something_else_gives_the_stock_back() -> None:
    desk = approved()
    desk.send(reserved(*desk.intents(ReserveStock)), promised(2, sku="JACKET-S"))
    assert len(desk.intents(ReleaseStock)) == 1
    assert [wish.sku for wish in desk.intents(ReserveStock)] == ["JACKET-L", "JACKET-S"]
    desk.send(decided(sequence=3))
    assert len(desk.intents(ReleaseStock)) == 2


def test_the_same_promise_again_holds_nothing_more() -> None:
    desk = approved()
    desk.send(promised(2), decided(sequence=3, decision="escalated"), promised(4))
    assert len(desk.intents(ReserveStock)) == 1


def test_the_end_of_a_return_gives_the_stock_back_once() -> None:
    desk = approved()
    desk.send(reserved(*desk.intents(ReserveStock)))
    desk.send(decided(sequence=2, decision="rejected"), closed(outcome="rejected"))
    assert len(desk.intents(ReleaseStock)) == 1
    assert desk.goods(A).replacements[0].state is ReplacementState.RELEASED


def test_a_replacement_that_nobody_promised_is_held_and_shipped_on_release() -> None:
    desk = Desk(an_order(), asked(), decided())
    desk.send(replacement_released())
    desk.send(reserved(*desk.intents(ReserveStock)))
    assert len(desk.intents(ShipReplacement)) == 1


def came_back_and_was_replaced(sku: str = JACKET) -> Desk:
    """Of two jackets the first came back through A, and another one was shipped in its place."""
    desk = Desk(an_order(2), asked(), promised(sku=sku), received(), inspected())
    desk.send(reserved(desk.intents(ReserveStock)[0]), replacement_released(sku=sku))
    (ship,) = desk.intents(ShipReplacement)
    sent = {"tracking_number": "OUT-1", "shipped_at": NOW}
    desk.send(messages.ReplacementDispatched(**of(ship), **sent))
    return desk


def test_a_replacement_that_comes_back_is_a_unit_of_the_order_like_any_other() -> None:
    desk = came_back_and_was_replaced()
    later = NOW + timedelta(days=3)
    desk.send(scanned("delivered", tracking="OUT-1", at=later))
    desk.send(asked(B))
    answer = desk.events(ReturnabilityAssessed)[-1]
    (line,) = answer.lines
    assert (line.returnable, line.received_quantity, answer.contradictions) == (True, 0, ())
    (sent,) = line.replacements
    assert (sent.quantity, sent.sku, sent.shipped_at) == (1, JACKET, NOW)
    assert sent.delivered_at == later
    desk.send(decided(B, 1), received(id_=B, event="r2"), inspected(id_=B, event="i2"))
    (unit,) = desk.goods(B).units
    assert (unit.state, unit.ordinal, unit.life) == (UnitState.INSPECTED, 1, 2)
    desk.send(asked(return_id("c")))
    assert desk.events(ReturnabilityAssessed)[-1].lines[0].received_quantity == 1


def test_an_exchanged_unit_comes_back_as_what_was_sent_for_it() -> None:
    desk = came_back_and_was_replaced("JACKET-L")
    line = asked().lines[0].model_copy(update={"sku": "JACKET-L"})
    desk.send(asked(B, lines=(line,)))
    assert desk.events(ReturnabilityAssessed)[-1].contradictions == ()
    desk.send(decided(B, 1, sku="JACKET-L"), received(id_=B, event="r2", sku="JACKET-L"))
    (unit,) = desk.goods(B).units
    assert (unit.state, unit.sku, unit.life) == (UnitState.RECEIVED, "JACKET-L", 2)


def test_a_replacement_that_never_arrived_cannot_come_back() -> None:
    desk = came_back_and_was_replaced()
    desk.at(timedelta(days=31))
    desk.send(asked(B))
    (found,) = desk.events(ReturnabilityAssessed)[-1].contradictions
    assert found.code == "never_delivered"
    assert found.physical_state == "parcel OUT-1 was never delivered"


def test_a_replacement_that_was_shipped_before_it_was_told_for_which_units_counts_too() -> None:
    """As the release before stored it."""
    desk = came_back_and_was_replaced()
    (sent,) = desk.goods().replacements
    stored = sent.model_copy(update={"units": (), "shipped_at": None, "tracking_number": None})
    desk.work.returns.put(desk.goods().but(replacements=(stored,)))
    desk.send(asked(B), decided(B, 1))
    assert desk.goods(B).units[0].life == 2
