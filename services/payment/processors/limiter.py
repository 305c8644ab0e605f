"""Our own limit of requests: a processor that forbids more than so many a second is not asked more.

Its 429 and Retry-After are still honoured: others may use the same account.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from services.payment.processors import measured

BURST_PARTS = 5
"""A fifth of a second's requests may go at once; the others are spread over the second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """Tokens that fill up again: at most `limit` requests in any second. Pure."""

    limit: int
    emptied: float = 0.0
    """The instant, in seconds, since which an unused bucket would be filling."""

    @property
    def size(self) -> int:
        return max(self.limit // BURST_PARTS, 1)

    @property
    def seconds_each(self) -> float:
        """What fills within a second and a whole bucket together stay within the limit."""
        return 1 / (self.limit - self.size + 1)

    def take(self, now: float) -> tuple[Bucket, float]:
        """The bucket without one token, and how many seconds to wait for that token."""
        full_since = now - self.size * self.seconds_each
        emptied = max(self.emptied, full_since) + self.seconds_each
        return Bucket(limit=self.limit, emptied=emptied), max(emptied - now, 0.0)


@dataclass
class Limiter:
    """`per_second` over all requests, `per_operation` for each kind; None: no limit.

    For one process: several that share an account have to share its limit.
    """

    name: str
    per_second: int | None = None
    per_operation: int | None = None
    _whole: Bucket | None = field(init=False, default=None)
    _each: dict[str, Bucket] = field(init=False, default_factory=dict)

    async def turn(self, method: str, path: str) -> None:
        """Returns when the request may go, in the order in which they came."""
        if self.per_operation is not None:
            kind = operation(method, path)
            bucket = self._each.get(kind) or Bucket(limit=self.per_operation)
            self._each[kind], seconds = bucket.take(_now())
            await self._wait(seconds)
        if self.per_second is not None:
            bucket = self._whole or Bucket(limit=self.per_second)
            self._whole, seconds = bucket.take(_now())
            await self._wait(seconds)

    async def _wait(self, seconds: float) -> None:
        if seconds > 0:
            measured.HELD_BACK.labels(self.name).inc(seconds)
            await asyncio.sleep(seconds)


def operation(method: str, path: str) -> str:
    """What the processor counts as one kind of request: the path without ids."""
    version, collection, *rest = path.strip("/").split("/")
    id_, *action = rest or [""]
    return " ".join([method, version, collection, "*" if id_ else "", *action]).rstrip()


def _now() -> float:
    return asyncio.get_running_loop().time()
