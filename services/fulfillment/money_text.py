"""Amounts as carriers and customs want them: decimal text, made without a float."""

from __future__ import annotations

from contracts.money import EXPONENTS


def decimal_text(minor_units: int, currency: str) -> str:
    """``decimal_text(20050, "USD") == "200.50"``; the ISO 4217 exponent says how many decimals."""
    exponent = EXPONENTS.get(currency, 2)
    if exponent == 0:
        return str(minor_units)
    whole, part = divmod(minor_units, 10**exponent)
    return f"{whole}.{part:0{exponent}d}"
