"""Topic `returns.requests`: what customers and their agents ask for."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self

from pydantic import Field, model_validator

from contracts.base import (
    Count,
    Currency,
    Flag,
    Identifier,
    Instant,
    Message,
    MinorUnits,
    OpenEnum,
    Part,
    Quantity,
    ReturnId,
    Sha256,
    Text,
    Url,
)

LINES_MAX = 200
EVIDENCE_MAX = 20
NOTE_LENGTH_MAX = 2000


class Reason(OpenEnum):
    CHANGED_MIND = "changed_mind"
    WRONG_SIZE = "wrong_size"
    DEFECTIVE = "defective"
    DAMAGED_IN_TRANSIT = "damaged_in_transit"
    WRONG_ITEM = "wrong_item"
    NOT_AS_DESCRIBED = "not_as_described"
    ARRIVED_LATE = "arrived_late"
    OTHER = "other"
    UNKNOWN = "unknown"


MERCHANT_FAULT = frozenset(
    {Reason.DEFECTIVE, Reason.DAMAGED_IN_TRANSIT, Reason.WRONG_ITEM, Reason.NOT_AS_DESCRIBED}
)
"""Reasons for which the merchant answers: no fee, all costs."""


class Condition(OpenEnum):
    UNOPENED = "unopened"
    OPENED = "opened"
    WORN = "worn"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"


class Resolution(OpenEnum):
    REFUND = "refund"
    STORE_CREDIT = "store_credit"
    REPLACEMENT = "replacement"
    EXCHANGE = "exchange"
    UNKNOWN = "unknown"


class Method(OpenEnum):
    ORIGINAL_PAYMENT_METHOD = "original_payment_method"
    STORE_CREDIT = "store_credit"
    BANK_TRANSFER = "bank_transfer"
    NEW_METHOD = "new_method"
    UNKNOWN = "unknown"


class ChosenMethod(OpenEnum):
    """What a customer may choose: a method, or to wait for a replacement out of stock."""

    ORIGINAL_PAYMENT_METHOD = "original_payment_method"
    STORE_CREDIT = "store_credit"
    BANK_TRANSFER = "bank_transfer"
    NEW_METHOD = "new_method"
    WAIT = "wait"
    UNKNOWN = "unknown"


class EvidenceKind(OpenEnum):
    IMAGE = "image"
    DOCUMENT = "document"
    TEXT = "text"
    UNKNOWN = "unknown"


class EvidencePurpose(OpenEnum):
    PROOF_OF_SENDING = "proof_of_sending"
    SERIAL_NUMBER = "serial_number"
    """At an inspection: the number read on the thing, as `text`."""
    UNKNOWN = "unknown"


class VerifiedBy(OpenEnum):
    SESSION = "session"
    SIGNED_LINK = "signed_link"
    ORDER_NUMBER_AND_EMAIL = "order_number_and_email"
    NONE = "none"
    UNKNOWN = "unknown"


class ChannelType(OpenEnum):
    WEBCHAT = "webchat"
    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    INSTAGRAM = "instagram"
    API = "api"
    UCP = "ucp"
    MCP = "mcp"
    UNKNOWN = "unknown"


class Claim(Part):
    """What somebody without an order id remembers of the order."""

    order_number: Identifier | None = None
    email: Text | None = None
    phone: Text | None = None
    purchased_on: date | None = None
    last4: Text | None = None


class Requester(Part):
    customer_id: Identifier | None = None
    verified_by: VerifiedBy = VerifiedBy.NONE


Locale = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z0-9_-]+$")]


class RequestLine(Part):
    line_id: Identifier | None = None
    sku: Identifier
    quantity: Quantity
    reason: Reason
    condition: Condition | None = None
    note: Annotated[Text, Field(max_length=NOTE_LENGTH_MAX)] | None = None


class Evidence(Part):
    evidence_id: Identifier
    kind: EvidenceKind
    url: Url | None = None
    text: Text | None = None
    media_type: Text | None = None
    sha256: Sha256 | None = None
    purpose: EvidencePurpose | None = None


class RequestedSettlement(Part):
    method: Method


class MerchantDecision(Part):
    approved: Flag
    decided_by: Text
    note: Text | None = None


class Channel(Part):
    type: ChannelType
    conversation_id: Identifier | None = None
    test: Flag = False


class Wish(Part):
    """What a return asks for, apart from who asks: shared by requests and quotes."""

    order_id: Identifier | None = None
    claim: Claim | None = None
    requester: Requester | None = None
    quote_id: Identifier | None = None
    lines: Annotated[tuple[RequestLine, ...], Field(min_length=1, max_length=LINES_MAX)]
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=EVIDENCE_MAX)] = ()
    resolution: Resolution
    replacement_sku: Identifier | None = None
    requested_amount: MinorUnits | None = None
    currency: Currency | None = None
    settlement: RequestedSettlement | None = None
    statutory_withdrawal: Flag = False
    merchant_decision: MerchantDecision | None = None
    channel: Channel = Channel(type=ChannelType.API)
    locale: Locale = "en"

    @model_validator(mode="after")
    def _names_an_order(self) -> Self:
        if self.order_id is None and self.claim is None:
            raise ValueError("order_id or claim is required")
        return self


class ReturnRequest(Wish, Message):
    return_id: ReturnId
    requested_at: Instant


class QuoteRequest(Wish):
    """A request without ids: asked for a price, committing to nothing."""

    requested_at: Instant | None = None


class CancelReturn(Message):
    return_id: ReturnId
    order_id: Identifier | None = None
    reason: Text | None = None
    requested_at: Instant


class EvidenceAdded(Message):
    return_id: ReturnId
    order_id: Identifier | None = None
    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1, max_length=EVIDENCE_MAX)]
    added_at: Instant


class SettlementChosen(Message):
    return_id: ReturnId
    order_id: Identifier | None = None
    method: ChosenMethod
    consent_at: Instant


class Consent(Part):
    given_at: Instant
    text: Text


class ReversalRequested(Message):
    return_id: ReturnId
    order_id: Identifier | None = None
    amount: MinorUnits
    reason: Text
    consent: Consent | None = None
    requested_by: Text
    requested_at: Instant


class CountedLine(Part):
    """So many units of one line."""

    line_id: Identifier
    quantity: Count
