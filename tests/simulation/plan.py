"""Which returns a seed plays: drawn per return, so that leaving one out changes no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from contracts.lifecycle import Party, Status
from tests.simulation.orders import CANARY, SKU, Bought, Json, rfc3339, uuid_of
from tests.simulation.people import Actor, Call, Do, Seen, Story, Wait

RETURNS_MIN, RETURNS_MAX = 2, 4
REVIEWS_MAX = 12


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a return goes; `weight` of 100 or so as in the realistic mix."""

    weight: int
    bought: Json = field(default_factory=dict)
    asked: Json = field(default_factory=dict)
    units: int | None = None
    """Asked for; None: all that was bought."""
    packed: int | None = None
    """In the parcel; None: all; 0: never sent."""
    grade: str = "as_new"
    defect_confirmed: bool | None = None
    verdict: str = "approve"
    second_verdict: str | None = None
    """What another person says of the same case right after: it comes too late."""
    lost: bool = False
    """The carrier takes the parcel and never scans it again."""
    cancels: bool = False
    late_order: bool = False
    dispute: str | None = None
    """How a dispute over the first payment ends that is opened while the parcel is on its way."""
    new_policy: bool = False
    determined: bool = True
    """Every schedule leads to the same end: nothing here races with anything."""


KINDS: dict[str, Kind] = {
    "happy": Kind(weight=30),
    "happy_two": Kind(weight=10, bought={"units": 2}),
    "split_payment": Kind(weight=8, bought={"split": True}),
    "outside_window": Kind(weight=8, bought={"days_ago": 35}, asked={"reason": "changed_mind"}),
    "rejected_late": Kind(
        weight=5, bought={"days_ago": 35}, asked={"reason": "changed_mind"}, verdict="reject"
    ),
    "reviewed_twice": Kind(
        weight=3,
        bought={"days_ago": 35},
        asked={"reason": "changed_mind"},
        verdict="reject",
        second_verdict="approve",
    ),
    "declined": Kind(weight=4, bought={"behaviour": "declined"}),
    "fails_later": Kind(weight=4, bought={"behaviour": "fails_later"}),
    "pending": Kind(weight=6, bought={"behaviour": "pending"}),
    "stored_500": Kind(weight=3, bought={"behaviour": "error_500_stored"}),
    "never_sent": Kind(weight=3, packed=0),
    "cancelled": Kind(weight=4, packed=0, cancels=True),
    "part_of_order": Kind(weight=4, bought={"units": 3}, units=1),
    "short_parcel": Kind(weight=3, bought={"units": 2}, packed=1),
    "lost_parcel": Kind(weight=3, lost=True),
    "wrong_parcel": Kind(weight=3, grade="wrong_item"),
    "worn": Kind(weight=3, grade="worn"),
    "defect_not_found": Kind(
        weight=3, asked={"reason": "defective", "condition": "damaged"}, defect_confirmed=False
    ),
    "withdrawal": Kind(
        weight=5,
        bought={"country": "DE", "days_ago": 5, "category": "electronics"},
        asked={"statutory_withdrawal": True, "reason": "changed_mind", "condition": "opened"},
    ),
    "late_order": Kind(weight=3, late_order=True),
    "policy_changes": Kind(weight=3, new_policy=True),
    "dispute_won": Kind(weight=3, dispute="won", determined=False),
    "dispute_lost": Kind(weight=3, dispute="lost", determined=False),
}


@dataclass(frozen=True, kw_only=True)
class Planned:
    index: int
    kind: str
    bought: Bought
    return_id: str
    haste: float
    """How quick the people are: 1 is minutes and hours, 0.01 seconds."""

    @property
    def how(self) -> Kind:
        return KINDS[self.kind]


def drawn(seed: int, only: tuple[int, ...] | None = None, kind: str | None = None) -> list[Planned]:
    """The returns of a seed, or those that are named; all of one kind where one is given."""
    count = Random(f"{seed}:count").randint(RETURNS_MIN, RETURNS_MAX)
    wanted = range(count) if only is None else only
    return [_one(seed, index, kind) for index in wanted]


