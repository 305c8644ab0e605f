"""What fulfillment knows: the goods of an order, its returns, and every unit's own history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AliasChoices, Field, model_validator

from contracts.base import Instant
from contracts.orders import Address
from contracts.requests import Resolution
from contracts.warehouse import Grade, Scan
from services.fulfillment.orders import LONG_AGO, Kept, OrderFacts

ORDER_WAIT_HOURS_MAX = 1
PARCEL_WAIT_HOURS_MAX = 1
SCAN_WAIT_DAYS_MAX = 21
SEND_WITHIN_DAYS = 14
"""Where a decision names no last day of its own."""
LABEL_ATTEMPTS_MAX = 5
LABELS_MAX = 20
"""Per return."""
LABEL_LOOK_UP_WAIT_SECONDS = 2
STOCK_HELD_DAYS_MAX = 21
"""After the last day to send the goods that it replaces."""
REPLACEMENT_BUSINESS_DAYS = 2
DISPOSITION_WAIT_HOURS_MAX = 48
SEND_BACK_WAIT_HOURS_MAX = 24
OUTBOUND_TRANSIT_DAYS_MAX = 30
UNITS_MAX = 10_000
"""Per return: what exceeds it is no return that this agent can carry out."""


class UnitState(StrEnum):
    NONE = "none"
    AUTHORISED = "authorised"
    LABEL_ISSUED = "label_issued"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    RECEIVED = "received"
    INSPECTED = "inspected"
    RESTOCKED = "restocked"
    REFURBISH = "refurbish"
    LIQUIDATED = "liquidated"
    RECYCLED = "recycled"
    DISPOSED = "disposed"
    SENT_BACK = "sent_back"
    LOST = "lost"
    SHORT_SHIPPED = "short_shipped"
    WRONG_ITEM = "wrong_item"
    NEVER_SENT = "never_sent"
    NOT_REQUIRED = "not_required"


class Standing(StrEnum):
    """What commerce last said of a return, as far as goods are concerned."""

    REQUESTED = "requested"
    APPROVED = "approved"
    ESCALATED = "escalated"
    REJECTED = "rejected"
    CLOSED = "closed"


class LabelState(StrEnum):
    INTENDED = "intended"
    UNKNOWN = "unknown"
    ISSUED = "issued"
    EXPIRED = "expired"
    FAILED = "failed"
    VOIDING = "voiding"
    VOID = "void"


class ReplacementState(StrEnum):
    RESERVING = "reserving"
    HELD = "held"
    """Stock is reserved; commerce has not released it."""
    SCHEDULED = "scheduled"
    SHIPPED = "shipped"
    FAILED = "failed"
    RELEASED = "released"
    """The stock was given back."""


class Scanned(StrEnum):
    """How far a carrier has taken a parcel."""

    NOT_YET = "not_yet"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    LOST = "lost"


class Unit(Kept):
    """One thing, by its ordinal within the order line."""

    line_id: str
    sku: str
    ordinal: int
    sold: int
    """Units of the line, for the constraint on ordinals."""
    life: int = 1
    """1: as it was sold; each replacement that was sent in its place begins the next."""
    state: UnitState = UnitState.NONE
    grade: Grade | None = None
    defect_confirmed: bool | None = None
    graded_sequence: int = 0
    """The decision that stood when it was inspected."""
    paid: bool = False
    """Its refund or replacement was released: what is inspected may be disposed of."""

    @property
    def key(self) -> tuple[str, int]:
        return self.line_id, self.ordinal

    @property
    def thing(self) -> tuple[str, int, int]:
        """Which physical thing of the order it is."""
        return self.line_id, self.ordinal, self.life


class RequestedLine(Kept):
    line_id: str
    sku: str
    quantity: int


class LooseGrade(Kept):
    """Inspected items that no unit accounts for yet."""

    grade: Grade
    defect_confirmed: bool | None = None
    quantity: int


class Counted(Kept):
    """What the warehouse reported of one SKU in this return's parcels, order-independent."""

    sku: str
    counted: int = 0
    graded: int = 0
    assigned: int = 0
    """Pieces that a unit accounts for."""
    loose: tuple[LooseGrade, ...] = ()
    back: int = 0
    """Pieces that no unit accounted for and that went back to the customer."""

    @property
    def reported(self) -> int:
        """An inspection implies a receipt, whichever is told first."""
        return max(self.counted, self.graded)

    @property
    def unassigned(self) -> int:
        return self.reported - self.assigned - self.back

    def without_loose(self, pieces: int) -> Counted:
        """After `pieces` of what no unit accounts for have left; their grades leave with them."""
        if not pieces:
            return self
        left: list[LooseGrade] = []
        to_go = pieces
        for item in self.loose:
            gone = min(to_go, item.quantity)
            to_go -= gone
            if gone < item.quantity:
                left.append(item.model_copy(update={"quantity": item.quantity - gone}))
        return self.model_copy(update={"back": self.back + pieces, "loose": tuple(left)})


