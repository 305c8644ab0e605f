"""What makes a service out of the chassis: its handlers, its store, its executors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from contracts.base import Message
from services.chassis.gauges import Reading
from services.chassis.work import UnitOfWork

Work = TypeVar("Work", bound=UnitOfWork)

Handler = Callable[[Any, Any], None]
"""(unit of work, message body) -> None; synchronous; no I/O."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """An executor's answer: not now; claim this effect again at `at`."""

    at: datetime
    reason: str


async def nothing_to_close() -> None:
    """A service that holds no connections but the chassis's own."""


Executor = Callable[[Any], Awaitable[Message | Again]]
"""Effect payload -> the message to self that reports the outcome. Transient: try again."""


@dataclass(frozen=True, kw_only=True)
class Service(Generic[Work]):
    """`name` is the consumer group, the database and the CloudEvents source `/services/<name>`."""

    name: str
    work: Callable[[datetime], Work]
    """Makes an empty unit of work for one transaction; its argument is now."""
    handlers: Mapping[type[Message], Handler]
    """Message type -> handler, for topics, deadlines, effects and `RecordQuarantined` alike."""
    executors: Mapping[type[Message], Executor] = field(default_factory=dict)
    """Effect payload type -> executor."""
    effect_concurrency_max: int = 32
    batches_per_second_max: float | None = None
    """At length; a service that nobody waits for need not take up each record alone."""
    readings: Sequence[Reading] = ()
    """What is read of the store for /metrics."""
    close: Callable[[], Awaitable[None]] = nothing_to_close
    """Ends the service's own connections to the outside, after its last effect."""
