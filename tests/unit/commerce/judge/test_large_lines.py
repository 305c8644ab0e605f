"""Lines of a million units: judged at once, in a few words, and never paid by a slip."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.decisions import ReturnDecisionMade
from contracts.reviews import ReviewDecided
from services.commerce import judgement
from services.commerce.judgement import NotAllowed
from services.commerce.judgement.judged import UNITS_MAX
from tests.unit.commerce.judge.documents import (
    NOW,
    case,
    codes,
    defaults,
    german,
    graded,
    inspected,
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
MILLION = 1_000_000
UNLIMITED = policy(limits={"auto_approve_up_to": {}})
SMALL = 10_000
"""Characters of a decision that names no units."""


def review(decision: str, document: Json) -> ReturnDecisionMade | NotAllowed:
    judged = case(document)
    word = {
        "return_id": judged.request.return_id,
        "decision": decision,
        "amount": 0 if decision == "adjust" else None,
        "reason": "r",
        "reviewer": "bob",
        "decided_at": text(NOW),
    }
    return judgement.review(judged, judgement.judge(judged), ReviewDecided.model_validate(word))


def test_a_line_of_a_million_units_is_a_persons_with_its_whole_amount() -> None:
    bought = order(line(1, quantity=MILLION))
    made = judge(order=bought, request=request(wanted("1", MILLION)), policy=UNLIMITED)
    assert made.decision == "escalated" and made.refund is not None
    assert made.escalation is not None and made.escalation.reason == "policy_gap"
    assert made.refund.total == MILLION and [each.units for each in made.lines] == [()]
    assert made.counterfactual is not None
    assert made.counterfactual.startswith(f"With only {UNITS_MAX} of SKU-1, it would have been app")
    assert len(made.model_dump_json()) < SMALL


@pytest.mark.parametrize("quantity", [1, UNITS_MAX])
def test_what_one_return_carries_is_approved_unit_by_unit(quantity: int) -> None:
    bought = order(line(3, quantity=MILLION))
    asked = request(wanted("1", quantity))
    made = judge(order=bought, request=asked, policy=UNLIMITED)
    assert made.decision == "approved" and made.refund is not None
    assert made.refund.total == 3 * quantity
    assert made.lines[0].units == tuple(range(1, quantity + 1))


def test_units_of_all_lines_count_together() -> None:
    bought = order(line(1, "1", UNITS_MAX), line(1, "2"))
    asked = request(wanted("1", UNITS_MAX), wanted("2"))
    made = judge(order=bought, request=asked, policy=UNLIMITED)
    assert made.decision == "escalated" and "too_many_units" in codes(made)


def test_a_million_after_a_thousand_are_the_ones_that_are_left() -> None:
    bought = order(line(1, quantity=MILLION, discount_total=1))
    first = judge(order=bought, request=request(wanted("1", 1000), number=7), policy=UNLIMITED)
    asked = request(wanted("1", MILLION))
    made = judge(order=bought, request=asked, policy=UNLIMITED, earlier=[plain(first)])
    assert [each.quantity for each in made.lines] == [MILLION - 1000, 1000]
    assert [each.verdict for each in made.lines] == ["review", "rejected"]
    assert first.refund is not None and made.refund is not None
    assert first.refund.total + made.refund.total == MILLION - 1


@pytest.mark.parametrize("decision", ["approve", "adjust"])
def test_a_person_cannot_approve_units_that_nobody_can_follow(decision: str) -> None:
    document = {"order": order(line(1, quantity=MILLION)), "request": request(wanted("1", MILLION))}
    refused = review(decision, document)
    assert isinstance(refused, NotAllowed) and "in parts" in refused.explanation
    offered = judgement.judge(case(document)).escalation
    assert offered is not None
    assert [each.decision for each in offered.case.choices] == ["reject", "request_evidence"]


def test_a_person_may_refuse_it_but_never_a_withdrawal_in_its_period() -> None:
    asked = request(wanted("1", MILLION))
    made = review("reject", {"order": order(line(1, quantity=MILLION)), "request": asked})
    assert isinstance(made, ReturnDecisionMade) and made.decision == "rejected"
    refused = review("reject", {"order": german(line(1, quantity=MILLION)), "request": asked})
    assert isinstance(refused, NotAllowed) and "can only be confirmed" in refused.explanation


def test_millions_to_be_replaced_are_a_persons_too() -> None:
    bought = order(line(1, "1", MILLION), line(1, "2", MILLION))
    asked = request(wanted("1", MILLION), wanted("2", MILLION), resolution="replacement")
    made = judge(order=bought, request=asked)
    assert made.decision == "escalated" and made.replacement is None


def test_a_million_units_that_were_inspected_are_still_a_persons() -> None:
    made = judge(
        order=order(line(1, quantity=MILLION)),
        request=request(wanted("1", MILLION)),
        inspection=inspected(graded("as_new", quantity=MILLION)),
        policy=UNLIMITED,
    )
    assert made.decision == "escalated" and made.release is None
    assert len(made.model_dump_json()) < SMALL


def test_the_smallest_change_of_a_quantity_is_the_most_that_would_do() -> None:
    made = judge(order=order(line(9000, quantity=10)), request=request(wanted("1", 10)))
    assert made.counterfactual == "With only 5 of SKU-1, it would have been approved."


def test_a_line_of_which_not_even_one_would_do_is_left_out_instead() -> None:
    bought = order(line(100, "1", 3), line(100, "2", 3))
    asked = request(wanted("1", 3, condition="melted"), wanted("2", 3))
    made = judge(order=bought, request=asked, policy=defaults(conditions=["unopened"]))
    assert made.counterfactual == "Without SKU-1, it would have been approved."
