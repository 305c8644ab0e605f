"""Gauges of what a store holds, read when somebody scrapes and no more often than they may be.

Read over a connection of their own, so that no message waits for a figure; kept for a while, so
that a scrape costs nothing in between; dropped when the store does not answer, because an old
figure that looks alive is worse than none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import Counter, Gauge

from services.chassis import database, telemetry
from services.chassis.clock import Clock

READ_SECONDS_MAX = 8.0
"""Less than the usual patience of a scrape (10 s)."""

FAILED = Counter("returns_gauges_failed", "Readings of the store that failed", ["service"])


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One statement that fills gauges.

    Its rows are (gauge: text, labels: text[], value: double precision), its only argument is now.
    """

    sql: str
    gauges: Sequence[Gauge]
    every: timedelta
    """How old its figures may be."""


OUTBOX_ROWS = Gauge("returns_outbox_backlog_rows", "Rows not published yet", ["service"])
OUTBOX_AGE = Gauge("returns_outbox_backlog_age_seconds", "Age of the oldest one", ["service"])
EFFECTS_DUE = Gauge("returns_effects_due", "Effects due and not claimed", ["service", "kind"])
EFFECTS_LATE = Gauge("returns_effects_late_seconds", "How late the most late is", ["service"])
EFFECTS_FAILING = Gauge("returns_effects_failing", "Tried five times or more", ["service", "kind"])
DEADLINES_LATE = Gauge("returns_deadlines_late_seconds", "How late the next one is", ["service"])
PARKED_OPEN = Gauge("returns_parked_open", "Messages that wait for others", ["service"])
PARKED_AGE = Gauge("returns_parked_age_seconds", "Age of the oldest one", ["service"])
QUARANTINE_OPEN = Gauge("returns_quarantine_open", "Records not driven again yet", ["service"])

# Small tables, read by their indexes' ends or as a whole; a figure may miss what commits now.
CHASSIS = """
SELECT 'returns_outbox_backlog_rows' AS gauge, '{}'::text[] AS labels, count(*)::float8 AS value
FROM outbox
UNION ALL SELECT 'returns_outbox_backlog_age_seconds', '{}',
    coalesce(extract(epoch FROM $1::timestamptz - min(created_at)), 0) FROM outbox
UNION ALL SELECT 'returns_effects_due', ARRAY[type], count(*) FROM effects
    WHERE due_at <= $1 GROUP BY type
UNION ALL SELECT 'returns_effects_late_seconds', '{}',
    greatest(coalesce(extract(epoch FROM $1 - min(due_at)), 0), 0) FROM effects
UNION ALL SELECT 'returns_effects_failing', ARRAY[type], count(*) FROM effects
    WHERE attempts >= 5 AND last_error IS NOT NULL GROUP BY type
UNION ALL SELECT 'returns_deadlines_late_seconds', '{}',
    greatest(coalesce(extract(epoch FROM $1 - min(due_at)), 0), 0) FROM deadlines
UNION ALL SELECT 'returns_parked_open', '{}', count(*) FROM parked
UNION ALL SELECT 'returns_parked_age_seconds', '{}',
    coalesce(extract(epoch FROM $1 - min(parked_at)), 0) FROM parked
UNION ALL SELECT 'returns_quarantine_open', '{}', count(*) FROM quarantine
    WHERE redriven_at IS NULL
"""
OWN = Reading(
    sql=CHASSIS,
    gauges=(
        *(OUTBOX_ROWS, OUTBOX_AGE, EFFECTS_DUE, EFFECTS_LATE, EFFECTS_FAILING),
        *(DEADLINES_LATE, PARKED_OPEN, PARKED_AGE, QUARANTINE_OPEN),
    ),
    every=timedelta(seconds=10),
)
"""What every service's store is asked."""


class Gauges:
    """The readings of one process."""

    def __init__(self, url: str, service: str, readings: Sequence[Reading], clock: Clock) -> None:
        self._url = url
        self._service = service
        self._readings = (OWN, *readings)
        self._clock = clock
        self._read_at: dict[int, datetime] = {}
        self._one_at_a_time = asyncio.Lock()

    async def refresh(self) -> None:
        """Read again what is too old. Never raises: what cannot be read is absent."""
        async with self._one_at_a_time:
            now = self._clock.now()
            due = [each for each in self._readings if self._is_due(each, now)]
            if not due:
                return
            try:
                async with asyncio.timeout(READ_SECONDS_MAX):
                    await self._read(due, now)
            except Exception as error:
                FAILED.labels(self._service).inc()
                telemetry.log.warning("gauges_not_read", error=type(error).__name__)
                for reading in due:
                    _clear(reading)
                    self._read_at.pop(id(reading), None)

    def _is_due(self, reading: Reading, now: datetime) -> bool:
        read_at = self._read_at.get(id(reading))
        return read_at is None or now - read_at >= reading.every

    async def _read(self, due: Sequence[Reading], now: datetime) -> None:
        connection = await database.connect(self._url, f"{self._service}-gauges")
        try:
            for reading in due:
                rows = await connection.fetch(reading.sql, now)
                self._fill(reading, rows)
                self._read_at[id(reading)] = now
        finally:
            connection.terminate()

    def _fill(self, reading: Reading, rows: Sequence[Any]) -> None:
        _clear(reading)
        named = {gauge._name: gauge for gauge in reading.gauges}
        for row in rows:
            gauge = named[row["gauge"]]
            gauge.labels(self._service, *row["labels"]).set(row["value"])


def _clear(reading: Reading) -> None:
    for gauge in reading.gauges:
        gauge.clear()
