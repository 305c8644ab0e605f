"""One batch in one transaction: a number of SQL round trips that does not depend on its size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.chassis import claims, parking, records, telemetry
from services.chassis.journal import Journal
from services.chassis.parking import Waiting
from services.chassis.records import Item
from services.chassis.registry import Registry
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.work import AnyConnection, Parked, Received, UnitOfWork

# The order is the consistency boundary. Locks are taken in the order of the sorted keys, so that
# two transactions do not wait for each other, and they cover rows that do not exist yet.
LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest($1::text[]) AS locked (key)
"""


PARKED_HOPS_MAX = 4
"""How long a chain of messages that wait for each other one batch takes up at once."""


@dataclass(kw_only=True)
class Batch:
    """`items` in their order, and what is parked under their keys (or under `keys`)."""

    service: Service[Any]
    settings: Settings
    registry: Registry
    now: datetime
    items: Sequence[Item]
    keys: Sequence[str] = ()
    deaf: bool = False
    """Write the quarantine's rows without telling the service."""
    handling: Item | None = field(init=False, default=None)
    """Whose handler is running: who is to blame when it raises."""
    handled: list[Item] = field(init=False, default_factory=list)
    duplicates: list[Item] = field(init=False, default_factory=list)
    work: UnitOfWork = field(init=False)
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.work = self.service.work(self.now)
        self.journal = Journal(service=self.service.name, settings=self.settings)
        self._waiting: dict[UUID, Waiting] = {}
        self._keys_of: dict[UUID, tuple[str, ...]] = {}
        self._tried_at: dict[UUID, int] = {}
        self._news: dict[str, int] = {}

    async def run(self, connection: AnyConnection) -> None:
        """Everything between BEGIN and COMMIT."""
        admitted = await self._admit(connection)
        if self.deaf:
            await self.journal.write(connection, self.work)
        if self.deaf or not (admitted or self.keys):
            return
        locked = await self._lock(connection, admitted)
        messages = [item.received for item in admitted]
        messages += [each.item.received for each in self._waiting.values()]
        await self.work.load(connection, locked, messages)
        for item in admitted:
            self._handle(item, self._keys_of[item.event_id])
        self._take_up()
        self._lose_patience()
        self._settle()
        await self.work.save(connection)
        await self.journal.write(connection, self.work)

    async def _admit(self, connection: AnyConnection) -> list[Item]:
        admitted = await claims.admit(connection, self.items, self.now)
        if len(admitted) < len(self.items):
            known = {id(item) for item in admitted}
            self.duplicates = [item for item in self.items if id(item) not in known]
        for item in admitted:
            if item.quarantined is not None:
                self.journal.quarantined.append(item.quarantined)
            if item.claim is not None and item.claim.table == parking.PARKED:
                self.journal.taken_up.append(item.event_id)
        return admitted

    async def _lock(self, connection: AnyConnection, admitted: Sequence[Item]) -> list[str]:
        """Lock the keys of the batch, then those of what is parked under them. All of them."""
        found = await self.work.keys(connection, [item.received for item in admitted])
        self._keys_of = {item.event_id: keys for item, keys in zip(admitted, found, strict=True)}
        keys = sorted({key for each in found for key in each}.union(self.keys))
        if not keys:
            return []
        await connection.execute(LOCK, keys)
        locked, fresh = set(keys), keys
        own = {item.event_id for item in admitted}
        for _ in range(PARKED_HOPS_MAX):
            # Read after the lock: whoever parked under these keys has committed by now.
            rows = await connection.fetch(parking.UNDER_KEYS, fresh, parking.WAITING_MAX)
            await self._add_waiting(connection, rows, own)
            # What waits for one that waits: an event for its return, the return for its order.
            fresh = sorted({k for each in self._waiting.values() for k in each.keys} - locked)
            if not fresh:
                break
            # Out of order, so a deadlock is possible; the store ends it and the batch is retried.
            await connection.execute(LOCK, fresh)
            locked.update(fresh)
        return sorted(locked)

    async def _add_waiting(
        self, connection: AnyConnection, rows: Sequence[Any], own: set[UUID]
    ) -> None:
        found: list[Waiting] = []
        for row in rows:
            if row["event_id"] in own or row["event_id"] in self._waiting:
                continue
            try:
                found.append(parking.waiting(row, self.registry))
            except Exception as error:  # of an older version; its patience ends it
                telemetry.log.error("parked_unreadable", exc_info=error)
        if not found:
            return
        # What it names may have other keys by now: its return may be of another order.
        now = await self.work.keys(connection, [each.item.received for each in found])
        for each, keys in zip(found, now, strict=True):
            known = replace(each, keys=tuple(dict.fromkeys((*each.keys, *keys))))
            self._waiting[each.item.event_id] = known

    def _handle(self, item: Item, keys: tuple[str, ...], *, last_chance: bool = False) -> bool:
        """Run the handler; False when the message asked to be parked."""
        self.handling = item
        asked = self._run(item.received, last_chance=last_chance)
        self.handling = None
        if not asked:
            self.handled.append(item)
            stamp = len(self.handled)
            self._news.update((key, stamp) for key in keys)
            self._drop(item)
            return True
        if last_chance:
            self._condemn(item, asked[0])
            return True
        self._wait(item, keys, asked)
        return False

    def _run(self, received: Received, *, last_chance: bool) -> list[Parked]:
        handler = self.service.handlers.get(type(received.body))
        if handler is None:
            return []
        work = self.work
        with telemetry.span(received) as traced:
            work.message, work.last_chance = traced, last_chance
            handler(work, received.body)
        asked, work.parked = work.parked, []
        return asked

    def _wait(self, item: Item, keys: tuple[str, ...], asked: Iterable[Parked]) -> None:
        requests = list(asked)
        known = self._waiting.get(item.event_id)
        keys = tuple(dict.fromkeys([*keys, *(key for each in requests for key in each.keys)]))
        keys = keys or (str(item.event_id),)
        self._tried_at[item.event_id] = len(self.handled)
        if known is not None:
            self._waiting[item.event_id] = replace(known, keys=keys, reason=requests[0].reason)
            return
        patience = min(each.until for each in requests) - self.now
        self._waiting[item.event_id] = Waiting(
            item=item,
            keys=keys,
            until=self.now + self.settings.scaled(patience),
            reason=requests[0].reason,
            stored=False,
        )

    def _take_up(self) -> None:
        """Try what waits again as long as something happened under its keys since its last try."""
        progress = True
        while progress:
            progress = False
            for event_id, each in tuple(self._waiting.items()):
                tried_at = self._tried_at.get(event_id, 0)
                if any(self._news.get(key, 0) > tried_at for key in each.keys):
                    progress |= self._handle(each.item, each.keys)

    def _lose_patience(self) -> None:
        """What has waited long enough is handled for the last time."""
        for event_id, each in tuple(self._waiting.items()):
            if event_id in self._waiting and each.until <= self.now:
                self._handle(each.item, each.keys, last_chance=True)
                self._take_up()

    def _condemn(self, item: Item, asked: Parked) -> None:
        reason = f"refers to something unknown: {asked.reason}"
        condemned = records.condemn(item, reason, self.service.name, self.now)
        assert condemned.quarantined is not None
        self.journal.quarantined.append(condemned.quarantined)
        self._drop(item)
        self._run(condemned.received, last_chance=True)

    def _drop(self, item: Item) -> None:
        known = self._waiting.pop(item.event_id, None)
        if known is not None and known.stored:
            self.journal.taken_up.append(item.event_id)

    def _settle(self) -> None:
        self.journal.waiting = [
            each
            for event_id, each in self._waiting.items()
            if not each.stored or event_id in self._tried_at
        ]
