"""`returns explain`: everything behind a decision, told."""

from __future__ import annotations

from services.ops import explain
from tests.unit.commerce.judge.documents import NOW, days, judge, line, order


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
