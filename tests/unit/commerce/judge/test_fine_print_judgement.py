"""The fine print on judgement, documents and people: one test per rule."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.decisions import Effect, EscalationReason
from contracts.requests import Method
from contracts.reviews import ReviewDecided
from services.commerce import judgement
from services.commerce.judgement import NotAllowed
from services.commerce.judgement.notes import confidence
from services.commerce.policy import weights
from services.ops.decide import Unreadable
from tests.unit.commerce.judge.documents import (
    NOW,
    RETURN_ID,
    case,
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
    plain,
    policy,
    refundability,
    refundable,
    request,
    returnability,
    text,
    wanted,
)

FOOD = order(line(900, traits=["perishable"]))
STRANGER = {"customer_id": "c2", "verified_by": "session"}


def reason(**document: Any) -> str | None:
    decision = judge(**document)
    return None if decision.escalation is None else str(decision.escalation.reason)


def test_a_line_on_the_closed_list_is_rejected_whatever_else_was_found() -> None:
    decision = judge(order=FOOD, request=request(requester=STRANGER))
    assert decision.decision == "rejected"
    assert "requester_is_another" in codes(decision)
    ten = history(9, within=29, orders={"count": 12, "value": 120000})
    assert judge(order=FOOD, history=ten).decision == "rejected"


@pytest.mark.parametrize(
    "document",
    [
        {"order": order(line(900), delivered=NOW - days(400))},
        {"history": history(9, within=29, orders={"count": 12, "value": 120000})},
        {"order": None},
        {"returnability": returnability({"line_id": "1", "returnable": False, "refusal": "gone"})},
        {"request": request(wanted("9"))},
        {"request": request(requester=STRANGER)},
    ],
)
def test_late_suspicious_untraceable_and_contradictory_returns_are_never_rejected(
    document: dict[str, Any],
) -> None:
    assert judge(**({"order": order(line(9000))} | document)).decision == "escalated"


def test_any_finding_that_requires_review_escalates_by_itself_with_a_medium_confidence() -> None:
    for code, kind in weights.KINDS.items():
        if kind.effect is Effect.REQUIRES_REVIEW:
            assert weights.band(weights.confidence([kind.weight])) == "medium", code
    decision = judge(order=order(line(900)), request=request(wanted("1", condition="worn")))
    assert decision.decision == "escalated" and decision.confidence_band == "medium"


def test_confidence_is_one_less_the_weights_and_more_findings_never_raise_it() -> None:
    decision = judge(
        order=order(line(900), delivered=NOW - days(60)),
        request=request(wanted("1", condition="worn"), requested_amount=5),
    )
    against = [
        each.weight for each in decision.findings if each.effect in ("opposes", "requires_review")
    ]
    assert decision.confidence == round(1 - sum(against), 4)
    for number in range(len(decision.findings)):
        assert confidence(decision.findings[: number + 1]) <= confidence(decision.findings[:number])


def test_confidence_min_is_an_additional_test() -> None:
    asked = request(requested_amount=1)
    assert judge(order=order(line(900)), request=asked).decision == "approved"
    strict = policy(limits={"confidence_min": 0.96})
    decision = judge(order=order(line(900)), request=asked, policy=strict)
    assert decision.escalation.reason == "low_confidence"


@pytest.mark.parametrize(
    ("documents", "first"),
    [
        (("unknown line", "owner", "late"), "order_not_found"),
        (("owner", "late", "condition"), "low_confidence"),
        (("late", "condition", "goods"), "outside_window"),
        (("condition", "goods", "dispute"), "policy_gap"),
        (("goods", "dispute", "risk"), "inventory_contradiction"),
        (("dispute", "risk", "country"), "payment_not_refundable"),
        (("risk", "country", "limit"), "fraud_suspected"),
        (("country", "limit"), "high_risk_jurisdiction"),
        (("limit",), "amount_over_limit"),
    ],
)
def test_the_reason_is_the_one_that_comes_first_in_the_order_of_judgement(
    documents: tuple[str, ...], first: str
) -> None:
    asked = wanted("1")
    bought = order(line(60000))
    document: dict[str, Any] = {}
    asking: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    more = []
    for each in documents:
        if each == "unknown line":
            more.append(wanted("9"))
        elif each == "owner":
            asking["requester"] = STRANGER
        elif each == "late":
            bought = order(line(60000), delivered=NOW - days(60))
        elif each == "condition":
            asked["condition"] = "damaged"
        elif each == "goods":
            contradiction = {"code": "c", "system_state": "sold", "physical_state": "here"}
            document["returnability"] = returnability(
                {"line_id": "1"}, contradictions=[contradiction]
            )
        elif each == "dispute":
            document["refundability"] = refundability(refundable("p1", 0, 60000, dispute="open"))
        elif each == "risk":
            document["history"] = history(9, within=29, orders={"count": 12, "value": 120000})
        elif each == "country":
            limits["high_risk_countries"] = ["US"]
    decision = judge(
        order=bought,
        request=request(asked, *more, **asking),
        policy=policy(limits=limits),
        **document,
    )
    assert decision.escalation.reason == first
    assert decision.escalation.context["customer_words"] == ""


def test_an_unknown_line_of_a_known_order_is_order_not_found_with_amounts_of_zero() -> None:
    decision = judge(order=order(line(900)), request=request(wanted("9")))
    assert decision.escalation.reason == "order_not_found"
    assert decision.refund.total == 0 and decision.lines[0].units == ()


def test_a_line_without_id_takes_the_lowest_line_with_free_units_of_its_sku() -> None:
    bought = order(line(100, "10", sku="S"), line(200, "2", sku="S", quantity=2))
    asked = {"sku": "S", "quantity": 3, "reason": "other"}
    decision = judge(order=bought, request=request(asked))
    assert [(each.line_id, each.units) for each in decision.lines] == [("2", (1, 2)), ("10", (1,))]
    first = plain(judge(order=bought, request=request(asked | {"quantity": 2}, number=7)))
    second = judge(order=bought, request=request(asked | {"quantity": 1}), earlier=[first])
    assert [(each.line_id, each.units) for each in second.lines] == [("10", (1,))]


@pytest.mark.parametrize(
    "asked",
    [
        {"resolution": "exchange", "replacement_sku": "UNKNOWN"},
        {"resolution": "exchange"},
        {"settlement": {"method": "bank_transfer"}},
        {"settlement": {"method": "new_method"}},
        {"settlement": {"method": "carrier_pigeon"}},
        {"resolution": "miracle"},
    ],
)
def test_what_policy_cannot_carry_out_is_a_policy_gap(asked: dict[str, Any]) -> None:
    assert reason(order=order(line(900)), request=request(**asked)) == "policy_gap"


def test_a_resolution_that_is_not_offered_is_a_policy_gap() -> None:
    only = defaults(resolutions=["refund"])
    asked = request(resolution="store_credit")
    assert reason(order=order(line(900)), request=asked, policy=only) == "policy_gap"


def test_an_exchange_for_the_same_price_is_approved_and_for_another_goes_to_a_person() -> None:
    bought = order(line(900, "1"), line(900, "2"), line(800, "3"))
    same = judge(order=bought, request=request(resolution="exchange", replacement_sku="SKU-2"))
    assert same.decision == "approved" and same.replacement.unit_price == 900
    other = judge(order=bought, request=request(resolution="exchange", replacement_sku="SKU-3"))
    assert other.escalation.reason == "policy_gap" and other.replacement.unit_price is None


def test_fulfillments_no_is_an_inventory_contradiction_never_a_rejection() -> None:
    facts = returnability({"line_id": "1", "returnable": False, "refusal": "already back"})
    assert reason(order=order(line(900)), returnability=facts) == "inventory_contradiction"


def test_goods_that_are_back_without_a_return_contradict() -> None:
    facts = returnability({"line_id": "1", "received_quantity": 1})
    assert reason(order=order(line(900)), returnability=facts) == "inventory_contradiction"
    bought = order(line(900, quantity=2))
    first = plain(judge(order=bought, request=request(wanted("1"), number=7)))
    assert reason(order=bought, returnability=facts, earlier=[first]) is None


def test_an_open_dispute_blocks_every_method_until_it_closes() -> None:
    open_dispute = refundability(
        refundable("p1", 900, dispute="open"), refundable("p2", 900, dispute="none")
    )
    bought = order(line(900))
    bought["payments"].append(bought["payments"][0] | {"payment_id": "p2"})
    for method in ("original_payment_method", "store_credit"):
        asked = request(settlement={"method": method})
        decision = judge(order=bought, request=asked, refundability=open_dispute)
        assert decision.escalation.reason == "payment_not_refundable", method
        assert decision.escalation.context["alternatives"] == ["store_credit", "bank_transfer"]
    won = refundability(refundable("p1", 900, dispute="won"))
    assert reason(order=order(line(900)), refundability=won) is None


def test_a_missing_condition_counts_as_opened() -> None:
    asked = request(wanted("1") | {"condition": None})
    only_sealed = defaults(conditions=["unopened"])
    assert reason(order=order(line(900)), request=asked) is None
    assert reason(order=order(line(900)), request=asked, policy=only_sealed) == "policy_gap"


def test_a_fault_of_the_merchant_is_taken_in_any_condition() -> None:
    asked = request(wanted("1", reason="defective", condition="damaged"))
    assert reason(order=order(line(900)), request=asked) is None


@pytest.mark.parametrize("days_late", [1, 5, 30])
def test_days_late_are_calendar_days_where_the_buyer_is(days_late: int) -> None:
    decision = judge(order=order(line(900), delivered=NOW - days(30 + days_late)))
    assert decision.escalation.context["days_late"] == days_late


def test_the_window_of_a_line_runs_from_its_own_last_parcel() -> None:
    bought = order(line(900, "1", quantity=2), line(900, "2"), delivered=NOW - days(60))
    parcels = [
        {
            "delivery_id": f"d{number}",
            "delivered_at": text(NOW - days(ago)),
            "lines": [{"line_id": line_id, "quantity": 1}],
        }
        for number, (line_id, ago) in enumerate([("1", 60), ("1", 20), ("2", 40)])
    ]
    bought["deliveries"] = parcels
    assert reason(order=bought, request=request(wanted("1"))) is None
    assert reason(order=bought, request=request(wanted("2"))) == "outside_window"


@pytest.mark.parametrize(
    ("parcel", "ago", "late"),
    [
        ({"shipped_at": 30}, 31, None),  # shipped + 7 days of transit
        ({"shipped_at": 38}, 39, 1),
        ({}, 37, None),  # placed + 7
        ({}, 38, 1),
        (None, 38, 1),
    ],
)
def test_a_missing_delivery_date_falls_back_to_transit(
    parcel: dict[str, int] | None, ago: int, late: int | None
) -> None:
    bought = order(line(900), placed_at=text(NOW - days(ago)), deliveries=[])
    if parcel is not None:
        dates = {name: text(NOW - days(count)) for name, count in parcel.items()}
        lines = [{"line_id": "1", "quantity": 1}]
        bought["deliveries"] = [{"delivery_id": "d", "lines": lines} | dates]
    decision = judge(order=bought)
    if late is None:
        assert decision.decision == "approved"
    else:
        assert decision.escalation.context["days_late"] == late


def test_in_earlier_approved_and_escalated_take_their_units_and_rejected_do_not() -> None:
    bought = order(line(900, quantity=2))
    approved = plain(judge(order=bought, request=request(wanted("1"), number=7)))
    assert judge(order=bought, earlier=[approved]).lines[0].units == (2,)
    assert judge(order=bought, earlier=[approved | {"decision": "escalated"}]).lines[0].units == (
        2,
    )
    assert judge(order=bought, earlier=[approved | {"decision": "rejected"}]).lines[0].units == (1,)


def test_this_very_return_counts_for_no_units_and_gives_the_next_sequence() -> None:
    bought = order(line(900, quantity=1))
    own = plain(judge(order=bought)) | {"sequence": 4}
    again = judge(order=bought, earlier=[own])
    assert (again.sequence, again.lines[0].units, again.decision) == (5, (1,), "approved")
    assert judge(order=bought).sequence == 1


def test_a_merchants_decision_never_counts_offline() -> None:
    said = {"approved": False, "decided_by": "boss"}
    decision = judge(order=order(line(900)), request=request(merchant_decision=said))
    assert decision.decision == "approved" and "merchant_decision" in codes(decision)
    late = order(line(900), delivered=NOW - days(60))
    asked = request(merchant_decision=said | {"approved": True})
    assert judge(order=late, request=asked).decision == "escalated"


def test_an_inline_policy_that_would_not_load_makes_the_document_unreadable() -> None:
    for broken, field in (
        ({"policy": "p"}, "policy.version"),
        (defaults(window=3), "policy.defaults.window"),
        (policy(rules=[{"id": "r", "when": {"country": ["DE"]}, "set": {"window_days": 1}}]), ""),
    ):
        with pytest.raises(Unreadable) as unreadable:
            case({"order": FOOD, "request": request(), "policy": broken})
        assert unreadable.value.field.startswith(field or "policy")


def test_unknown_enum_values_in_a_request_are_treated_like_other() -> None:
    asked = request(wanted("1", reason="bored"), channel={"type": "telepathy"})
    decision = judge(order=german(line(900)), request=asked)
    assert (decision.decision, decision.legal_basis) == ("approved", "statutory_withdrawal")


def test_a_region_is_read_with_or_without_its_country() -> None:
    electronics = line(10000, tax_total=825, category="e")
    fee = defaults(restocking_fee_bps=1500)
    for region in ("CA", "US-CA", "ca"):
        bought = order(electronics, region=region)
        assert judge(order=bought, policy=fee).refund.tax == 825, region


def test_returnability_left_out_means_no_label_and_no_fee() -> None:
    decision = judge(order=order(line(900)))
    assert decision.return_.required and not decision.return_.label_provided


def test_the_fee_is_the_larger_of_policys_and_fulfillments_after_the_legal_floor() -> None:
    facts = returnability({"line_id": "1", "restocking_fee_bps": 1000})
    for policy_fee, fee in ((500, 100), (2000, 200)):
        decision = judge(
            order=order(line(1000)),
            returnability=facts,
            policy=defaults(restocking_fee_bps=policy_fee),
        )
        assert decision.refund.restocking_fee == fee
    assert judge(order=german(line(1000)), returnability=facts).refund.restocking_fee == 0


def test_a_small_return_is_refunded_on_approval_without_sending_it_back() -> None:
    keep = defaults(keep_item_up_to={"USD": 1000}, return_shipping="customer")
    decision = judge(order=order(line(1000)), policy=keep)
    assert not decision.return_.required and decision.refund_on == "approval"
    assert judge(order=order(line(1001)), policy=keep).return_.required


def test_whole_return_settings_take_the_value_kindest_to_the_merchant() -> None:
    rule = {
        "id": "b",
        "when": {"category": ["b"]},
        "set": {"refund_on": "approval", "send_within_days": 30, "outbound_shipping": "none"},
    }
    bought = order(
        line(1000, "1"), line(1000, "2", category="b"), shipping={"paid": 9, "cheapest_offered": 9}
    )
    decision = judge(
        order=bought, request=request(wanted("1"), wanted("2")), policy=policy(rules=[rule])
    )
    assert decision.refund_on == "inspection" and decision.refund.shipping == 0
    assert decision.return_.send_by == datetime(2026, 4, 4, 6, 59, 59, tzinfo=UTC)


def test_the_last_rule_that_matches_and_sets_a_setting_wins() -> None:
    rules = [
        {"id": "a", "when": {}, "set": {"window_days": 5, "restocking_fee_bps": 100}},
        {"id": "b", "when": {"sku": ["SKU-*"]}, "set": {"window_days": 50}},
        {"id": "c", "when": {"category": ["none"]}, "set": {"window_days": 1}},
        {
            "id": "d",
            "when": {"sku": ["SKU-1"]},
            "unless": {"reason": ["changed_mind"]},
            "set": {"window_days": 2},
        },
    ]
    decision = judge(order=order(line(1000), delivered=NOW - days(45)), policy=policy(rules=rules))
    assert decision.decision == "approved" and decision.refund.restocking_fee == 10
    assert found(decision, "inside_window").rule_id == "b"
    fired = {each.rule_id: each.code for each in decision.findings if "fired" in each.code}
    assert fired == {
        "a": "rule_fired",
        "b": "rule_fired",
        "c": "rule_not_fired",
        "d": "rule_not_fired",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"currency": "XXX"},
        {"placed_at": text(NOW + days(1))},
        {"lines": [line(900, discount_total=901)]},
        {"deliveries": [{"delivery_id": "d", "delivered_at": "2020-01-01T00:00:00Z"}]},
        {"deliveries": [{"delivery_id": "d", "lines": [{"line_id": "1", "quantity": 2}]}]},
        {"deliveries": [{"delivery_id": "d", "lines": [{"line_id": "7", "quantity": 1}]}]},
    ],
)
def test_contradictory_facts_are_a_finding_and_a_person(change: dict[str, Any]) -> None:
    assert judge(order=order(line(900)) | change).decision == "escalated"


@pytest.mark.parametrize("delivered", [NOW - days(60), NOW + days(1)])
def test_a_delivery_that_only_fulfillment_knows_of_may_contradict_the_order(
    delivered: datetime,
) -> None:
    facts = returnability({"line_id": "1", "delivered_at": text(delivered)})
    decision = judge(order=order(line(900)), returnability=facts)
    assert decision.decision == "escalated" and "order_contradicts_itself" in codes(decision)


def test_a_currency_that_nobody_knows_is_named_and_shown_to_a_person() -> None:
    decision = judge(order=order(line(900), currency="XXX"))
    assert found(decision, "currency_unknown").effect == "requires_review"
    assert decision.escalation.reason == "low_confidence"
    other = judge(order=order(line(900)), request=request(currency="EUR"))
    assert found(other, "currency_differs").effect == "requires_review"


def test_quantities_that_do_not_add_up_are_named_and_shown_to_a_person() -> None:
    for parcels in (
        [{"delivery_id": "d", "lines": [{"line_id": "1", "quantity": 2}]}],
        [{"delivery_id": "d", "lines": [{"line_id": "7", "quantity": 1}]}],
    ):
        decision = judge(order=order(line(900), deliveries=parcels))
        assert "delivered" in found(decision, "order_contradicts_itself").explanation
        assert decision.escalation.reason == "low_confidence"
    more = judge(order=order(line(900)), inspection=inspected(graded("as_new", quantity=2)))
    assert "unexpected_goods" in codes(more) and more.decision == "escalated"


def test_a_return_asked_for_before_the_order_was_placed_contradicts() -> None:
    early = judge(order=order(line(900)), request=request(at=NOW - days(14)))
    assert early.decision == "escalated" and "order_contradicts_itself" in codes(early)


def test_the_counterfactual_is_found_by_deciding_again() -> None:
    late = judge(order=order(line(900), delivered=NOW - days(35)))
    assert late.counterfactual.startswith("Asked 5 days earlier")
    worn = judge(order=order(line(900)), request=request(wanted("1", condition="worn")))
    assert "been opened" in worn.counterfactual
    many = judge(order=order(line(20000, quantity=3)), request=request(wanted("1", 3)))
    assert many.counterfactual.startswith("With only 2 of SKU-1")
    assert judge(order=order(line(900))).counterfactual is None


def test_the_case_hash_is_over_values_and_not_over_when_they_were_known() -> None:
    bought = order(line(900), delivered=NOW - days(60))
    facts = refundability(refundable("p1", 900))
    document = {
        "order": bought,
        "refundability": facts,
        "returnability": returnability({"line_id": "1"}),
    }
    first = judge(**document)
    later = text(NOW + days(0.1))
    again = judge(
        **document | {"refundability": facts | {"as_of": later}, "now": later},
    )
    assert again.escalation.case.case_sha256 == first.escalation.case.case_sha256
    less = judge(**document | {"refundability": refundability(refundable("p1", 800, 900))})
    assert less.escalation.case.case_sha256 != first.escalation.case.case_sha256
    assert {fact.name for fact in first.escalation.case.facts if fact.as_of} >= {"refundable:p1"}


LATE = {"order": order(line(9000), delivered=NOW - days(60)), "request": request()}


def reviewed(decision: str, reviewer: str = "bob", **changes: Any) -> ReviewDecided:
    return ReviewDecided(
        return_id=RETURN_ID,
        decision=decision,
        reason="because",
        reviewer=reviewer,
        decided_at=NOW,
        **changes,
    )


def test_a_person_approves_out_of_goodwill_or_rejects() -> None:
    judged = case(LATE)
    standing = judgement.judge(judged)
    approved = judgement.review(judged, standing, reviewed("approve"))
    assert not isinstance(approved, NotAllowed)
    assert (approved.decision, approved.legal_basis, approved.sequence) == (
        "approved",
        "goodwill",
        2,
    )
    assert approved.decided_by.kind == "human" and approved.return_.send_by is not None
    assert approved.settlement.allocations[0].amount == 9000
    rejected = judgement.review(judged, standing, reviewed("reject"))
    assert not isinstance(rejected, NotAllowed)
    assert rejected.decision == "rejected" and set(rejected.refund.model_dump().values()) == {0}


@pytest.mark.parametrize(
    ("amount", "diminished", "fee"),
    [(5000, 2200, 1800), (7200, 0, 1800), (8000, 0, 1000), (9000, 0, 0)],
)
def test_an_adjustment_deducts_value_or_lowers_deductions(
    amount: int, diminished: int, fee: int
) -> None:
    judged = case(LATE | {"policy": defaults(restocking_fee_bps=2000)})
    standing = judgement.judge(judged)
    made = judgement.review(judged, standing, reviewed("adjust", amount=amount))
    assert not isinstance(made, NotAllowed)
    assert (made.refund.total, made.refund.diminished_value) == (amount, diminished)
    assert made.refund.restocking_fee == made.lines[0].restocking_fee == fee
    assert sum(each.amount for each in made.settlement.allocations) == amount


def test_what_law_or_payment_forbid_is_not_executed_but_published_again() -> None:
    judged = case(LATE)
    standing = judgement.judge(judged)
    over = judgement.review(judged, standing, reviewed("adjust", amount=9001))
    assert isinstance(over, NotAllowed)
    assert over.decision.sequence == 2 and "not_allowed" in codes(over.decision)
    assert over.decision.escalation.case.case_sha256 == standing.escalation.case.case_sha256
    paid = judged.model_copy(update={"released_amount": 100})
    assert isinstance(judgement.review(paid, standing, reviewed("reject")), NotAllowed)
    assert isinstance(judgement.review(paid, standing, reviewed("adjust", amount=99)), NotAllowed)


def test_nobody_reviews_their_own_order() -> None:
    judged = case(LATE)
    standing = judgement.judge(judged)
    for buyer in ("c1", "A@B.example"):
        assert isinstance(
            judgement.review(judged, standing, reviewed("approve", buyer)), NotAllowed
        )


def test_a_withdrawal_over_the_limit_can_only_be_confirmed() -> None:
    judged = case({"order": german(line(60000)), "request": request()})
    standing = judgement.judge(judged)
    assert standing.escalation.reason == "amount_over_limit"
    assert standing.refund_due is not None
    for review in (reviewed("reject"), reviewed("adjust", amount=59999)):
        assert isinstance(judgement.review(judged, standing, review), NotAllowed)
    confirmed = judgement.review(judged, standing, reviewed("approve"))
    assert not isinstance(confirmed, NotAllowed) and confirmed.decision == "approved"


@pytest.mark.parametrize(("informed", "allowed"), [(True, True), (False, False)])
def test_value_is_deducted_only_after_inspection_and_with_proof_of_information(
    informed: bool, allowed: bool
) -> None:
    judged = case(
        {
            "order": german(line(9000), informed=informed),
            "request": request(),
            "inspection": inspected(graded("worn")),
        }
    )
    standing = judgement.judge(judged)
    assert standing.escalation.reason == "conflicting_evidence"
    made = judgement.review(judged, standing, reviewed("adjust", amount=5000))
    assert isinstance(made, NotAllowed) is not allowed


def test_above_the_four_eyes_limit_two_different_people_approve_the_same() -> None:
    judged = case(LATE | {"policy": policy(limits={"four_eyes_above": {"USD": 5000}})})
    standing = judgement.judge(judged)
    first = judgement.review(judged, standing, reviewed("approve", "bob"))
    assert isinstance(first, NotAllowed) and first.code == "second_reviewer_needed"
    same = judgement.review(judged, first.decision, reviewed("approve", "bob"))
    assert isinstance(same, NotAllowed)
    other_amount = judgement.review(judged, first.decision, reviewed("adjust", "eve", amount=6000))
    assert isinstance(other_amount, NotAllowed)
    second = judgement.review(judged, first.decision, reviewed("approve", "eve"))
    assert not isinstance(second, NotAllowed) and second.decision == "approved"
    refreshed = judgement.judge(judged.model_copy(update={"earlier": (first.decision,)}))
    assert refreshed.escalation.context["first_approval"]["reviewer"] == "bob"


def test_an_escalation_keeps_amounts_and_reservation_and_another_method_settles_it() -> None:
    judged = case({"order": order(line(9000)), "request": request()})
    standing = judgement.judge(judged)
    failed = judgement.escalate(judged, standing, EscalationReason.SETTLEMENT_FAILED)
    assert failed.decision == "escalated" and failed.refund == standing.refund
    assert failed.settlement == standing.settlement and failed.sequence == 2
    assert failed.escalation.context["alternatives"]
    credit = judgement.settle_by(judged, failed, Method.STORE_CREDIT)
    assert credit.decision == "approved" and credit.settlement.method == "store_credit"
    assert sum(each.amount for each in credit.settlement.allocations) == 9000


def test_a_standing_approval_is_not_asked_again_at_the_inspection() -> None:
    judged = case(LATE)
    approved = judgement.review(judged, judgement.judge(judged), reviewed("approve"))
    assert not isinstance(approved, NotAllowed)
    after = judge(**LATE, earlier=[plain(approved)], inspection=inspected(graded("as_new")))
    assert after.decision == "approved" and after.sequence == 3
    assert after.decided_by.kind == "human" and after.refund == approved.refund
    worse = judge(**LATE, earlier=[plain(approved)], inspection=inspected(graded("worn")))
    assert worse.escalation.reason == "conflicting_evidence"


def test_sentences_for_people_say_what_the_decision_says() -> None:
    decision = judge(order=order(line(9000)))
    assert "90.00 USD" in judgement.customer_sentence(decision)
    assert "2026-04-03" in judgement.customer_sentence(decision)
    late = judge(**LATE)
    assert "window has ended" in judgement.customer_sentence(late)
    paragraph = judgement.reviewer_paragraph(late)
    assert "30 days after" in paragraph and "window_days" not in paragraph
    assert "not taken back" in judgement.customer_sentence(judge(order=FOOD))
    assert json.loads(late.model_dump_json())["escalation"]["reason"] == "outside_window"