class Label(Kept):
    name: Annotated[str, Field(validation_alias=AliasChoices("name", "label_id"))]
    """The label's reference at the carrier; `label_id` in returns that were stored before."""
    attempt: int = 1
    state: LabelState = LabelState.INTENDED
    carrier: str | None = None
    tracking_number: str | None = None
    label_url: str | None = None
    qr_url: str | None = None
    expires_at: Instant | None = None
    not_voided: str | None = None
    """Why the carrier did not take it back, where it was asked to."""


class Parcel(Kept):
    """`tracking_number` None: only known to belong to the return."""

    tracking_number: str | None = None
    scanned: Scanned = Scanned.NOT_YET
    opened: bool = False
    """Its contents were counted."""
    opened_at: Instant | None = None
    """When, as the warehouse says: nobody scans it after that."""
    trail: tuple[tuple[Instant, str, str | None], ...] = ()
    """(when, what, where) of each scan, for people."""


class Replacement(Kept):
    name: str
    """The reservation's reference at the inventory."""
    replacement_id: str | None = None
    """Commerce's, once it is released."""
    held_until: Instant
    sku: str
    quantity: int
    state: ReplacementState = ReplacementState.RESERVING
    attempt: int = 1
    ship_by: Instant | None = None
    shipped_at: Instant | None = None
    tracking_number: str | None = None
    units: tuple[tuple[str, int], ...] = ()
    """(line id, ordinal) of the units in whose place it was shipped."""

    @model_validator(mode="before")
    @classmethod
    def _of_a_stored_one(cls, given: Any) -> Any:
        """Before reservations had names and ends of their own, one was made on release."""
        if isinstance(given, dict) and "name" not in given and "replacement_id" in given:
            return {"held_until": LONG_AGO, **given, "name": given["replacement_id"]}
        return given

    @property
    def released(self) -> bool:
        return self.replacement_id is not None


class SendingBack(Kept):
    """Goods that the warehouse was asked to send back to the customer, and has not yet."""

    shipment_id: str
    units: tuple[tuple[str, int], ...] = ()
    """(line id, ordinal)"""
    skus: tuple[str, ...] = ()
    """Of what no unit accounts for."""


