"""Money: an integer in the minor unit of its currency (ISO 4217). There is no float here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

EXPONENTS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
    **dict.fromkeys(
        (
            "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP"
            " BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP"
            " GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT"
            " LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN"
            " NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP"
            " SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED"
            " VES WST XCD YER ZAR ZMW ZWG"
        ).split(),
        2,
    ),
}
"""ISO 4217 currency code -> number of decimals of its minor unit."""


def allocate(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """`total` minor units split by `weights` so that the parts sum to it: largest remainder.

    Ties go to the lowest position. Weights are not negative; all zero counts as all equal.
    A negative total is split as its opposite. Raises ValueError without weights.
    """
    if not weights:
        raise ValueError("nothing to allocate to")
    if any(weight < 0 for weight in weights):
        raise ValueError("a weight cannot be negative")
    if total < 0:
        return tuple(-part for part in allocate(-total, weights))
    whole = sum(weights)
    if whole == 0:
        weights, whole = (1,) * len(weights), len(weights)
    parts = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-remainders[i], i))
    for position in by_remainder[: total - sum(parts)]:
        parts[position] += 1
    return tuple(parts)


def round_half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, a half away from zero."""
    if denominator <= 0:
        raise ValueError("the denominator must be positive")
    if numerator < 0:
        return -round_half_up(-numerator, denominator)
    return (2 * numerator + denominator) // (2 * denominator)


class Money(NamedTuple):
    """An amount in minor units of one currency."""

    amount: int
    currency: str

    def plus(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def minus(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount - other.amount, self.currency)

    def allocate(self, weights: Sequence[int]) -> tuple[Money, ...]:
        """Parts whose sum is exactly this amount (see :func:`allocate`)."""
        return tuple(Money(part, self.currency) for part in allocate(self.amount, weights))

    def __str__(self) -> str:
        """For people: ``222.00 USD``, ``334 JPY``. An unknown currency shows minor units."""
        decimals = EXPONENTS.get(self.currency)
        if decimals is None:
            return f"{self.amount} minor units {self.currency}"
        sign = "-" if self.amount < 0 else ""
        whole, rest = divmod(abs(self.amount), 10**decimals)
        fraction = f".{rest:0{decimals}d}" if decimals else ""
        return f"{sign}{whole:,}{fraction} {self.currency}"

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added")
