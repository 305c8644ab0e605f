"""`returns explain ID`: every rule, fact and number behind the stored decisions of a return."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import psycopg
import typer

from contracts.decisions import ReturnDecisionMade
from contracts.money import Money
from services.commerce import judgement
from services.ops import console, running
from services.ops.console import Refused

DECISIONS_SHOWN_MAX = 1000
CONNECT_SECONDS_MAX = 10

# Decisions are written once and never changed, so they can be read beside the running service.
DECISIONS_OF_A_RETURN = """
    SELECT document::text FROM decisions WHERE return_id = %s ORDER BY sequence LIMIT %s
"""
# A look at the process as it stands at this moment.
STANDING_OF_A_RETURN = """
    SELECT status, waiting_on, until, document->>'refund_due' FROM returns WHERE return_id = %s
"""


@console.in_one_sentence
def explain(
    return_id: Annotated[str, typer.Argument(help="the return's id")],
    sequence: Annotated[int | None, typer.Option(help="only this decision of it")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as data")] = False,
) -> None:
    """Why: the rules that were read, the facts, the law, the numbers, and who decided."""
    decisions, standing = _stored(return_id)
    if sequence is not None:
        decisions = [each for each in decisions if each.sequence == sequence]
    if not decisions:
        raise Refused(f"no decision is stored for return {return_id}")
    if as_json:
        console.print_json([_as_data(each) for each in decisions])
        return
    for decision in decisions:
        for line in told(decision):
            typer.echo(line)
    if standing is not None:
        typer.echo(standing)


def _stored(return_id: str) -> tuple[list[ReturnDecisionMade], str | None]:
    """Every decision on a return, oldest first, and where it stands now in a sentence."""
    url = running.databases()["commerce"]
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS_MAX) as connection:
            rows = connection.execute(
                DECISIONS_OF_A_RETURN, (return_id, DECISIONS_SHOWN_MAX)
            ).fetchall()
            standing = connection.execute(STANDING_OF_A_RETURN, (return_id,)).fetchone()
    except psycopg.Error as error:
        raise Refused(f"the commerce store does not answer: {error}") from error
    made = [ReturnDecisionMade.model_validate_json(document) for (document,) in rows]
    return made, _stands(*standing) if standing is not None else None


def _stands(status: str, party: str, until: datetime | None, due: str | None) -> str:
    waits = "" if party == "none" else f", waits on {party}"
    waits += f" until {_shown(until)}" if until is not None else ""
    by_law = "no statutory clock runs" if due is None else f"by law the refund is due by {due}"
    return f"It stands at {status}{waits}; {by_law}."


def _shown(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _as_data(decision: ReturnDecisionMade) -> dict[str, object]:
    return {
        "decision": decision.model_dump(mode="json", exclude_none=True),
        "customer": judgement.customer_sentence(decision),
        "reviewer": judgement.reviewer_paragraph(decision),
    }


def told(decision: ReturnDecisionMade) -> Iterator[str]:
    """A decision in full, line by line: for a person who wants to know exactly why."""
    made = decision.decided_by
    yield f"Decision {decision.sequence} of return {decision.return_id}: {decision.decision}"
    yield f"  by {made.kind} {made.id} at {decision.decided_at.isoformat()}"
    yield f"  to the customer: {judgement.customer_sentence(decision)}"
    yield f"  to a reviewer:   {judgement.reviewer_paragraph(decision)}"
    yield from _lines(decision)
    yield "  Findings (effect, weight, rule):"
    for each in decision.findings:
        source = f"  — {each.source}" if each.source else ""
        yield (
            f"    {each.effect:<15} {each.weight:.2f}  {each.code} [{each.rule_id}]:"
            f" {each.explanation}{source}"
        )
    yield from _facts(decision)
    yield ""


def _lines(decision: ReturnDecisionMade) -> Iterator[str]:
    currency = decision.currency or ""
    yield "  Lines:"
    for line in decision.lines:
        units = ", ".join(str(unit) for unit in line.units) or "none"
        yield (
            f"    {line.line_id or line.sku}: {line.quantity} {line.verdict}, units {units}:"
            f" items {Money(line.items, currency)} + tax {Money(line.tax, currency)}"
            f" - fee {Money(line.restocking_fee, currency)} = {Money(line.refund, currency)}"
        )
    for part in decision.settlement.allocations:
        yield f"    from payment {part.payment_id}: {Money(part.amount, currency)}"


def _facts(decision: ReturnDecisionMade) -> Iterator[str]:
    facts = decision.facts
    yield "  Facts:"
    yield f"    order version {facts.order_version}"
    for name, at in (
        ("fulfillment", facts.fulfillment_as_of),
        ("payment", facts.payment_as_of),
    ):
        yield f"    {name} as of {at.isoformat() if at is not None else '(not asked)'}"
    yield f"    policy {decision.policy.id} {decision.policy.version}"
    yield f"    law {decision.law.version}, basis {decision.legal_basis}"
    if decision.refund_due is not None:
        yield f"    by law the refund is due by {_shown(decision.refund_due)}"
    yield f"    inputs sha256 {facts.inputs_sha256}"
    if decision.counterfactual is not None:
        yield f"    {decision.counterfactual}"
    if decision.escalation is None:
        return
    for fact in decision.escalation.case.facts:
        age = f" (as of {fact.as_of.isoformat()})" if fact.as_of is not None else ""
        yield f"    {fact.name}: {fact.value}{age}"
    case, context = decision.escalation.case, decision.escalation.context
    for each in case.evidence:
        yield f"    evidence {each.evidence_id}: {each.kind} {each.text or each.url or ''}".rstrip()
    for past in case.history:
        yield f"    earlier return: {_plainly(past)}"
    similar = context.get("similar_cases")
    for other in similar if isinstance(similar, list) else ():
        yield f"    similar case: {_plainly(other)}"
    for name, value in context.items():
        if name not in {"similar_cases", "prior_returns"}:
            yield f"    told: {name} = {value}"
    for choice in case.choices:
        yield f"    choice {choice.decision}: {choice.effect}"
    yield f"    the case has the hash {case.case_sha256}"


def _plainly(values: object) -> str:
    if not isinstance(values, dict):
        return str(values)
    return ", ".join(f"{name} {value}" for name, value in values.items())
