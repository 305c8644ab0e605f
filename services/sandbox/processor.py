"""The processor's own rules: payments, refunds, disputes, and what they do to the book."""

from __future__ import annotations

import time

from services.sandbox import stripe_objects
from services.sandbox.behaviours import BEHAVIOURS, Behaviour
from services.sandbox.pages import Json, Pages
from services.sandbox.refusal import Refused, invalid, missing
from services.sandbox.stripe_objects import new_id

MOVED = ("pending", "succeeded")
LATE_FAILURE = "lost_or_stolen_card"
OUT_OF_ORDER_SECONDS = 0.3
DECLINED_METHODS = ("chargeDeclined", "visa_chargeDeclined")


class Processor:
    """Methods that write belong inside one piece of the book's work."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def create_payment(
        self,
        reference: str,
        amount: int,
        currency: str,
        *,
        method: str = "card",
        behaviour: str = "ok",
        metadata: Json | None = None,
    ) -> Json:
        """A captured payment with its charge."""
        charge = stripe_objects.charge(reference, amount, currency, method, metadata or {})
        payment = stripe_objects.payment_intent(reference, charge)
        self.pages.put("payment_intent", reference, payment)
        self.pages.put("charge", charge["id"], charge, parent=reference)
        self._transact(charge, "charge", charge["balance_transaction"], amount)
        self.pages.put("behaviour", reference, {"name": behaviour})
        return payment

    def payment(self, reference: str) -> Json:
        return self._read("payment_intent", reference)

    def charge(self, id_: str) -> Json:
        return self._read("charge", id_)

    def refund(self, id_: str) -> Json:
        return self._read("refund", id_)

    def _read(self, kind: str, id_: str) -> Json:
        found = self.pages.get(kind, id_)
        if found is None:
            raise missing(kind, id_)
        return found

    def charge_of(self, reference: str) -> Json:
        return self.charge(self.payment(reference)["latest_charge"])

    def behaviour(self, reference: str) -> Behaviour:
        kept = self.pages.get("behaviour", reference)
        return BEHAVIOURS[kept["name"] if kept else "ok"]

    def create_refund(
        self, reference: str, amount: int, metadata: Json, reason: str | None = None
    ) -> Json:
        """A refund as it is answered: accepted and pending. Raises Refused as Stripe does."""
        amount = self.refundable(reference, amount)
        charge = self.charge_of(reference)
        behaviour = self.behaviour(reference)
        if behaviour.declined:
            raise Refused(
                402, "card_error", "The refund was declined by the card's bank.", code="declined"
            )
        refund = stripe_objects.refund(charge, amount, metadata, reason)
        self._save(refund)
        self._add_refunded(charge, amount)
        self._enter("refund", refund)
        self._transact(refund, "refund", refund["balance_transaction"], -amount)
        delay = OUT_OF_ORDER_SECONDS if behaviour.out_of_order else 0.0
        self.announce("refund.created", refund, behaviour, delay)
        if behaviour.settles_after_seconds:
            due = time.time() + behaviour.settles_after_seconds
            self.pages.remind("settle", refund["id"], due)
        else:
            self.settle(refund["id"])
        return refund

    def refundable(self, reference: str, amount: int | None) -> int:
        """The amount to give back, all by default. Raises Refused where it cannot be."""
        charge = self.charge_of(reference)
        left = charge["amount_captured"] - charge["amount_refunded"]
        if amount is not None and amount <= 0:
            raise invalid("Invalid positive integer", "parameter_invalid_integer", param="amount")
        if self._charged_back(reference):
            raise invalid(
                f"Charge {charge['id']} has been charged back; cannot issue a refund.",
                "charge_disputed",
            )
        if left <= 0:
            raise invalid(
                f"Charge {charge['id']} has already been refunded.", "charge_already_refunded"
            )
        if amount is not None and amount > left:
            raise invalid(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                "amount_too_large",
                param="amount",
            )
        return left if amount is None else amount

    def settle(self, refund_id: str) -> None:
        """The money has arrived."""
        refund = self.refund(refund_id)
        if refund["status"] != "pending":
            return
        refund["status"] = "succeeded"
        self._save(refund)
        behaviour = self.behaviour(refund["payment_intent"])
        self.announce("refund.updated", refund, behaviour)
        self.announce("charge.refunded", self.charge(refund["charge"]), behaviour)
        if behaviour.fails_after_seconds is not None:
            self.pages.remind("fail", refund_id, time.time() + behaviour.fails_after_seconds)

    def fail(self, refund_id: str) -> None:
        """The money comes back, also after it had settled."""
        self._come_back(refund_id, "failed", "refund.failed", LATE_FAILURE)

    def cancel(self, refund_id: str) -> Json:
        """Take a pending refund back. Raises Refused for any other."""
        if self.refund(refund_id)["status"] != "pending":
            raise invalid("Only a pending refund can be canceled.")
        return self._come_back(refund_id, "canceled", "refund.updated", None)

    def _come_back(self, refund_id: str, status: str, event: str, reason: str | None) -> Json:
        refund = self.refund(refund_id)
        if refund["status"] not in MOVED:
            return refund
        refund["status"] = status
        refund["failure_balance_transaction"] = new_id("txn")
        if reason:
            refund["failure_reason"] = reason
        self._save(refund)
        self._add_refunded(self.charge(refund["charge"]), -refund["amount"])
        self._enter("refund_failed", refund)
        self._transact(
            refund, "refund_failure", refund["failure_balance_transaction"], refund["amount"]
        )
        self.announce(event, refund, self.behaviour(refund["payment_intent"]))
        return refund

    def charge_customer(
        self, amount: int, currency: str, metadata: Json, method: str, behaviour: Behaviour
    ) -> Json:
        """A new payment with the customer's consent (a reversal).

        Where refunds of the first payment take their time, so does this.
        """
        if method.endswith(DECLINED_METHODS):
            raise Refused(402, "card_error", "Your card was declined.", code="card_declined")
        payment = self.create_payment(new_id("pi"), amount, currency, metadata=metadata)
        if behaviour.settles_after_seconds:
            payment["status"] = "processing"
            self.pages.put("payment_intent", payment["id"], payment)
            due = time.time() + behaviour.settles_after_seconds
            self.pages.remind("charge", payment["id"], due)
        else:
            self.charged(payment["id"])
        return payment

    def charged(self, reference: str) -> None:
        """The new payment's money has arrived."""
        payment = self.payment(reference) | {"status": "succeeded"}
        self.pages.put("payment_intent", reference, payment)
        metadata = payment["metadata"]
        self.pages.enter(
            {
                "at": now_text(),
                "kind": "charge",
                "reference": metadata.get("reference", reference),
                "refund": None,
                "amount": payment["amount"],
                "currency": payment["currency"].upper(),
                "metadata": metadata,
            }
        )

    def dispute(self, reference: str, status: str) -> Json:
        """Open or close a dispute over a payment's charge."""
        charge = self.charge_of(reference)
        known = self.pages.of("dispute", reference)
        dispute = known[0] if known else None
        if dispute is None or (status == "open" and dispute["status"] in ("won", "lost")):
            dispute = stripe_objects.dispute(charge)
            charge["disputed"] = True
            self.pages.put("charge", charge["id"], charge, parent=reference)
            self.pages.put("dispute", dispute["id"], dispute, parent=reference)
            self.announce("charge.dispute.created", dispute, BEHAVIOURS["ok"])
        if status not in ("open", dispute["status"]):
            dispute["status"] = status
            self.pages.put("dispute", dispute["id"], dispute, parent=reference)
            self.announce("charge.dispute.closed", dispute, BEHAVIOURS["ok"])
        return dispute

    def _charged_back(self, reference: str) -> bool:
        """Whether the bank holds the money, or has taken it: only a dispute that was won is over.

        A refund beside a lost dispute would pay the buyer twice.
        """
        return any(each["status"] != "won" for each in self.pages.of("dispute", reference))

    def announce(self, type_: str, thing: Json, behaviour: Behaviour, delay: float = 0.0) -> None:
        """Have a signed event sent, as often as the behaviour says; copies share one id."""
        event = stripe_objects.event(type_, thing)
        for _ in range(behaviour.webhooks):
            # Late ones travel apart: within one subject the order is kept.
            subject = f"{thing['payment_intent']}{' late' if delay else ''}"
            self.pages.post_event(event, subject=subject, due=time.time() + delay)

    def _save(self, refund: Json) -> None:
        self.pages.put("refund", refund["id"], refund, parent=refund["payment_intent"])

    def _add_refunded(self, charge: Json, amount: int) -> None:
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        self.pages.put("charge", charge["id"], charge, parent=charge["payment_intent"])

    def _enter(self, kind: str, refund: Json) -> None:
        self.pages.enter(
            {
                "at": now_text(),
                "kind": kind,
                "reference": refund["payment_intent"],
                "refund": refund["id"],
                "amount": refund["amount"],
                "currency": refund["currency"].upper(),
                "metadata": refund["metadata"],
            }
        )

    def _transact(self, source: Json, type_: str, id_: str, amount: int) -> None:
        transaction = stripe_objects.balance_transaction(source, type_, id_, amount)
        self.pages.put("balance_transaction", id_, transaction, parent=source["id"])


def now_text() -> str:
    """RFC 3339 in UTC, with milliseconds."""
    seconds = time.time()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03}Z"
