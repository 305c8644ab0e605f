"""The price of each unit, fixed once per order.

A line's amount and its tax are split over its units by largest remainder with equal weights, so
that unit `i` has one price for ever and any sequence of partial returns sums to what was paid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.orders import OrderLine, OrderSnapshot

AMOUNT_MAX = 10**12
"""The most that is believed of a line or of shipping, in minor units; beyond it a person looks."""


def share(total: int, quantity: int, units: Sequence[int]) -> int:
    """The part of `total` minor units that belongs to these ordinals (from 1) of `quantity`.

    The same as summing those positions of `allocate(total, [1] * quantity)`, without the list:
    a line may have a million units.
    """
    each, rest = divmod(total, quantity)
    return each * len(units) + (sum(1 for unit in units if unit <= rest) if rest else 0)


@dataclass(frozen=True, slots=True)
class Worth:
    """What some units cost: `items` net of tax, and their `tax`, in minor units."""

    items: int
    tax: int

    @property
    def gross(self) -> int:
        return self.items + self.tax


def line_total(line: OrderLine) -> int:
    """What was paid for a line, as its prices are given: from zero to what is believed."""
    return min(max(line.quantity * line.unit_price - line.discount_total, 0), AMOUNT_MAX)


def worth(line: OrderLine, units: Sequence[int], *, includes_tax: bool) -> Worth:
    """Net and tax of these ordinals of an order line."""
    price = share(line_total(line), line.quantity, units)
    tax = share(_tax_total(line, includes_tax), line.quantity, units)
    return Worth(price - tax if includes_tax else price, tax)


def line_worth(line: OrderLine, *, includes_tax: bool) -> Worth:
    """Net and tax of a whole order line."""
    price = line_total(line)
    tax = _tax_total(line, includes_tax)
    return Worth(price - tax if includes_tax else price, tax)


def order_value(order: OrderSnapshot) -> int:
    """The value of an order: net of its items, without shipping."""
    inclusive = order.prices_include_tax
    return sum(line_worth(line, includes_tax=inclusive).items for line in order.lines)


def _tax_total(line: OrderLine, includes_tax: bool) -> int:
    """Tax that a price contains cannot exceed it, whatever the order says."""
    return min(line.tax_total, line_total(line) if includes_tax else AMOUNT_MAX)
