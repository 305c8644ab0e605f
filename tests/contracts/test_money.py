"""Money is split without losing or making any."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.money import EXPONENTS, Money, allocate, round_half_up

TOTALS = st.integers(-(10**15), 10**15)
WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=50)


@given(total=TOTALS, weights=WEIGHTS)
def test_parts_sum_to_the_whole_and_are_off_by_less_than_one(
    total: int, weights: list[int]
) -> None:
    parts = allocate(total, weights)
    assert sum(parts) == total
    shares = weights if sum(weights) else [1] * len(weights)
    for part, weight in zip(parts, shares, strict=True):
        assert abs(Fraction(total * weight, sum(shares)) - part) < 1


def test_ties_go_to_the_lowest_position() -> None:
    assert allocate(1000, [1, 1, 1]) == (334, 333, 333)
    assert allocate(2, [1, 1, 1]) == (1, 1, 0)
    assert allocate(5, [0, 0]) == (3, 2)


@given(numerator=TOTALS, denominator=st.integers(1, 10**6))
def test_halves_round_away_from_zero(numerator: int, denominator: int) -> None:
    rounded = round_half_up(numerator, denominator)
    assert abs(Fraction(numerator, denominator) - rounded) <= Fraction(1, 2)
    assert round_half_up(5, 2) == 3
    assert round_half_up(-5, 2) == -3


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to allocate"):
        allocate(1, [])
    with pytest.raises(ValueError, match="negative"):
        allocate(1, [-1])
    with pytest.raises(ValueError, match="cannot be added"):
        Money(1, "USD").plus(Money(1, "EUR"))


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(22200, "USD"), "222.00 USD"),
        (Money(-5, "USD"), "-0.05 USD"),
        (Money(334, "JPY"), "334 JPY"),
        (Money(3334, "KWD"), "3.334 KWD"),
        (Money(5, "XXX"), "5 minor units XXX"),
    ],
)
def test_people_see_the_currencys_decimals(money: Money, text: str) -> None:
    assert str(money) == text
    assert EXPONENTS["USD"] == 2
