"""A part in doubt holds back only itself: what the law gives or the inspection confirms goes on."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.decisions import ReturnDecisionMade
from contracts.reviews import ReviewDecided
from services.commerce import judgement
from services.commerce.judgement import Case, NotAllowed
from tests.unit.commerce.judge.documents import (
    NOW,
    RETURN_ID,
    case,
    codes,
    german,
    graded,
    history,
    inspected,
    judge,
    line,
    order,
    plain,
    policy,
    request,
    wanted,
)

SUSPICIOUS = history(9, within=29, orders={"count": 12, "value": 120000})
MIXED = {
    "order": german(line(1000, "1"), line(500, "2", tax_total=80)),
    "request": request(wanted("1", reason="defective"), wanted("2")),
    "history": SUSPICIOUS,
}
PAYS_PARTS = policy(limits={"release_undisputed": True})
THREE = order(line(1000, quantity=3))
ALL_THREE = request(wanted("1", 3))


def said(judged: Case, standing: ReturnDecisionMade, decision: str, **more: Any) -> Any:
    decided = ReviewDecided(
        return_id=RETURN_ID,
        decision=decision,
        reason="because",
        reviewer="bob",
        decided_at=NOW,
        **more,
    )
    return judgement.review(judged, standing, decided)


def verdicts(decision: ReturnDecisionMade) -> list[tuple[str | None, str, int]]:
    return [(each.line_id, str(each.verdict), each.refund) for each in decision.lines]


def choice(decision: ReturnDecisionMade, name: str) -> str:
    [effect] = [each.effect for each in decision.escalation.case.choices if each.decision == name]
    return effect


def test_suspicion_of_a_fault_leaves_the_withdrawal_beside_it_approved() -> None:
    decision = judge(**MIXED)
    assert decision.decision == "escalated"
    assert decision.escalation.reason == "fraud_suspected"
    assert verdicts(decision) == [("1", "review", 1000), ("2", "approved", 500)]
    assert {"risk_frozen", "risk_flagged"} <= codes(decision)
    assert decision.refund_due is not None


def test_a_persons_no_reaches_only_what_is_no_withdrawal() -> None:
    judged = case(MIXED)
    standing = judgement.judge(judged)
    assert choice(standing, "reject").startswith("5.00 EUR stand")
    made = said(judged, standing, "reject")
    assert made.decision == "approved" and made.decided_by.kind == "human"
    assert verdicts(made) == [("2", "approved", 500), ("1", "rejected", 0)]
    assert made.refund.total == 500 == made.settlement.allocations[0].amount
    assert (made.refund.items, made.refund.tax) == (420, 80)
    assert made.return_.send_by is not None and made.refund_due is not None
    paid = said(judged, standing, "approve")
    assert paid.decision == "approved" and paid.refund.total == 1500


def test_a_withdrawal_alone_can_only_be_confirmed_and_a_fault_alone_be_refused() -> None:
    withdrawn = case({"order": german(line(60000)), "request": request()})
    standing = judgement.judge(withdrawn)
    assert choice(standing, "reject").startswith("not allowed")
    assert isinstance(said(withdrawn, standing, "reject"), NotAllowed)
    fault = case(MIXED | {"request": request(wanted("1", reason="defective"))})
    refused = said(fault, judgement.judge(fault), "reject")
    assert refused.decision == "rejected" and refused.refund.total == 0


def test_four_eyes_watch_also_over_what_a_refusal_leaves() -> None:
    judged = case(MIXED | {"policy": policy(limits={"four_eyes_above": {"EUR": 400}})})
    first = said(judged, judgement.judge(judged), "reject")
    assert isinstance(first, NotAllowed) and first.code == "second_reviewer_needed"
    assert first.decision.refund.total == 1500


def three(*grades: tuple[str, int], **more: Any) -> ReturnDecisionMade:
    found = inspected(*(graded(grade, quantity=count) for grade, count in grades))
    document = {"order": THREE, "request": ALL_THREE, "inspection": found, "policy": PAYS_PARTS}
    return judge(**(document | more))


def test_what_was_found_as_promised_is_paid_while_a_person_looks_at_the_rest() -> None:
    decision = three(("as_new", 2), ("wrong_item", 1))
    assert decision.decision == "escalated"
    assert decision.escalation.reason == "conflicting_evidence"
    assert decision.refund.total == 3000
    assert decision.release.amount == 2000
    assert [(each.line_id, each.units) for each in decision.release.lines] == [("1", (1, 2))]


def test_without_the_policys_word_nothing_is_paid_while_a_person_looks() -> None:
    assert three(("as_new", 2), ("wrong_item", 1), policy=policy()).release is None


@pytest.mark.parametrize(
    "grades", [(("wrong_item", 3),), (("as_new", 3), ("as_new", 1)), (("worn", 2), ("missing", 1))]
)
def test_nothing_is_undisputed_where_all_is_in_doubt(grades: tuple[tuple[str, int], ...]) -> None:
    decision = three(*grades)
    assert decision.decision == "escalated" and decision.release is None


def test_a_line_in_doubt_holds_back_no_other_line() -> None:
    bought = order(line(1000, "1"), line(500, "2"), shipping={"paid": 90, "cheapest_offered": 90})
    decision = judge(
        order=bought,
        request=request(wanted("1"), wanted("2")),
        inspection=inspected(graded("worn", "1"), graded("as_new", "2")),
        policy=PAYS_PARTS,
    )
    assert verdicts(decision) == [("1", "review", 1000), ("2", "approved", 500)]
    assert decision.release.amount == 500
    assert [each.line_id for each in decision.release.lines] == ["2"]
    assert decision.refund.total == 1590


def test_units_named_by_the_warehouse_are_the_ones_in_doubt() -> None:
    found = inspected(graded("wrong_item", units=[1]), graded("as_new", quantity=2, units=[2, 3]))
    decision = judge(order=THREE, request=ALL_THREE, inspection=found, policy=PAYS_PARTS)
    assert decision.release.lines[0].units == (2, 3)


def test_after_a_part_was_paid_a_no_ends_only_the_rest() -> None:
    first = judge(order=THREE, request=ALL_THREE)
    standing = three(("as_new", 2), ("wrong_item", 1), earlier=[plain(first)])
    judged = case(
        {
            "order": THREE,
            "request": ALL_THREE,
            "policy": PAYS_PARTS,
            "inspection": inspected(graded("as_new", quantity=2), graded("wrong_item")),
            "earlier": [plain(standing)],
        }
    ).model_copy(update={"released": {"1": (1, 2)}, "released_amount": 2000})
    again = judgement.escalate(judged, standing, standing.escalation.reason)
    assert again.release is None and choice(again, "reject").startswith("20.00 USD stand")
    made = said(judged, again, "reject")
    assert made.decision == "approved" and made.refund.total == 2000
    assert verdicts(made) == [("1", "approved", 2000), ("1", "rejected", 0)]
    whole = judged.model_copy(update={"released": {"1": (1, 2, 3)}, "released_amount": 3000})
    assert isinstance(said(whole, again, "reject"), NotAllowed)


def test_a_case_that_is_published_again_keeps_what_is_not_paid_yet() -> None:
    standing = three(("as_new", 2), ("wrong_item", 1))
    judged = case({"order": THREE, "request": ALL_THREE, "policy": PAYS_PARTS})
    again = judgement.escalate(judged, standing, standing.escalation.reason)
    assert again.release == standing.release


def serial(number: str) -> dict[str, Any]:
    return {"evidence_id": number, "kind": "text", "text": number, "purpose": "serial_number"}


def test_a_thing_with_another_serial_number_goes_to_a_person_and_freezes() -> None:
    bought = order(line(1000, serials=["SN-1 a", "SN-2"]))
    for number, conflict in (("sn1A", False), ("SN-9", True)):
        found = inspected(graded("as_new", evidence=[serial(number)]))
        decision = judge(order=bought, inspection=found)
        assert ("serial_not_sold" in codes(decision)) is conflict
        assert (decision.decision == "escalated") is conflict
    assert decision.escalation.reason == "conflicting_evidence"
    assert decision.fraud_probability >= 0.75 and "risk_frozen" in codes(decision)


def test_numbers_say_nothing_where_the_order_keeps_none() -> None:
    found = inspected(graded("as_new", evidence=[serial("SN-9")]))
    assert judge(order=order(line(1000)), inspection=found).decision == "approved"


def test_what_only_the_parcel_shows_is_judged_although_the_return_was_approved() -> None:
    bought = order(line(9000))
    some = history(3, within=9, orders={"count": 5, "value": 60000})
    approved = judge(order=bought, history=some)
    assert approved.decision == "approved"
    document = {"order": bought, "earlier": [plain(approved)]}
    well = document | {"inspection": inspected(graded("as_new"))}
    assert judge(**well, history=some).decision == "approved"
    light = judge(**well, history=some | {"weight_deviation_bps": 9000})
    assert light.escalation.reason == "fraud_suspected"
    assert any("carton" in each for each in light.escalation.context["pattern"])
    withdrawn = german(line(9000))
    first = plain(judge(order=withdrawn, history=some))
    again = judge(
        order=withdrawn,
        earlier=[first],
        inspection=inspected(graded("as_new")),
        history=some | {"weight_deviation_bps": 9000},
    )
    assert again.decision == "approved" and "risk_flagged" in codes(again)
