"""The processor's own rules: payments, refunds, disputes, and what they do to the book."""

from __future__ import annotations

import secrets
import time
from typing import Any

from services.sandbox.behaviours import BEHAVIOURS, Behaviour
from services.sandbox.book import Book, Json

MOVED = ("pending", "succeeded")
FAILURE_REASONS = {"declined": "declined", "later": "lost_or_stolen_card"}
OUT_OF_ORDER_SECONDS = 0.3


class Refused(Exception):
    """Stripe's error object with its HTTP status."""

    def __init__(
        self, status: int, type_: str, message: str, *, code: str | None = None, param: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: Json = {"type": type_, "message": message}
        if code:
            self.error["code"] = code
        if param:
            self.error["param"] = param


def missing(what: str, id_: str) -> Refused:
    return Refused(
        404, "invalid_request_error", f"No such {what}: '{id_}'", code="resource_missing",
        param="id",
    )  # fmt: skip


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


class Processor:
    """Every method runs inside the caller's transaction on the book."""

    def __init__(self, book: Book) -> None:
        self.book = book

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
        charge_id = f"ch_{reference.removeprefix('pi_')}"
        payment = {
            "id": reference,
            "object": "payment_intent",
            "amount": amount,
            "amount_received": amount,
            "currency": currency.lower(),
            "status": "succeeded",
            "created": int(time.time()),
            "latest_charge": charge_id,
            "livemode": False,
            "metadata": metadata or {},
            "payment_method_types": [method],
        }
        charge = {
            "id": charge_id,
            "object": "charge",
            "amount": amount,
            "amount_captured": amount,
            "amount_refunded": 0,
            "captured": True,
            "created": payment["created"],
            "currency": currency.lower(),
            "disputed": False,
            "livemode": False,
            "metadata": metadata or {},
            "paid": True,
            "payment_intent": reference,
            "payment_method_details": {"type": method},
            "refunded": False,
            "status": "succeeded",
        }
        self.book.put("payment_intent", reference, payment)
        self.book.put("charge", charge_id, charge, parent=reference)
        self.book.put("behaviour", reference, {"name": behaviour})
        return payment

    def payment(self, reference: str) -> Json:
        found = self.book.get("payment_intent", reference)
        if found is None:
            raise missing("payment_intent", reference)
        return found

    def charge_of(self, reference: str) -> Json:
        return self.charge(self.payment(reference)["latest_charge"])

    def charge(self, id_: str) -> Json:
        found = self.book.get("charge", id_)
        if found is None:
            raise missing("charge", id_)
        return found

    def behaviour(self, reference: str) -> Behaviour:
        kept = self.book.get("behaviour", reference)
        return BEHAVIOURS[kept["name"] if kept else "ok"]

    def create_refund(self, reference: str, amount: int | None, metadata: Json) -> Json:
        """A refund that was accepted (or a refusal). Raises Refused as Stripe does."""
        charge = self.charge_of(reference)
        left = charge["amount_captured"] - charge["amount_refunded"]
        amount = left if amount is None else amount
        if self._open_dispute(reference):
            raise Refused(
                400, "invalid_request_error",
                f"Charge {charge['id']} has been charged back; cannot issue a refund.",
                code="charge_disputed",
            )  # fmt: skip
        if left <= 0:
            raise Refused(
                400, "invalid_request_error",
                f"Charge {charge['id']} has already been refunded.",
                code="charge_already_refunded",
            )  # fmt: skip
        if not 0 < amount <= left:
            raise Refused(
                400, "invalid_request_error",
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                code="amount_too_large", param="amount",
            )  # fmt: skip
        behaviour = self.behaviour(reference)
        if behaviour.declined:
            raise Refused(
                402, "card_error", "The refund was declined by the card's bank.",
                code="declined",
            )  # fmt: skip
        refund: Json = {
            "id": new_id("re"),
            "object": "refund",
            "amount": amount,
            "balance_transaction": new_id("txn"),
            "charge": charge["id"],
            "created": int(time.time()),
            "currency": charge["currency"],
            "destination_details": {
                "type": "card",
                "card": {
                    "reference": secrets.token_hex(8),
                    "reference_status": "available",
                    "reference_type": "acquirer_reference_number",
                    "type": "refund",
                },
            },
            "metadata": metadata,
            "payment_intent": reference,
            "reason": "requested_by_customer",
            "status": "pending",
        }
        self._save(refund)
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        self.book.put("charge", charge["id"], charge, parent=reference)
        self._enter("refund", refund)
        self._transaction(refund, -amount)
        self._announce_created(refund, charge, behaviour)
        self.book.remind("settle", refund["id"], time.time() + behaviour.settles_after_seconds)
        return refund

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
            self.book.remind("fail", refund_id, time.time() + behaviour.fails_after_seconds)

    def fail(self, refund_id: str) -> None:
        """The money comes back, also after it had settled."""
        self._come_back(refund_id, "failed", "refund.failed", FAILURE_REASONS["later"])

    def cancel(self, refund_id: str) -> Json:
        if self.refund(refund_id)["status"] != "pending":
            raise Refused(400, "invalid_request_error", "Only a pending refund can be canceled.")
        return self._come_back(refund_id, "canceled", "refund.updated", None)

    def _come_back(self, refund_id: str, status: str, event: str, reason: str | None) -> Json:
        refund = self.refund(refund_id)
        if refund["status"] not in MOVED:
            return refund
        refund["status"] = status
        if reason:
            refund["failure_reason"] = reason
            refund["failure_balance_transaction"] = new_id("txn")
        self._save(refund)
        charge = self.charge(refund["charge"])
        charge["amount_refunded"] -= refund["amount"]
        charge["refunded"] = False
        self.book.put("charge", charge["id"], charge, parent=refund["payment_intent"])
        self._enter("refund_failed", refund)
        self._transaction(refund, refund["amount"])
        self.announce(event, refund, self.behaviour(refund["payment_intent"]))
        return refund

    def refund(self, id_: str) -> Json:
        found = self.book.get("refund", id_)
        if found is None:
            raise missing("refund", id_)
        return found

    def charge_customer(self, amount: int, currency: str, metadata: Json) -> Json:
        """A new payment with the customer's consent (a reversal)."""
        payment = self.create_payment(new_id("pi"), amount, currency, metadata=metadata)
        self.book.enter(
            {
                "at": _now_text(),
                "kind": "charge",
                "reference": metadata.get("reference", payment["id"]),
                "refund": None,
                "amount": amount,
                "currency": currency.upper(),
                "metadata": metadata,
            }
        )
        return payment

    def dispute(self, reference: str, status: str) -> Json:
        """Open or close a dispute over a payment's charge."""
        charge = self.charge_of(reference)
        known = self.book.of("dispute", reference)
        dispute = known[0] if known else None
        if dispute is None or (status == "open" and dispute["status"] in ("won", "lost")):
            dispute = {
                "id": new_id("dp"),
                "object": "dispute",
                "amount": charge["amount_captured"],
                "charge": charge["id"],
                "created": int(time.time()),
                "currency": charge["currency"],
                "metadata": {},
                "payment_intent": reference,
                "reason": "general",
                "status": "needs_response",
            }
            charge["disputed"] = True
            self.book.put("charge", charge["id"], charge, parent=reference)
            self.book.put("dispute", dispute["id"], dispute, parent=reference)
            self.announce("charge.dispute.created", dispute, BEHAVIOURS["ok"])
        if status != "open":
            dispute["status"] = status
            self.book.put("dispute", dispute["id"], dispute, parent=reference)
            self.announce("charge.dispute.closed", dispute, BEHAVIOURS["ok"])
        return dispute

    def _open_dispute(self, reference: str) -> bool:
        return any(
            dispute["status"] not in ("won", "lost")
            for dispute in self.book.of("dispute", reference)
        )

    def announce(self, type_: str, thing: Json, behaviour: Behaviour, delay: float = 0.0) -> None:
        """Have a signed event sent, as often as the behaviour says; copies share one id."""
        event = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": int(time.time()),
            "data": {"object": thing},
            "livemode": False,
            "pending_webhooks": 1,
            "type": type_,
        }
        for _ in range(behaviour.webhooks):
            self.book.post_event(event, time.time() + delay)

    def _announce_created(self, refund: Json, charge: Json, behaviour: Behaviour) -> None:
        delay = OUT_OF_ORDER_SECONDS if behaviour.out_of_order else 0.0
        self.announce("refund.created", refund, behaviour, delay)

    def _save(self, refund: Json) -> None:
        self.book.put("refund", refund["id"], refund, parent=refund["payment_intent"])

    def _enter(self, kind: str, refund: Json) -> None:
        self.book.enter(
            {
                "at": _now_text(),
                "kind": kind,
                "reference": refund["payment_intent"],
                "refund": refund["id"],
                "amount": refund["amount"],
                "currency": refund["currency"].upper(),
                "metadata": refund["metadata"],
            }
        )

    def _transaction(self, refund: Json, amount: int) -> None:
        id_ = refund["balance_transaction"] if amount < 0 else refund.get(
            "failure_balance_transaction", new_id("txn")
        )  # fmt: skip
        transaction: dict[str, Any] = {
            "id": id_,
            "object": "balance_transaction",
            "amount": amount,
            "created": int(time.time()),
            "currency": refund["currency"],
            "exchange_rate": None,
            "fee": 0,
            "net": amount,
            "source": refund["id"],
            "status": "available",
            "type": "refund" if amount < 0 else "refund_failure",
        }
        self.book.put("balance_transaction", id_, transaction, parent=refund["id"])


def _now_text() -> str:
    seconds = time.time()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03}Z"
