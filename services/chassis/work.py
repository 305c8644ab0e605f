"""The unit of work: everything that one batch reads, changes and promises, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from asyncpg import Connection
from asyncpg.pool import PoolConnectionProxy

from contracts.base import Message
from contracts.envelope import Envelope
from services.chassis.decision import Deadline, Decision, Effect

Aggregate = TypeVar("Aggregate")
AnyConnection: TypeAlias = "Connection[Any] | PoolConnectionProxy[Any]"

TO_SELF = frozenset({"deadline", "effect", "http", "quarantine"})
"""What stands for a topic in messages to self."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """A message as it arrived: from a topic, from a deadline, or from an effect."""

    body: Message
    envelope: Envelope
    topic: str
    """A topic, or one of TO_SELF."""
    partition: int = 0
    offset: int = 0
    key: str | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    value: bytes = b""
    tries: int = 0
    """How often it was parked and taken up again."""

    @property
    def causation_id(self) -> str:
        """The `ce_id` of the message from a topic that all this goes back to."""
        if self.topic in TO_SELF and self.envelope.causation_id is not None:
            return self.envelope.causation_id
        return self.envelope.id

    def because_of(self, causation_id: str | None) -> Received:
        """A message to self that is caused by an earlier message, as a webhook is."""
        if causation_id is None or self.topic not in TO_SELF:
            return self
        return replace(self, envelope=replace(self.envelope, causation_id=causation_id))


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Parked:
    message: Received
    keys: tuple[str, ...]
    until: datetime
    reason: str


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

    def publish(self, body: Message, *, key: str, causation_id: str | None = None) -> None:
        """Put a message into the outbox, caused by the message being handled.

        `causation_id`: for a message over HTTP, the `ce_id` of the message that started it all.
        """
        cause = self.message.because_of(causation_id)
        self.published.append(Published(body=body, key=key, cause=cause))

    def effect(self, effect: Effect, *, causation_id: str | None = None) -> None:
        self.effects.append((effect, self.message.because_of(causation_id)))

    def deadline(self, deadline: Deadline, *, causation_id: str | None = None) -> None:
        cause = self.message.because_of(causation_id)
        self.deadlines[(deadline.name, deadline.subject)] = (deadline, cause)

    def record(self, decision: Decision[Any], *, key: str, causation_id: str | None = None) -> None:
        """Everything a decision asks for, but its state, which goes into an identity map."""
        for event in decision.events:
            self.publish(event, key=key, causation_id=causation_id)
        for effect in decision.effects:
            self.effect(effect, causation_id=causation_id)
        for deadline in decision.deadlines:
            self.deadline(deadline, causation_id=causation_id)
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
