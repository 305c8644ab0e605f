"""What one transaction writes beside the aggregates, in one statement: the parts it needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from contracts.base import Message, write
from services.chassis import ids, outbox, parking, quarantine
from services.chassis.errors import Conflict
from services.chassis.records import Cause, Quarantined
from services.chassis.settings import Settings
from services.chassis.work import AnyConnection, UnitOfWork

# The same intent recorded twice is one intent.
INSERT_EFFECTS = """
INSERT INTO effects (id, type, payload, cause, due_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::timestamptz[])
ON CONFLICT (id) DO NOTHING
"""
# A new generation, so that a ticker that has read the old one finds nothing to delete.
SET_DEADLINES = """
INSERT INTO deadlines (name, subject, due_at, type, payload, cause, generation)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::jsonb[],
                     $6::jsonb[], $7::uuid[])
ON CONFLICT (name, subject) DO UPDATE SET due_at = EXCLUDED.due_at, type = EXCLUDED.type,
    payload = EXCLUDED.payload, cause = EXCLUDED.cause, generation = EXCLUDED.generation
"""
CANCEL_DEADLINES = """
DELETE FROM deadlines USING unnest($1::text[], $2::text[]) AS cancelled (name, subject)
WHERE deadlines.name = cancelled.name AND deadlines.subject = cancelled.subject
"""
PLACEHOLDER = re.compile(r"\$(\d+)")


@dataclass(kw_only=True)
class Journal:
    """Collects what follows from a batch, then writes it inside the batch's transaction."""

    service: str
    settings: Settings
    taken_up: list[UUID] = field(default_factory=list)
    """Parked messages that need not wait any longer."""
    waiting: list[parking.Waiting] = field(default_factory=list)
    """Messages to park, or to leave parked with other keys."""
    quarantined: list[Quarantined] = field(default_factory=list)

    async def write(self, connection: AnyConnection, work: UnitOfWork) -> None:
        """Raises Conflict when another transaction took up the same parked message."""
        parts = [part for part in self._parts(work) if part[1][0]]
        if not parts:
            return
        text, arguments = joined(parts)
        taken_up = await connection.fetchval(text, *arguments)
        if taken_up != len(self.taken_up):
            raise Conflict("a parked message was taken up elsewhere")

    def _parts(self, work: UnitOfWork) -> list[tuple[str, Sequence[Any]]]:
        now = work.now
        made = outbox.rows(
            work.published, service=self.service, prefix=self.settings.topic_prefix, now=now
        )
        return [
            (parking.TAKE_UP, [self.taken_up]),
            (outbox.INSERT, outbox.columns(made)),
            (INSERT_EFFECTS, self._effect_columns(work)),
            (SET_DEADLINES, self._deadline_columns(work)),
            (CANCEL_DEADLINES, _cancelled_columns(work)),
            (parking.PARK, parking.columns(self.waiting, now)),
            (quarantine.INSERT, quarantine.columns(self.quarantined, self.service, now)),
        ]

    def _effect_columns(self, work: UnitOfWork) -> Sequence[list[Any]]:
        rows = work.effects
        return (
            [effect.id for effect, _ in rows],
            [type(effect.payload).__name__ for effect, _ in rows],
            [_json(effect.payload) for effect, _ in rows],
            [Cause.of(cause).to_json() for _, cause in rows],
            [self._due(effect.not_before or work.now, work.now) for effect, _ in rows],
        )

    def _deadline_columns(self, work: UnitOfWork) -> Sequence[list[Any]]:
        rows = [
            (deadline, deadline.message, deadline.at, cause)
            for deadline, cause in work.deadlines.values()
            if deadline.message is not None and deadline.at is not None
        ]
        return (
            [deadline.name for deadline, *_ in rows],
            [deadline.subject for deadline, *_ in rows],
            [self._due(at, work.now) for _, _, at, _ in rows],
            [type(message).__name__ for _, message, _, _ in rows],
            [_json(message) for _, message, _, _ in rows],
            [Cause.of(cause).to_json() for *_, cause in rows],
            [ids.new_uuid() for _ in rows],
        )

    def _due(self, at: datetime, now: datetime) -> datetime:
        return now + self.settings.scaled(at - now)


def _cancelled_columns(work: UnitOfWork) -> Sequence[list[Any]]:
    gone = [deadline for deadline, _ in work.deadlines.values() if deadline.message is None]
    return ([each.name for each in gone], [each.subject for each in gone])


def joined(parts: Sequence[tuple[str, Sequence[Any]]]) -> tuple[str, list[Any]]:
    """Several statements as the parts of one; it returns how many parked rows were taken up.

    Only what a batch needs is sent, so a batch without messages to publish notifies nobody.
    """
    shape = tuple((text, len(columns)) for text, columns in parts)
    return _joined(shape), [column for _, columns in parts for column in columns]


@cache
def _joined(shape: tuple[tuple[str, int], ...]) -> str:
    """The statement for these (text, number of arguments); there are few combinations."""
    texts: list[str] = []
    counted, before = "0", 0
    for number, (text, count) in enumerate(shape):
        if text is parking.TAKE_UP:
            counted = f"(SELECT count(*) FROM part{number})"
        texts.append(f"part{number} AS ({_shifted(text, before)})")
        before += count
    return f"WITH {', '.join(texts)} SELECT {counted}::int"


def _shifted(text: str, by: int) -> str:
    return PLACEHOLDER.sub(lambda found: f"${int(found[1]) + by}", text)


def _json(message: Message) -> str:
    return write(message).decode()
