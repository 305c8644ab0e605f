"""Puts the payment service together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.chassis.clock import Clock, WallClock
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.payment.effects import Effects
from services.payment.handlers import HANDLERS
from services.payment.processors.choice import Processors
from services.payment.store import PaymentWork

EFFECTS_CONCURRENT_MAX = 32


@dataclass(frozen=True, kw_only=True)
class PaymentService(Service[PaymentWork]):
    processors: Processors


def build(settings: Settings, pool: Any, clock: Clock | None = None) -> PaymentService:
    """The service over a store; processors are chosen by the settings."""
    clock = clock or WallClock()
    processors = Processors(settings, clock)
    return PaymentService(
        name="payment",
        work=lambda now: PaymentWork(now=now),
        handlers=HANDLERS,
        executors=Effects(processors, pool, clock).executors(),
        effect_concurrency_max=EFFECTS_CONCURRENT_MAX,
        processors=processors,
    )
