"""A line of the decision while it is judged: some units of an order line, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from contracts.decisions import Verdict
from contracts.orders import OrderLine, Trait
from contracts.requests import MERCHANT_FAULT, Condition, Reason, RequestLine
from services.commerce.law.rows import Conformity, Withdrawal
from services.commerce.policy.model import Settings
from services.commerce.policy.rules import Applied


class Entry(NamedTuple):
    asked: RequestLine
    quantity: int
    bought: OrderLine | None = None
    """None: the order has no such line."""
    units: Sequence[int] = ()
    """Ordinals of the order line that are asked back, lowest first."""
    verdict: Verdict = Verdict.APPROVED
    reason: Reason = Reason.OTHER
    """As claimed, or as it counts after an inspection."""
    withdrawal: Withdrawal | None = None
    """The row under which the line is withdrawn."""
    right: Withdrawal | None = None
    """The row under which it could be: in its period, not excluded."""
    conformity: Conformity | None = None
    """The row that gives the money back for a fault now."""
    excluded: Trait | None = None
    applied: Applied | None = None
    fee_bps: int = 0
    days_late: int = 0

    @property
    def condition(self) -> Condition:
        """A missing condition counts as opened."""
        return self.asked.condition or Condition.OPENED

    @property
    def fault(self) -> bool:
        """Whether the merchant answers for the reason."""
        return self.reason in MERCHANT_FAULT

    @property
    def settings(self) -> Settings:
        assert self.applied is not None
        return self.applied.settings

    @property
    def is_digital(self) -> bool:
        return self.bought is not None and Trait.DIGITAL in self.bought.traits

    @property
    def stands(self) -> bool:
        """Whether the line has amounts: it exists and is not rejected."""
        return self.bought is not None and self.verdict is not Verdict.REJECTED

    @property
    def name(self) -> str:
        """How people recognise the line."""
        return self.asked.sku if self.bought is None else self.bought.title or self.bought.sku
