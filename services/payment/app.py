"""Puts the payment service together."""

from __future__ import annotations

from typing import Any

from services.chassis.clock import Clock, WallClock
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.payment.effects import Effects
from services.payment.handlers import HANDLERS
from services.payment.processors.choice import Processors
from services.payment.store import PaymentWork

EFFECTS_CONCURRENT_MAX = 32


def build(settings: Settings, pool: Any, clock: Clock | None = None) -> Service[PaymentWork]:
    """The service over a store; processors are chosen by the settings."""
    clock = clock or WallClock()
    effects = Effects(Processors(settings, clock), pool, clock)
    return Service(
        name="payment",
        work=lambda now: PaymentWork(now=now),
        handlers=HANDLERS,
        executors=effects.executors(),
        effect_concurrency_max=EFFECTS_CONCURRENT_MAX,
    )
