"""How long, and whether at all, a payment method takes refunds: data with its sources.

There is no general window. A method that is not listed has none that we know of: the processor's
own answer decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.orders import PaymentMethod
from services.payment.model import PaymentFacts


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodRule:
    """`network` None: every network of the method. `window_days` None: no limit."""

    method: PaymentMethod
    network: str | None = None
    window_days: int | None = None
    refusal: str | None = None
    source: str


RULES: tuple[MethodRule, ...] = (
    MethodRule(
        method=PaymentMethod.OTHER,
        network="oxxo",
        refusal="OXXO payments are cash and cannot be refunded",
        source="https://docs.stripe.com/payments/oxxo#refunds",
    ),
    MethodRule(
        method=PaymentMethod.WALLET,
        network="alipay",
        window_days=90,
        source="https://docs.stripe.com/payments/alipay#refunds",
    ),
    MethodRule(
        method=PaymentMethod.WALLET,
        network="wechat_pay",
        window_days=180,
        source="https://docs.stripe.com/payments/wechat-pay#refunds",
    ),
    MethodRule(
        method=PaymentMethod.OTHER,
        network="ideal",
        window_days=180,
        source="https://docs.stripe.com/payments/ideal#refunds",
    ),
    MethodRule(
        method=PaymentMethod.OTHER,
        network="bancontact",
        window_days=180,
        source="https://docs.stripe.com/payments/bancontact#refunds",
    ),
    MethodRule(
        method=PaymentMethod.OTHER,
        network="eps",
        window_days=180,
        source="https://docs.stripe.com/payments/eps#refunds",
    ),
    MethodRule(
        method=PaymentMethod.OTHER,
        network="p24",
        window_days=180,
        source="https://docs.stripe.com/payments/p24#refunds",
    ),
    MethodRule(
        method=PaymentMethod.OTHER,
        network="klarna",
        window_days=180,
        source="https://docs.stripe.com/payments/klarna#refunds",
    ),
    MethodRule(
        method=PaymentMethod.OTHER,
        network="affirm",
        window_days=120,
        source="https://docs.stripe.com/payments/affirm#refunds",
    ),
    MethodRule(
        method=PaymentMethod.OTHER,
        network="afterpay_clearpay",
        window_days=120,
        source="https://docs.stripe.com/payments/afterpay-clearpay#refunds",
    ),
    MethodRule(
        method=PaymentMethod.BANK_DEBIT,
        network="sepa_debit",
        window_days=180,
        source="https://docs.stripe.com/payments/sepa-debit#refunds",
    ),
    MethodRule(
        method=PaymentMethod.BANK_DEBIT,
        network="bacs_debit",
        window_days=180,
        source="https://docs.stripe.com/payments/payment-methods/bacs-debit#refunds",
    ),
    MethodRule(
        method=PaymentMethod.OTHER,
        network="boleto",
        refusal="Boleto payments cannot be refunded by the way they were paid",
        source="https://docs.stripe.com/payments/boleto#refunds",
    ),
    MethodRule(
        method=PaymentMethod.PAYPAL,
        window_days=180,
        source="https://developer.paypal.com/api/nvp-soap/paypal-payments-standard/admin/refunds",
    ),
    MethodRule(
        method=PaymentMethod.BANK_DEBIT,
        window_days=180,
        source="https://support.stripe.com/questions/refunds-for-ach-direct-debit-payments",
    ),
    MethodRule(method=PaymentMethod.CARD, source="https://docs.stripe.com/refunds"),
    MethodRule(method=PaymentMethod.WALLET, source="https://docs.stripe.com/refunds"),
)
"""The first row that fits counts: rows with a network come before those without."""


def rule_of(payment: PaymentFacts) -> MethodRule | None:
    """The row for a payment; None where we know of none."""
    network = (payment.network or "").strip().lower().replace(" ", "_")
    for rule in RULES:
        if rule.method is payment.method and rule.network in (None, network):
            return rule
    return None


def refund_until(payment: PaymentFacts) -> datetime | None:
    """The instant until which the method takes refunds; None: no limit that we know of."""
    rule = rule_of(payment)
    if rule is None or rule.window_days is None:
        return None
    return payment.captured_at + timedelta(days=rule.window_days)


def refusal(payment: PaymentFacts, now: datetime) -> str | None:
    """Why the method takes no refund now; None where it does."""
    rule = rule_of(payment)
    if rule is not None and rule.refusal is not None:
        return rule.refusal
    until = refund_until(payment)
    if until is not None and now > until:
        return f"the refund window of this method closed on {day(until)}"
    return None


def day(instant: datetime) -> str:
    """``10 March 2026``"""
    return f"{instant.day} {instant:%B %Y}"
