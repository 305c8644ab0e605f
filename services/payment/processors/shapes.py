"""Stripe's objects as payment sees them.

The sandbox counts in ISO 4217's minor units throughout; Stripe has exceptions, see `units`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.assessments import DisputeState
from services.payment import units
from services.payment.model import SeenDispute, SeenRefund, SeenStatus
from services.payment.processors.port import ProcessorError, SeenCharge, Trouble, Verdict

Json = dict[str, Any]

STATUS = {
    "pending": SeenStatus.PENDING,
    "requires_action": SeenStatus.PENDING,
    "succeeded": SeenStatus.SUCCEEDED,
    "failed": SeenStatus.FAILED,
    "canceled": SeenStatus.FAILED,
}
"""https://docs.stripe.com/api/refunds/object#refund_object-status"""
CHARGE_STATUS = {"succeeded": SeenStatus.SUCCEEDED, "processing": SeenStatus.PENDING}
"""https://docs.stripe.com/payments/paymentintents/lifecycle; all others need somebody to act, and
nobody can: the customer is not there, and has no secret of it."""
DISPUTE = {
    "won": DisputeState.WON,
    "warning_closed": DisputeState.WON,
    "prevented": DisputeState.WON,
    "lost": DisputeState.LOST,
}
"""https://docs.stripe.com/api/disputes/object#dispute_object-status; all others are open."""
INEXPRESSIBLE = "the processor cannot pay {} minor units of {}: it does not count that finely"


class Shapes:
    """Reads objects of one processor, and writes amounts for it."""

    def __init__(self, *, stripes_units: bool) -> None:
        self._read: Callable[[int, str], int] = units.from_stripe if stripes_units else _as_it_is
        self._write: Callable[[int, str], int | None] = (
            units.at_stripe if stripes_units else _as_it_is
        )

    def amount(self, amount: int, currency: str) -> int:
        """`amount` as it is sent. Raises ProcessorError (refused) where it cannot be expressed."""
        sent = self._write(amount, currency)
        if sent is None:
            explanation = INEXPRESSIBLE.format(amount, currency)
            raise ProcessorError(
                Trouble(
                    verdict=Verdict.REFUSED, code="amount_inexpressible", explanation=explanation
                )
            )
        return sent

    def captured(self, charge: Json) -> int | None:
        captured = charge.get("amount_captured")
        amount: int | None = charge.get("amount") if captured is None else captured
        return None if amount is None else self._read(amount, _currency(charge))

    def refund(self, data: Json) -> SeenRefund:
        transaction = data.get("balance_transaction")
        settled = transaction if isinstance(transaction, dict) else {}
        destination = (data.get("destination_details") or {}).get("card") or {}
        status = data.get("status") or "succeeded"  # absent on the oldest refunds
        amount, currency = settled.get("amount"), _currency(settled)
        canceled = "canceled" if status == "canceled" else None
        return SeenRefund(
            reference=data["id"],
            refund_id=(data.get("metadata") or {}).get("refund_id"),
            status=STATUS.get(status, SeenStatus.PENDING),
            amount=self._read(data["amount"], _currency(data)),
            currency=_currency(data),
            failure_code=data.get("failure_reason") or canceled,
            arn=destination.get("reference"),
            settlement_currency=currency or None,
            settlement_amount=self._read(abs(amount), currency) if amount is not None else None,
        )

    def charge(self, data: Json) -> SeenCharge:
        status = str(data["status"])
        metadata = data.get("metadata") or {}
        return SeenCharge(
            reference=str(data["id"]),
            reversal_id=metadata.get("reversal_id", ""),
            order_id=metadata.get("order_id", ""),
            status=CHARGE_STATUS.get(status, SeenStatus.FAILED),
            amount=self._read(data["amount"], _currency(data)),
            currency=_currency(data),
            explanation=f"the new charge is {status}",
        )

    def dispute(self, data: Json) -> SeenDispute:
        return SeenDispute(
            dispute_id=data["id"],
            state=DISPUTE.get(data["status"], DisputeState.OPEN),
            amount=self._read(data["amount"], _currency(data)),
            currency=_currency(data),
            reason=data.get("reason"),
        )


def _as_it_is(amount: int, currency: str) -> int:
    return amount


def _currency(data: Json) -> str:
    return str(data.get("currency") or "").upper()
