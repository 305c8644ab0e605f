"""The kinds of returns that are played, and how often each is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.orders import Json


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
    evidence: bool = False
    """The reviewer asks the customer for evidence first."""
    chooses: str = "store_credit"
    """What the customer takes where what was promised is not to be had."""
    lost: bool = False
    """The carrier takes the parcel and never scans it again."""
    cancels: bool = False
    late_order: bool = False
    wrong_order: bool = False
    """Asked for an order that nobody knows; a person finds the right one."""
    shelf: str | None = None
    """When the replacement is sold out: "before" it is asked for, or "later", once approved."""
    taken_back: float = 0.0
    """The share of the refund that the customer gives back, by consent, once it is settled."""
    dispute: str | None = None
    """How a dispute over the first payment ends that is opened while the parcel is on its way."""
    disputed_late: bool = False
    """The dispute is opened once the parcel has come, about when the refund is released."""
    new_policy: bool = False
    twins: str | None = None
    """Two returns of one order: "at_once", or the second "in_turn", after the first is over."""
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
    "exchange": Kind(weight=4, asked={"resolution": "exchange"}),
    "replacement": Kind(
        weight=3,
        asked={"resolution": "replacement", "reason": "defective", "condition": "damaged"},
        grade="damaged",
        defect_confirmed=True,
    ),
    "sold_out": Kind(
        weight=4,
        asked={"resolution": "exchange"},
        shelf="later",
        chooses="original_payment_method",
    ),
    "sold_out_before": Kind(weight=3, asked={"resolution": "exchange"}, shelf="before"),
    "waits_for_more": Kind(
        weight=3, asked={"resolution": "exchange"}, shelf="later", chooses="wait"
    ),
    "bank_transfer": Kind(weight=4, bought={"behaviour": "declined"}, chooses="bank_transfer"),
    "linked": Kind(weight=4, wrong_order=True, verdict="link_order"),
    "evidence": Kind(
        weight=4, bought={"days_ago": 35}, asked={"reason": "changed_mind"}, evidence=True
    ),
    "taken_back": Kind(weight=3, taken_back=1.0),
    "partly_taken_back": Kind(weight=3, taken_back=0.3),
    "two_at_once": Kind(weight=4, bought={"units": 2}, units=1, twins="at_once"),
    "two_in_turn": Kind(weight=3, bought={"units": 2}, units=1, twins="in_turn"),
    "contested": Kind(weight=4, bought={"units": 3}, units=2, twins="at_once"),
    "dispute_won": Kind(weight=3, dispute="won", determined=False),
    "dispute_lost": Kind(weight=3, dispute="lost", determined=False),
    "half_lost_rejected": Kind(
        weight=2,
        bought={"split": True},
        dispute="lost",
        disputed_late=True,
        verdict="reject",
        determined=False,
    ),
    "half_lost_adjusted": Kind(
        weight=2,
        bought={"split": True},
        dispute="lost",
        disputed_late=True,
        verdict="adjust",
        determined=False,
    ),
}
