"""The smallest change that would have led to another outcome, found by really deciding again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from contracts.decisions import Outcome, ReturnDecisionMade
from contracts.requests import Condition, RequestLine
from services.commerce.judgement.case import Case

TRIALS_MAX = 40
_BETTER = {
    Condition.OPENED: (Condition.UNOPENED,),
    Condition.WORN: (Condition.OPENED, Condition.UNOPENED),
    Condition.DAMAGED: (Condition.WORN, Condition.OPENED, Condition.UNOPENED),
}
_OUTCOMES = {
    Outcome.APPROVED: "it would have been approved",
    Outcome.ESCALATED: "a person would have looked at it",
    Outcome.REJECTED: "it would have been rejected",
}


def smallest_change(
    case: Case,
    decision: ReturnDecisionMade,
    days_late: int,
    decide: Callable[[Case], ReturnDecisionMade],
) -> str | None:
    """A sentence about dates, conditions or quantities; None: none of them alone changes it."""
    other: str | None = None
    for trial, (changed, said) in enumerate(_changes(case, days_late)):
        if trial >= TRIALS_MAX:
            break
        outcome = decide(changed).decision
        if outcome is Outcome.APPROVED:
            return f"{said}, {_OUTCOMES[outcome]}."
        if outcome is not decision.decision and other is None:
            other = f"{said}, {_OUTCOMES.get(outcome, outcome)}."
    return other


def _changes(case: Case, days_late: int) -> Iterator[tuple[Case, str]]:
    if days_late:
        earlier = case.request.requested_at - timedelta(days=days_late)
        days = "1 day" if days_late == 1 else f"{days_late} days"
        yield _asked(case, requested_at=earlier), f"Asked {days} earlier, or delivered {days} later"
    yield from _conditions(case)
    yield from _quantities(case)


def _conditions(case: Case) -> Iterator[tuple[Case, str]]:
    for position, line in enumerate(case.request.lines):
        for condition in _BETTER.get(line.condition or Condition.OPENED, ()):
            changed = line.model_copy(update={"condition": condition})
            yield _with_line(case, position, changed), f"Had {line.sku} been {condition}"


def _quantities(case: Case) -> Iterator[tuple[Case, str]]:
    """Fewer units of a line, the most that could be; then one line less."""
    lines = case.request.lines
    for position, line in enumerate(lines):
        for quantity in _fewer(line.quantity):
            changed = line.model_copy(update={"quantity": quantity})
            yield _with_line(case, position, changed), f"With only {quantity} of {line.sku}"
    if len(lines) > 1:
        for position, line in enumerate(lines):
            rest = (*lines[:position], *lines[position + 1 :])
            yield _asked(case, lines=rest), f"Without {line.sku}"


def _fewer(quantity: int) -> Iterator[int]:
    """One less, two less, four less …: few trials also where a line has a million units."""
    step = 1
    while quantity - step >= 1:
        yield quantity - step
        step *= 2
    if quantity > 2 and step != quantity:
        yield 1


def _with_line(case: Case, position: int, line: RequestLine) -> Case:
    lines = case.request.lines
    return _asked(case, lines=(*lines[:position], line, *lines[position + 1 :]))


def _asked(case: Case, **changes: object) -> Case:
    request = case.request.model_copy(update=changes)
    return case.model_copy(update={"request": request})
