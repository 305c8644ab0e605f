"""How often a service takes up what has come: at once while little comes, else in portions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

AT_ONCE_MAX = 10


class Pace:
    """At most `per_second` turns a second at length, the first few without any wait.

    A portion costs much the same whatever its size, so that taking up each record alone uses the
    processor up long before there is more work than it can do. None: no turn ever waits.
    """

    def __init__(
        self, per_second: float | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._monotonic = monotonic
        self._left, self._at = float(AT_ONCE_MAX), monotonic()

    def wait_seconds(self) -> float:
        """How long the next turn has to wait now; 0 when it need not."""
        if self._per_second is None:
            return 0.0
        now = self._monotonic()
        refill = (now - self._at) * self._per_second
        self._left, self._at = min(self._left + refill, float(AT_ONCE_MAX)), now
        return max(1 - self._left, 0.0) / self._per_second

    def took(self, records: int) -> None:
        """A turn was taken; one that found nothing does not count."""
        self._left -= records > 0

    async def wait(self) -> None:
        """Until the next turn may be taken."""
        seconds = self.wait_seconds()
        if seconds > 0:
            await asyncio.sleep(seconds)
