"""The one place that reads the wall clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime: ...


class WallClock:
    def now(self) -> datetime:
        """The current instant, UTC, with microseconds as PostgreSQL keeps them."""
        return datetime.now(UTC)
