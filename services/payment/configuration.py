"""The merchant's own side of payment, beside the settings that all services share."""

from __future__ import annotations

from pydantic import Field

from services.chassis.environment import Environment


class MoneySettings(Environment):
    """Each field is a variable of the same name in capitals."""

    stripe_account: str = ""
    """The connected account on whose behalf we act; empty: our own."""
    store_credit_days: int | None = Field(default=None, ge=1, le=36500)
    """How long store credit can be spent; unset: for ever. Some places forbid an early end."""
