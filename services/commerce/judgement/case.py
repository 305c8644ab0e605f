"""What a decision is made from: one document, complete, immutable. Nothing else is looked at."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from contracts.assessments import RefundabilityAssessed, ReturnabilityAssessed
from contracts.base import (
    Bps,
    Count,
    Flag,
    Identifier,
    Instant,
    MinorUnits,
    Ordinal,
    Part,
    ReturnId,
    SignedMinorUnits,
    Text,
)
from contracts.decisions import (
    Allocation,
    Finding,
    Legs,
    RefundBreakdown,
    Release,
    ReturnDecisionMade,
)
from contracts.fulfillment import ReturnInspected
from contracts.orders import OrderSnapshot
from contracts.requests import Reason, ReturnRequest
from contracts.reviews import ReviewDecision
from services.commerce.policy.model import Policy


class PastReturn(Part):
    """An earlier return of this customer, on whatever order."""

    requested_at: Instant
    order_id: Identifier | None = None
    skus: tuple[Identifier, ...] = ()
    value: SignedMinorUnits = 0
    """In the currency of the order being judged."""
    status: Text = "settled"
    reason: Reason | None = None
    test: Flag = False


class OrdersOfTheYear(Part):
    """Orders of the last twelve months, with the one being judged."""

    count: Count = 0
    value: SignedMinorUnits = 0


class History(Part):
    """What is known of the customer, without the return being judged."""

    returns: tuple[PastReturn, ...] = ()
    orders: OrdersOfTheYear = OrdersOfTheYear()
    confirmed_abuse: Count = 0
    disputes: Count = 0
    linked_accounts: Count = 0
    """Other accounts with the same hashed address, phone or payment fingerprint."""
    not_received_claims: Count = 0
    """Claims of "not received" against a carrier's delivery scan."""
    weight_deviation_bps: Bps = 0
    """After receipt: how far the carton's weight is from the expected one."""
    serial_mismatch: Flag = False
    """After receipt: the thing is not the one that was sold."""


class Replaced(Part):
    """A return in `earlier` whose replacement was shipped.

    The customer has others in place of its units, so they can come back anew.
    """

    return_id: ReturnId
    shipped_at: Instant | None = None
    open: Flag = False
    """What it replaced has not come back yet, or nobody has looked at it."""


class Case(Part):
    """Everything that judging one return may look at."""

    now: Instant
    order: OrderSnapshot | None = None
    request: ReturnRequest
    returnability: ReturnabilityAssessed | None = None
    refundability: RefundabilityAssessed | None = None
    history: History | None = None
    earlier: tuple[ReturnDecisionMade, ...] = ()
    """Decisions on the same order that stand; one of this very return gives its sequence."""
    replaced: tuple[Replaced, ...] = ()
    replaced_at: Instant | None = None
    """When this return's own replacement was shipped: its units may have come back anew since."""
    inspection: ReturnInspected | None = None
    """All lines that were inspected so far."""
    policy: Policy
    sequence: Ordinal | None = None
    """The sequence to use; absent: one more than this return's in `earlier`, or 1."""
    timed_out: tuple[Identifier, ...] = ()
    """Assessments that never came: `returnability`, `refundability`."""
    extra_findings: tuple[Finding, ...] = ()
    counted: Mapping[str, Count] = Field(default_factory=dict)
    """line_id -> units of this return that the warehouse has counted, inspected or not."""
    released: Mapping[str, tuple[Ordinal, ...]] = Field(default_factory=dict)
    """line_id -> ordinals whose money has been released before."""
    released_amount: MinorUnits = 0
    """What has been released of this return so far, in minor units."""
    taken_back: Flag = False
    """All that was released is proven failed or was taken back: nothing of it has left."""
    live: Mapping[str, MinorUnits] | None = None
    """payment_id ("": no payment's) -> minor units of what was released that are paid or on their
    way. None: all of it is."""
    linked: Flag = False
    """A reviewer linked the order: that proves ownership, whatever id the request names."""
    sent_at: Instant | None = None
    """Proof of sending: the carrier's first scan, or a document that a person accepted."""
    received_at: Instant | None = None

    @property
    def live_amount(self) -> int:
        """What has left or is about to: nobody decides about it any more."""
        return self.released_amount if self.live is None else sum(self.live.values())


class Precedent(Part):
    """How a person decided a case like this one. Nothing in it says whose it was."""

    return_id: ReturnId
    decided: ReviewDecision
    reason: Reason
    skus: tuple[Identifier, ...] = ()
    calculated: MinorUnits
    paid: MinorUnits
    currency: Text
    decided_at: Instant
    alike: tuple[Text, ...] = ()
    """In what it is like this case."""


class Released(Part):
    """What may be paid for some units of a standing approval, to the last minor unit.

    `refund.total` is `release.amount` and the sum of `allocations`; `legs` belong to the first
    refund of this part. All parts of an approval add up to exactly the approval.
    """

    release: Release
    refund: RefundBreakdown
    allocations: tuple[Allocation, ...]
    legs: Legs


class NotAllowed(Part):
    """A review that is not executed: `decision` is the case, to be published again."""

    code: Identifier
    explanation: Text
    decision: ReturnDecisionMade
