"""A return as the process manager knows it: decision axis, last known goods and money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Self

from pydantic import Field

from contracts.base import Part
from contracts.decisions import (
    EscalationReason,
    LegalBasis,
    Outcome,
    RefundOn,
    ShipOn,
)
from contracts.lifecycle import Party, Status
from contracts.requests import Method
from contracts.reviews import ReviewDecided, ReviewDecision
from services.commerce.judgement import Released, clock
from services.commerce.judgement.clock import Running
from services.commerce.promise import Promise

ORDER_WAIT = timedelta(seconds=10)
ASSESSMENT_WAIT = timedelta(seconds=60)
RELEASE_WAIT = timedelta(minutes=1)
LABEL_WAIT = timedelta(hours=1)
PARKED_WAIT = timedelta(hours=1)
REVIEW_WAIT = timedelta(hours=24)
WAREHOUSE_WAIT = timedelta(hours=48)
EVIDENCE_WAIT = timedelta(days=7)
CHOICE_WAIT = timedelta(days=7)
SETTLEMENT_WAIT = timedelta(days=10)
TRANSIT_WAIT = timedelta(days=21)
GRACE = timedelta(seconds=20)
"""After a wait ran out: who owns it may be about to say so."""
NOT_SENT_WAIT = timedelta(hours=1)
"""After that grace: fulfillment says of every return of a day at the same instant, or is away."""
FACTS_AGE_MAX = timedelta(minutes=15)
HISTORY_AGE_MAX = timedelta(days=365)
EVIDENCE_MAX = 200
SENTENCE_LENGTH_MAX = 600


class State(StrEnum):
    """The decision axis."""

    REQUESTED = "requested"
    ASSESSING = "assessing"
    APPROVED = "approved"
    REJECTED = "rejected"
    AWAITING_REVIEW = "awaiting_review"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


CLOSED = frozenset({State.REJECTED, State.CANCELLED, State.EXPIRED})


class Goods(IntEnum):
    """Where a unit is, as far as we were told; a unit only moves on to a higher one."""

    AUTHORISED = 0
    NEVER_SENT = 1
    OUTSTANDING = 2
    """Its parcel was opened, and it was not in it."""
    IN_TRANSIT = 3
    LOST = 4
    DELIVERED = 5
    RECEIVED = 6
    INSPECTED = 7
    NOT_REQUIRED = 8
    CLOSED = 9
    """A person decided about it, wherever it is."""


HERE = frozenset({Goods.RECEIVED, Goods.INSPECTED})
DONE = frozenset({Goods.INSPECTED, Goods.NOT_REQUIRED, Goods.CLOSED})
AT_HOME = frozenset({Goods.AUTHORISED, Goods.NEVER_SENT, Goods.OUTSTANDING})


class Unit(Part):
    line_id: str
    ordinal: int
    goods: Goods = Goods.AUTHORISED

    @property
    def key(self) -> tuple[str, int]:
        return self.line_id, self.ordinal


class Money(StrEnum):
    """Where a refund is, as far as we were told."""

    RELEASED = "released"
    UNDER_WAY = "under_way"
    SETTLED = "settled"
    FAILED = "failed"
    VOIDING = "voiding"
    VOIDED = "voided"


LIVE = frozenset({Money.RELEASED, Money.UNDER_WAY, Money.SETTLED, Money.VOIDING})
REPLACEABLE = frozenset({Money.FAILED, Money.VOIDED})


class Refund(Part):
    refund_id: str
    method: Method
    payment_id: str | None = None
    amount: int
    sequence: int
    money: Money = Money.RELEASED
    lines: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    alternatives: tuple[Method, ...] = ()
    replaced: bool = False
    """A later release pays its amount."""

    @property
    def unpaid(self) -> bool:
        """Failed or taken back, and nothing has replaced it."""
        return self.money in REPLACEABLE and not self.replaced


class ReplacementState(StrEnum):
    NONE = "none"
    RELEASED = "released"
    SHIPPED = "shipped"
    FAILED = "failed"
    WAITING = "waiting"
    """The customer waits until it can be sent."""


class Exchange(Part):
    """What is sent instead of money."""

    sku: str
    quantity: int
    ship_on: ShipOn
    ship_by: datetime | None = None
    state: ReplacementState = ReplacementState.NONE
    waited: bool = False
    shipped_at: datetime | None = None


class Terms(Part):
    """What stands approved: the part of the decision that the process carries out."""

    sequence: int
    currency: str
    total: int
    method: Method
    refund_on: RefundOn | None = None
    label_provided: bool = False
    send_by: datetime | None = None
    legal_basis: LegalBasis
    payable: Mapping[str, tuple[int, ...]] | None = None
    """The units that the decision releases; None: all of them once their condition holds."""
    reference: str | None = None
    """Of a payment that a person made."""


class Shown(Part):
    """The status that was published last."""

    number: int
    status: Status
    party: Party
    until: datetime | None = None
    explanation: str = ""
    overdue: int = 0
    """How often its time ran out without anything happening."""


class Asked(StrEnum):
    """Why facts were asked for."""

    JUDGE = "judge"
    RELEASE = "release"


class Verdict(Part):
    """What a person last decided about this return."""

    sequence: int
    asked_because: EscalationReason
    decided: ReviewDecision
    calculated: int
    """Minor units that the case showed."""
    paid: int
    currency: str
    decided_at: datetime


class Reversal(Part):
    reversal_id: str
    amount: int
    settled: bool | None = None


class Return(Part):
    """The process of one return. Its request, facts and decision are papers of their own."""

    return_id: str
    order_key: str
    """The consistency boundary: the order, or what was given for it; else the return itself."""
    order_id: str | None = None
    """The order, once it is known."""
    customer_id: str | None = None
    test: bool = False
    state: State = State.REQUESTED
    requested_at: datetime
    claim: tuple[str, str] | None = None
    """(order number, e-mail) in lower case, while no order is known."""
    proven: bool = False
    """A person linked the order: that proves ownership."""
    skus: tuple[str, ...] = ()
    reason: str = "other"
    value: int = 0
    """What the return is about, in minor units of the order; for the customer's history."""
    verdict: Verdict | None = None
    abuse: bool = False
    """A person refused it for fraud."""
    promise: Promise | None = None
    round: int = 0
    missing: tuple[str, ...] = ()
    """Answers of this round that have not come."""
    asked_for: Asked = Asked.JUDGE
    timed_out: tuple[str, ...] = ()
    facts_as_of: datetime | None = None
    contradicted: bool = False
    """Fulfillment found a contradiction that nobody knew when it was decided."""
    sequence: int = 0
    outcome: Outcome | None = None
    escalation: EscalationReason | None = None
    case_sha256: str | None = None
    asked_customer: bool = False
    """A person asked the customer for evidence."""
    chose: Method | None = None
    """The customer's choice of a method that a person carries out."""
    early_review: ReviewDecided | None = None
    """A merchant's decision that came with the request."""
    because: str = ""
    """The standing decision in one sentence for the customer."""
    terms: Terms | None = None
    undisputed: Mapping[str, tuple[int, ...]] | None = None
    """Units that are paid although a person looks at the others."""
    reserved_sequence: int = 0
    units: tuple[Unit, ...] = ()
    labelled: bool = False
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    received_at: datetime | None = None
    weight_deviation_bps: int = 0
    parts: tuple[Released, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[str, ...] = ()
    """Open disputes that stand in the way."""
    exchange: Exchange | None = None
    reversals: tuple[Reversal, ...] = ()
    shown: Shown | None = None
    refund_due: datetime | None = None
    """By when the refund must have been made by law, as it stands now."""
    clock: Running | None = None
    """What that date depends on, where it may still start or move."""
    notice: str | None = None
    """Why something that was asked for was not done; told with the next status."""

    def but(self, **changes: object) -> Self:
        return self.model_copy(update=changes)

    @property
    def closed(self) -> bool:
        return self.state in CLOSED

    @property
    def over(self) -> bool:
        """Nothing more is owed: it is closed, or all of it is paid or replaced."""
        paid = self.terms is not None and self.goods_done and self.all_settled
        return self.closed or (self.state is State.APPROVED and paid)

    @property
    def order_key_named(self) -> str | None:
        """The order id to publish: the order, or what was given for it."""
        if self.order_id is not None:
            return self.order_id
        return self.order_key if self.order_key != self.return_id else None

    @property
    def moved(self) -> bool:
        """A carrier or the warehouse has seen it: no cancelling any more."""
        return any((self.sent_at, self.delivered_at, self.received_at))

    def refund_due_now(self) -> datetime | None:
        """The statutory date with what has been sent and received so far; None: no clock runs."""
        if self.clock is None:
            return self.refund_due
        return clock.due(self.clock, sent=self.sent_at, received=self.received_at)

    @property
    def terms_method(self) -> Method | None:
        return self.terms.method if self.terms is not None else None

    @property
    def released_keys(self) -> frozenset[tuple[str, int]]:
        """Units for which money was released."""
        return frozenset(
            (line.line_id, unit)
            for part in self.parts
            for line in part.release.lines
            for unit in line.units
        )

    @property
    def released_units(self) -> dict[str, tuple[int, ...]]:
        """line_id -> ordinals for which money was released."""
        found: dict[str, tuple[int, ...]] = {}
        for line_id, ordinal in sorted(self.released_keys):
            found[line_id] = (*found.get(line_id, ()), ordinal)
        return found

    @property
    def live(self) -> dict[str, int]:
        """payment_id ("": no payment's) -> minor units released and not known to have failed."""
        found: dict[str, int] = {}
        for each in self.refunds:
            if each.money in LIVE:
                by = each.payment_id or ""
                found[by] = found.get(by, 0) + each.amount
        return found

    @property
    def live_amount(self) -> int:
        return sum(self.live.values())

    @property
    def released_amount(self) -> int:
        return sum(part.release.amount for part in self.parts)

    @property
    def anything_released(self) -> bool:
        started = self.exchange is not None and self.exchange.state is not ReplacementState.NONE
        return bool(self.parts) or started

    def refund(self, refund_id: str) -> Refund | None:
        return next((each for each in self.refunds if each.refund_id == refund_id), None)

    def with_refund(self, changed: Refund) -> Self:
        return self.but(
            refunds=tuple(
                changed if each.refund_id == changed.refund_id else each for each in self.refunds
            )
        )

    @property
    def owed(self) -> int:
        """Minor units of the terms that neither live refunds nor a release to come will pay."""
        if self.terms is None:
            return 0
        released, later = self.released_keys, 0
        if any(unit.key not in released for unit in self.units):
            later = max(self.terms.total - self.released_amount, 0)
        return max(self.terms.total - self.live_amount - later, 0)

    @property
    def unpaid(self) -> tuple[Refund, ...]:
        """What another refund has to pay; none where a person agreed to what is live already."""
        found = tuple(each for each in self.refunds if each.unpaid)
        return found if found and self.owed else ()

    @property
    def all_settled(self) -> bool:
        """Everything approved is released and settled, or the replacement shipped."""
        assert self.terms is not None
        if self.exchange is not None:
            return self.exchange.state is ReplacementState.SHIPPED
        settled = sum(each.amount for each in self.refunds if each.money is Money.SETTLED)
        return self.terms.total <= settled == self.live_amount

    def units_at(self, *places: Goods) -> tuple[Unit, ...]:
        return tuple(unit for unit in self.units if unit.goods in places)

    @property
    def goods_done(self) -> bool:
        return all(unit.goods in DONE for unit in self.units)


def chosen(units: tuple[Unit, ...]) -> dict[str, tuple[int, ...]]:
    """Units as line_id -> ordinals."""
    found: dict[str, list[int]] = {}
    for unit in units:
        found.setdefault(unit.line_id, []).append(unit.ordinal)
    return {line_id: tuple(sorted(ordinals)) for line_id, ordinals in found.items()}


def keys(units: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, int]]:
    return ((line_id, ordinal) for line_id, ordinals in units.items() for ordinal in ordinals)
