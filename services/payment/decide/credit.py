"""Store credit that is spent or expires: never more than the customer holds.

Whatever expires first is spent first, so that as little as possible is lost to the customer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from services.chassis.decision import Deadline
from services.payment.decide.rows import STORE_CREDIT, Posting, StoreCredit
from services.payment.messages import CreditExpired, DebitKind, DebitStoreCredit

NEVER = datetime.max.replace(tzinfo=UTC)


class Overdrawn(ValueError):
    """The customer holds less than that."""


def debit(message: DebitStoreCredit, balance: int) -> Posting:
    """The posting that takes `amount` off the customer's credit. Raises Overdrawn.

    `balance` in minor units of the message's currency.
    """
    if message.amount > balance:
        raise Overdrawn(f"{balance} {message.currency} are left, not {message.amount}")
    return Posting(
        book=STORE_CREDIT,
        holder=message.customer_id,
        source="customer",
        target="merchant",
        amount=message.amount,
        unit=message.currency,
    )


def expires_at(issued_at: datetime, days: int | None) -> datetime | None:
    """Until when a credit can be spent; None: for ever."""
    return None if days is None else issued_at + timedelta(days=days)


def expiry(credit: StoreCredit, order_id: str) -> Deadline | None:
    """The message to self on the day when a credit expires; None for one that never does."""
    if credit.expires_at is None:
        return None
    message = CreditExpired(
        credit_id=credit.credit_id, customer_id=credit.customer_id, order_id=order_id
    )
    return Deadline(name="credit", subject=credit.credit_id, at=credit.expires_at, message=message)


def expired(credit: StoreCredit, left: int) -> Posting | None:
    """The posting that ends a credit of which `left` is left; None where all of it was spent."""
    if left <= 0:
        return None
    return Posting(
        book=STORE_CREDIT,
        holder=credit.customer_id,
        source="customer",
        target="merchant",
        amount=left,
        unit=credit.currency,
        return_id=credit.return_id,
        refund_id=credit.refund_id,
        test=credit.test,
    )


def debit_of(credit: StoreCredit, posting: Posting, order_id: str) -> DebitStoreCredit:
    """The expiry as the debit that it is: by its id there can be only one of a credit."""
    return DebitStoreCredit(
        debit_id=f"expire-{credit.credit_id}",
        customer_id=credit.customer_id,
        kind=DebitKind.EXPIRED,
        amount=posting.amount,
        currency=credit.currency,
        order_id=order_id,
        test=credit.test,
    )


def left(credits_: Sequence[StoreCredit], entries: Iterable[Posting]) -> dict[str, int]:
    """Credit id -> what is left of it, minor units: the ledger's entries, replayed in order.

    An entry that names a refund or a return takes from its credits first (an expiry, a reversal);
    every other one, and what they lack, comes from whatever expires first.
    """
    of_refund = {each.refund_id: each for each in credits_}
    remaining: dict[str, int] = {}
    for entry in entries:
        if entry.change > 0:
            issued = of_refund.get(entry.refund_id or "")
            if issued is not None:
                remaining[issued.credit_id] = entry.change
        else:
            _spend(remaining, credits_, entry)
    return remaining


def _spend(remaining: dict[str, int], credits_: Sequence[StoreCredit], entry: Posting) -> None:
    wanted = entry.amount
    for credit in sorted(credits_, key=lambda each: _turn(each, entry)):
        if (credit.currency, credit.test) != (entry.unit, entry.test):
            continue
        part = min(wanted, remaining.get(credit.credit_id, 0))
        if part > 0:
            remaining[credit.credit_id] -= part
            wanted -= part


def _turn(credit: StoreCredit, entry: Posting) -> tuple[bool, bool, datetime]:
    """The smallest is spent first; among equals the one that was issued first."""
    return (
        credit.refund_id != entry.refund_id,
        credit.return_id != entry.return_id,
        credit.expires_at or NEVER,
    )
