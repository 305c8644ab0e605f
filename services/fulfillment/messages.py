"""What fulfillment tells itself: intents for the outside world, their outcomes, and deadlines."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, Field

from contracts.assessments import AssessmentRequested
from contracts.base import (
    Count,
    CountryCode,
    Currency,
    Flag,
    Identifier,
    Instant,
    Message,
    MinorUnits,
    Ordinal,
    Part,
    Quantity,
    ReturnId,
    Text,
    Url,
)
from contracts.fulfillment import Disposition
from contracts.orders import Address
from services.fulfillment.orders import LONG_AGO


class OfReturn(Message):
    """Every message to self names the order, which is locked, and the return."""

    order_id: Identifier
    return_id: ReturnId
    test: Flag = False


class CustomsItem(Part):
    """One line of a CN22/CN23 form."""

    description: Text
    quantity: Quantity
    value: MinorUnits
    """Of all pieces of this line together."""
    currency: Currency
    weight_grams: MinorUnits | None = None
    hs_code: Identifier | None = None
    origin_country: CountryCode | None = None


class AnotherLabelWanted(OfReturn):
    """The goods do not fit into one parcel."""


class OfAttempt(OfReturn):
    """Of something intended: `name` is its reference at the carrier or the inventory.

    It was called after what is intended before: effects and deadlines that were stored then are
    still carried out.
    """

    name: Annotated[
        Identifier, Field(validation_alias=AliasChoices("name", "label_id", "replacement_id"))
    ]
    attempt: Ordinal = 1


class BuyLabel(OfAttempt):
    """Intent: a label from the customer to the warehouse."""

    sender: Address | None = None
    recipient: Address
    weight_grams: MinorUnits | None = None
    customs: tuple[CustomsItem, ...] = ()
    intended_at: Instant = LONG_AGO
    """Not said by an intent that was stored before it had this: it is looked up first."""


class LookUpLabel(BuyLabel):
    """Intent: find out what became of a purchase whose outcome is unknown."""


class LabelBought(OfAttempt):
    carrier: Text
    tracking_number: Identifier
    label_url: Url
    qr_url: Url | None = None
    expires_at: Instant


class LabelRefused(OfAttempt):
    code: Identifier
    reason: Text


class LabelOutcomeUnknown(OfAttempt):
    reason: Text


class LabelAbsent(OfAttempt):
    """The carrier knows no such label: the attempt certainly bought none."""


class VoidLabel(OfAttempt):
    """Intent: give an unused label back."""

    tracking_number: Identifier


class LabelVoided(OfAttempt):
    pass


class LabelNotVoided(OfAttempt):
    code: Identifier
    reason: Text


class LabelExpires(OfAttempt):
    """Deadline: the carrier does not take a parcel with this label any more."""


class CheckStock(OfReturn):
    """Intent: ask the inventory before answering an assessment about a replacement."""

    sku: Identifier
    quantity: Quantity
    request: AssessmentRequested


class StockChecked(OfReturn):
    sku: Identifier
    available: Count
    request: AssessmentRequested


class ReserveStock(OfAttempt):
    """Intent: hold pieces of a replacement until `expires_at`."""

    sku: Identifier
    quantity: Quantity
    expires_at: Instant


class StockReserved(OfAttempt):
    pass


class StockRefused(OfAttempt):
    code: Identifier
    reason: Text


class ReleaseStock(OfAttempt):
    """Intent: give a reservation back."""


class StockReleased(OfAttempt):
    pass


class ShipReplacement(OfAttempt):
    """Intent: send the replacement out of the warehouse, from what is held under `name`."""

    replacement_id: Identifier
    sku: Identifier
    quantity: Quantity
    recipient: Address | None = None


class ReplacementDispatched(OfAttempt):
    carrier: Text | None = None
    tracking_number: Identifier | None = None
    shipped_at: Instant


class ReplacementRefused(OfAttempt):
    code: Identifier
    reason: Text


class Restock(OfReturn):
    """Intent: tell the inventory what to do with inspected units."""

    reference: Identifier
    sku: Identifier
    quantity: Quantity
    disposition: Disposition


class Restocked(OfReturn):
    reference: Identifier


class RestockRefused(OfReturn):
    reference: Identifier
    sku: Identifier
    quantity: Quantity
    disposition: Disposition
    reason: Text


class SendBack(OfReturn):
    """Intent: return rejected goods to the customer, with a label of their own."""

    shipment_id: Identifier
    recipient: Address | None = None
    lines: tuple[SentBackLine, ...]


class SentBackLine(Part):
    line_id: Identifier
    sku: Identifier
    units: tuple[Ordinal, ...] = ()
    loose: Count = 0
    """Pieces that are no unit of the return."""

    @property
    def pieces(self) -> int:
        return len(self.units) + self.loose


class GoodsDispatchedBack(OfReturn):
    shipment_id: Identifier
    tracking_number: Identifier | None = None
    lines: tuple[SentBackLine, ...]
    shipped_at: Instant


class SendBackRefused(OfReturn):
    shipment_id: Identifier
    code: Identifier
    reason: Text


class SendBackOverdue(OfReturn):
    """Deadline: goods that are to go back to the customer are still in the warehouse."""

    shipment_id: Identifier


class SendByPassed(OfReturn):
    """Deadline: the last day for handing the goods to a carrier is over."""

    send_by: Instant


class ScanOverdue(OfReturn):
    """Deadline: a parcel on its way has not been scanned for too long."""

    parcel: Identifier


class DispositionDue(OfReturn):
    """Deadline: inspected units that nobody decided about any more."""


SendBack.model_rebuild()
