"""What is left of each store credit: first-expiring-first, and never more than was issued."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payment.decide import credit
from services.payment.decide.rows import STORE_CREDIT, Posting, StoreCredit

START = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = "abcde"


def issued(name: str, amount: int, days: int | None) -> StoreCredit:
    return StoreCredit(
        credit_id=f"credit-{name}",
        customer_id="c",
        return_id=f"return-{name}",
        refund_id=name,
        amount=amount,
        currency="USD",
        expires_at=credit.expires_at(START, days),
        test=False,
    )


def entry(change: int, *, refund_id: str | None = None, return_id: str | None = None) -> Posting:
    ends = ("merchant", "customer") if change > 0 else ("customer", "merchant")
    return Posting(
        book=STORE_CREDIT,
        holder="c",
        source=ends[0],
        target=ends[1],
        amount=abs(change),
        unit="USD",
        refund_id=refund_id,
        return_id=return_id,
    )


def came_in(each: StoreCredit) -> Posting:
    return entry(each.amount, refund_id=each.refund_id, return_id=each.return_id)


lives = st.one_of(st.none(), st.integers(1, 5))
amounts = st.integers(1, 100)
accounts = st.lists(st.tuples(amounts, lives), min_size=1, max_size=len(NAMES)).map(
    lambda found: [issued(name, *each) for name, each in zip(NAMES, found, strict=False)]
)
shares = st.lists(st.integers(0, 100), max_size=6)


def spent(account: list[StoreCredit], percents: list[int]) -> list[Posting]:
    """Everything comes in, then parts of what is left each time go out."""
    balance, entries = sum(each.amount for each in account), [came_in(each) for each in account]
    for percent in percents:
        amount = balance * percent // 100
        if amount > 0:
            balance -= amount
            entries.append(entry(-amount))
    return entries


@given(account=accounts, percents=shares)
def test_what_is_left_of_all_credits_is_the_balance(
    account: list[StoreCredit], percents: list[int]
) -> None:
    entries = spent(account, percents)
    left = credit.left(account, entries)
    assert sum(left.values()) == sum(each.change for each in entries)
    assert all(0 <= left[each.credit_id] <= each.amount for each in account)


@given(account=accounts, percents=shares)
def test_nothing_is_spent_of_a_credit_while_one_that_expires_earlier_has_something_left(
    account: list[StoreCredit], percents: list[int]
) -> None:
    left = credit.left(account, spent(account, percents))
    touched = [each for each in account if left[each.credit_id] < each.amount]
    for each in account:
        if left[each.credit_id] > 0:
            begins = [one.expires_at or credit.NEVER for one in touched if one is not each]
            assert all(begin <= (each.expires_at or credit.NEVER) for begin in begins)


@given(account=accounts, percents=shares, order=st.permutations(NAMES))
def test_expiries_take_each_credit_to_nothing_in_whichever_order_they_come(
    account: list[StoreCredit], percents: list[int], order: list[str]
) -> None:
    entries = spent(account, percents)
    ends = {each.refund_id: each for each in account if each.expires_at is not None}
    before = credit.left(account, entries)
    never = sum(before[each.credit_id] for each in account if each.expires_at is None)
    for name in [each for each in order if each in ends] * 2:  # every deadline fires twice
        now = credit.left(account, entries)
        posting = credit.expired(ends[name], now[ends[name].credit_id])
        if posting is not None:
            entries.append(posting)
    assert sum(each.change for each in entries) == never
    after = credit.left(account, entries)
    assert all(after[each.credit_id] == 0 for each in ends.values())


def test_a_reversal_takes_the_credit_of_its_own_return_first() -> None:
    account = [issued("a", 100, 1), issued("b", 100, 2)]
    entries = [*map(came_in, account), entry(-120, return_id="return-b")]
    assert credit.left(account, entries) == {"credit-a": 80, "credit-b": 0}


def test_another_currency_and_test_returns_are_other_accounts() -> None:
    account = [issued("a", 100, 1)]
    other = Posting(
        book=STORE_CREDIT, holder="c", source="customer", target="merchant", amount=30, unit="EUR"
    )
    assert credit.left(account, [came_in(account[0]), other]) == {"credit-a": 100}


@pytest.mark.parametrize("days", [None, 365])
def test_a_credit_ends_only_where_the_merchant_says_when(days: int | None) -> None:
    ends = credit.expiry(issued("a", 100, days), "o")
    if days is None:
        assert ends is None
    else:
        assert ends is not None
        assert ends.at == START + timedelta(days=days)
