"""Topic `orders`: what was bought, paid and delivered."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from contracts.base import (
    MINOR_UNITS_MAX,
    Bps,
    CountryCode,
    Currency,
    Flag,
    Identifier,
    Instant,
    Message,
    MinorUnits,
    OpenEnum,
    Part,
    Points,
    Quantity,
    SignedMinorUnits,
    Text,
    Version,
)


class BuyerType(OpenEnum):
    CONSUMER = "consumer"
    BUSINESS = "business"
    UNKNOWN = "unknown"


class Trait(OpenEnum):
    PERISHABLE = "perishable"
    PERSONALISED = "personalised"
    SEALED_HYGIENE = "sealed_hygiene"
    SEALED_MEDIA = "sealed_media"
    DIGITAL = "digital"
    FINAL_SALE = "final_sale"
    HAZARDOUS = "hazardous"
    UNKNOWN = "unknown"


class Processor(OpenEnum):
    STRIPE = "stripe"
    SANDBOX = "sandbox"
    UNKNOWN = "unknown"


class PaymentMethod(OpenEnum):
    CARD = "card"
    PAYPAL = "paypal"
    BANK_DEBIT = "bank_debit"
    WALLET = "wallet"
    OTHER = "other"
    UNKNOWN = "unknown"


class Address(Part):
    name: Text
    line1: Text
    line2: Text | None = None
    city: Text
    region: Text | None = None
    postal_code: Text
    country: CountryCode


class Buyer(Part):
    customer_id: Identifier
    email: Text
    phone: Text | None = None
    type: BuyerType = BuyerType.CONSUMER
    country: CountryCode
    region: Identifier | None = None
    """The part of ISO 3166-2 after the hyphen (``CA``)."""
    customer_since: Instant | None = None
    lifetime_value: SignedMinorUnits | None = None


class OrderLine(Part):
    line_id: Identifier
    sku: Identifier
    title: Text
    category: Text
    quantity: Quantity
    unit_price: MinorUnits
    """Before discount; contains the tax where ``prices_include_tax``."""
    discount_total: MinorUnits = 0
    """For the whole line."""
    tax_total: MinorUnits = 0
    """For the whole line."""
    tax_rate_bps: Bps = 0
    weight_grams: MinorUnits | None = None
    hs_code: Identifier | None = None
    """Harmonised System code, for customs when it comes back over a border."""
    origin_country: CountryCode | None = None
    """Where it was made, for customs."""
    traits: tuple[Trait, ...] = ()
    serials: tuple[Identifier, ...] | None = None
    """Serial numbers of the things that were sent, where they are kept."""


class Shipping(Part):
    method: Text
    paid: MinorUnits
    tax_total: MinorUnits = 0
    tax_rate_bps: Bps | None = None
    cheapest_offered: MinorUnits


class Payment(Part):
    payment_id: Identifier
    processor: Processor
    processor_reference: Identifier
    method: PaymentMethod
    network: Text | None = None
    last4: Text | None = None
    fingerprint: Identifier | None = None
    """The processor's name for the card itself, the same for every account that uses it."""
    captured: MinorUnits
    captured_at: Instant


class Loyalty(Part):
    program_id: Identifier
    points_earned: Points = 0
    points_redeemed: Points = 0
    redeemed_value: MinorUnits = 0


class DeliveredLine(Part):
    line_id: Identifier
    quantity: Quantity


class Delivery(Part):
    delivery_id: Identifier
    shipped_at: Instant | None = None
    delivered_at: Instant | None = None
    address: Address | None = None
    """Where it was handed over, if the carrier said so."""
    lines: tuple[DeliveredLine, ...] = ()


class WithdrawalInformation(Part):
    provided_at: Instant
    document_version: Text


class OrderSnapshot(Message):
    """An order as it stands; a higher ``version`` replaces a lower one."""

    order_id: Identifier
    order_number: Identifier
    version: Version
    placed_at: Instant
    currency: Currency
    prices_include_tax: Flag
    buyer: Buyer
    ship_to: Address | None = None
    lines: tuple[OrderLine, ...]
    shipping: Shipping
    payments: tuple[Payment, ...] = ()
    loyalty: Loyalty | None = None
    deliveries: tuple[Delivery, ...] = ()
    withdrawal_information: WithdrawalInformation | None = None

    @model_validator(mode="after")
    def _names_each_thing_once(self) -> Self:
        """Money is kept by these ids: two lines or payments under one id would hide one of them."""
        for field, named in (
            ("lines.line_id", [line.line_id for line in self.lines]),
            ("payments.payment_id", [payment.payment_id for payment in self.payments]),
        ):
            if len(set(named)) < len(named):
                raise ValueError(f"{field} must be different in each")
        return self

    @model_validator(mode="after")
    def _adds_up_to_an_amount(self) -> Self:
        """Each amount has its bound; so has their sum, which the same columns have to hold."""
        for field, total in (
            ("lines.unit_price", sum(each.unit_price * each.quantity for each in self.lines)),
            ("payments.captured", sum(each.captured for each in self.payments)),
        ):
            if total > MINOR_UNITS_MAX:
                raise ValueError(f"{field} adds up to more than {MINOR_UNITS_MAX} minor units")
        return self
