"""The price of each unit, fixed once per order.

A line's amount and its tax are split over its units by largest remainder with equal weights, so
that unit `i` has one price for ever and any sequence of partial returns sums to what was paid.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from typing import NamedTuple, overload

from contracts.orders import OrderLine, OrderSnapshot

AMOUNT_MAX = 10**12
"""The most that is believed of a line or of shipping, in minor units; beyond it a person looks."""


class Free(Sequence[int]):
    """The free ordinals of an order line, lowest first, without a list of them: a line may have a
    million units."""

    __slots__ = ("_below", "_places")

    def __init__(self, quantity: int, taken: Collection[int]) -> None:
        gone = sorted(unit for unit in taken if 1 <= unit <= quantity)
        self._below = [unit - 1 - before for before, unit in enumerate(gone)]
        """For each ordinal that is taken: how many free ones there are below it."""
        self._places = range(quantity - len(gone))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Free: ...
    def __getitem__(self, place: int | slice) -> int | Free:
        if isinstance(place, slice):
            some = object.__new__(Free)
            some._below, some._places = self._below, self._places[place]
            return some
        index = self._places[place]
        return index + 1 + bisect_right(self._below, index)


def free(quantity: int, taken: Collection[int]) -> Sequence[int]:
    """The ordinals from 1 to `quantity` that are not taken, lowest first."""
    return Free(quantity, taken) if taken else range(1, quantity + 1)


def share(total: int, quantity: int, units: Sequence[int]) -> int:
    """The part of `total` minor units that belongs to these ordinals (from 1) of `quantity`.

    The same as summing those positions of `allocate(total, [1] * quantity)`, without the list:
    a line may have a million units.
    """
    each, rest = divmod(total, quantity)
    return each * len(units) + (_up_to(rest, units) if rest else 0)


def _up_to(last: int, units: Sequence[int]) -> int:
    """How many of these ordinals are at most `last`."""
    if isinstance(units, range | Free):
        return bisect_right(units, last)
    return sum(1 for unit in units if unit <= last)


class Worth(NamedTuple):
    """What some units cost: `items` net of tax, and their `tax`, in minor units."""

    items: int
    tax: int

    @property
    def gross(self) -> int:
        return self.items + self.tax


def line_total(line: OrderLine) -> int:
    """What was paid for a line, as its prices are given: from zero to what is believed."""
    total = line.quantity * line.unit_price - line.discount_total
    return 0 if total < 0 else min(total, AMOUNT_MAX)


def worth(line: OrderLine, units: Sequence[int], *, includes_tax: bool) -> Worth:
    """Net and tax of these ordinals of an order line.

    Tax that a price contains cannot exceed it, whatever the order says.
    """
    total = line_total(line)
    price = share(total, line.quantity, units)
    tax = share(min(line.tax_total, total if includes_tax else AMOUNT_MAX), line.quantity, units)
    return Worth(price - tax if includes_tax else price, tax)


def line_worth(line: OrderLine, *, includes_tax: bool) -> Worth:
    """Net and tax of a whole order line."""
    price = line_total(line)
    tax = min(line.tax_total, price if includes_tax else AMOUNT_MAX)
    return Worth(price - tax if includes_tax else price, tax)


def order_value(order: OrderSnapshot) -> int:
    """The value of an order: net of its items, without shipping."""
    inclusive = order.prices_include_tax
    return sum(line_worth(line, includes_tax=inclusive).items for line in order.lines)
