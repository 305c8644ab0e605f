"""A case after all steps of judgement, before the decision is assembled from it."""

from __future__ import annotations

from typing import NamedTuple

from contracts.decisions import Allocation
from contracts.orders import OrderSnapshot
from services.commerce.judgement.amount import Amount
from services.commerce.judgement.entries import Entry
from services.commerce.judgement.notes import Note
from services.commerce.law.protection import Protection
from services.commerce.quote.calculation import Earlier
from services.commerce.risk.scorecard import Score

UNITS_MAX = 10_000
"""So many units a decision names one by one: it has to fit into a record, and each is followed
through receipt, inspection and refund. A larger return goes to a person, who has it asked for in
parts."""


class Judged(NamedTuple):
    """A case after all steps: what the decision is assembled from."""

    order: OrderSnapshot
    entries: tuple[Entry, ...]
    law: Protection
    earlier: Earlier
    score: Score
    amount: Amount | None
    """None: no line stands."""
    allocations: tuple[Allocation, ...]
    refundable: int
    notes: tuple[Note, ...]

    @property
    def standing(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.stands]

    @property
    def too_many(self) -> bool:
        """Whether there are more units than a decision names."""
        return sum(len(entry.units) for entry in self.standing) > UNITS_MAX

    @property
    def withdrawn(self) -> dict[str, set[int]]:
        """line_id -> ordinals that are withdrawn in their period: nobody can refuse them."""
        found: dict[str, set[int]] = {}
        for entry in self.standing:
            if entry.withdrawal is not None and entry.bought is not None:
                found.setdefault(entry.bought.line_id, set()).update(entry.units)
        return found
