"""The merchant's own side of payment, beside the settings that all services share."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from services.chassis.environment import Environment
from services.chassis.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Requests per second; None: as many as one likes."""

    all: int | None
    operation: int | None


LIVE, TEST = Limits(all=100, operation=25), Limits(all=25, operation=25)
"""Stripe's, for an account: https://docs.stripe.com/rate-limits. Stripe raises them on request."""
NONE = Limits(all=None, operation=None)
LIVE_KEYS = ("sk_live_", "rk_live_")


class MoneySettings(Environment):
    """Each field is a variable of the same name in capitals."""

    stripe_account: str = ""
    """The connected account on whose behalf we act; empty: our own."""
    stripe_requests_per_second: int | None = Field(default=None, ge=1)
    """Of this process; unset: what Stripe allows an account (LIVE, TEST)."""
    stripe_operation_requests_per_second: int | None = Field(default=None, ge=1)
    """Of one kind of request, such as making refunds."""
    store_credit_days: int | None = Field(default=None, ge=1, le=36500)
    """How long store credit can be spent; unset: for ever. Some places forbid an early end."""

    def limits(self, settings: Settings) -> Limits:
        """What Stripe may be asked; a stand-in, which speaks plain http, as often as one likes."""
        published = LIVE if settings.stripe_api_key.startswith(LIVE_KEYS) else TEST
        if settings.stripe_api_base.startswith("http://"):
            published = NONE
        return Limits(
            all=self.stripe_requests_per_second or published.all,
            operation=self.stripe_operation_requests_per_second or published.operation,
        )
