"""Facts that cannot all be true: a finding and a person, never a crash, never a silent guess."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.decisions import EscalationReason, ReturnDecisionMade
from contracts.reviews import ReviewDecided
from services.commerce import judgement
from services.commerce.judgement import NotAllowed
from tests.unit.commerce.judge.documents import (
    NOW,
    case,
    codes,
    days,
    defaults,
    found,
    german,
    judge,
    line,
    money,
    order,
    payment,
    refundability,
    refundable,
    request,
    returnability,
    text,
    wanted,
)

Json = dict[str, Any]


def parcel(**dates: Any) -> Json:
    told = {name: text(at) for name, at in dates.items()}
    return {"delivery_id": "d1", "lines": [{"line_id": "1", "quantity": 1}]} | told


def of_parcel(**dates: Any) -> Json:
    return order(line(100), deliveries=[parcel(**dates)])


@pytest.mark.parametrize(
    ("bought", "asked", "said"),
    [
        (order(line(100), order_id="o2"), {}, "the request names order o1, this is o2"),
        (order(line(100), placed_at=text(NOW + days(1))), {}, "placed in the future"),
        (order(line(100)), {"at": NOW - days(20)}, "asked for before the order was placed"),
        (of_parcel(delivered_at=NOW - days(14)), {}, "d1 was delivered before the order was plac"),
        (of_parcel(shipped_at=NOW - days(14)), {}, "d1 was shipped before the order was placed"),
        (
            of_parcel(shipped_at=NOW - days(2), delivered_at=NOW - days(3)),
            {},
            "d1 was delivered before it was shipped",
        ),
        (of_parcel(delivered_at=NOW + days(1)), {}, "d1 was delivered in the future"),
        (
            order(line(100), deliveries=[parcel() | {"lines": [{"line_id": "9", "quantity": 1}]}]),
            {},
            "line 9 was delivered but not bought",
        ),
        (
            order(line(100), deliveries=[parcel() | {"lines": [{"line_id": "1", "quantity": 2}]}]),
            {},
            "2 of line 1 were delivered, 1 bought",
        ),
        (
            order(line(100, discount_total=101), payments=[payment("p1", 100)]),
            {},
            "the discount of line 1 is larger than its price",
        ),
        (german(line(100, tax_total=101)), {}, "the tax of line 1 is larger than the price"),
        (
            german(line(100), shipping={"paid": 5, "tax_total": 6}),
            {},
            "the tax of shipping is larger than the price",
        ),
        (order(line(10**13)), {}, "too large to be believed"),
    ],
)
def test_what_cannot_be_true_of_an_order_is_told_and_a_person_looks(
    bought: Json, asked: Json, said: str
) -> None:
    made = judge(order=bought, request=request(**asked))
    assert made.decision == "escalated"
    told = [each for each in made.findings if each.code == "order_contradicts_itself"]
    assert any(said in each.explanation for each in told), told
    assert all(each.effect == "requires_review" for each in told)


def test_a_currency_that_nobody_counts_in_is_a_persons() -> None:
    made = judge(order=order(line(100), currency="XQX"))
    assert made.decision == "escalated" and "currency_unknown" in codes(made)


@pytest.mark.parametrize(
    ("payments", "code", "said"),
    [
        ([refundable("p1", 100), refundable("p9", 5)], "payments_contradict", "p9 does not belong"),
        ([refundable("p1", 100, refunded=50)], "payments_contradict", "cannot give back more"),
        (
            [refundable("p1", 100, refund_until=text(NOW - days(1)))],
            "payments_insufficient",
            "can give back 0.00 USD",
        ),
        (
            [refundable("p1", 100, accepts_refund=False)],
            "payments_insufficient",
            "can give back 0.00 USD",
        ),
        ([refundable("p1", 100, dispute="unheard_of")], "dispute_open", "p1 is disputed"),
    ],
)
def test_what_payments_cannot_give_back_is_a_persons(
    payments: list[Json], code: str, said: str
) -> None:
    made = judge(order=order(line(100)), refundability=refundability(*payments))
    assert made.escalation is not None
    assert made.escalation.reason == "payment_not_refundable"
    assert said in found(made, code).explanation


@pytest.mark.parametrize(("until", "decision"), [(1, "approved"), (-1, "escalated")])
def test_a_payment_can_be_refunded_until_its_day(until: int, decision: str) -> None:
    facts = refundability(refundable("p1", 100, refund_until=text(NOW + days(until))))
    assert judge(order=order(line(100)), refundability=facts).decision == decision


@pytest.mark.parametrize("verified", ["none", "telepathy"])
def test_who_shows_nothing_of_owning_the_order_waits_for_a_person(verified: str) -> None:
    made = judge(order=order(line(100)), request=request(requester={"verified_by": verified}))
    assert made.escalation is not None and made.escalation.reason == "low_confidence"
    assert "requester_unverified" in codes(made)


PLACED = NOW - days(40)


@pytest.mark.parametrize(
    ("anchor", "dates", "late"),
    [
        ("ordered", {"shipped_at": NOW - days(20), "delivered_at": NOW - days(5)}, 10),
        ("shipped", {"shipped_at": NOW - days(35), "delivered_at": NOW - days(5)}, 5),
        ("shipped", {"delivered_at": NOW - days(5)}, 3),
        ("delivered", {"shipped_at": NOW - days(39), "delivered_at": NOW - days(32)}, 2),
        ("delivered", {"shipped_at": NOW - days(39)}, 2),
        ("delivered", {}, 3),
    ],
)
def test_a_window_is_counted_from_its_anchor_or_from_what_stands_in_for_it(
    anchor: str, dates: Json, late: int
) -> None:
    bought = order(line(100), placed_at=text(PLACED), deliveries=[parcel(**dates)])
    made = judge(order=bought, policy=defaults(window_anchor=anchor))
    assert found(made, "outside_window").explanation.startswith(f"{late} days after")


def test_what_fulfillment_knows_of_a_delivery_counts_more_than_the_order() -> None:
    bought = order(line(100), placed_at=text(PLACED), deliveries=[parcel()])
    facts = returnability({"line_id": "1", "delivered_at": text(NOW - days(30))})
    assert judge(order=bought, returnability=facts).decision == "approved"
    facts = returnability({"line_id": "1", "delivered_at": text(NOW - days(31))})
    assert "outside_window" in codes(judge(order=bought, returnability=facts))


def reviewed(
    document: Json, decision: str, amount: int | None = None, **more: Any
) -> ReturnDecisionMade | NotAllowed:
    judged = case({"request": request()} | document)
    standing = judgement.judge(judged)
    if standing.escalation is None and not more:
        standing = judgement.escalate(judged, standing, EscalationReason.POLICY_GAP)
    word = {
        "return_id": judged.request.return_id,
        "decision": decision,
        "amount": amount,
        "reason": "r",
        "reviewer": "bob",
        "decided_at": text(NOW),
    }
    return judgement.review(judged, standing, ReviewDecided.model_validate(word))


FAULTY_IN_BRITAIN = {
    "order": order(line(100), country="GB", region=None, currency="GBP"),
    "request": request(wanted("1", reason="defective")),
}


@pytest.mark.parametrize(
    ("document", "decision", "amount", "said"),
    [
        ({"order": order(line(100))}, "approve", 99, "another one is an adjustment"),
        ({"order": order(line(100))}, "adjust", None, "an adjustment needs an amount"),
        ({"order": order(line(100))}, "adjust", 101, "at most 1.00 USD can be paid"),
        ({"order": order(line(100))}, "request_evidence", None, "request evidence decides nothing"),
        ({"order": None}, "approve", None, "link the order first"),
        (FAULTY_IN_BRITAIN, "adjust", 50, "bring the full price"),
        (
            {"order": german(line(100), informed=False)},
            "adjust",
            50,
            "was not told of the withdrawal",
        ),
    ],
)
def test_a_review_that_cannot_be_carried_out_says_why(
    document: Json, decision: str, amount: int | None, said: str
) -> None:
    refused = reviewed(document, decision, amount)
    assert isinstance(refused, NotAllowed) and said in refused.explanation
    assert refused.decision.decision == "escalated"


def test_what_nobody_asked_a_person_about_is_not_reviewed() -> None:
    refused = reviewed({"order": order(line(100))}, "approve", standing=True)
    assert isinstance(refused, NotAllowed) and "not under review" in refused.explanation


def test_a_refusal_leaves_what_is_withdrawn_and_what_was_rejected_before() -> None:
    bought = german(line(100), line(200, "2", traits=["perishable"]), line(300, "3"))
    asked = request(wanted("1"), wanted("2", reason="other"), wanted("3", reason="defective"))
    made = reviewed({"order": bought, "request": asked}, "reject")
    assert isinstance(made, ReturnDecisionMade) and made.decision == "approved"
    verdicts = [(each.line_id, str(each.verdict)) for each in made.lines]
    assert sorted(verdicts) == [("1", "approved"), ("2", "rejected"), ("3", "rejected")]
    assert money(made)["total"] == 100


def test_where_the_law_is_unknown_no_line_among_others_is_rejected_by_machine() -> None:
    bought = order(line(100, traits=["perishable"]), line(200, "2"), country="ZA", region=None)
    made = judge(order=bought, request=request(wanted("1"), wanted("2")))
    assert [str(each.verdict) for each in made.lines] == ["review", "approved"]
    assert made.escalation is not None and made.escalation.reason == "policy_gap"
    known = judge(order=order(*bought["lines"]), request=request(wanted("1"), wanted("2")))
    assert [str(each.verdict) for each in known.lines] == ["rejected", "approved"]


@pytest.mark.parametrize("method", ["original_payment_method", "store_credit"])
def test_nothing_is_set_aside_or_recommended_from_a_disputed_payment(method: str) -> None:
    facts = refundability(refundable("p1", 100, dispute="open"))
    asked = request(settlement={"method": method})
    made = judge(order=order(line(100)), request=asked, refundability=facts)
    assert made.settlement.allocations == ()
    assert made.escalation is not None and made.escalation.recommended_amount == 0
    assert made.escalation.recommendation == "verify"


@pytest.mark.parametrize(("country", "city"), [("DE", "Berlin"), ("FR", "Reno")])
def test_goods_go_back_to_the_address_of_the_country_or_to_the_default(
    country: str, city: str
) -> None:
    there = {"name": "A", "line1": "1", "postal_code": "1"}
    places = {
        "DE": there | {"city": "Berlin", "country": "DE"},
        "default": there | {"city": "Reno", "country": "US"},
    }
    own = {"policy": "p", "version": "1", "return_addresses": places}
    made = judge(order=german(line(100), country=country), policy=own)
    assert made.return_.address is not None and made.return_.address.city == city
