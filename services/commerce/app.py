"""Puts the commerce service together."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

from services.chassis import lean, telemetry
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.commerce import gauges, handlers, mail, messages
from services.commerce.law import periods
from services.commerce.policy.loader import PolicyRefused
from services.commerce.policy.source import PolicySource
from services.commerce.policy.versions import Versions
from services.commerce.store import CommerceWork

NAME = "commerce"
POLICY_LOOK_EVERY = timedelta(seconds=1)
CALENDAR_TO_WARM_UP = ("US", 2026)


class Policies:
    """The versions in force; looks for changed files at most once a second."""

    def __init__(self, source: PolicySource) -> None:
        self._source = source
        self._look_at: datetime | None = None

    def at(self, now: datetime) -> Versions:
        """A broken change stays out, loudly, and the old versions in force."""
        if self._look_at is None or now >= self._look_at:
            self._look_at = now + POLICY_LOOK_EVERY
            found = self._source.refresh()
            if found.refused is not None:
                telemetry.log.error("policy_refused", reason=str(found.refused))
            elif found.changed:
                telemetry.log.warning(
                    "policy_changed", version=self._source.versions.latest.version
                )
        return self._source.versions


def load_calendars() -> None:
    """Takes up to a second: beside the start, not inside the first decision."""
    lean.load_parts_alone("holidays.countries")
    periods.holidays_of(*CALENDAR_TO_WARM_UP)


def build(settings: Settings, pool: Any) -> Service[CommerceWork]:
    """The service. Raises SystemExit with every fault of a policy that cannot be loaded."""
    policies = policies_of(settings)
    Thread(target=load_calendars, daemon=True).start()
    notify = bool(settings.smtp_url)
    return Service(
        name=NAME,
        work=lambda now: CommerceWork(now=now, policies=policies.at(now), notify=notify),
        handlers=handlers.HANDLERS,
        executors={messages.NotifyReviewers: mail.sender(settings.smtp_url)},
        readings=gauges.READINGS,
    )


def policies_of(settings: Settings) -> Policies:
    try:
        path = Path(settings.policy_path) if settings.policy_path else None
        return Policies(PolicySource(path))
    except PolicyRefused as refused:
        raise SystemExit(f"POLICY_PATH: {refused}") from None
