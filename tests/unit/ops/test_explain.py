"""`returns explain`: everything behind a decision, told."""

from __future__ import annotations

from services.commerce import judgement
from services.commerce.judgement import Precedent
from services.ops import explain
from tests.unit.commerce.judge.documents import (
    NOW,
    days,
    german,
    history,
    judge,
    line,
    order,
    request,
)


def test_every_finding_fact_and_choice_is_told() -> None:
    decision = judge(order=order(line(900), delivered=NOW - days(40)))
    told = "\n".join(explain.told(decision))
    for finding in decision.findings:
        assert f"{finding.code} [{finding.rule_id}]" in told
    assert decision.facts.inputs_sha256 in told
    assert decision.counterfactual is not None and decision.counterfactual in told
    assert decision.escalation is not None
    assert all(choice.effect in told for choice in decision.escalation.case.choices)
    assert "9.00 USD" in told


def test_history_evidence_similar_cases_and_the_statutory_date_are_told() -> None:
    past = history(2, within=9, orders={"count": 3, "value": 27000})
    proof = {"evidence_id": "e1", "kind": "text", "text": "a scratch"}
    decision = judge(order=german(line(60000)), request=request(evidence=[proof]), history=past)
    alike = Precedent(
        return_id=decision.return_id,
        decided="approve",
        reason="wrong_size",
        calculated=900,
        paid=900,
        currency="EUR",
        decided_at=NOW,
    )
    told = "\n".join(explain.told(judgement.with_precedents(decision, (alike,))))
    for words in ("a scratch", "earlier return: requested_at", "similar case: return_id", "due by"):
        assert words in told, words
