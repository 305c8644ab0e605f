"""The unit of work: everything that one batch reads, changes and promises, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from asyncpg import Connection
from asyncpg.pool import PoolConnectionProxy

from contracts.base import Message
from contracts.envelope import Envelope
from services.chassis.decision import Deadline, Decision, Effect

Aggregate = TypeVar("Aggregate")
AnyConnection: TypeAlias = "Connection[Any] | PoolConnectionProxy[Any]"

SELF = frozenset({"deadline", "effect", "http", "quarantine"})
"""The `topic` of messages that a service sends to itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """A message as it arrived: from a topic, from a deadline, or from an effect."""

    body: Message
    envelope: Envelope
    topic: str
    """A topic, or one of SELF for messages to self."""
    partition: int = 0
    offset: int = 0
    key: str | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    value: bytes = b""
    tries: int = 0
    """How often it was parked and taken up again."""

    @property
    def origin_id(self) -> str | None:
        """The ce_id of the message from outside that started this."""
        return self.envelope.causation_id if self.topic in SELF else self.envelope.id


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A message for the outbox."""

    body: Message
    key: str
    cause: Received


class IdentityMap(Generic[Aggregate]):
    """The aggregates of a batch by id, each once, remembering which have changed."""

    def __init__(self, id_of: Callable[[Aggregate], str]) -> None:
        self._id_of = id_of
        self._loaded: dict[str, Aggregate] = {}
        self._changed: dict[str, None] = {}

    def load(self, aggregates: Sequence[Aggregate]) -> None:
        for aggregate in aggregates:
            self._loaded.setdefault(self._id_of(aggregate), aggregate)

    def get(self, id_: str | None) -> Aggregate | None:
        return self._loaded.get(id_) if id_ is not None else None

    def __getitem__(self, id_: str) -> Aggregate:
        return self._loaded[id_]

    def __contains__(self, id_: object) -> bool:
        return id_ in self._loaded

    def __iter__(self) -> Iterator[Aggregate]:
        return iter(tuple(self._loaded.values()))

    def put(self, aggregate: Aggregate) -> None:
        """Record a new or changed aggregate."""
        id_ = self._id_of(aggregate)
        if self._loaded.get(id_) is not aggregate:
            self._loaded[id_] = aggregate
            self._changed[id_] = None

    def changed(self) -> list[Aggregate]:
        """New and changed aggregates in id order (so that locks are taken in one order)."""
        return [self._loaded[id_] for id_ in sorted(self._changed)]


@dataclass(kw_only=True)
class UnitOfWork:
    """A service's store subclasses this with its identity maps, `keys`, `load` and `save`.

    Handlers are synchronous: they look up in the maps, call a pure `decide`, and `record`.
    """

    now: datetime
    message: Received = field(init=False)
    """The message being handled."""
    last_chance: bool = field(init=False, default=False)
    """The message was parked and its patience is over: parking it again quarantines it."""
    published: list[Published] = field(init=False, default_factory=list)
    effects: list[tuple[Effect, Received]] = field(init=False, default_factory=list)
    deadlines: dict[tuple[str, str], tuple[Deadline, Received]] = field(
        init=False, default_factory=dict
    )
    parked: list[Parked] = field(init=False, default_factory=list)
    ignored: list[tuple[str, str]] = field(init=False, default_factory=list)

    async def keys(
        self, connection: AnyConnection, messages: Sequence[Received]
    ) -> list[tuple[str, ...]]:
        """For each message the keys to lock and load under: its order id, its return id, …

        At most one query, whatever the number of messages.
        """
        raise NotImplementedError

    async def load(
        self, connection: AnyConnection, keys: Sequence[str], messages: Sequence[Received]
    ) -> None:
        """Load every aggregate of these locked keys. A constant number of queries (≤ 3)."""
        raise NotImplementedError

    async def save(self, connection: AnyConnection) -> None:
        """Write every changed aggregate set-wise. A constant number of statements (≤ 2)."""
        raise NotImplementedError

    def publish(self, body: Message, *, key: str) -> None:
        """Put a message into the outbox, caused by the message being handled."""
        self.published.append(Published(body=body, key=key, cause=self.message))

    def effect(self, effect: Effect) -> None:
        self.effects.append((effect, self.message))

    def deadline(self, deadline: Deadline) -> None:
        self.deadlines[(deadline.name, deadline.subject)] = (deadline, self.message)

    def record(self, decision: Decision[Any], *, key: str) -> None:
        """Everything a decision asks for, but its state, which goes into an identity map."""
        for event in decision.events:
            self.publish(event, key=key)
        for effect in decision.effects:
            self.effect(effect)
        for deadline in decision.deadlines:
            self.deadline(deadline)
        if decision.ignored is not None:
            self.ignore(decision.ignored)

    def park(self, *, keys: Sequence[str], until: datetime, reason: str) -> None:
        """Keep the message until something happens under one of `keys`, at most until `until`."""
        self.parked.append(
            Parked(message=self.message, keys=tuple(keys), until=until, reason=reason)
        )


    def ignore(self, reason: str) -> None:
        """Count a message that changes nothing, by reason."""
        self.ignored.append((type(self.message.body).__name__, reason))


@dataclass(frozen=True, kw_only=True, slots=True)
class Parked:
    message: Received
    keys: tuple[str, ...]
    until: datetime
    reason: str
