"""Domain's table of statuses, line by line, over every combination of the three axes."""

from __future__ import annotations

from itertools import product

import pytest

from contracts.decisions import LegalBasis, Legs, LineUnits, RefundBreakdown, Release
from contracts.lifecycle import Party, Status
from contracts.requests import Method
from services.commerce import status
from services.commerce.judgement import Released
from services.commerce.model import (
    DONE,
    Goods,
    Money,
    Refund,
    Return,
    State,
    Terms,
    Unit,
)
from tests.unit.commerce.process import examples

PLACES = tuple(Goods)
MONEY = (None, *Money)


def a_return(
    state: State, places: tuple[Goods, ...], money: Money | None, **more: object
) -> Return:
    """A return over 100, of one unit for each place, with one refund or none."""
    refunds: tuple[Refund, ...] = ()
    if money is not None:
        refund = Refund(
            refund_id="r1",
            method=Method.ORIGINAL_PAYMENT_METHOD,
            amount=100,
            sequence=1,
            money=money,
        )
        refunds = (refund,)
    units = tuple(range(1, len(places) + 1))
    part = Released(
        release=Release(lines=(LineUnits(line_id="1", units=units),), amount=100),
        refund=RefundBreakdown(),
        allocations=(),
        legs=Legs(),
    )
    fields: dict[str, object] = {
        "return_id": examples.RETURN_ID,
        "order_key": "order-1",
        "state": state,
        "requested_at": examples.NOW,
        "terms": Terms(
            sequence=1,
            currency="USD",
            total=100,
            method=Method.ORIGINAL_PAYMENT_METHOD,
            legal_basis=LegalBasis.MERCHANT_POLICY,
        ),
        "units": tuple(
            Unit(line_id="1", ordinal=number, goods=place)
            for number, place in enumerate(places, start=1)
        ),
        "refunds": refunds,
        "parts": (part,) if refunds else (),
        "labelled": True,
    }
    return Return.model_validate(fields | more)


def expected(state: State, places: tuple[Goods, ...], money: Money | None) -> Status:
    """The table as the domain writes it, said again in another way."""
    if money is Money.FAILED and state in (State.APPROVED, State.AWAITING_REVIEW):
        return Status.SETTLEMENT_FAILED
    if state is not State.APPROVED:
        return Status(state.value)
    if set(places) <= DONE:
        return Status.SETTLED if money is Money.SETTLED else Status.PENDING_SETTLEMENT
    for place, found in (
        (Goods.RECEIVED, Status.QUALITY_CHECK),
        (Goods.DELIVERED, Status.PHYSICALLY_RECEIVED),
        (Goods.IN_TRANSIT, Status.IN_TRANSIT),
        (Goods.LOST, Status.IN_TRANSIT),
    ):
        if place in places:
            return found
    return Status.AWAITING_PHYSICAL_RECEIPT


@pytest.mark.parametrize("state", State)
def test_the_first_line_that_holds_wins(state: State) -> None:
    for places, money in product(product(PLACES, repeat=2), MONEY):
        current = a_return(state, places, money)
        assert status.of(current).status is expected(state, places, money), (places, money)


@pytest.mark.parametrize("state", State)
def test_what_is_not_over_waits_on_somebody_for_a_bounded_time(state: State) -> None:
    for places, money in product(product(PLACES, repeat=2), MONEY):
        standing = status.of(a_return(state, places, money))
        over = standing.status in status.FINAL
        assert (standing.party is Party.NONE) is over
        assert (standing.wait is None and standing.until is None) is over
        assert standing.explanation


def test_every_line_of_the_waits_is_final_or_bounded() -> None:
    for (shown, party), wait in status.WAITS.items():
        assert (wait is None) is (party is Party.NONE) is (shown in status.FINAL)
    assert {shown for shown, _ in status.WAITS} == set(Status) - {Status.UNKNOWN}


def test_a_return_of_nothing_to_pay_is_settled_with_its_goods() -> None:
    free = a_return(State.APPROVED, (Goods.INSPECTED,), None)
    assert free.terms is not None
    free = free.but(terms=free.terms.model_copy(update={"total": 0}))
    assert status.of(free).status is Status.SETTLED


def test_a_refund_that_was_replaced_no_longer_fails_the_return() -> None:
    current = a_return(State.APPROVED, (Goods.INSPECTED,), Money.FAILED)
    [failed] = current.refunds
    second = failed.model_copy(update={"refund_id": "r2", "money": Money.SETTLED})
    replaced = failed.model_copy(update={"replaced": True})
    assert status.of(current.but(refunds=(replaced, second))).status is Status.SETTLED


def test_half_of_what_was_approved_does_not_settle_a_return() -> None:
    current = a_return(State.APPROVED, (Goods.INSPECTED,), Money.SETTLED)
    [refund] = current.refunds
    half = refund.model_copy(update={"amount": 50})
    assert status.of(current.but(refunds=(half,))).status is Status.PENDING_SETTLEMENT
