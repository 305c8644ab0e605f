"""A service with one aggregate and every habit: it publishes, parks, waits, acts and fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from contracts.base import Message
from contracts.lifecycle import Party, ReturnStatusChanged, Status
from contracts.orders import OrderSnapshot
from contracts.quarantine import RecordQuarantined
from contracts.requests import CancelReturn, EvidenceAdded, ReturnRequest, SettlementChosen
from contracts.reviews import ReviewDecided
from services.chassis.decision import Deadline, Effect
from services.chassis.errors import Conflict, Transient
from services.chassis.service import Again, Service
from services.chassis.settings import Settings
from services.chassis.work import AnyConnection, IdentityMap, Received, UnitOfWork

VERSIONS = Path(__file__).with_name("toy_versions")
NAME = "commerce"
POISON = "poison"
PATIENT = "patient"
LOAD = "SELECT document FROM accounts WHERE order_id = ANY($1::text[]) ORDER BY order_id FOR UPDATE"
SAVE = """
INSERT INTO accounts (order_id, document) SELECT * FROM unnest($1::text[], $2::jsonb[])
ON CONFLICT (order_id) DO UPDATE SET document = EXCLUDED.document
"""


class Account(BaseModel):
    model_config = ConfigDict(frozen=True)

    order_id: str
    known: bool = False
    """Whether the order itself has come."""
    requests: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    quarantined: int = 0


class Reminder(Message):
    order_id: str
    return_id: str


class Errand(Message):
    order_id: str
    return_id: str
    text: str


class ErrandDone(Message):
    order_id: str
    return_id: str
    text: str


@dataclass(kw_only=True)
class Work(UnitOfWork):
    accounts: IdentityMap[Account] = field(
        default_factory=lambda: IdentityMap(lambda account: account.order_id)
    )

    async def keys(
        self, connection: AnyConnection, messages: Sequence[Received]
    ) -> list[tuple[str, ...]]:
        return [keys_of(message.body) for message in messages]

    async def load(
        self, connection: AnyConnection, keys: Sequence[str], messages: Sequence[Received]
    ) -> None:
        rows = await connection.fetch(LOAD, keys)
        self.accounts.load([Account.model_validate_json(row["document"]) for row in rows])

    async def save(self, connection: AnyConnection) -> None:
        changed = self.accounts.changed()
        if changed:
            await connection.execute(
                SAVE,
                [each.order_id for each in changed],
                [each.model_dump_json() for each in changed],
            )

    def account(self, order_id: str) -> Account:
        return self.accounts.get(order_id) or Account(order_id=order_id)


def order_of(body: Any) -> str:
    return str(getattr(body, "order_id", None) or getattr(body, "return_id", None) or "none")


def keys_of(body: Any) -> tuple[str, ...]:
    if isinstance(body, SettlementChosen):
        return (body.return_id,)
    if isinstance(body, ReturnRequest):
        return (order_of(body), body.return_id)
    return (order_of(body),)


def status(return_id: str, order_id: str, number: int, text: str, at: datetime) -> Message:
    return ReturnStatusChanged(
        return_id=return_id,
        order_id=order_id,
        number=number,
        status=Status.REQUESTED,
        waiting_on=Party.COMMERCE,
        explanation=text,
        changed_at=at,
    )


def on_request(work: Work, message: ReturnRequest) -> None:
    if message.locale == POISON:
        raise ValueError("this one never works")
    order_id = message.order_id or "none"
    current = work.account(order_id)
    if message.locale == PATIENT and not current.known:
        work.park(keys=(order_id,), until=work.now + timedelta(seconds=10), reason="its order")
        return
    current = current.model_copy(update={"requests": (*current.requests, message.return_id)})
    work.accounts.put(current)
    number = len(current.requests)
    work.publish(
        status(message.return_id, order_id, number, message.locale, work.now), key=order_id
    )


def on_order(work: Work, message: OrderSnapshot) -> None:
    work.accounts.put(work.account(message.order_id).model_copy(update={"known": True}))


def on_review(work: Work, message: ReviewDecided) -> None:
    """Needs its order; waits for it for ten seconds."""
    order_id = message.order_id or "none"
    current = work.account(order_id)
    if not current.known:
        work.park(
            keys=(order_id,), until=work.now + timedelta(seconds=10), reason=f"order {order_id}"
        )
        return
    outcomes = (*current.outcomes, f"reviewed:{message.reason}")
    work.accounts.put(current.model_copy(update={"outcomes": outcomes}))


def on_settlement(work: Work, message: SettlementChosen) -> None:
    """Knows only its return, and waits for that."""
    current = work.accounts.get(message.order_id)
    if current is None or message.return_id not in current.requests:
        until = work.now + timedelta(seconds=10)
        work.park(keys=(message.return_id,), until=until, reason="its return")
        return
    outcomes = (*current.outcomes, f"chosen:{message.method}")
    work.accounts.put(current.model_copy(update={"outcomes": outcomes}))


def on_cancel(work: Work, message: CancelReturn) -> None:
    """Sets a deadline in an hour, or takes it back."""
    order_id = message.order_id or "none"
    reminder = Reminder(order_id=order_id, return_id=message.return_id)
    if message.reason == "never mind":
        work.deadline(Deadline(name="remind", subject=message.return_id))
    else:
        at = work.now + timedelta(hours=1)
        work.deadline(Deadline(name="remind", subject=message.return_id, at=at, message=reminder))


def on_reminder(work: Work, message: Reminder) -> None:
    current = work.account(message.order_id)
    work.accounts.put(current.model_copy(update={"outcomes": (*current.outcomes, "reminded")}))
    work.publish(
        status(message.return_id, message.order_id, 1, "reminded", work.now), key=message.order_id
    )


def on_evidence(work: Work, message: EvidenceAdded) -> None:
    order_id = message.order_id or "none"
    for evidence in message.evidence:
        errand = Errand(order_id=order_id, return_id=message.return_id, text=evidence.text or "")
        work.effect(Effect(id=f"errand:{evidence.evidence_id}", payload=errand))


def on_errand_done(work: Work, message: ErrandDone) -> None:
    if message.text == POISON:
        raise ValueError("an outcome that never works")
    current = work.account(message.order_id)
    outcomes = (*current.outcomes, f"done:{message.text}")
    work.accounts.put(current.model_copy(update={"outcomes": outcomes}))
    work.publish(
        status(message.return_id, message.order_id, len(outcomes), message.text, work.now),
        key=message.order_id,
    )


def on_quarantined(work: Work, message: RecordQuarantined) -> None:
    if message.order_id is None:
        return
    current = work.account(message.order_id)
    work.accounts.put(current.model_copy(update={"quarantined": current.quarantined + 1}))


@dataclass
class World:
    """What the toy's errands meet outside: a book that remembers each of them."""

    book: list[str] = field(default_factory=list)
    refusals: dict[str, int] = field(default_factory=dict)
    postponed: dict[str, datetime] = field(default_factory=dict)
    conflicts: int = 0

    def write(self, text: str) -> None:
        self.book.append(text)

    async def run(self, errand: Errand) -> Message | Again:
        await asyncio.sleep(0)
        if self.refusals.get(errand.text, 0) > 0:
            self.refusals[errand.text] -= 1
            raise Transient("the world is unwell")
        if errand.text in self.postponed:
            return Again(at=self.postponed.pop(errand.text), reason="not yet")
        self.write(errand.text)
        return ErrandDone(order_id=errand.order_id, return_id=errand.return_id, text=errand.text)


@dataclass
class LastingWorld(World):
    """Its book is a file, so that it outlives the process; a second entry is recognised."""

    path: Path = Path()

    def write(self, text: str) -> None:
        with self.path.open("a") as book:
            book.write(f"{text}\n")


def builder(world: World | None = None) -> Any:
    outside = world or World()

    def on_conflicting_request(work: Work, message: ReturnRequest) -> None:
        if outside.conflicts > 0:
            outside.conflicts -= 1
            raise Conflict("somebody was faster")
        on_request(work, message)

    def build(settings: Settings, pool: Any) -> Service[Work]:
        return Service(
            name=NAME,
            work=lambda now: Work(now=now),
            handlers={
                ReturnRequest: on_conflicting_request,
                OrderSnapshot: on_order,
                ReviewDecided: on_review,
                SettlementChosen: on_settlement,
                CancelReturn: on_cancel,
                Reminder: on_reminder,
                EvidenceAdded: on_evidence,
                ErrandDone: on_errand_done,
                RecordQuarantined: on_quarantined,
            },
            executors={Errand: outside.run},
        )

    return build


if __name__ == "__main__":
    from services.chassis import runtime

    runtime.run(NAME, builder(LastingWorld(path=Path(os.environ["TOY_BOOK"]))))