class ReturnGoods(Kept):
    """One return's goods. `sequence` is the decision that stands, 0 before the first."""

    return_id: str
    order_id: str
    test: bool = False
    standing: Standing = Standing.REQUESTED
    sequence: int = 0
    resolution: Resolution = Resolution.REFUND
    requested: tuple[RequestedLine, ...] = ()
    required: bool = False
    label_provided: bool = False
    address: Address | None = None
    send_by: Instant | None = None
    units: tuple[Unit, ...] = ()
    labels: tuple[Label, ...] = ()
    parcels: tuple[Parcel, ...] = ()
    counts: tuple[Counted, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    outbound: tuple[Parcel, ...] = ()
    """Parcels to the customer: replacements, and goods that were sent back."""
    left_out: tuple[tuple[str, int], ...] = ()
    """(line id, ordinal) of units that the standing approval does not name: nobody paid them."""
    sending_back: tuple[SendingBack, ...] = ()
    seen: tuple[str, ...] = ()
    """Receipts and inspections that were counted: a repeated one counts nothing."""

    @property
    def label(self) -> Label | None:
        """The label that counts now, whatever became of it."""
        return self.labels[-1] if self.labels else None

    @property
    def leaving(self) -> set[tuple[str, int]]:
        """Units that the warehouse was asked to send back."""
        return {key for each in self.sending_back for key in each.units}

    @property
    def standing_keys(self) -> set[tuple[str, int]]:
        """Units that the standing approval names."""
        return {unit.key for unit in self.units} - set(self.left_out)

    @property
    def replaced(self) -> dict[tuple[str, int], Replacement]:
        """(line id, ordinal) -> what was shipped in place of that unit."""
        return {
            key: sent
            for sent in self.replacements
            if sent.state is ReplacementState.SHIPPED
            for key in sent.units or self.replaceable(sent)
        }

    def replaceable(self, sent: Replacement) -> tuple[tuple[str, int], ...]:
        """The units for which it is, lowest ordinals first: those that the approval names."""
        return tuple(sorted(self.standing_keys))[: sent.quantity]

    def delivered_to_customer(self, tracking_number: str | None) -> datetime | None:
        """When a carrier handed over a parcel of ours, as far as we were told."""
        parcel = next((p for p in self.outbound if p.tracking_number == tracking_number), None)
        handed = [at for at, what, _ in parcel.trail if what == Scan.DELIVERED] if parcel else []
        return min(handed, default=None)

    def count_of(self, sku: str) -> Counted:
        return next((c for c in self.counts if c.sku == sku), Counted(sku=sku))

    def parcel(self, tracking_number: str | None) -> Parcel | None:
        return next((p for p in self.parcels if p.tracking_number == tracking_number), None)

    def sent(self, tracking_number: str | None) -> ReturnGoods:
        """With a parcel to the customer on its way."""
        if tracking_number is None:
            return self
        return self.but(outbound=(*self.outbound, Parcel(tracking_number=tracking_number)))

    def but(self, **changes: object) -> ReturnGoods:
        """A copy with these fields changed."""
        return self.model_copy(update=changes)

    def with_units(self, changed: Mapping[tuple[str, int], Unit]) -> ReturnGoods:
        if not changed:
            return self
        return self.but(units=tuple(changed.get(unit.key, unit) for unit in self.units))

    def with_label(self, label: Label) -> ReturnGoods:
        """In its place, or as the latest."""
        if all(each.name != label.name for each in self.labels):
            return self.but(labels=(*self.labels, label))
        changed = (label if each.name == label.name else each for each in self.labels)
        return self.but(labels=tuple(changed))

    def with_count(self, count: Counted) -> ReturnGoods:
        others = tuple(each for each in self.counts if each.sku != count.sku)
        return self.but(counts=(*others, count))

    def with_parcel(self, parcel: Parcel, *, instead_of: Parcel) -> ReturnGoods:
        """`instead_of` may be new itself: then the parcel is added."""
        if not any(each is instead_of for each in self.parcels):
            return self.but(parcels=(*self.parcels, parcel))
        changed = tuple(parcel if each is instead_of else each for each in self.parcels)
        return self.but(parcels=changed)

    def with_replacement(self, replacement: Replacement) -> ReturnGoods:
        others = tuple(each for each in self.replacements if each.name != replacement.name)
        return self.but(replacements=(*others, replacement))


@dataclass(frozen=True, kw_only=True, slots=True)
class Goods:
    """The goods of one order: the boundary within which everything is decided at once."""

    order_id: str
    order: OrderFacts | None = None
    returns: Mapping[str, ReturnGoods] = field(default_factory=dict)

    def put(self, changed: ReturnGoods) -> Goods:
        return replace(self, returns={**self.returns, changed.return_id: changed})

    def sent_in_place(
        self, key: tuple[str, int], return_id: str
    ) -> tuple[Unit, Replacement] | None:
        """The last unit with this (line id, ordinal) that came back through another return than
        this one and was replaced, and what was sent for it."""
        found = [
            (unit, other.replaced[key])
            for other in self.others(return_id)
            for unit in other.units
            if unit.key == key and key in other.replaced
        ]
        return max(found, key=lambda each: each[0].life, default=None)

    def others(self, return_id: str) -> Iterator[ReturnGoods]:
        return (each for id_, each in self.returns.items() if id_ != return_id)