def _one(seed: int, index: int, wanted: str | None) -> Planned:
    chance = Random(f"{seed}:return:{index}")
    kind = chance.choices(list(KINDS), [each.weight for each in KINDS.values()])[0]
    kind = wanted or kind
    return Planned(
        index=index,
        kind=kind,
        bought=Bought(number=f"{seed}-{index}", **KINDS[kind].bought),
        return_id=uuid_of(chance),
        haste=chance.choice((0.001, 0.02, 1.0)),
    )


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
    seen: Seen = field(init=False)
    disputed: bool = False
    bank_took_it: bool = False

    def __post_init__(self) -> None:
        self.seen = Seen(return_id=self.plan.return_id)

    def actors(self) -> list[Actor]:
        name, how, return_id = f"{self.plan.index}", self.plan.how, self.plan.return_id
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

    def _customer(self) -> Story:
        how, bought = self.plan.how, self.plan.bought
        yield Do(what="pays", act=self._pay)
        placed = self._call(f"/orders/{bought.order_id}", bought.snapshot(self.now()), "order")
        units = how.units or bought.units
        asked = bought.request(self.now(), self.plan.return_id, units=units, **how.asked)
        request = self._call("/returns", asked, "request")
        if how.late_order:
            yield request
            yield self._later(1)
            yield placed
        else:
            yield placed
            yield request
        if how.new_policy:
            yield Do(what="changes the policy", act=self.publish_policy)
        yield Wait(holds=lambda: self._may_send() or self.seen.final)
        if how.cancels:
            yield self._of_return("cancel", {"reason": CANARY}, "cancel", self._gone)
        elif how.packed != 0:
            yield from self._parcel(units if how.packed is None else how.packed)

    def _gone(self) -> bool:
        return self.seen.final

    def _may_send(self) -> bool:
        """Customers send what was approved, with a label where one was promised."""
        asked = self.seen.status is Status.AWAITING_PHYSICAL_RECEIPT
        return asked and self.seen.party is Party.CUSTOMER

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

    def _reviewer(self) -> Story:
        """Decides every case as the plan says; where that is not allowed, approves in the end."""
        looked_at: set[int] = set()
        for turn in range(REVIEWS_MAX):
            yield Wait(holds=lambda: self._has_to_review() and self.seen.sequence not in looked_at)
            yield self._later(2)
            case = self.seen.case
            if case is None or not self._has_to_review():
                continue
            looked_at.add(self.seen.sequence)
            verdict = self.plan.how.verdict if turn < 3 else "approve"
            paid = "RefundSettled" in self.seen.heard
            if self.bank_took_it and not paid:
                verdict = "reject"
            body: Json = {
                "decision": verdict,
                "case_sha256": case,
                "reviewer": "rita",
                "reason": f"looked at it {CANARY}",
                "decided_at": rfc3339(self.now()),
            }
            made = self.seen.decision
            assert made is not None and made.escalation is not None
            unpayable = made.escalation.reason in ("settlement_failed", "payment_not_refundable")
            if unpayable and verdict == "approve" and not paid:
                body["settlement"] = {"method": "store_credit"}
            key = f"review:{self.seen.sequence}"
            yield self._of_return("review", body, key, self._other_case(case))
            second = self.plan.how.second_verdict
            if second is not None:
                body = body | {"decision": second, "reviewer": "sam"}
                yield self._of_return("review", body, f"{key}:again", self._other_case(case))

    def _has_to_review(self) -> bool:
        """While the bank has not said who is right, there is nothing to decide."""
        return self.seen.under_review and not self.disputed

    def _other_case(self, case: str) -> Callable[[], bool]:
        return lambda: self.seen.case != case or not self.seen.under_review

    def _chooser(self) -> Story:
        """Takes store credit where the money cannot go back the way it came."""
        for turn in range(REVIEWS_MAX):
            yield Wait(holds=self._asked_since(self.seen.number))
            yield self._later(1)
            body = {"method": "store_credit", "consent_at": rfc3339(self.now())}
            yield self._of_return("settlement", body, f"choice:{turn}", self._has_chosen)

    def _asked_since(self, number: int) -> Callable[[], bool]:
        return lambda: self._has_to_choose() and self.seen.number > number

    def _has_to_choose(self) -> bool:
        return self.seen.status is Status.SETTLEMENT_FAILED and self.seen.party is Party.CUSTOMER

    def _has_chosen(self) -> bool:
        return not self._has_to_choose()

    def _bank(self, end: str) -> Story:
        reference = self.plan.bought.payments(self.now())[0]["processor_reference"]
        yield Wait(holds=lambda: Status.AWAITING_PHYSICAL_RECEIPT in self.seen.statuses)
        yield self._later(self.chance.choice((1, 30, 40, 46)))
        yield Do(what="disputes", act=lambda: self._dispute(reference, "open"))
        yield self._later(12)
        yield Do(what=f"closes: {end}", act=lambda: self._dispute(reference, end))

    def _dispute(self, reference: str, status: str) -> None:
        self.outside.processor.dispute(reference, status)
        self.disputed, self.bank_took_it = status == "open", status == "lost"
