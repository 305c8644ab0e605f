"""How much of the outbound shipping comes back, over any sequence of partial returns."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from contracts.money import round_half_up
from contracts.orders import Shipping
from services.commerce.policy.model import OutboundShipping
from services.commerce.quote.units import AMOUNT_MAX


class Basis(StrEnum):
    """Why outbound shipping is refunded."""

    POLICY = "policy"
    FAULT = "fault"
    """The merchant's fault on every line: all of it, if nothing is kept."""
    WITHDRAWAL = "withdrawal"
    """A withdrawal from everything: up to the cheapest delivery offered (row EU-SHIP-STD)."""
    LAW_ALL = "law_all"
    """The law names delivery without a limit (row BR-CDC49): all of it, whatever the mode."""


class Part(NamedTuple):
    """A part of the shipping, as `paid` is given, and the tax of that part."""

    paid: int
    tax: int


class Share(NamedTuple):
    """The value (net of items) returned before and with this return, out of the order's."""

    before: int
    after: int
    whole: int
    everything: bool
    """Nothing of the order is kept, counting earlier decisions."""

    def of(self, total: int, value: int) -> int:
        return round_half_up(total * value, self.whole) if self.whole else 0


def refunded(
    shipping: Shipping,
    basis: Basis,
    mode: OutboundShipping,
    share: Share,
    earlier: Part,
    *,
    includes_tax: bool,
) -> Part:
    """Net shipping and its tax that this return brings, in minor units.

    `earlier` is the net shipping and its tax that earlier decisions refunded.
    """
    gross_earlier = Part(earlier.paid + earlier.tax if includes_tax else earlier.paid, earlier.tax)
    shipping = _believed(shipping)
    before = gross_earlier
    target = _by_right(shipping, basis, share)
    if target is None:
        target = _by_mode(shipping, mode, share)
        if mode is OutboundShipping.PRORATA_VALUE:
            before = _prorated(shipping, share, share.before)
    if target is None:
        return Part(0, 0)
    paid = _between(target.paid - before.paid, shipping.paid - gross_earlier.paid)
    tax = _between(target.tax - before.tax, shipping.tax_total - gross_earlier.tax)
    if not includes_tax:
        return Part(paid, tax)
    tax = min(tax, paid)
    return Part(paid - tax, tax)


def _believed(shipping: Shipping) -> Shipping:
    if max(shipping.paid, shipping.tax_total) <= AMOUNT_MAX:
        return shipping
    return shipping.model_copy(
        update={
            "paid": min(shipping.paid, AMOUNT_MAX),
            "tax_total": min(shipping.tax_total, AMOUNT_MAX),
        }
    )


def _by_right(shipping: Shipping, basis: Basis, share: Share) -> Part | None:
    """What fault or law bring up to this return, together; None: the policy's mode decides."""
    whole = Part(shipping.paid, shipping.tax_total)
    if basis is Basis.LAW_ALL:
        return whole
    if not share.everything:
        return None
    if basis is Basis.FAULT:
        return whole
    if basis is Basis.WITHDRAWAL:
        return _up_to(shipping, min(shipping.paid, shipping.cheapest_offered))
    return None


def _by_mode(shipping: Shipping, mode: OutboundShipping, share: Share) -> Part | None:
    if mode is OutboundShipping.NONE:
        return None
    if share.everything:
        return Part(shipping.paid, shipping.tax_total)
    if mode is OutboundShipping.PRORATA_VALUE:
        return _prorated(shipping, share, share.after)
    return None


def _up_to(shipping: Shipping, amount: int) -> Part:
    if amount == shipping.paid:
        return Part(shipping.paid, shipping.tax_total)
    return Part(amount, round_half_up(shipping.tax_total * amount, shipping.paid))


def _prorated(shipping: Shipping, share: Share, value: int) -> Part:
    return Part(share.of(shipping.paid, value), share.of(shipping.tax_total, value))


def _between(amount: int, most: int) -> int:
    return max(0, min(amount, most))
