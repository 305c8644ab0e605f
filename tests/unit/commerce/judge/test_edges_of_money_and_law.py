"""Places where one more or one less, here or there, decides: amounts, places, last days."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.orders import Loyalty, OrderSnapshot
from contracts.requests import Condition
from services.commerce.law import periods, protection
from services.commerce.law.rows import Clock, Deadline
from services.commerce.policy import weights
from services.commerce.policy.model import OutboundShipping
from services.commerce.quote import calculation, loyalty, units
from services.commerce.quote.calculation import Asked, Earlier, Terms
from services.commerce.quote.shipping import Basis, Part
from tests.unit.commerce.judge.documents import (
    NOW,
    days,
    defaults,
    found,
    german,
    judge,
    line,
    order,
    plain,
    policy,
    request,
    text,
    wanted,
)

Json = dict[str, Any]
UNLIMITED = policy(limits={"auto_approve_up_to": {}})


def snapshot(document: Json) -> OrderSnapshot:
    return OrderSnapshot.model_validate(document)


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


NOTICE = Deadline(days=14, clock=Clock.NOTICE)


def test_a_refund_is_due_by_the_days_of_the_region_not_of_the_country() -> None:
    due = periods.refund_due(NOTICE, "US", "NY", notice=at("2026-02-01T05:30"))
    assert due == at("2026-02-16T04:59:59")
    assert periods.refund_due(NOTICE, "US", "HI", notice=at("2026-02-01T05:30")) == at(
        "2026-02-15T09:59:59"
    )


def test_goods_that_come_late_move_the_date_to_the_day_they_came_there() -> None:
    came = at("2026-04-01T22:30")
    due = periods.refund_due(NOTICE, "DE", None, notice=at("2026-03-01T10:00"), received=came)
    assert due == at("2026-04-02T21:59:59")


@pytest.mark.parametrize(
    ("ship_to", "buyer", "place"),
    [
        ({"country": "US", "region": "NY"}, {"country": "US", "region": "CA"}, ("US", "NY")),
        ({"country": "US"}, {"country": "US", "region": "CA"}, ("US", "CA")),
        ({"country": "US"}, {"country": "CA", "region": "ON"}, ("US", None)),
        ({"country": "US", "region": " us-ny "}, {"country": "CA"}, ("US", "NY")),
        ({"country": "US", "region": "US-"}, {"country": "CA"}, ("US", None)),
    ],
)
def test_the_region_is_where_it_was_sent_and_the_buyers_only_in_the_same_country(
    ship_to: Json, buyer: Json, place: tuple[str, str | None]
) -> None:
    document = order(line(100), region=None)
    document["ship_to"] |= ship_to
    document["buyer"] = {"customer_id": "c", "email": "a@b.example"} | buyer
    assert protection.place_of(snapshot(document)) == place


def parcel(number: int, when: datetime | None, *lines: tuple[str, int]) -> Json:
    held = [{"line_id": line_id, "quantity": quantity} for line_id, quantity in lines]
    arrived = {"delivered_at": text(when)} if when is not None else {}
    return {"delivery_id": f"d{number}", "lines": held} | arrived


EARLY, LATE = NOW - days(20), NOW - days(5)


@pytest.mark.parametrize(
    ("lines", "parcels", "known", "when"),
    [
        ([line(1, quantity=2)], [parcel(1, EARLY, ("1", 1)), parcel(2, LATE, ("1", 1))], {}, LATE),
        ([line(1, quantity=2)], [parcel(1, LATE, ("1", 1)), parcel(2, EARLY, ("1", 1))], {}, LATE),
        ([line(1, quantity=3)], [parcel(1, EARLY, ("1", 1)), parcel(2, LATE, ("1", 1))], {}, None),
        (
            [line(1), line(1, "2")],
            [parcel(1, None, ("1", 1)), parcel(2, LATE, ("2", 1))],
            {"1": EARLY},
            LATE,
        ),
        ([line(1), line(1, "2")], [parcel(1, None, ("1", 1)), parcel(2, LATE, ("2", 1))], {}, None),
        ([line(1), line(1, "2")], [parcel(1, EARLY, ("1", 1))], {"2": LATE}, LATE),
        ([line(1, traits=["digital"]), line(1, "2")], [parcel(1, EARLY, ("1", 1))], {}, None),
        ([line(1, traits=["digital"]), line(1, "2")], [parcel(1, LATE, ("2", 1))], {}, LATE),
    ],
)
def test_possession_is_the_last_thing_and_waits_for_every_thing(
    lines: list[Json], parcels: list[Json], known: dict[str, datetime], when: datetime | None
) -> None:
    bought = snapshot(order(*lines, deliveries=parcels))
    assert protection.possession(bought, known) == when


def test_a_fault_is_rejected_for_thirty_days_in_britain_and_no_day_longer() -> None:
    short = policy(defaults={"window_days": 10, "resolutions": ["exchange"]})
    faulty = request(wanted("1", reason="defective"))
    for age, decision in ((30, "approved"), (31, "escalated")):
        bought = order(
            line(100), country="GB", region=None, currency="GBP", delivered=NOW - days(age)
        )
        assert judge(order=bought, request=faulty, policy=short).decision == decision
    business = order(
        line(100),
        country="GB",
        region=None,
        currency="GBP",
        delivered=NOW - days(30),
        buyer={"type": "business"},
    )
    assert judge(order=business, request=faulty, policy=short).decision == "escalated"


@pytest.mark.parametrize(
    ("confidence", "band"),
    [(1.0, "high"), (0.9, "high"), (0.8999, "medium"), (0.6, "medium"), (0.5999, "low")],
)
def test_a_band_begins_with_its_lowest_number(confidence: float, band: str) -> None:
    assert weights.band(confidence) == band


def terms(**changes: Any) -> Terms:
    return Terms(**({"basis": Basis.POLICY, "mode": OutboundShipping.PRORATA_VALUE} | changes))


def test_the_share_returned_before_counts_every_line_that_was() -> None:
    bought = snapshot(
        order(
            line(1000, "1"),
            line(2000, "2"),
            line(3000, "3"),
            shipping={"paid": 600, "tax_total": 60, "tax_rate_bps": 1000},
        )
    )
    gone = {"1": frozenset({1}), "2": frozenset({1})}
    before = Earlier(taken=gone, refunded=gone, net=3000, shipping=Part(300, 30))
    last = calculation.calculate(bought, [Asked(line=bought.lines[2], units=(1,))], terms(), before)
    assert (last.refund.shipping, last.shipping_tax) == (300, 30)
    part = {"1": frozenset({1})}
    first = Earlier(taken=part, refunded=part, net=1000, shipping=Part(100, 10))
    middle = calculation.calculate(
        bought, [Asked(line=bought.lines[1], units=(1,))], terms(), first
    )
    assert (middle.refund.shipping, middle.shipping_tax) == (200, 20)


def test_what_earlier_decisions_gave_of_shipping_is_what_their_lines_did_not_take() -> None:
    bought = order(
        line(1000, "1", tax_total=100),
        line(2000, "2", tax_total=200),
        line(3000, "3", tax_total=300),
        shipping={"paid": 600, "tax_total": 60},
    )
    prorated = defaults(outbound_shipping="prorata_value")
    asked = request(wanted("1"), wanted("2"), number=100)
    first = judge(order=bought, request=asked, policy=prorated)
    earlier = calculation.earlier_of([first])
    assert earlier.shipping == Part(300, 30) and earlier.net == 3000
    second = judge(
        order=bought,
        request=request(wanted("3"), number=101),
        policy=prorated,
        earlier=[plain(first)],
    )
    assert calculation.earlier_of([first, second]).shipping == Part(600, 60)
    assert first.refund is not None and second.refund is not None
    assert first.refund.total + second.refund.total == 7260


@pytest.mark.parametrize(
    ("way_out", "inclusive", "rate"),
    [
        ({"paid": 1000, "tax_total": 190, "tax_rate_bps": 1900}, False, 1900),
        ({"paid": 1000, "tax_total": 190}, False, 1900),
        ({"paid": 1190, "tax_total": 190}, True, 1900),
        ({"paid": 0, "tax_total": 0}, False, 0),
        ({"paid": 5, "tax_total": 5}, True, 0),
        ({"paid": 1, "tax_total": 2}, False, 10_000),
        ({"paid": 1, "tax_total": 0}, False, 0),
    ],
)
def test_the_rate_of_shipping_is_named_or_what_its_amounts_amount_to(
    way_out: Json, inclusive: bool, rate: int
) -> None:
    bought = snapshot(order(line(100), include_tax=inclusive, shipping=way_out))
    assert calculation.shipping_rate(bought) == rate


def test_tax_that_is_said_to_be_inside_a_price_is_believed_up_to_the_price() -> None:
    odd = line(100, tax_total=250)
    bought = snapshot(german(odd)).lines[0]
    assert units.worth(bought, (1,), includes_tax=True) == (0, 100)
    assert units.worth(bought, (1,), includes_tax=False) == (100, 250)
    assert units.line_worth(bought, includes_tax=True) == (0, 100)
    assert units.line_worth(bought, includes_tax=False) == (100, 250)


@pytest.mark.parametrize(("inclusive", "value"), [(True, 9), (False, 10)])
def test_the_value_of_an_order_is_net_of_the_tax_that_its_prices_contain(
    inclusive: bool, value: int
) -> None:
    bought = order(line(10, tax_total=1), include_tax=inclusive, shipping={"paid": 7})
    assert units.order_value(snapshot(bought)) == value


def test_a_rule_that_does_not_apply_says_which_values_it_wants() -> None:
    rules = [
        {
            "id": "shoes",
            "when": {"category": ["shoes", "boots"]},
            "set": {"window_days": 5},
        }
    ]
    made = judge(order=order(line(100)), request=request(), policy=policy(rules=rules))
    said = found(made, "rule_not_fired")
    assert said.explanation == "does not apply: category is not shoes or boots"


def test_rules_that_are_equal_in_every_value_but_set_different_things_are_told_apart() -> None:
    bought = order(line(100), delivered=NOW - days(25))
    built_in = {"window_days": 30}
    decisions = [
        judge(
            order=bought,
            request=request(),
            policy=policy(
                defaults={"window_days": 20}, rules=[{"id": "a", "when": {}, "set": change}]
            ),
        )
        for change in (built_in, {"returnable": True}, built_in)
    ]
    assert [each.decision for each in decisions] == ["approved", "escalated", "approved"]
    hashes = [each.facts.inputs_sha256 for each in decisions]
    assert hashes[0] == hashes[2] != hashes[1]


def test_a_rule_for_one_product_tells_products_apart() -> None:
    only = [{"id": "a", "when": {"sku": ["SKU-2"]}, "set": {"window_days": 5}}]
    bought = order(line(100), line(100, "2"))
    made = judge(order=bought, request=request(wanted("1"), wanted("2")), policy=policy(rules=only))
    assert [str(each.verdict) for each in made.lines] == ["approved", "review"]


def test_what_is_digital_and_undelivered_may_be_excluded_for_what_else_it_is() -> None:
    bought = snapshot(german(line(100, traits=["digital", "perishable"])))
    law = protection.protection_of(bought, NOW, {})
    for is_delivered, trait in ((False, "perishable"), (True, "digital")):
        found_ = protection.exclusion(
            law, bought.lines[0], Condition.UNOPENED, is_delivered=is_delivered
        )
        assert found_ == trait


@pytest.mark.parametrize(("seconds", "informed"), [(-1, True), (0, True), (1, False)])
def test_a_buyer_is_informed_from_the_instant_of_being_told(seconds: int, informed: bool) -> None:
    told = {"provided_at": text(NOW + days(seconds / 86400)), "document_version": "1"}
    bought = snapshot(german(line(100), withdrawal_information=told))
    assert protection.protection_of(bought, NOW, {}).informed is informed


def test_points_of_an_order_worth_nothing_stay_where_they_are() -> None:
    points = Loyalty(program_id="l", points_earned=7, points_redeemed=9)
    assert loyalty.earned_share(points, before=0, net=0, whole=0) == 0
    assert loyalty.redeemed_share(points, before=0, items=0, whole=0) == 0


def test_shipping_that_comes_back_with_the_last_unit_comes_back_whole() -> None:
    bought = order(
        line(1000, quantity=2),
        shipping={"paid": 500},
        loyalty={"program_id": "l", "points_earned": 10, "points_redeemed": 0},
    )
    first = judge(order=bought, request=request(wanted("1"), number=100))
    last = judge(order=bought, request=request(wanted("1"), number=101), earlier=[plain(first)])
    assert first.refund is not None and last.refund is not None
    assert (first.refund.shipping, last.refund.shipping) == (0, 500)


def test_the_reason_of_a_decision_after_the_first_has_a_rank_of_its_own() -> None:
    assert weights.rank("settlement_failed") == (9, 0)
    assert weights.rank("policy_gap") > weights.rank("amount_over_limit")


def test_a_replacement_puts_its_product_in_the_place_of_what_came_back() -> None:
    swap = request(wanted("1"), resolution="replacement", number=100)
    made = judge(order=order(line(100)), request=swap)
    earlier = calculation.earlier_of([made], {made.return_id})
    assert earlier.anew == {("1", 1): "SKU-1"} and not earlier.taken
    assert calculation.earlier_of([made]).taken == {"1": frozenset({1})}
