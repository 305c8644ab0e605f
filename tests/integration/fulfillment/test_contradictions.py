"""Whatever the systems and the shelf disagree about ends with a person who sees both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from contracts.base import Message
from contracts.decisions import EscalationReason, Outcome
from contracts.orders import OrderSnapshot
from contracts.requests import CancelReturn
from tests.driving import START
from tests.integration.fulfillment.pair import Pair, Scene, taken
from tests.unit.fulfillment import examples as goods

pytestmark = pytest.mark.asyncio
ELSEWHERE = goods.RENO.model_copy(update={"country": "DE", "postal_code": "10115"})


def delivery(quantity: int = 1, *, line: str = "1", **changes: Any) -> dict[str, Any]:
    at = START - timedelta(days=10)
    lines = [{"line_id": line, "quantity": quantity}]
    return {"delivery_id": "d1", "delivered_at": at, "lines": lines} | changes


def two_lines(it: Scene) -> list[dict[str, Any]]:
    jacket = it.order().lines[0].model_dump()
    return [jacket, jacket | {"line_id": "2", "sku": "SOCKS", "tax_total": 0}]


@dataclass(frozen=True, kw_only=True)
class Row:
    """`before`: what fulfillment knows when the return is asked for."""

    order: Callable[[Scene], OrderSnapshot] = Scene.order
    before: Callable[[Scene], list[Message]] = lambda it: []
    quantity: int = 1
    sku: str = goods.JACKET
    facts: tuple[tuple[str, str, str], ...]
    """(code, what the system says, what the shelf says)"""


def already(free: str, came: str) -> tuple[str, str, str]:
    return (
        "already_received",
        f"{free} of JACKET-M with the customer",
        f"{came} of it counted in the warehouse already",
    )


def more(sold_: str, counted: str) -> tuple[str, str, str]:
    return (
        "more_units_than_sold",
        f"{sold_} of JACKET-M sold",
        f"{counted} counted in the warehouse",
    )


def undelivered(wanted: str, delivered: str) -> tuple[str, str, str]:
    return (
        "never_delivered",
        f"{wanted} of JACKET-M to come back",
        f"{delivered} of it ever delivered",
    )


OTHER_ADDRESS = (
    "delivered_elsewhere",
    "the order was to be delivered to its shipping address",
    "the carrier handed the parcel over at another address",
)
BEFORE_THE_DECISION: dict[str, Row] = {
    "a cancelled return whose parcel came": Row(
        before=lambda it: [it.asked(it.b), it.decided(it.b), it.closed(it.b), it.received(it.b)],
        facts=(already("1 unit", "1 unit"),)),
    "an expired return whose parcel came": Row(
        before=lambda it: [it.asked(it.b), it.decided(it.b), it.closed(it.b, "expired"),
                           it.received(it.b)],
        facts=(already("1 unit", "1 unit"),)),
    "a rejected return whose parcel came": Row(
        before=lambda it: [it.asked(it.b), it.decided(it.b, decision="rejected"),
                           it.received(it.b)],
        facts=(already("1 unit", "1 unit"),)),
    "a return under review whose parcel came": Row(
        before=lambda it: [it.asked(it.b), it.decided(it.b, decision="escalated"),
                           it.received(it.b)],
        facts=(already("1 unit", "1 unit"),)),
    "a return that nobody decided whose parcel came": Row(
        before=lambda it: [it.asked(it.b), it.received(it.b)],
        facts=(already("1 unit", "1 unit"),)),
    "one that was only inspected": Row(
        before=lambda it: [it.asked(it.b), it.inspected(it.b)],
        facts=(already("1 unit", "1 unit"),)),
    "one of three came unannounced, three are wanted": Row(
        order=lambda it: it.order(3), quantity=3,
        before=lambda it: [it.asked(it.b), it.received(it.b)],
        facts=(already("3 units", "1 unit"),)),
    "one stands, one came unannounced, two are wanted": Row(
        order=lambda it: it.order(3), quantity=2,
        before=lambda it: [it.asked(it.b), it.decided(it.b), it.asked(it.c), it.received(it.c)],
        facts=(already("2 units", "1 unit"),)),
    "more in the warehouse than was ever sold": Row(
        before=lambda it: [it.asked(it.b), it.received(it.b, 2)],
        facts=(more("1 unit", "2 units"), already("1 unit", "2 units"))),
    "more than sold through two returns": Row(
        before=lambda it: [it.asked(it.b), it.decided(it.b), it.received(it.b), it.asked(it.c),
                           it.received(it.c)],
        facts=(more("1 unit", "2 units"),)),
    "a surplus in a return that stands": Row(
        before=lambda it: [it.asked(it.b), it.decided(it.b), it.received(it.b, 3)],
        facts=(more("1 unit", "3 units"),)),
    "the line is in no delivery": Row(
        order=lambda it: it.order(lines=two_lines(it), deliveries=[delivery(line="2")]),
        facts=(undelivered("1 unit", "no units"),)),
    "fewer were delivered than are to come back": Row(
        order=lambda it: it.order(2, deliveries=[delivery(1)]), quantity=2,
        facts=(undelivered("2 units", "1 unit"),)),
    "it was sent long ago and never came": Row(
        order=lambda it: it.order(placed_at=START - timedelta(days=33), deliveries=[delivery(
            delivered_at=None, shipped_at=START - timedelta(days=32))]),
        facts=(undelivered("1 unit", "no units"),)),
    "neither sent nor delivered": Row(
        order=lambda it: it.order(deliveries=[delivery(delivered_at=None)]),
        facts=(undelivered("1 unit", "no units"),)),
    "handed over in another country": Row(
        order=lambda it: it.order(deliveries=[delivery(address=ELSEWHERE.model_dump())]),
        facts=(OTHER_ADDRESS,)),
    "handed over elsewhere, and back already": Row(
        order=lambda it: it.order(deliveries=[delivery(address=ELSEWHERE.model_dump())]),
        before=lambda it: [it.asked(it.b), it.received(it.b)],
        facts=(already("1 unit", "1 unit"), OTHER_ADDRESS)),
    "never delivered, and back already": Row(
        order=lambda it: it.order(deliveries=[delivery(delivered_at=None)]),
        before=lambda it: [it.asked(it.b), it.received(it.b)],
        facts=(already("1 unit", "1 unit"), undelivered("1 unit", "no units"))),
}  # fmt: skip
"""What contradicts before commerce decides."""

Steps = Callable[[Scene], list[Message]]
AFTER_THE_APPROVAL: dict[str, tuple[Steps, str]] = {
    "another item is in the box": (
        lambda it: [it.received(sku="BRICK")], "1 × BRICK that nobody announced"),
    "more pieces than were approved": (
        lambda it: [it.received(quantity=2)], "1 × JACKET-M more than announced"),
    "an unknown article beside the right one": (
        lambda it: [it.received(lines=[{"sku": "JACKET-M", "quantity": 1},
                                       {"sku": "BRICK", "quantity": 2}])],
        "2 × BRICK that nobody announced"),
    "an empty box": (lambda it: [it.received(quantity=0)], "the parcel was empty"),
    "the unit comes a second time": (
        lambda it: [it.received(), it.received(tracking="T2")],
        "1 × JACKET-M more than announced"),
    "inspected twice as often as it came": (
        lambda it: [it.received(), it.inspected(), it.inspected()],
        "1 × JACKET-M more than announced"),
    "the inspector finds another item": (
        lambda it: [it.received(), it.inspected(grade="wrong_item")], "wrong_item"),
    "the inspector finds nothing": (
        lambda it: [it.received(), it.inspected(grade="missing")], "missing"),
    "a grade that nobody knows": (
        lambda it: [it.received(), it.inspected(grade="mouldy")],
        "a grade for JACKET-M that nobody knows, taken as damaged"),
    "an inspected article that nobody announced": (
        lambda it: [it.inspected(sku="BRICK")], "1 × BRICK that nobody announced"),
    "a parcel after the return was cancelled": (
        lambda it: [cancelled(it), it.received()], "cancelled"),
    "a scan after the return was cancelled": (
        lambda it: [cancelled(it), it.scanned("accepted")], "cancelled"),
}  # fmt: skip
"""What the carrier or the warehouse sees that the approval does not say, and words of it."""


def cancelled(it: Scene) -> Message:
    return CancelReturn(return_id=it.a, order_id=it.order_id, requested_at=START)


async def test_a_contradiction_before_the_decision_is_a_persons_case_with_both_sides(
    pair: Pair,
) -> None:
    scenes = {name: Scene(number) for number, name in enumerate(BEFORE_THE_DECISION)}
    for name, row in BEFORE_THE_DECISION.items():
        it = scenes[name]
        await pair.tell(row.order(it))
        await pair.services["fulfillment"].send(*row.before(it))
        await taken(pair.services["fulfillment"])
        await pair.tell(it.request(row.quantity))
        made = pair.decisions[it.a]
        assert made.decision is Outcome.ESCALATED, name
        assert made.escalation is not None
        assert made.escalation.reason is EscalationReason.INVENTORY_CONTRADICTION, name
        told = made.escalation.context["contradictions"]
        assert isinstance(told, list | tuple)
        found = tuple((each["code"], each["system_state"], each["physical_state"]) for each in told)
        assert found == row.facts, name
        assert made.escalation.case is not None


async def test_what_the_warehouse_sees_after_an_approval_is_a_persons_case_too(
    pair: Pair,
) -> None:
    for number, (name, (steps, words)) in enumerate(AFTER_THE_APPROVAL.items()):
        it = Scene(100 + number)
        await pair.tell(it.order(), it.request())
        assert pair.decisions[it.a].decision is Outcome.APPROVED, name
        await pair.tell(*steps(it))
        made = pair.decisions[it.a]
        assert made.decision is Outcome.ESCALATED, name
        assert made.escalation is not None
        assert words in made.model_dump_json(), (name, made.escalation.context)


async def test_the_table_has_twenty_rows_and_more() -> None:
    assert len(BEFORE_THE_DECISION) + len(AFTER_THE_APPROVAL) >= 20
