"""How a payment's refunds behave, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Trouble(StrEnum):
    """What goes wrong with the first attempt."""

    NONE = "none"
    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    trouble: Trouble = Trouble.NONE
    answer_after_seconds: float = 0.0
    settles_after_seconds: float = 0.0
    declined: bool = False
    fails_after_seconds: float | None = None
    too_many_times: int = 0
    """So many calls are answered with 429 first."""
    webhooks: int = 1
    """How often each event is sent."""
    out_of_order: bool = False


BEHAVIOURS = {
    "ok": Behaviour(),
    "slow": Behaviour(answer_after_seconds=1.0),
    "pending": Behaviour(settles_after_seconds=2.0),
    "declined": Behaviour(declined=True),
    "fails_later": Behaviour(fails_after_seconds=2.0),
    "timeout_after_success": Behaviour(trouble=Trouble.TIMEOUT_AFTER),
    "timeout_before": Behaviour(trouble=Trouble.TIMEOUT_BEFORE),
    "error_500_stored": Behaviour(trouble=Trouble.ERROR_BEFORE),
    "error_500_after_success": Behaviour(trouble=Trouble.ERROR_AFTER),
    "rate_limited": Behaviour(too_many_times=2),
    "no_webhook": Behaviour(webhooks=0),
    "webhook_twice": Behaviour(webhooks=2),
    "webhook_out_of_order": Behaviour(out_of_order=True),
}
