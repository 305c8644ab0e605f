"""Returnability: facts of the goods, and every contradiction between system and warehouse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.assessments import ReturnabilityAssessed
from contracts.base import Message
from services.fulfillment import messages
from services.fulfillment.decide.assess import business_days_after
from services.fulfillment.handlers import all_handlers
from services.fulfillment.sites import Sites
from tests.unit.fulfillment.desk import Desk
from tests.unit.fulfillment.examples import (
    JACKET,
    NOW,
    RENO,
    A,
    B,
    an_order,
    asked,
    closed,
    decided,
    inspected,
    received,
    return_id,
    scanned,
)

C = return_id("c")
BERLIN = RENO.model_copy(update={"country": "DE", "postal_code": "10115", "city": "Berlin"})


def delivery(quantity: int = 1, *, line: str = "1", **changes: Any) -> dict[str, Any]:
    body = {
        "delivery_id": "d1",
        "delivered_at": NOW - timedelta(days=10),
        "lines": [{"line_id": line, "quantity": quantity}],
    }
    return body | changes


def line(**changes: Any) -> dict[str, Any]:
    return an_order().lines[0].model_dump() | changes


def answer(*before: Message, question: Message | None = None) -> ReturnabilityAssessed:
    desk = Desk(*before)
    desk.forget_events()
    desk.send(question or asked())
    (found,) = desk.events(ReturnabilityAssessed)
    return found


def test_a_plain_jacket_is_returnable_with_its_delivery_address_and_label() -> None:
    found = answer(an_order())
    assert found.lines[0].returnable
    assert found.lines[0].delivered_at == NOW - timedelta(days=10)
    assert found.lines[0].received_quantity == 0
    assert found.lines[0].restocking_fee_bps == 0
    assert found.return_address == RENO
    assert found.label.provided
    assert not found.contradictions


def test_a_returns_own_goods_are_left_out() -> None:
    question = asked(round=2, purpose="refresh")
    found = answer(an_order(), asked(), decided(), received(), question=question)
    assert found.round == 2
    assert found.lines[0].received_quantity == 0
    assert found.lines[0].returnable
    assert not found.contradictions


def test_the_window_runs_from_the_last_parcel_with_units_of_the_line() -> None:
    later = NOW - timedelta(days=2)
    other = NOW - timedelta(days=1)
    deliveries = [
        delivery(),
        delivery(delivered_at=later, delivery_id="d2"),
        delivery(delivered_at=other, line="2", delivery_id="d3"),
    ]
    (found,) = answer(an_order(2, deliveries=deliveries)).lines
    assert found.delivered_at == later
    assert [(each.quantity, each.delivered_at) for each in found.deliveries] == [
        (1, NOW - timedelta(days=10)),
        (1, later),
    ]


def test_hazardous_goods_and_unknown_lines_cannot_come_back() -> None:
    found = answer(an_order(lines=[line(traits=["hazardous"])]))
    assert found.lines[0].refusal == "hazardous goods cannot be carried back"
    odd = asked(lines=[asked().lines[0].model_copy(update={"line_id": "9"})])
    found = answer(an_order(), question=odd)
    assert (found.lines[0].returnable, found.lines[0].refusal) == (
        False,
        "the order has no line 9",
    )


def test_what_is_back_already_cannot_come_back_again() -> None:
    found = answer(an_order(), asked(B), decided(B), received(id_=B), inspected(id_=B))
    assert not found.lines[0].returnable
    assert found.lines[0].received_quantity == 1


ELSEWHERE = BERLIN.model_dump()
CONTRADICTIONS: dict[str, tuple[tuple[Message, ...], Message, set[str]]] = {
    "nothing is wrong": ((an_order(),), asked(), set()),
    "another return that stands is no contradiction": (
        (an_order(2), asked(B), decided(B, 1), received(id_=B)), asked(), set()),
    "a cancelled return whose parcel came": (
        (an_order(), asked(B), decided(B), closed(B), received(id_=B)), asked(),
        {"already_received"}),
    "an expired return whose parcel came": (
        (an_order(), asked(B), decided(B), closed(B, "expired"), received(id_=B)), asked(),
        {"already_received"}),
    "a rejected return whose parcel came": (
        (an_order(), asked(B), decided(B, decision="rejected"), received(id_=B)), asked(),
        {"already_received"}),
    "a return under review whose parcel came": (
        (an_order(), asked(B), decided(B, decision="escalated"), received(id_=B)), asked(),
        {"already_received"}),
    "a return that nobody decided whose parcel came": (
        (an_order(), asked(B), received(id_=B)), asked(), {"already_received"}),
    "inspected without a receipt counts too": (
        (an_order(), asked(B), inspected(id_=B)), asked(), {"already_received"}),
    "only scanned is not received": (
        (an_order(), asked(B), scanned("delivered", id_=B)), asked(), set()),
    "one of three came unannounced, two are wanted": (
        (an_order(3), asked(B), received(id_=B)), asked(quantity=2), set()),
    "one of three came unannounced, three are wanted": (
        (an_order(3), asked(B), received(id_=B)), asked(quantity=3), {"already_received"}),
    "one stands, one came unannounced, one is wanted": (
        (an_order(3), asked(B), decided(B), asked(C), received(id_=C)), asked(), set()),
    "one stands, one came unannounced, two are wanted": (
        (an_order(3), asked(B), decided(B), asked(C), received(id_=C)), asked(quantity=2),
        {"already_received"}),
    "more in the warehouse than was ever sold": (
        (an_order(), asked(B), received(2, id_=B)), asked(),
        {"more_units_than_sold", "already_received"}),
    "more than sold through two returns": (
        (an_order(), asked(B), decided(B), received(id_=B), asked(C),
         received(id_=C, event="r2")), asked(), {"more_units_than_sold"}),
    "a surplus in a return that stands": (
        (an_order(), asked(B), decided(B), received(3, id_=B)), asked(),
        {"more_units_than_sold"}),
    "the line is in no delivery": (
        (an_order(deliveries=[delivery(line="2")]),), asked(), {"never_delivered"}),
    "fewer were delivered than are to come back": (
        (an_order(2, deliveries=[delivery(1)]),), asked(quantity=2), {"never_delivered"}),
    "as many were delivered as are to come back": (
        (an_order(2, deliveries=[delivery(1)]),), asked(), set()),
    "no deliveries are recorded at all": ((an_order(deliveries=[]),), asked(), set()),
    "it was sent lately and may have come": (
        (an_order(deliveries=[delivery(delivered_at=None, shipped_at=NOW - timedelta(days=5))]),),
        asked(), set()),
    "it was sent long ago and never came": (
        (an_order(deliveries=[delivery(delivered_at=None, shipped_at=NOW - timedelta(days=40))]),),
        asked(), {"never_delivered"}),
    "neither sent nor delivered": (
        (an_order(deliveries=[delivery(delivered_at=None)]),), asked(), {"never_delivered"}),
    "digital goods are in no parcel": (
        (an_order(lines=[line(traits=["digital"])], deliveries=[delivery(line="2")]),),
        asked(), set()),
    "handed over in another country": (
        (an_order(deliveries=[delivery(address=ELSEWHERE)]),), asked(), {"delivered_elsewhere"}),
    "handed over at the ordered address": (
        (an_order(deliveries=[delivery(address=RENO.model_dump())]),), asked(), set()),
    "the customer names another thing": (
        (an_order(),),
        asked(lines=[asked().lines[0].model_copy(update={"sku": "COAT"})]), {"sku_mismatch"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_found_and_nothing_else(name: str) -> None:
    before, question, codes = CONTRADICTIONS[name]
    found = answer(*before, question=question)
    assert {each.code for each in found.contradictions} == codes
    assert all(each.system_state and each.physical_state for each in found.contradictions)


def test_the_return_address_and_the_label_depend_on_the_country() -> None:
    sites = Sites(addresses={"DE": BERLIN, "default": RENO}, no_label_countries=frozenset({"JP"}))
    for country, address, label in (("DE", BERLIN, True), ("FR", RENO, True), ("JP", RENO, False)):
        desk = Desk(an_order())
        desk.handlers = all_handlers(sites)
        desk.send(asked(country=country))
        (found,) = desk.events(ReturnabilityAssessed)
        assert (found.return_address, found.label.provided) == (address, label)


def test_what_is_on_its_way_through_another_return_is_told() -> None:
    before = (an_order(3), asked(B), decided(B, 1, 2), scanned("accepted", id_=B))
    found = answer(*before, question=asked(quantity=3))
    assert (found.lines[0].on_the_way_quantity, found.lines[0].received_quantity) == (2, 0)
    found = answer(*before, received(id_=B), question=asked(quantity=3))
    assert (found.lines[0].on_the_way_quantity, found.lines[0].received_quantity) == (0, 1)


def test_a_label_costs_what_the_sites_say_by_country_and_currency() -> None:
    fees = {"DE": {"EUR": 499}, "default": {"USD": 900, "EUR": 1500}}
    sites = Sites(label_fees=fees, no_label_countries=frozenset({"JP"}))
    for country, currency, fee in (
        ("DE", "EUR", 499), ("DE", "USD", 0), ("FR", "EUR", 1500), ("US", "USD", 900),
        ("US", "GBP", 0), ("JP", "USD", 0),
    ):  # fmt: skip
        desk = Desk(an_order(currency=currency))
        desk.handlers = all_handlers(sites)
        desk.send(asked(country=country))
        (found,) = desk.events(ReturnabilityAssessed)
        assert found.label.fee == fee, (country, currency)


def test_a_replacement_is_offered_only_from_stock() -> None:
    desk = Desk(an_order(2), asked(quantity=2, resolution="replacement"))
    (question,) = desk.intents(messages.CheckStock)
    assert (question.sku, question.quantity) == (JACKET, 2)
    assert not desk.names()
    for available, enough in ((1, False), (2, True)):
        desk.send(
            messages.StockChecked(
                order_id=question.order_id,
                return_id=A,
                sku=JACKET,
                available=available,
                request=question.request,
            )
        )
        found = desk.events(ReturnabilityAssessed)[-1].replacement
        assert found is not None
        assert found.available is enough


def test_business_days_leave_out_weekends() -> None:
    friday = NOW.replace(month=3, day=6)
    assert friday.weekday() == 4
    assert business_days_after(friday, 2) == friday + timedelta(days=4)
    assert business_days_after(friday, 0) == friday
