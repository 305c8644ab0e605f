"""The smallest change that would have led to another outcome, found by really deciding again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from contracts.decisions import Outcome, ReturnDecisionMade
from contracts.requests import Condition, RequestLine
from services.commerce.judgement.case import Case

TRIALS_MAX = 45
"""Enough to find the most of a million units that would do."""
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


class _Trials:
    """Decides changed cases, so many and no more, and remembers the first other outcome."""

    def __init__(self, decide: Callable[[Case], ReturnDecisionMade], outcome: Outcome) -> None:
        self._decide = decide
        self._outcome = outcome
        self._left = TRIALS_MAX
        self.other: str | None = None

    def approves(self, case: Case, said: str) -> bool:
        if not self._left:
            return False
        self._left -= 1
        outcome = self._decide(case).decision
        if outcome is Outcome.APPROVED:
            return True
        if outcome is not self._outcome and self.other is None:
            self.other = f"{said}, {_OUTCOMES.get(outcome, outcome)}."
        return False


def smallest_change(
    case: Case,
    decision: ReturnDecisionMade,
    days_late: int,
    decide: Callable[[Case], ReturnDecisionMade],
) -> str | None:
    """A sentence about dates, conditions or quantities; None: none of them alone changes it."""
    trials = _Trials(decide, decision.decision)
    said = _approved(case, days_late, trials)
    return trials.other if said is None else f"{said}, {_OUTCOMES[Outcome.APPROVED]}."


def _approved(case: Case, days_late: int, trials: _Trials) -> str | None:
    """The first change with which it would have been approved, in words."""
    for changed, said in (*_dates(case, days_late), *_conditions(case)):
        if trials.approves(changed, said):
            return said
    lines = case.request.lines
    for position, line in enumerate(lines):
        most = _most_units(case, position, line, trials)
        if most is not None:
            return _only(most, line)
    for position, line in enumerate(lines) if len(lines) > 1 else ():
        rest = (*lines[:position], *lines[position + 1 :])
        if trials.approves(_asked(case, lines=rest), f"Without {line.sku}"):
            return f"Without {line.sku}"
    return None


def _dates(case: Case, days_late: int) -> Iterator[tuple[Case, str]]:
    if days_late:
        earlier = case.request.requested_at - timedelta(days=days_late)
        days = "1 day" if days_late == 1 else f"{days_late} days"
        yield _asked(case, requested_at=earlier), f"Asked {days} earlier, or delivered {days} later"


def _conditions(case: Case) -> Iterator[tuple[Case, str]]:
    for position, line in enumerate(case.request.lines):
        for condition in _BETTER.get(line.condition or Condition.OPENED, ()):
            changed = line.model_copy(update={"condition": condition})
            yield _with_line(case, position, changed), f"Had {line.sku} been {condition}"


def _most_units(case: Case, position: int, line: RequestLine, trials: _Trials) -> int | None:
    """The most units of a line with which it is approved; None: not even with one."""

    def approves(quantity: int) -> bool:
        fewer = line.model_copy(update={"quantity": quantity})
        return trials.approves(_with_line(case, position, fewer), _only(quantity, line))

    too_many = line.quantity
    for quantity in _fewer(line.quantity):
        if approves(quantity):
            break
        too_many = quantity
    else:
        return None
    while too_many - quantity > 1:
        between = (quantity + too_many) // 2
        if approves(between):
            quantity = between
        else:
            too_many = between
    return quantity


def _only(quantity: int, line: RequestLine) -> str:
    return f"With only {quantity} of {line.sku}"


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
