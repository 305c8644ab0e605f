"""What commerce decides, and what fulfillment makes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.base import Message
from contracts.fulfillment import (
    Disposition,
    ItemDisposed,
    ReturnInspected,
    ReturnLabelFailed,
    ReturnLabelIssued,
    ReturnNotSent,
)
from contracts.orders import Trait
from contracts.warehouse import Grade
from services.fulfillment import messages
from services.fulfillment.decide import disposal
from services.fulfillment.decide.disposal import BY_CATEGORY, BY_GRADE, proposal
from services.fulfillment.journey import NEXT, next_step
from services.fulfillment.messages import BuyLabel, LabelOutcomeUnknown, LookUpLabel, VoidLabel
from services.fulfillment.model import LABEL_ATTEMPTS_MAX, UnitState
from services.fulfillment.orders import LineFacts
from tests.unit.fulfillment.desk import Desk, bought
from tests.unit.fulfillment.examples import (
    NOW,
    ORDER,
    RENO,
    SEND_BY,
    A,
    an_order,
    asked,
    closed,
    decided,
    inspected,
    received,
    refunded,
    replacement_released,
    scanned,
)

S = UnitState


def approved(*units: int) -> Desk:
    units = units or (1,)
    desk = Desk(an_order(max(units)), asked(quantity=len(units)), decided(A, *units))
    desk.buys_label()
    return desk


def test_an_approval_buys_one_label_to_the_decided_address() -> None:
    desk = Desk(an_order(2), asked(quantity=2), decided(A, 1, 2))
    (wish,) = desk.intents(BuyLabel)
    assert wish.recipient == RENO
    assert wish.sender is not None
    assert wish.sender.name == "Sarah"
    assert wish.weight_grams == 1800
    assert not wish.customs
    desk.buys_label("T1")
    (issued,) = desk.events(ReturnLabelIssued)
    assert issued.tracking_number == "T1"
    assert desk.states() == [S.LABEL_ISSUED, S.LABEL_ISSUED]
    desk.send(decided(A, 1, 2, sequence=2), bought(wish))
    assert len(desk.intents(BuyLabel)) == 1
    assert len(desk.events(ReturnLabelIssued)) == 1


def test_a_parcel_over_a_border_carries_customs_data() -> None:
    abroad = RENO.model_copy(update={"country": "DE"}).model_dump()
    line = an_order().lines[0].model_dump() | {
        "quantity": 3, "discount_total": 100, "hs_code": "6201.40", "origin_country": "PT",
    }  # fmt: skip
    order = an_order(3, ship_to=abroad, lines=[line])
    desk = Desk(order, asked(quantity=2), decided(A, 1, 2))
    (wish,) = desk.intents(BuyLabel)
    (item,) = wish.customs
    assert (item.description, item.quantity, item.weight_grams) == ("Winter jacket", 2, 1800)
    assert (item.hs_code, item.origin_country) == ("6201.40", "PT")
    # 3 × 200.00 less 1.00 is 599.00: two of the three were sold for 199.67 and 199.67.
    assert (item.value, item.currency) == (39934, "USD")


def test_without_a_provided_label_the_customer_sends_on_their_own() -> None:
    desk = Desk(an_order(), asked(), decided(label=False))
    assert not desk.intents(BuyLabel)
    assert desk.states() == [S.AUTHORISED]
    assert desk.goods().send_by == SEND_BY


def test_a_kept_item_is_not_required() -> None:
    desk = Desk(an_order(), asked(), decided(required=False, label=False, send_by=None))
    assert desk.states() == [S.NOT_REQUIRED]
    assert not desk.intents(BuyLabel)
    assert not [d for d, _ in desk.work.deadlines.values() if d.message is not None]


def test_an_older_decision_changes_nothing() -> None:
    desk = Desk(an_order(), asked(), decided(sequence=2))
    before = desk.goods()
    desk.send(decided(sequence=1, decision="rejected"), decided(sequence=2, decision="rejected"))
    assert desk.goods() is before


def test_a_later_approval_replaces_the_units_of_an_earlier_one() -> None:
    desk = approved(1, 2)
    desk.send(decided(A, 2, sequence=2))
    assert desk.states() == [S.NONE, S.LABEL_ISSUED]


def test_an_escalation_leaves_the_goods_as_they_are() -> None:
    desk = approved(1)
    desk.send(decided(sequence=2, decision="escalated"))
    assert desk.states() == [S.LABEL_ISSUED]
    assert not desk.intents(VoidLabel)


@pytest.mark.parametrize("end", [closed(), decided(sequence=2, decision="rejected")])
def test_the_unused_label_of_an_ended_return_is_voided_once(end: object) -> None:
    desk = approved(1)
    desk.send(end, closed())  # type: ignore[arg-type]
    assert len(desk.intents(VoidLabel)) == 1
    assert desk.states() == [S.NONE]


def test_a_reopened_return_gets_a_new_label() -> None:
    desk = approved(1)
    desk.send(closed(), decided(sequence=2))
    assert [wish.name for wish in desk.intents(BuyLabel)] == [f"{A}:1", f"{A}:2"]


def test_a_label_that_runs_out_before_the_last_day_is_replaced() -> None:
    late = NOW + timedelta(days=60)
    desk = Desk(an_order(), asked(), decided(send_by=late))
    desk.buys_label("T1")
    desk.at(timedelta(days=30))
    desk.due()
    first, second = desk.intents(BuyLabel)
    assert second.name != first.name
    desk.buys_label("T2")
    assert [event.tracking_number for event in desk.events(ReturnLabelIssued)] == ["T1", "T2"]


def test_a_last_day_that_is_moved_beyond_the_label_brings_a_new_one() -> None:
    desk = approved(1)
    assert not [d for d, _ in desk.work.deadlines.values() if d.name == "label_expires"]
    desk.send(decided(sequence=2, send_by=NOW + timedelta(days=60)))
    desk.at(timedelta(days=30))
    desk.due()
    assert len(desk.intents(BuyLabel)) == 2


@pytest.mark.parametrize("end", [scanned("accepted"), closed()])
def test_a_label_that_was_used_or_is_not_needed_is_not_replaced(end: Message) -> None:
    desk = Desk(an_order(), asked(), decided(send_by=NOW + timedelta(days=60)))
    desk.buys_label("T1")
    desk.send(end)
    desk.at(timedelta(days=30))
    desk.due()
    assert len(desk.intents(BuyLabel)) == 1


def unknown(wish: BuyLabel) -> LabelOutcomeUnknown:
    same = wish.model_dump(include={"order_id", "return_id", "name", "attempt"})
    return LabelOutcomeUnknown(**same, reason="timeout")


def absent(wish: BuyLabel) -> messages.LabelAbsent:
    same = wish.model_dump(include={"order_id", "return_id", "name", "attempt"})
    return messages.LabelAbsent(**same)


def test_an_unknown_outcome_is_looked_up_before_anything_else() -> None:
    desk = Desk(an_order(), asked(), decided())
    (wish,) = desk.intents(BuyLabel)
    desk.send(unknown(wish))
    (look_up,) = desk.intents(LookUpLabel)
    assert (look_up.name, look_up.attempt) == (wish.name, 1)
    assert len(desk.intents(BuyLabel)) == 1
    desk.send(bought(wish))
    assert desk.states() == [S.LABEL_ISSUED]


def test_only_a_proven_absence_allows_the_next_attempt_and_attempts_are_bounded() -> None:
    desk = Desk(an_order(), asked(), decided())
    for attempt in range(1, LABEL_ATTEMPTS_MAX + 1):
        wish = desk.intents(BuyLabel)[-1]
        assert wish.attempt == attempt
        desk.send(unknown(wish), absent(wish), absent(wish))
    (failed,) = desk.events(ReturnLabelFailed)
    assert failed.code == "carrier_unavailable"
    assert len(desk.intents(BuyLabel)) == LABEL_ATTEMPTS_MAX


def test_a_late_answer_of_an_earlier_attempt_is_ignored() -> None:
    desk = Desk(an_order(), asked(), decided())
    (first,) = desk.intents(BuyLabel)
    desk.send(unknown(first), absent(first))
    desk.send(bought(first, "LATE"))
    assert not desk.events(ReturnLabelIssued)


def test_units_never_sent_are_told_once() -> None:
    desk = approved(1, 2)
    desk.send(scanned("accepted"), received(1))
    desk.at(timedelta(days=15))
    desk.due()
    (told,) = desk.events(ReturnNotSent)
    assert [(line.line_id, line.quantity) for line in told.lines] == [("1", 1)]
    desk.send(received(1, event="r2"))
    assert desk.states() == [S.RECEIVED, S.RECEIVED]


def test_a_moved_last_day_moves_the_deadline() -> None:
    desk = approved(1)
    desk.send(decided(sequence=2, send_by=SEND_BY + timedelta(days=10)))
    desk.at(timedelta(days=15))
    desk.due()
    assert not desk.events(ReturnNotSent)
    desk.at(timedelta(days=25))
    desk.due()
    assert len(desk.events(ReturnNotSent)) == 1


def test_what_is_on_its_way_is_not_never_sent() -> None:
    desk = approved(1)
    desk.send(scanned("accepted"))
    desk.at(timedelta(days=15))
    desk.due()
    assert not desk.events(ReturnNotSent)


def test_inspected_goods_wait_for_their_money_before_they_are_sold_again() -> None:
    desk = approved(1)
    desk.send(received(), inspected())
    assert not desk.events(ItemDisposed)
    desk.send(refunded())
    (disposed,) = desk.events(ItemDisposed)
    assert (disposed.units, disposed.disposition) == ((1,), Disposition.RESTOCKED)


def test_money_that_came_first_disposes_upon_inspection() -> None:
    desk = approved(1)
    desk.send(refunded(), received(), inspected(grade="damaged"))
    (disposed,) = desk.events(ItemDisposed)
    assert disposed.disposition is Disposition.RECYCLED


def test_a_decision_made_after_the_inspection_disposes_too() -> None:
    desk = approved(1)
    desk.send(received(), inspected(), decided(sequence=2, decision="escalated"))
    assert not desk.events(ItemDisposed)
    desk.send(decided(sequence=3))
    assert len(desk.events(ItemDisposed)) == 1


def test_goods_of_an_approved_return_do_not_lie_for_ever() -> None:
    desk = approved(1)
    desk.send(received(), inspected())
    desk.at(timedelta(hours=49))
    desk.due()
    assert len(desk.events(ItemDisposed)) == 1


def test_disputed_goods_are_kept() -> None:
    desk = approved(1)
    desk.send(received(), inspected(), decided(sequence=2, decision="escalated"))
    desk.at(timedelta(hours=49))
    desk.due()
    assert not desk.events(ItemDisposed)
    assert len(desk.events(ReturnInspected)) == 1


def test_a_replacement_is_released_once() -> None:
    desk = approved(1)
    desk.send(replacement_released(), replacement_released())
    assert len(desk.intents(messages.ReserveStock)) == 1


def line(category: str, *traits: Trait) -> LineFacts:
    return LineFacts(
        line_id="1", sku="X", title="X", category=category, quantity=1, unit_price=1, traits=traits
    )


@pytest.mark.parametrize(
    ("category", "traits", "grade", "expected"),
    [
        ("apparel", (), Grade.AS_NEW, Disposition.RESTOCKED),
        ("apparel", (), Grade.OPENED, Disposition.RESTOCKED),
        ("electronics", (), Grade.OPENED, Disposition.REFURBISH),
        ("electronics", (), Grade.DAMAGED, Disposition.RECYCLED),
        ("apparel", (), Grade.WORN, Disposition.LIQUIDATED),
        ("shoes", (), Grade.DAMAGED, Disposition.RECYCLED),
        ("furniture", (), Grade.DAMAGED, Disposition.LIQUIDATED),
        ("cosmetics", (), Grade.OPENED, Disposition.DISPOSED),
        ("toys", (), Grade.WORN, Disposition.REFURBISH),
        ("toys", (), Grade.DAMAGED, Disposition.DISPOSED),
        ("toys", (Trait.PERISHABLE,), Grade.AS_NEW, Disposition.DISPOSED),
        ("toys", (Trait.SEALED_HYGIENE,), Grade.AS_NEW, Disposition.RESTOCKED),
        ("toys", (Trait.SEALED_HYGIENE,), Grade.OPENED, Disposition.DISPOSED),
    ],
)
def test_the_disposition_is_a_table(
    category: str, traits: tuple[Trait, ...], grade: Grade, expected: Disposition
) -> None:
    assert proposal(line(category, *traits), grade) is expected


def test_a_confirmed_defect_never_becomes_stock_however_new_it_looks() -> None:
    for category in (*BY_CATEGORY, "anything"):
        for grade in BY_GRADE:
            made = proposal(line(category), grade, defect_confirmed=True)
            assert made is not Disposition.RESTOCKED
    assert proposal(line("apparel"), Grade.AS_NEW, defect_confirmed=False) is Disposition.RESTOCKED


def test_the_disposition_table_is_total() -> None:
    for category in (*BY_CATEGORY, "anything"):
        assert {*BY_CATEGORY.get(category, ())} <= set(BY_GRADE)
        for grade in BY_GRADE:
            assert proposal(line(category), grade) in set(Disposition) - {Disposition.UNKNOWN}
    made = {proposal(line(c), grade) for c in (*BY_CATEGORY, "anything") for grade in BY_GRADE}
    assert made == set(Disposition) - {Disposition.UNKNOWN, Disposition.SENT_BACK}


def test_every_state_tells_the_customer_what_comes_next() -> None:
    assert set(NEXT) == set(UnitState)
    desk = approved(1)
    assert next_step(desk.goods()).who == "customer"
    assert next_step(desk.goods()).by == SEND_BY
    desk.send(scanned("accepted"))
    step = next_step(desk.goods())
    assert (step.who, step.by) == ("carrier", NOW + timedelta(days=21))
    desk.send(scanned("delivered"))
    step = next_step(desk.goods())
    assert (step.who, step.by) == ("warehouse", NOW + timedelta(hours=48))
    assert NOW < SEND_BY


def another() -> messages.AnotherLabelWanted:
    return messages.AnotherLabelWanted(order_id=ORDER, return_id=A)


def test_goods_that_do_not_fit_into_one_parcel_get_one_more_label_at_a_time() -> None:
    desk = approved(1, 2)
    desk.send(another(), another())
    assert len(desk.intents(BuyLabel)) == 2
    desk.buys_label("T2")
    assert [event.tracking_number for event in desk.events(ReturnLabelIssued)] == ["T1", "T2"]
    desk.send(scanned("accepted", tracking="T2"), closed())
    assert [wish.tracking_number for wish in desk.intents(VoidLabel)] == ["T1"]
    desk.send(another())
    assert len(desk.intents(BuyLabel)) == 2


def test_two_restocks_of_a_line_with_a_long_name_are_two() -> None:
    goods = Desk(an_order(), asked(), decided()).goods()
    made = [
        disposal._restock(goods, "l" * 200, "SKU", ordinals, Disposition.RESTOCKED).id
        for ordinals in ((1,), (2,), tuple(range(1, 100)), tuple(range(1, 101)))
    ]
    assert len(set(made)) == 4
    assert all(len(each) <= len("restock:") + 150 for each in made)
