"""What a customer and a reviewer read comes from the decision's own findings and numbers."""

from __future__ import annotations

from services.commerce import judgement
from tests.unit.commerce.judge.documents import (
    case,
    german,
    judge,
    line,
    order,
    policy,
    request,
    wanted,
)


def test_a_reviewer_reads_the_date_of_the_law_and_no_recommendation_where_none_is_needed() -> None:
    made = judge(order=german(line(11900, tax_total=1900)))
    told = judgement.reviewer_paragraph(made)
    assert "By law due by 2026-04-03" in told and "Recommended" not in told
    assert "Calculated refund 119.00 EUR (items 100.00 EUR, tax 19.00 EUR)" in told


def test_a_reviewer_reads_what_speaks_against_it_and_which_rule_says_so() -> None:
    made = judge(order=order(line(60000)))
    told = judgement.reviewer_paragraph(made)
    assert "Recommended: approve, 600.00 USD" in told
    assert "600.00 USD are more than 500.00 USD" in told and "[limits.auto_approve_up_to]" in told


def test_a_decision_without_amounts_is_told_without_them() -> None:
    made = judgement.judge(case({"order": None, "request": request(currency=None)}))
    bare = made.model_copy(update={"refund": None, "findings": (), "refund_due": None})
    told = judgement.reviewer_paragraph(bare)
    assert "(" not in told.split("Calculated refund", 1)[1].split(".", 1)[0]
    assert "Against it" not in told


def test_a_customer_reads_the_amount_and_what_to_do() -> None:
    kept = policy(defaults={"keep_item_up_to": {"USD": 500}})
    told = judgement.customer_sentence(judge(order=order(line(100)), policy=kept))
    assert "1.00 USD" in told and "you can keep the item" in told
    sent = judgement.customer_sentence(judge(order=order(line(1000)), policy=kept))
    assert "please send it by" in sent
    swap = request(wanted("1"), resolution="replacement")
    assert "we send the replacement" in judgement.customer_sentence(
        judge(order=order(line(1000)), request=swap)
    )
