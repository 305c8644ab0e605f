"""Store credit that is spent or expires: never more than the customer holds."""

from __future__ import annotations

from services.payment.decide.draft import Posting
from services.payment.messages import DebitStoreCredit


class Overdrawn(ValueError):
    """The customer holds less than that."""


def debit(message: DebitStoreCredit, balance: int) -> Posting:
    """The posting that takes `amount` off the customer's credit. Raises Overdrawn.

    `balance` in minor units of the message's currency.
    """
    if message.amount > balance:
        raise Overdrawn(f"{balance} {message.currency} are left, not {message.amount}")
    return Posting(
        book="store_credit",
        holder=message.customer_id,
        source="customer",
        target="merchant",
        amount=message.amount,
        unit=message.currency,
    )
