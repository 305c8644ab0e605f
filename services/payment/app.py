"""Puts the payment service together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.chassis.clock import Clock, WallClock
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.payment import gauges
from services.payment.configuration import MoneySettings
from services.payment.effects import Effects
from services.payment.handlers import HANDLERS
from services.payment.processors.choice import Processors
from services.payment.store import PaymentWork

EFFECTS_CONCURRENT_MAX = 32
PUBLIC_SECRET = Settings.model_fields["stripe_webhook_secret"].default


@dataclass(frozen=True, kw_only=True)
class PaymentService(Service[PaymentWork]):
    processors: Processors


def build(settings: Settings, pool: Any, clock: Clock | None = None) -> PaymentService:
    """The service over a store; processors are chosen by the settings.

    Raises SystemExit, in one sentence, when anybody could forge the processor's events.
    """
    _check_webhook_secret(settings)
    clock = clock or WallClock()
    own = MoneySettings()
    processors = Processors(settings, own, clock)
    return PaymentService(
        name="payment",
        work=lambda now: PaymentWork(now=now, credit_days=own.store_credit_days),
        handlers=HANDLERS,
        executors=Effects(processors, pool, clock).executors(),
        effect_concurrency_max=EFFECTS_CONCURRENT_MAX,
        processors=processors,
        close=processors.close,
        readings=gauges.READINGS,
    )


def _check_webhook_secret(settings: Settings) -> None:
    """The secret that is taken when none is named is the sandbox's, which everybody knows.

    What speaks plain http is no real processor but a stand-in for one.
    """
    is_public = settings.stripe_webhook_secret == PUBLIC_SECRET
    is_real = not settings.stripe_api_base.startswith("http://")
    if settings.stripe_api_key and is_public and is_real:
        raise SystemExit(
            "STRIPE_WEBHOOK_SECRET is not set: where STRIPE_API_KEY is, name the secret that signs"
            " Stripe's events (whsec_…)"
        )
