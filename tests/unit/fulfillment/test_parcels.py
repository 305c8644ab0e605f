"""Scans, receipts and inspections: in any order, late, twice, too many, too few."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from contracts.fulfillment import (
    ParcelUnmatched,
    ReturnDelivered,
    ReturnInspected,
    ReturnReceived,
    ReturnShipped,
)
from contracts.warehouse import Grade
from services.fulfillment.messages import BuyLabel, ReplacementDispatched, StockReserved
from services.fulfillment.model import Scanned, Standing, UnitState
from services.fulfillment.transitions import Impossible
from tests.unit.fulfillment.desk import Desk
from tests.unit.fulfillment.examples import (
    NOW,
    ORDER,
    A,
    B,
    an_order,
    asked,
    closed,
    decided,
    inspected,
    received,
    replacement_released,
    scanned,
)

S = UnitState


def approved(*units: int, sold: int = 0) -> Desk:
    units = units or (1,)
    desk = Desk(an_order(sold or max(units)), asked(quantity=len(units)), decided(A, *units))
    desk.buys_label("T1")
    desk.forget_events()
    return desk


SAME = {"order_id": ORDER, "return_id": A, "name": f"stock:{A}:1"}


def reserved() -> StockReserved:
    return StockReserved.model_validate(SAME)


def dispatched(tracking: str) -> ReplacementDispatched:
    body = SAME | {"tracking_number": tracking, "shipped_at": NOW}
    return ReplacementDispatched.model_validate(body)


def test_the_jacket_comes_back() -> None:
    desk = approved(1)
    desk.send(scanned("accepted"), scanned("delivered"), received(1), inspected(1))
    assert desk.names() == [
        "ReturnShipped",
        "ReturnDelivered",
        "ReturnReceived",
        "ReturnInspected",
    ]
    assert desk.events(ReturnReceived)[0].lines[0].units == (1,)
    assert desk.events(ReturnReceived)[0].expected_weight_grams == 900
    assert desk.states() == [S.INSPECTED]


@pytest.mark.parametrize(
    "order",
    list(permutations((scanned("accepted"), scanned("delivered"), received(2), inspected(2)))),
    ids=lambda messages: "-".join(type(m).__name__ + getattr(m, "scan", "") for m in messages),
)
def test_every_order_of_events_ends_alike_and_counts_once(order: tuple[object, ...]) -> None:
    desk = approved(1, 2, 3)
    desk.send(*order, *order)  # type: ignore[arg-type]
    assert desk.states() == [S.INSPECTED, S.INSPECTED, S.SHORT_SHIPPED]
    counted = [unit for e in desk.events(ReturnReceived) for line in e.lines for unit in line.units]
    graded = [unit for e in desk.events(ReturnInspected) for line in e.lines for unit in line.units]
    assert counted == graded == [1, 2]
    assert not desk.events(ParcelUnmatched)


def test_the_first_scan_is_the_proof_of_sending_even_if_acceptance_was_never_told() -> None:
    desk = approved(1)
    desk.send(scanned("in_transit"), scanned("accepted"), scanned("delivered"))
    assert desk.names() == ["ReturnShipped", "ReturnDelivered"]
    desk = approved(1)
    desk.send(scanned("delivered"), scanned("accepted"))
    assert desk.names() == ["ReturnShipped", "ReturnDelivered"]


def test_a_scan_that_overtakes_its_decision_is_taken_up_by_it() -> None:
    desk = Desk(an_order(), asked(), scanned("accepted"))
    assert desk.names() == ["ReturnabilityAssessed", "ReturnShipped"]
    desk.send(decided())
    assert desk.states() == [S.IN_TRANSIT]
    assert not desk.intents(BuyLabel)


def test_a_receipt_that_overtakes_its_decision_is_announced_again_with_its_units() -> None:
    desk = Desk(an_order(2), asked(quantity=2), received(2), inspected(1, "worn"))
    assert [line.units for e in desk.events(ReturnReceived) for line in e.lines] == [()]
    desk.forget_events()
    desk.send(decided(A, 1, 2))
    assert desk.names() == ["ReturnReceived", "ReturnInspected"]
    assert sorted(desk.states()) == [S.INSPECTED, S.RECEIVED]
    assert desk.events(ReturnInspected)[0].lines[0].grade is Grade.WORN


def test_a_short_receipt_counts_what_came_and_the_rest_stays_owed() -> None:
    desk = approved(1, 2, 3)
    desk.send(scanned("accepted"), received(2))
    assert desk.states() == [S.RECEIVED, S.RECEIVED, S.SHORT_SHIPPED]
    assert desk.events(ReturnReceived)[0].lines[0].quantity == 2
    desk.send(received(1, event="r2"))
    assert desk.states() == [S.RECEIVED] * 3


def test_a_second_parcel_brings_the_rest() -> None:
    desk = approved(1, 2, 3)
    desk.send(scanned("accepted", tracking="T1"), scanned("accepted", tracking="T2"))
    desk.send(received(2, tracking="T1"))
    assert desk.states() == [S.RECEIVED, S.RECEIVED, S.IN_TRANSIT]
    desk.send(scanned("delivered", tracking="T2"), received(1, tracking="T2", event="r2"))
    assert desk.states() == [S.RECEIVED] * 3
    assert len(desk.events(ReturnShipped)) == 2
    assert len(desk.events(ReturnDelivered)) == 1


def test_an_empty_box_is_a_receipt_of_nothing_and_a_person_looks() -> None:
    desk = approved(1)
    desk.send(scanned("accepted"), received(0))
    assert desk.events(ReturnReceived)[0].lines[0].quantity == 0
    assert "empty" in desk.events(ParcelUnmatched)[0].reason
    assert desk.states() == [S.SHORT_SHIPPED]


def test_a_wrong_item_in_the_box_goes_to_a_person() -> None:
    desk = approved(1)
    desk.send(received(1, sku="BRICK"))
    assert "BRICK" in desk.events(ParcelUnmatched)[0].reason
    assert desk.states() == [S.SHORT_SHIPPED]
    desk = approved(1)
    desk.send(received(1), inspected(1, "wrong_item"))
    assert desk.events(ReturnInspected)[0].lines[0].grade is Grade.WRONG_ITEM
    assert desk.states() == [S.WRONG_ITEM]


def test_more_than_announced_is_counted_up_to_the_announcement() -> None:
    desk = approved(1, sold=3)
    desk.send(received(2))
    assert desk.states() == [S.RECEIVED]
    assert desk.events(ReturnReceived)[0].lines[0].quantity == 1
    assert "1 × JACKET-M more than announced" in desk.events(ParcelUnmatched)[0].reason


def test_one_parcel_for_two_returns_is_shared_out() -> None:
    desk = approved(1, sold=2)
    desk.send(asked(B), decided(B, 2))
    desk.forget_events()
    desk.send(received(2))
    assert desk.states(A) == desk.states(B) == [S.RECEIVED]
    assert not desk.events(ParcelUnmatched)
    assert {e.return_id for e in desk.events(ReturnReceived)} == {A, B}


def test_a_unit_that_comes_twice_is_counted_once() -> None:
    desk = approved(1)
    desk.send(received(1), closed(A), asked(B), decided(B, 1), received(1, id_=B, event="r2"))
    assert desk.states(A) == [S.RECEIVED]
    assert desk.states(B) != [S.RECEIVED]
    assert desk.events(ParcelUnmatched)


def test_a_scan_after_cancellation_is_published_so_that_the_case_reopens() -> None:
    desk = approved(1)
    desk.send(closed())
    assert desk.states() == [S.NONE]
    desk.forget_events()
    desk.send(scanned("accepted"), received(1))
    assert desk.names() == ["ReturnShipped", "ReturnReceived"]
    assert desk.states() == [S.RECEIVED]
    assert desk.goods().standing is Standing.CLOSED


def test_a_rejected_return_that_arrives_anyway_is_told() -> None:
    desk = Desk(an_order(), asked(), decided(decision="rejected"))
    desk.send(scanned("accepted"), received(1))
    assert desk.names()[-2:] == ["ReturnShipped", "ReturnReceived"]


def test_an_unknown_parcel_waits_and_then_a_person_looks() -> None:
    desk = approved(1)
    own_parcel = scanned("accepted", id_=None, tracking="T404", order_id=ORDER)
    desk.send(own_parcel, received(1, id_=B))
    assert not desk.names()
    assert len(desk.waiting) == 2
    desk.give_up_waiting()
    unmatched = desk.events(ParcelUnmatched)
    assert [e.tracking_number for e in unmatched] == ["T404", None]
    assert [e.return_id for e in unmatched] == [A, B]
    assert "JACKET-M" in unmatched[1].reason


def test_a_parcel_is_known_by_its_tracking_number_alone() -> None:
    desk = approved(1)
    desk.send(scanned("accepted", id_=None, tracking="T1"))
    assert desk.states() == [S.IN_TRANSIT]


def test_an_event_that_names_another_order_is_set_aside() -> None:
    desk = approved(1)
    with pytest.raises(Exception, match="not order-2"):
        desk.send(received(1, order_id="order-2"))


def test_a_repeated_receipt_under_another_envelope_counts_once() -> None:
    desk = approved(1, 2)
    desk.send(received(1), received(1))
    assert desk.states() == [S.RECEIVED, S.SHORT_SHIPPED]


def test_an_unnamed_parcel_takes_the_number_of_its_later_scan() -> None:
    desk = Desk(an_order(), asked(), decided(label=False))
    desk.send(received(1), scanned("accepted", tracking="OWN-1"))
    assert [parcel.tracking_number for parcel in desk.goods().parcels] == ["OWN-1"]
    assert desk.states() == [S.RECEIVED]


def test_scans_are_kept_in_the_order_in_which_they_happened() -> None:
    desk = approved(1)
    later = NOW.replace(hour=18)
    desk.send(scanned("delivered", at=later), scanned("accepted"))
    (parcel,) = desk.goods().parcels
    assert [what for _, what, _ in parcel.trail] == ["accepted", "delivered"]
    assert parcel.scanned is Scanned.DELIVERED


def test_impossible_units_are_refused() -> None:
    desk = Desk(an_order(1), asked())
    with pytest.raises(Impossible):
        desk.send(decided(A, 2))


def test_an_unknown_grade_is_taken_as_damaged_and_a_person_looks() -> None:
    desk = approved(1)
    desk.send(received(1), inspected(1, "mouldy"))
    assert desk.events(ReturnInspected)[0].lines[0].grade is Grade.DAMAGED
    assert desk.events(ParcelUnmatched)


def test_a_replacement_on_its_way_is_nobodys_proof_of_sending() -> None:
    desk = approved(1)
    desk.send(replacement_released(), reserved(), dispatched("OUT-1"))
    desk.forget_events()
    desk.send(scanned("accepted", id_=None, tracking="OUT-1"))
    desk.send(scanned("delivered", id_=A, tracking="OUT-1"))
    assert not desk.names()
    assert desk.states() == [S.LABEL_ISSUED]
    assert desk.goods().outbound[0].scanned is Scanned.DELIVERED
    desk.send(received(1, id_=None, tracking="OUT-1", sku="JACKET-L"))
    assert "came back: 1 × JACKET-L" in desk.events(ParcelUnmatched)[0].reason
    assert desk.states() == [S.LABEL_ISSUED]


def test_what_is_scanned_after_the_parcel_was_opened_is_a_second_one() -> None:
    later = NOW + timedelta(hours=1)
    for tracking in (None, "OWN-2"):
        desk = approved(1, 2)
        desk.send(scanned("accepted"), received(1))
        desk.send(scanned("accepted", tracking=tracking, at=later, event="s2"))
        assert desk.states() == [S.RECEIVED, S.IN_TRANSIT]
        assert len(desk.events(ReturnShipped)) == 2
        desk.send(received(1, tracking=tracking, event="r2"))
        assert desk.states() == [S.RECEIVED, S.RECEIVED]


def test_a_scan_from_a_clock_that_is_ahead_makes_no_second_parcel_of_nothing() -> None:
    desk = approved(1)
    desk.send(scanned("accepted"), received(1))
    desk.send(scanned("delivered", at=NOW + timedelta(minutes=5)))
    assert len(desk.goods().parcels) == 1
    assert not desk.events(ReturnDelivered)
