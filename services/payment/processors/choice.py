"""Which processor a payment is refunded at."""

from __future__ import annotations

from contracts import orders
from services.chassis.clock import Clock
from services.chassis.settings import Settings
from services.payment.configuration import MoneySettings
from services.payment.model import PaymentFacts
from services.payment.processors.breaker import Breaker
from services.payment.processors.limiter import Limiter
from services.payment.processors.port import Processor, ProcessorError, Trouble, Verdict
from services.payment.processors.stripe_client import StripeProcessor

SANDBOX_KEY = "sk_test_sandbox"
CHARGES = ("ch_", "py_")
"""An order may name Stripe's charge instead of its payment intent."""


class Processors:
    """Stripe where a key or an address is configured; the sandbox always."""

    def __init__(self, settings: Settings, own: MoneySettings, clock: Clock) -> None:
        self.sandbox = StripeProcessor(
            name="sandbox", key=SANDBOX_KEY, base=settings.sandbox_url, breaker=Breaker(clock)
        )
        self.stripe: StripeProcessor | None = None
        if settings.stripe_api_key or settings.stripe_api_base:
            limits = own.limits(settings)
            self.stripe = StripeProcessor(
                name="stripe",
                key=settings.stripe_api_key or SANDBOX_KEY,
                base=settings.stripe_api_base or None,
                breaker=Breaker(clock),
                limiter=Limiter("stripe", per_second=limits.all, per_operation=limits.operation),
                charges=CHARGES,
                account=own.stripe_account or None,
            )

    def of(self, payment: PaymentFacts, *, test: bool) -> Processor:
        """A test return never leaves the sandbox. Raises ProcessorError where none is set up."""
        if test or payment.processor is orders.Processor.SANDBOX:
            return self.sandbox
        if payment.processor is orders.Processor.STRIPE and self.stripe is not None:
            return self.stripe
        explanation = f"no key for the processor '{payment.processor}' is configured here"
        raise ProcessorError(
            Trouble(verdict=Verdict.REFUSED, code="not_configured", explanation=explanation)
        )

    def all(self) -> tuple[StripeProcessor, ...]:
        return (self.sandbox,) if self.stripe is None else (self.sandbox, self.stripe)

    async def close(self) -> None:
        for each in self.all():
            await each.close()
