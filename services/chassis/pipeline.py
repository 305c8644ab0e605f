"""From records to a committed transaction: the path that every message takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncpg import Pool

from contracts.base import Message
from services.chassis.clock import Clock
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.work import UnitOfWork

BATCH_MESSAGES_MAX = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A record as the broker delivered it. `topic` is without the prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None


class Pipeline:
    def __init__(
        self, service: Service[Any], pool: Pool[Any], *, settings: Settings, clock: Clock
    ) -> None: ...

    async def process(self, records: Sequence[Record]) -> None:
        """Handle records in order; on return all are committed, ignored, parked or quarantined.

        Raises Transient, or the store's own connection errors, when nothing was done and the
        same records have to come again.
        """
        raise NotImplementedError

    async def submit(self, body: Message, *, traceparent: str | None = None) -> UnitOfWork:
        raise NotImplementedError

    async def tick(self) -> int:
        """Handle every deadline and parked message that is due now; how many there were."""
        raise NotImplementedError

    async def run_effects(self) -> int:
        """Carry out every effect that is due now, once; how many there were."""
        raise NotImplementedError
