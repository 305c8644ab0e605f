"""The people around one planned return: who buys, sends, counts, reviews, chooses, disputes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from contracts.decisions import EscalationReason, ReturnDecisionMade
from contracts.lifecycle import Party, Status
from tests.simulation.orders import CANARY, SKU, Json, rfc3339, uuid_of
from tests.simulation.people import Actor, Call, Do, Seen, Story, Wait
from tests.simulation.plan import Planned

REVIEWS_MAX = 12
REVIEW_HOURS_MAX = 48
"""Who is told "not yet" again and again looks at it less often."""
OTHER_WAY_NEEDED = (EscalationReason.SETTLEMENT_FAILED, EscalationReason.PAYMENT_NOT_REFUNDABLE)
REVERSAL_ANSWERS = {"ReversalSettled", "ReversalRefused"}


@dataclass(kw_only=True)
class Life:
    """The people around one planned return."""

    plan: Planned
    chance: Random
    now: Callable[[], datetime]
    outside: Any
    publish_policy: Callable[[], None]
    prompt: bool = False
    """Nobody hesitates: for a run that is only there to be compared with."""
    first: Life | None = None
    """The other return of the same order, whose customer bought it."""
    seen: Seen = field(init=False)
    placed: bool = False
    disputed: bool = False
    bank_took_it: bool = False

    def __post_init__(self) -> None:
        self.seen = Seen(return_id=self.plan.return_id)

    def actors(self) -> list[Actor]:
        name, how, return_id = self.plan.name, self.plan.how, self.plan.return_id
        found = [
            Actor(f"customer {name}", self._customer(), return_id),
            Actor(f"reviewer {name}", self._reviewer(), return_id),
            Actor(f"chooser {name}", self._chooser(), return_id),
        ]
        if how.dispute is not None:
            found.append(Actor(f"bank {name}", self._bank(how.dispute), return_id))
        return found

    def _later(self, hours: float) -> Wait:
        spread = 0.0 if self.prompt else self.chance.uniform(0.5, 1.5)
        return Wait(at=self.now() + timedelta(hours=hours * spread * self.plan.haste))

    def _call(self, path: str, body: Json, key: str, unless: Any = None) -> Call:
        method = "PUT" if path.startswith("/orders") else "POST"
        return Call(method=method, path=path, body=body, key=f"{self.plan.return_id}:{key}",
                    unless=unless)  # fmt: skip

    def _of_return(self, what: str, body: Json, key: str, unless: Any = None) -> Call:
        return self._call(f"/returns/{self.plan.return_id}/{what}", body, key, unless)

    # The customer, from the order to the parcel, and what the warehouse makes of that.

    def _customer(self) -> Story:
        yield from self._asks()
        how = self.plan.how
        if how.new_policy:
            yield Do(what="changes the policy", act=self.publish_policy)
        yield Wait(holds=lambda: self._may_send() or self._has_to_show() or self.seen.final)
        if how.evidence:
            yield from self._shows()
        if how.shelf == "later":
            yield self._shelf(0)
        if how.cancels:
            yield self._of_return("cancel", {"reason": CANARY}, "cancel", lambda: self.seen.final)
        elif how.packed != 0 and not self.seen.final:
            yield from self._parcel(self._packed())
        if how.taken_back:
            yield from self._gives_back(how.taken_back)

    def _asks(self) -> Story:
        how, bought = self.plan.how, self.plan.bought
        units = how.units or bought.units
        asked = bought.request(self.now(), self.plan.return_id, units=units, **how.asked)
        if asked["resolution"] == "exchange":
            asked["replacement_sku"] = self._other_size
        if how.wrong_order:
            asked["order_id"] = f"{bought.order_id}-mistyped"
        request = self._call("/returns", asked, "request")
        if self.first is not None:
            yield Wait(holds=self._may_ask_too)
            yield request
            return
        yield Do(what="pays", act=self._pay)
        if how.shelf == "before":
            yield self._shelf(0)
        placed = self._call(f"/orders/{bought.order_id}", bought.snapshot(self.now()), "order")
        if how.late_order:
            yield request
            yield self._later(1)
            yield placed
        else:
            yield placed
            if how.twins is not None:
                yield Do(what="has placed it", act=self._note_placed)
            yield request

    def _note_placed(self) -> None:
        self.placed = True

    def _may_ask_too(self) -> bool:
        assert self.first is not None
        return self.first.seen.final if self.plan.how.twins == "in_turn" else self.first.placed

    @property
    def _other_size(self) -> str:
        return f"JACKET-L-{self.plan.bought.number}"

    def _shelf(self, pieces: int) -> Do:
        """What the warehouse has of the other size."""
        stock = {"available": pieces}
        pages = self.outside.book.pages
        return Do(
            what=f"has {pieces} of the other size",
            act=lambda: pages.put("stock", self._other_size, stock),
        )

    def _may_send(self) -> bool:
        """Customers send what they read was approved, with a label where one was promised."""
        asked = self.seen.status is Status.AWAITING_PHYSICAL_RECEIPT and self.seen.approved_units
        return bool(asked) and self.seen.party is Party.CUSTOMER

    def _has_to_show(self) -> bool:
        asked = self.seen.status is Status.AWAITING_REVIEW
        return asked and self.seen.party is Party.CUSTOMER

    def _shows(self) -> Story:
        """What the reviewer asked for; then the parcel, if that convinced them."""
        yield self._later(5)
        told = {"evidence_id": "1", "kind": "text", "text": f"I was in hospital {CANARY}"}
        yield self._of_return("evidence", {"evidence": [told]}, "evidence", lambda: self.seen.final)
        yield Wait(holds=lambda: self._may_send() or self.seen.final)

    def _pay(self) -> None:
        bought = self.plan.bought
        snapshot = bought.snapshot(self.now())
        for payment in snapshot["payments"]:
            self.outside.processor.create_payment(
                payment["processor_reference"],
                payment["captured"],
                snapshot["currency"],
                behaviour=bought.behaviour,
            )

    def _packed(self) -> int:
        """Units in the parcel: what was approved, where the plan says nothing else."""
        if self.plan.how.packed is not None:
            return self.plan.how.packed
        return self.seen.approved_units

    def _parcel(self, units: int) -> Story:
        how, events = self.plan.how, iter(range(100))

        def warehouse(what: str, body: Json) -> Call:
            event = {
                "event_id": str(uuid_of(Random(f"{self.plan.return_id}:{next(events)}"))),
                "return_id": self.plan.return_id,
                "occurred_at": rfc3339(self.now()),
            }
            return self._call(f"/warehouse/{what}", event | body, event["event_id"])

        yield self._later(12)
        yield warehouse("scans", {"scan": "accepted"})
        if how.lost:
            return
        yield self._later(24)
        yield warehouse("scans", {"scan": "delivered"})
        yield self._later(4)
        counted = [{"sku": SKU, "quantity": units}]
        yield warehouse("receipts", {"lines": counted})
        yield self._later(4)
        graded: Json = {"sku": SKU, "quantity": units, "grade": how.grade, "evidence": []}
        if how.defect_confirmed is not None:
            graded["defect_confirmed"] = how.defect_confirmed
        yield warehouse("inspections", {"lines": [graded], "inspector": f"Ina {CANARY}"})

    def _gives_back(self, share: float) -> Story:
        """Part of what was paid is charged again, once all of it has arrived."""
        yield Wait(holds=lambda: self.seen.status is Status.SETTLED)
        yield self._later(20)
        made = self.seen.decision
        assert made is not None and made.refund is not None
        body = {
            "amount": int(made.refund.total * share),
            "reason": f"another thing came back {CANARY}",
            "consent": {"given_at": rfc3339(self.now()), "text": f"yes {CANARY}"},
            "requested_by": "rita",
        }
        yield self._of_return("reversal", body, "reversal")
        yield Wait(holds=lambda: bool(REVERSAL_ANSWERS & self.seen.heard))

    # People who decide.

    def _reviewer(self) -> Story:
        """Decides every case as the plan says; where that is not allowed, approves in the end."""
        looked_at: set[int] = set()
        for turn in range(REVIEWS_MAX):
            yield Wait(holds=lambda: self._has_to_review() and self.seen.sequence not in looked_at)
            yield self._later(min(2 << turn, REVIEW_HOURS_MAX))
            case = self.seen.case
            if case is None or not self._has_to_review():
                continue
            looked_at.add(self.seen.sequence)
            body = self._verdict(turn) | {
                "case_sha256": case,
                "reviewer": "rita",
                "reason": f"looked at it {CANARY}",
                "decided_at": rfc3339(self.now()),
            }
            key = f"review:{self.seen.sequence}"
            yield self._of_return("review", body, key, self._other_case(case))
            second = self.plan.how.second_verdict
            if second is not None:
                body = body | {"decision": second, "reviewer": "sam"}
                yield self._of_return("review", body, f"{key}:again", self._other_case(case))

    def _verdict(self, turn: int) -> Json:
        how, made = self.plan.how, self.seen.decision
        assert made is not None and made.escalation is not None
        reason, paid = made.escalation.reason, "RefundSettled" in self.seen.heard
        verdict = how.verdict if turn < 3 else "approve"
        if how.evidence and "EvidenceAdded" not in self.seen.heard:
            verdict = "request_evidence"
        if verdict == "link_order":
            if reason is EscalationReason.ORDER_NOT_FOUND:
                return {"decision": verdict, "linked_order_id": self.plan.bought.order_id}
            verdict = "approve"
        if how.disputed_late and not self.bank_took_it:
            verdict = "approve"
        if verdict == "adjust":
            return self._adjustment(made)
        if self.bank_took_it and not paid:
            verdict = "reject"
        if reason in OTHER_WAY_NEEDED and verdict == "approve" and not paid:
            return {"decision": verdict, "settlement": self._other_way()}
        return {"decision": verdict}

    def _adjustment(self, made: ReturnDecisionMade) -> Json:
        """Half of what the bank took back is paid another way; the rest of it is not."""
        assert made.escalation is not None and made.refund is not None
        facts = {each.name: each.value for each in made.escalation.case.facts}
        stands, total = facts.get("paid_or_on_its_way"), made.refund.total
        if not isinstance(stands, int) or not 0 < stands < total:
            return {"decision": "approve", "settlement": self._other_way()}
        amount = (stands + total) // 2
        return {"decision": "adjust", "amount": amount, "settlement": self._other_way()}

    def _other_way(self) -> Json:
        """As the customer wishes; a bank transfer is made by a person, and has a reference."""
        if self.plan.how.chooses == "bank_transfer":
            return {"method": "bank_transfer", "reference": f"SEPA-{self.plan.name}"}
        return {"method": "store_credit"}

    def _has_to_review(self) -> bool:
        """While the bank has not said who is right, there is nothing to decide."""
        return self.seen.under_review and not self.disputed

    def _other_case(self, case: str) -> Callable[[], bool]:
        return lambda: self.seen.case != case or not self.seen.under_review

    def _chooser(self) -> Story:
        """Chooses where the money cannot go back the way it came, or no replacement is there."""
        for turn in range(REVIEWS_MAX):
            yield Wait(holds=self._asked_since(self.seen.number))
            yield self._later(1)
            body = {"method": self.plan.how.chooses, "consent_at": rfc3339(self.now())}
            yield self._of_return("settlement", body, f"choice:{turn}", self._has_chosen)
            if self.plan.how.chooses == "wait":
                yield self._shelf(5)

    def _asked_since(self, number: int) -> Callable[[], bool]:
        return lambda: self._has_to_choose() and self.seen.number > number

    def _has_to_choose(self) -> bool:
        failed = self.seen.status is Status.SETTLEMENT_FAILED
        return self.seen.party is Party.CUSTOMER and (failed or self.seen.replacement_failed)

    def _has_chosen(self) -> bool:
        return not self._has_to_choose()

    def _bank(self, end: str) -> Story:
        reference = self.plan.bought.payments(self.now())[0]["processor_reference"]
        late = self.plan.how.disputed_late
        begins = Status.PHYSICALLY_RECEIVED if late else Status.AWAITING_PHYSICAL_RECEIPT
        yield Wait(holds=lambda: begins in self.seen.statuses or (late and self.seen.final))
        if begins not in self.seen.statuses:
            return
        yield self._later(self.chance.choice((4, 6, 8) if late else (1, 30, 40, 46)))
        yield Do(what="disputes", act=lambda: self._dispute(reference, "open"))
        yield self._later(12)
        yield Do(what=f"closes: {end}", act=lambda: self._dispute(reference, end))

    def _dispute(self, reference: str, status: str) -> None:
        self.outside.processor.dispute(reference, status)
        self.disputed, self.bank_took_it = status == "open", status == "lost"
