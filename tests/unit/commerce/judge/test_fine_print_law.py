"""The law and the arithmetic of its periods: tables of dates, and one test per rule."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.commerce.law import periods, zones
from services.commerce.law.protection import withdrawal_in
from services.commerce.policy import loader
from tests.unit.commerce.judge.documents import (
    NOW,
    codes,
    days,
    defaults,
    found,
    german,
    graded,
    history,
    inspected,
    judge,
    line,
    order,
    policy,
    request,
    returnability,
    text,
    wanted,
)

EUROPE, BRITAIN = withdrawal_in("DE"), withdrawal_in("GB")
FAULT = request(wanted("1", reason="defective"))


def basis(at: datetime, **document: Any) -> str:
    asked = request(at=at)
    return str(judge(now=text(at), request=asked, **document).legal_basis)


@pytest.mark.parametrize(
    ("country", "start", "informed", "last"),
    [
        ("DE", date(2026, 3, 6), date(2026, 3, 1), date(2026, 3, 20)),
        ("DE", date(2026, 3, 7), date(2026, 3, 1), date(2026, 3, 23)),  # a Saturday rolls
        ("DE", date(2026, 3, 20), date(2026, 3, 1), date(2026, 4, 7)),  # Good Friday to Tuesday
        ("FR", date(2026, 3, 20), date(2026, 3, 1), date(2026, 4, 3)),  # no holiday in France
        ("GB", date(2026, 3, 7), date(2026, 3, 1), date(2026, 3, 21)),  # a Saturday stays
        ("GB", date(2026, 3, 20), date(2026, 3, 1), date(2026, 4, 3)),  # Good Friday stays
        ("DE", date(2026, 3, 6), None, date(2027, 3, 22)),  # 12 months, from Saturday to Monday
        ("GB", date(2026, 3, 6), None, date(2027, 3, 20)),
        ("DE", date(2026, 3, 6), date(2026, 5, 4), date(2026, 5, 18)),  # told late: 14 days more
        ("DE", date(2026, 3, 6), date(2027, 3, 21), date(2027, 3, 22)),  # told too late to matter
        ("BR", date(2026, 3, 6), None, date(2026, 3, 13)),
        ("CN", date(2026, 3, 6), None, date(2026, 3, 13)),
        ("KR", date(2026, 3, 6), None, date(2026, 3, 13)),
        ("DE", date(2028, 2, 15), None, date(2029, 2, 28)),  # from a 29 February
    ],
)
def test_a_period_ends_on_its_last_day(
    country: str, start: date, informed: date | None, last: date
) -> None:
    row = withdrawal_in(country)
    assert row is not None
    assert periods.last_day(start, row, country, informed_on=informed) == last


def test_the_protecting_country_is_that_of_delivery_else_of_the_buyer() -> None:
    to_germany = order(line(1000), ship_to=german(line(1))["ship_to"])
    assert judge(order=to_germany).legal_basis == "statutory_withdrawal"
    from_germany = german(line(1000), ship_to=order(line(1))["ship_to"])
    assert judge(order=from_germany).legal_basis == "merchant_policy"
    assert judge(order=german(line(1000), ship_to=None)).legal_basis == "statutory_withdrawal"


def test_a_business_is_not_protected() -> None:
    assert judge(order=german(line(1), buyer={"type": "business"})).legal_basis == "merchant_policy"


@pytest.mark.parametrize(
    ("country", "region", "end"),
    [
        ("US", "CA", datetime(2026, 4, 4, 6, 59, 59, tzinfo=UTC)),
        ("US", "TX", datetime(2026, 4, 4, 5, 59, 59, tzinfo=UTC)),  # El Paso ends last
        ("US", None, datetime(2026, 4, 4, 9, 59, 59, tzinfo=UTC)),  # Honolulu ends last
        ("US", "XX", datetime(2026, 4, 4, 9, 59, 59, tzinfo=UTC)),
        ("DE", None, datetime(2026, 4, 3, 21, 59, 59, tzinfo=UTC)),
        ("GB", "SCT", datetime(2026, 4, 3, 22, 59, 59, tzinfo=UTC)),
        ("ES", "CN", datetime(2026, 4, 3, 22, 59, 59, tzinfo=UTC)),
        ("ES", "MD", datetime(2026, 4, 3, 21, 59, 59, tzinfo=UTC)),
        ("JP", None, datetime(2026, 4, 3, 14, 59, 59, tzinfo=UTC)),
        ("ZZ", None, datetime(2026, 4, 3, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_day_ends_where_it_ends_last(country: str, region: str | None, end: datetime) -> None:
    assert zones.end_of_day(date(2026, 4, 3), country, region) == end


def test_windows_are_judged_at_the_earlier_of_request_and_now_until_the_day_ends() -> None:
    bought = order(line(1000), delivered=datetime(2026, 2, 18, 20, tzinfo=UTC))
    last = datetime(2026, 3, 21, 6, 59, 59, tzinfo=UTC)  # 20 March 23:59:59 in Nevada
    in_time = judge(now=text(last + days(3)), order=bought, request=request(at=last))
    assert in_time.decision == "approved"
    late = judge(now=text(last + days(3)), order=bought, request=request(at=last + days(0.001)))
    assert late.escalation.context["days_late"] == 1


def test_a_fault_in_the_period_is_lack_of_conformity_unless_the_consumer_withdraws() -> None:
    bought = german(line(1000), shipping={"paid": 900, "cheapest_offered": 400})
    fault = judge(order=bought, request=FAULT)
    assert fault.legal_basis == "lack_of_conformity" and fault.refund.shipping == 900
    assert fault.refund_on == "inspection"
    withdrawn = judge(order=bought, request=FAULT | {"statutory_withdrawal": True})
    assert withdrawn.legal_basis == "statutory_withdrawal"
    assert withdrawn.refund.shipping == 900  # the better shipping of the two
    assert withdrawn.refund_on == "proof_of_sending"


def test_outside_the_period_a_fault_is_lack_of_conformity_also_where_policy_would_pay() -> None:
    bought = german(line(1000), delivered=NOW - days(20))
    decision = judge(order=bought, request=FAULT)
    assert (decision.decision, decision.legal_basis) == ("approved", "lack_of_conformity")
    assert judge(order=bought).legal_basis == "merchant_policy"


def test_a_mix_of_fault_and_withdrawal_is_judged_line_by_line_and_paid_at_the_earlier() -> None:
    bought = german(line(1000, "1"), line(500, "2"))
    asked = request(wanted("1", reason="defective"), wanted("2"))
    decision = judge(order=bought, request=asked)
    assert decision.refund_on == "proof_of_sending"
    assert {"lack_of_conformity", "statutory_withdrawal"} <= codes(decision)


@pytest.mark.parametrize(("late", "outcome"), [(10, "approved"), (20, "escalated")])
def test_an_unconfirmed_defect_in_the_period_counts_as_a_withdrawal(
    late: int, outcome: str
) -> None:
    bought = german(
        line(1000), delivered=NOW - days(late), shipping={"paid": 900, "cheapest_offered": 400}
    )
    found_nothing = inspected(graded("as_new", defect_confirmed=False))
    decision = judge(order=bought, request=FAULT, inspection=found_nothing)
    assert decision.decision == outcome
    if outcome == "approved":
        assert decision.legal_basis == "statutory_withdrawal"
        assert decision.refund.shipping == 400
        assert "withdrawal_pays_anyway" in codes(decision)


def test_a_place_rule_whose_resolutions_leave_out_refund_falls_short() -> None:
    rule = {"id": "r", "when": {"country": ["DE"]}, "set": {"resolutions": ["store_credit"]}}
    with pytest.raises(loader.PolicyRefused, match="EU-WD-GOODS"):
        loader.from_object(policy(rules=[rule]))
    general = defaults(resolutions=["store_credit"])
    assert judge(order=german(line(1000)), policy=general).decision == "approved"
    assert judge(order=order(line(1000)), policy=general).escalation.reason == "policy_gap"


def test_country_in_rules_is_the_protecting_one_and_in_high_risk_countries_the_buyers() -> None:
    rule = {"id": "r", "when": {"country": ["US"]}, "set": {"window_days": 5}}
    from_france = order(line(1000), buyer={"country": "FR", "region": None})
    decision = judge(order=from_france, policy=policy(rules=[rule]))
    assert decision.escalation.reason == "outside_window"
    risky = policy(limits={"high_risk_countries": ["FR"]})
    assert judge(order=from_france, policy=risky).escalation.reason == "high_risk_jurisdiction"
    to_france = order(line(1000), ship_to=german(line(1))["ship_to"] | {"country": "FR"})
    assert judge(order=to_france, policy=risky).decision == "approved"


@pytest.mark.parametrize(
    ("trait", "condition", "basis_expected", "outcome"),
    [
        ("personalised", "unopened", "merchant_policy", "rejected"),
        ("perishable", "unopened", "merchant_policy", "rejected"),
        ("sealed_hygiene", "opened", "merchant_policy", "approved"),
        ("sealed_hygiene", None, "merchant_policy", "approved"),
        ("sealed_hygiene", "unopened", "statutory_withdrawal", "approved"),
        ("sealed_media", "opened", "merchant_policy", "approved"),
        ("digital", "opened", "merchant_policy", "approved"),
        ("final_sale", "opened", "statutory_withdrawal", "approved"),
    ],
)
def test_article_16_ends_only_the_right_and_the_policy_says_whether_it_is_returnable(
    trait: str, condition: str | None, basis_expected: str, outcome: str
) -> None:
    asked = wanted("1") | {"condition": condition}
    decision = judge(order=german(line(1000, traits=[trait])), request=request(asked))
    assert (decision.legal_basis, decision.decision) == (basis_expected, outcome)


def test_digital_without_delivery_runs_from_the_contract() -> None:
    at = NOW - days(13)
    bought = german(line(1000, traits=["digital"]), deliveries=[], placed_at=text(at))
    bought["withdrawal_information"]["provided_at"] = text(at)
    decision = judge(order=bought)
    assert decision.legal_basis == "statutory_withdrawal"
    assert not decision.return_.required and decision.refund_on == "approval"
    assert basis(NOW + days(4), order=bought) == "merchant_policy"


def test_a_loaded_policy_counts_as_posted_in_the_united_states() -> None:
    for region in ("CA", "NY", "NJ", "FL"):
        bought = order(line(1000), region=region, delivered=NOW - days(5))
        decision = judge(order=bought, policy=defaults(window_days=3))
        assert decision.escalation.reason == "outside_window", region


def test_law_unknown_weighs_nothing_alone_and_turns_a_rejection_into_a_policy_gap() -> None:
    south_africa = {"country": "ZA", "region": None, "currency": "ZAR"}
    decision = judge(order=order(line(1000), **south_africa))
    assert decision.decision == "approved" and decision.confidence == 1
    assert found(decision, "law_unknown").weight == 0
    food = judge(order=order(line(1000, traits=["perishable"]), **south_africa))
    assert food.escalation.reason == "policy_gap"
    assert "law_unknown" not in codes(judge(order=order(line(1000), country="CH", region=None)))


def test_nothing_is_rejected_by_machine_where_the_law_is_not_known() -> None:
    bought = order(line(1000), country="ZA", region=None, currency="ZAR")
    first = judge(order=bought, request=request(number=7))
    again = judge(order=bought, earlier=[first.model_dump(mode="json", exclude_none=True)])
    assert again.decision == "escalated" and again.escalation.reason == "policy_gap"
    assert [(each.verdict, each.refund) for each in again.lines] == [("review", 0)]
    assert {"already_returned", "rejection_needs_a_person"} <= codes(again)


def test_a_fee_for_the_way_back_falls_short_also_where_the_defaults_say_who_pays() -> None:
    rule = {"id": "r", "when": {"country": ["BR"]}, "set": {"return_shipping_fee": {"BRL": 100}}}
    with pytest.raises(loader.PolicyRefused, match="BR-CDC49"):
        loader.from_object(policy(rules=[rule], defaults={"return_shipping": "customer"}))


def test_a_risky_country_flags_a_withdrawal_and_never_freezes_it() -> None:
    risky = policy(limits={"high_risk_countries": ["DE"]}, defaults={"refund_on": "approval"})
    withdrawn = judge(order=german(line(1000)), policy=risky)
    assert withdrawn.decision == "approved" and withdrawn.refund_on == "proof_of_sending"
    assert found(withdrawn, "risk_flagged").rule_id == "limits.high_risk_countries"
    assert found(withdrawn, "risk_flagged").weight <= 0.1
    late = judge(order=german(line(1000), delivered=NOW - days(20)), policy=risky)
    assert late.escalation.reason == "high_risk_jurisdiction"


@pytest.mark.parametrize(
    ("when", "change", "row"),
    [
        ({"country": ["DE"]}, {"window_days": 13}, "EU-WD-GOODS"),
        ({"country": ["US", "FR"]}, {"window_days": 13}, "FR-WD"),
        ({"region": ["DE-BY"]}, {"window_days": 13}, "EU-WD-GOODS"),
        ({"country": ["GB"]}, {"window_days": 13}, "UK-CANCEL"),
        ({"country": ["BR"]}, {"window_days": 6}, "BR-CDC49"),
        ({"country": ["DE"]}, {"window_days": 14, "window_anchor": "ordered"}, "EU-WD-GOODS"),
        ({"country": ["DE"], "category": ["sale"]}, {"returnable": False}, "EU-ART16"),
        ({"country": ["DE"], "trait": ["final_sale"]}, {"returnable": False}, "EU-ART16"),
        ({"country": ["DE"], "trait": ["sealed_media"]}, {"returnable": False}, "EU-ART16"),
        ({"country": ["DE"]}, {"restocking_fee_bps": 1}, "EU-DIMVALUE"),
        ({"country": ["GB"]}, {"restocking_fee_bps": 1}, "UK-CANCEL"),
        ({"country": ["DE"]}, {"refund_on": "inspection"}, "EU-WITHHOLD"),
        ({"country": ["GB"]}, {"refund_on": "receipt"}, "UK-CANCEL"),
        ({"country": ["DE"]}, {"resolutions": ["exchange"]}, "EU-WD-GOODS"),
        ({"country": ["BR"]}, {"return_shipping": "customer"}, "BR-CDC49"),
        ({"region": ["US-CA"]}, {"restocking_fee_tax": "proportional"}, "US-CA-FEE-TAX"),
        ({"country": ["GB"], "reason": ["defective"]}, {"window_days": 29}, "UK-REJECT-30"),
        ({"country": ["DE"]}, {"outbound_shipping": "none"}, "EU-SHIP-STD"),
        ({"country": ["GB"]}, {"outbound_shipping": "none"}, "UK-CANCEL"),
        ({"country": ["BR"]}, {"outbound_shipping": "none"}, "BR-CDC49"),
        ({"country": ["DE"]}, {"send_within_days": 3}, "EU-WD-SENDBACK"),
        ({"country": ["GB"]}, {"send_within_days": 13}, "UK-CANCEL"),
        ({"country": ["DE"]}, {"loyalty": "cash_equivalent"}, "EU-WD-GOODS"),
        ({"country": ["CN"]}, {"loyalty": "cash_equivalent"}, "CN-7D"),
        (
            {"country": ["BR"]},
            {"return_shipping": "customer", "return_shipping_fee": {"BRL": 1}},
            "BR-CDC49",
        ),
        ({"country": ["AU"], "reason": ["defective"]}, {"returnable": False}, "AU-ACL"),
        ({"country": ["IN"], "reason": ["wrong_item"]}, {"returnable": False}, "IN-ECOM"),
        ({"country": ["NZ"], "reason": ["defective"]}, {"restocking_fee_bps": 1}, "NZ-CGA"),
        ({"country": ["DE"], "buyer_type": ["business", "consumer"]}, {"window_days": 1}, "EU-WD"),
    ],
)
def test_a_rule_for_a_place_that_gives_less_than_its_law_is_refused_by_row(
    when: dict[str, Any], change: dict[str, Any], row: str
) -> None:
    with pytest.raises(loader.PolicyRefused, match=row):
        loader.from_object(policy(rules=[{"id": "r", "when": when, "set": change}]))


@pytest.mark.parametrize(
    ("when", "change"),
    [
        ({"country": ["DE"]}, {"window_days": 14, "refund_on": "proof_of_sending"}),
        ({"country": ["DE"], "buyer_type": ["business"]}, {"window_days": 1}),
        ({"country": ["DE"], "trait": ["perishable"]}, {"returnable": False}),
        (
            {"country": ["DE"], "trait": ["sealed_hygiene"], "condition": ["opened"]},
            {"returnable": False},
        ),
        ({"country": ["US"]}, {"returnable": False, "restocking_fee_bps": 5000}),
        ({"country": ["CH"]}, {"window_days": 0}),
        ({"category": ["sale"]}, {"returnable": False}),
        ({"region": ["US-TX"]}, {"restocking_fee_tax": "proportional"}),
        ({"country": ["GB"]}, {"window_days": 14}),
        ({"country": ["DE"]}, {"outbound_shipping": "full_on_full_return"}),
        ({"country": ["DE"]}, {"outbound_shipping": "prorata_value", "send_within_days": 14}),
        ({"country": ["DE"]}, {"loyalty": "none"}),
        ({"country": ["KR"]}, {"outbound_shipping": "none", "send_within_days": 1}),
        ({"country": ["US"]}, {"outbound_shipping": "none", "loyalty": "cash_equivalent"}),
        ({"country": ["BR"]}, {"return_shipping_fee": {"BRL": 100}}),
        ({"country": ["AU"]}, {"returnable": False, "restocking_fee_bps": 1000}),
        ({"country": ["DE"], "trait": ["personalised"]}, {"loyalty": "cash_equivalent"}),
    ],
)
def test_what_gives_no_less_than_the_law_loads(
    when: dict[str, Any], change: dict[str, Any]
) -> None:
    loader.from_object(policy(rules=[{"id": "r", "when": when, "set": change}]))


def test_the_better_parts_of_law_and_policy_hold_together() -> None:
    kinder = defaults(
        window_days=60, refund_on="approval", send_within_days=40, restocking_fee_bps=900
    )
    decision = judge(order=german(line(1000)), policy=kinder)
    assert decision.refund_on == "approval" and decision.refund.restocking_fee == 0
    assert decision.return_.send_by == datetime(2026, 4, 29, 21, 59, 59, tzinfo=UTC)
    stricter = defaults(window_days=5, refund_on="inspection", send_within_days=3)
    decision = judge(order=german(line(1000)), policy=stricter)
    assert decision.decision == "approved" and decision.refund_on == "proof_of_sending"
    assert decision.return_.send_by == datetime(2026, 4, 7, 21, 59, 59, tzinfo=UTC)


def test_at_the_risk_threshold_a_withdrawal_waits_for_the_proof_of_sending() -> None:
    ten = history(9, within=29, orders={"count": 12, "value": 120000})
    at_once = defaults(refund_on="approval", keep_item_up_to={"EUR": 5000})
    decision = judge(order=german(line(1000)), history=ten, policy=at_once)
    assert decision.decision == "approved" and decision.refund_on == "proof_of_sending"
    assert decision.return_.required
    assert found(decision, "risk_flagged").effect == "opposes"
    assert found(decision, "risk_flagged").weight <= 0.1


def test_the_whole_order_must_have_arrived_before_the_period_ends() -> None:
    bought = german(line(1000, "1"), line(500, "2"), delivered=NOW - days(60))
    bought["deliveries"][0]["lines"] = [{"line_id": "1", "quantity": 1}]
    assert judge(order=bought).legal_basis == "statutory_withdrawal"
    bought = german(line(1000), delivered=NOW - days(60))
    del bought["deliveries"][0]["delivered_at"]
    assert judge(order=bought).legal_basis == "statutory_withdrawal"


def test_a_parcel_of_digital_content_alone_does_not_hold_the_period_of_goods_open() -> None:
    bought = german(line(1000), line(500, "2", traits=["digital"]), delivered=NOW - days(60))
    goods, content = ([{"line_id": line_id, "quantity": 1}] for line_id in ("1", "2"))
    bought["deliveries"][0]["lines"] = goods
    bought["deliveries"].append({"delivery_id": "d2", "lines": content})
    assert judge(order=bought).escalation.reason == "outside_window"
    bought["deliveries"][1]["lines"] = goods
    assert judge(order=bought).legal_basis == "statutory_withdrawal"


def test_refund_clocks_run_by_country() -> None:
    assert judge(order=german(line(1000))).refund_due == datetime(
        2026, 4, 3, 21, 59, 59, tzinfo=UTC
    )
    british = order(line(1000), country="GB", region=None, currency="GBP")
    assert judge(order=british).refund_due is None
    back = judge(order=british, inspection=inspected(graded("as_new")))
    assert back.refund_due == datetime(2026, 4, 3, 22, 59, 59, tzinfo=UTC)
    kept = judge(order=british, policy=defaults(keep_item_up_to={"GBP": 5000}))
    assert kept.refund_due == datetime(2026, 4, 3, 22, 59, 59, tzinfo=UTC)
    assert judge(order=order(line(1000))).refund_due is None


def test_european_refunds_are_postponed_to_the_goods_if_they_come_later() -> None:
    asked = request(at=NOW - days(20))
    bought = german(line(1000), delivered=NOW - days(25))
    decision = judge(order=bought, request=asked, inspection=inspected(graded("as_new")))
    assert decision.refund_due == datetime(2026, 3, 20, 22, 59, 59, tzinfo=UTC)


def test_facts_of_fulfillment_give_the_delivery_date() -> None:
    late = text(NOW - days(40))
    decision = judge(
        order=order(line(1000)), returnability=returnability({"line_id": "1", "delivered_at": late})
    )
    assert decision.escalation.context["days_late"] == 10
    assert EUROPE is not None and BRITAIN is not None
