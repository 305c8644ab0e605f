"""Minor units as Stripe counts them, where that is not ISO 4217's way.

Special cases: https://docs.stripe.com/currencies#special-cases; currencies without decimals:
https://docs.stripe.com/currencies#zero-decimal
"""

from __future__ import annotations

STRIPES_PER_OURS = {"ISK": (100, 1), "UGX": (100, 1), "MGA": (1, 100)}
"""Currency -> so many of Stripe's units are so many of ours.

Króna and Uganda shilling have no decimals and are sent with two, which are always 00. The ariary
has none there, and two in ISO 4217.
"""
TENS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""Three decimals, of which card networks take two: the last digit has to be 0."""


def at_stripe(amount: int, currency: str) -> int | None:
    """`amount` (ISO 4217 minor units) in Stripe's units; None where Stripe cannot express it."""
    if currency in TENS and amount % 10:
        return None
    theirs, ours = STRIPES_PER_OURS.get(currency, (1, 1))
    whole, rest = divmod(amount * theirs, ours)
    return whole if rest == 0 else None


def from_stripe(amount: int, currency: str) -> int:
    """An amount that Stripe shows, in ISO 4217 minor units; `currency` in upper case.

    What is less than one of our units cannot exist there, and is left out.
    """
    theirs, ours = STRIPES_PER_OURS.get(currency, (1, 1))
    return amount * ours // theirs
