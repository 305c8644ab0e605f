"""The simulated clock and bus: partitions, offsets, consumer groups. One thread, no sockets."""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka.errors import KafkaConnectionError

from contracts import topics
from services.chassis.records import Record

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
PARTITIONS = 3
"""Of each topic; fewer than in production, so that strangers share one more often."""
Place = tuple[str, int]


@dataclass
class Clock:
    """The world's time; moved between steps only."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at


@dataclass
class SkewedClock:
    """One machine's idea of the time."""

    world: Clock
    skew: timedelta = timedelta()

    def now(self) -> datetime:
        return self.world.at + self.skew


def partition_of(key: bytes | None) -> int:
    return zlib.crc32(key or b"") % PARTITIONS


@dataclass
class Bus:
    """An append-only log per partition; whoever listens hears each record as it is appended."""

    log: dict[Place, list[Record]] = field(default_factory=lambda: defaultdict(list))
    listeners: list[Callable[[Record], None]] = field(default_factory=list)

    def append(
        self, topic: str, *, key: bytes | None, headers: Iterable[tuple[str, bytes]], value: bytes
    ) -> Record:
        place = (topic, partition_of(key))
        record = Record(
            topic=topic,
            partition=place[1],
            offset=len(self.log[place]),
            key=key,
            headers=tuple(headers),
            value=value,
        )
        self.log[place].append(record)
        for listen in self.listeners:
            listen(record)
        return record

    def records(self) -> list[Record]:
        return [record for place in sorted(self.log) for record in self.log[place]]


@dataclass
class Producer:
    """What the relay publishes with. Partitions that `away` names take nothing, as a whole."""

    bus: Bus
    away: Callable[[Place], bool]
    _refused: set[Place] = field(default_factory=set)
    _asked: set[Place] = field(default_factory=set)

    async def send(
        self, topic: str, *, value: bytes, key: bytes, headers: list[tuple[str, bytes]]
    ) -> asyncio.Future[Any]:
        sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        place = (topic, partition_of(key))
        if place not in self._asked:
            self._asked.add(place)
            if self.away(place):
                self._refused.add(place)
        if place in self._refused:
            sent.set_exception(KafkaConnectionError("the partition has no leader"))
        else:
            sent.set_result(self.bus.append(topic, key=key, headers=headers, value=value))
        return sent


@dataclass
class Group:
    """The consumer group of a service: who reads which partition, and how far it has got."""

    service: str
    bus: Bus
    committed: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    position: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    owner: dict[Place, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = topics.topics_read_by(self.service)
        self._owned: dict[int, list[Place]] = {}
        self.places = [(name, number) for name in names for number in range(PARTITIONS)]

    def rebalance(self, members: list[int], *, turn: int = 0) -> None:
        """Share the partitions out among members; whoever is new somewhere begins where committed.

        `turn` shifts who gets which.
        """
        for index, place in enumerate(self.places):
            new = members[(index + turn) % len(members)] if members else -1
            if self.owner.get(place) != new:
                self.owner[place] = new
                self.position[place] = self.committed[place]
        self._owned = {
            member: [place for place in self.places if self.owner[place] == member]
            for member in members
        }

    def behind(self, member: int) -> list[Place]:
        """Partitions of a member with records that it has not taken yet."""
        position, log = self.position, self.bus.log
        return [place for place in self._owned.get(member, ()) if position[place] < len(log[place])]

    def poll(self, place: Place, limit: int) -> list[Record]:
        begin = self.position[place]
        found = self.bus.log[place][begin : begin + limit]
        self.position[place] = begin + len(found)
        return found

    def rewind(self, records: Iterable[Record], member: int) -> None:
        """Those records have to come again, if the partition still is the member's."""
        for record in records:
            place = (record.topic, record.partition)
            if self.owner.get(place) == member:
                self.position[place] = min(self.position[place], record.offset)

    def commit(self, records: Iterable[Record], member: int) -> None:
        for record in records:
            place = (record.topic, record.partition)
            if self.owner.get(place) == member:
                self.committed[place] = max(self.committed[place], record.offset + 1)
