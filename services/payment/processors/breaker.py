"""A circuit breaker: a processor that is unwell is left alone, then tried with one request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from services.chassis.clock import Clock
from services.payment.processors.port import ProcessorError

FAILURES_MAX = 5
"""So many in a row open the circuit."""
OPEN_SECONDS_MIN = 2
OPEN_SECONDS_MAX = 15
"""With what a request itself may take, less than the 30 s in which all has to go on again."""


class CircuitOpen(Exception):
    """The processor is being left alone until `until`; nothing was sent."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"left alone until {until:%H:%M:%S}")
        self.until = until


class Breaker:
    """One per processor and process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._open_seconds = OPEN_SECONDS_MIN
        self._until: datetime | None = None
        self._probing = False

    @property
    def open(self) -> bool:
        return self._until is not None

    def check(self) -> None:
        """Raises CircuitOpen, except for the one request that may probe."""
        if self._until is None:
            return
        now = self._clock.now()
        if now < self._until:
            raise CircuitOpen(self._until)
        if self._probing:
            raise CircuitOpen(now + timedelta(seconds=OPEN_SECONDS_MIN))

    @asynccontextmanager
    async def guarded(self) -> AsyncIterator[None]:
        """Around one request. Raises CircuitOpen."""
        self.check()
        probe = self._until is not None
        self._probing = self._probing or probe
        try:
            yield
        except ProcessorError as error:
            if error.trouble.ill:
                self._failed(probe=probe)
            else:
                self._answered()
            raise
        else:
            self._answered()
        finally:
            if probe:
                self._probing = False

    def _answered(self) -> None:
        self._failures = 0
        self._open_seconds = OPEN_SECONDS_MIN
        self._until = None

    def _failed(self, *, probe: bool) -> None:
        if self.open and not probe:  # sent before it opened: nothing new
            return
        self._failures += 1
        if self._failures < FAILURES_MAX:
            return
        self._until = self._clock.now() + timedelta(seconds=self._open_seconds)
        self._open_seconds = min(self._open_seconds * 2, OPEN_SECONDS_MAX)
