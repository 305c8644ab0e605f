"""What one transaction writes beside the aggregates: one statement for all of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from contracts.envelope import Envelope
from services.chassis import ids, outbox
from services.chassis.settings import Settings
from services.chassis.work import AnyConnection, Parked, Received, UnitOfWork

# One round trip for everything: each part is idempotent or has a key of its own, and all of it
# is in the caller's transaction. An effect is recorded once; a deadline set again moves; a
# parked message keeps its first patience.
RECORD = """
WITH outgoing AS (
    INSERT INTO outbox (id, aggregatetype, aggregateid, type, topic, payload, headers)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[],
                         $7::jsonb[])
), intents AS (
    INSERT INTO effects (id, kind, type, payload, cause, due_at)
    SELECT * FROM unnest($8::text[], $9::text[], $10::text[], $11::jsonb[], $12::jsonb[],
                         $13::timestamptz[])
    ON CONFLICT (id) DO NOTHING
), cancelled AS (
    DELETE FROM deadlines d USING unnest($14::text[], $15::text[]) AS c(name, subject)
    WHERE d.name = c.name AND d.subject = c.subject
), timers AS (
    INSERT INTO deadlines (name, subject, due_at, type, payload, cause, generation)
    SELECT * FROM unnest($16::text[], $17::text[], $18::timestamptz[], $19::text[], $20::jsonb[],
                         $21::jsonb[], $22::uuid[])
    ON CONFLICT (name, subject) DO UPDATE SET due_at = EXCLUDED.due_at, type = EXCLUDED.type,
        payload = EXCLUDED.payload, cause = EXCLUDED.cause, generation = EXCLUDED.generation
), taken_up AS (
    DELETE FROM parked WHERE event_id = ANY($23::text[])
), waiting AS (
    INSERT INTO parked (event_id, keys, until, reason, type, payload, origin)
    SELECT event_id, string_to_array(keys, chr(31)), until, reason, type, payload, origin
    FROM unnest($24::text[], $25::text[], $26::timestamptz[], $27::text[], $28::text[],
                $29::jsonb[], $30::jsonb[])
        AS p(event_id, keys, until, reason, type, payload, origin)
    ON CONFLICT (event_id) DO UPDATE SET keys = EXCLUDED.keys, reason = EXCLUDED.reason,
        origin = EXCLUDED.origin
)
INSERT INTO quarantine (service, topic, partition, "offset", key, headers, value, reason,
                        return_id, order_id)
SELECT * FROM unnest($31::text[], $32::text[], $33::integer[], $34::bigint[], $35::bytea[],
                     $36::jsonb[], $37::bytea[], $38::text[], $39::text[], $40::text[])
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarantined:
    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes
    reason: str
    return_id: str | None = None
    order_id: str | None = None


@dataclass(kw_only=True)
class Journal:
    """Collects, then writes. `taken_up` are ids of parked messages."""

    service: str
    settings: Settings
    taken_up: list[str] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)

    async def write(self, connection: AnyConnection, work: UnitOfWork) -> None:
        cancelled = [d for d, _ in work.deadlines.values() if d.message is None]
        timers = [
            (d, cause) for d, cause in work.deadlines.values() if d.message is not None and d.at
        ]
        made = outbox.rows(
            work.published, service=self.service, prefix=self.settings.topic_prefix, now=work.now
        )
        taken_up = set(self.taken_up) - {p.message.envelope.id for p in work.parked}
        await connection.execute(
            RECORD,
            *outbox.columns(made),
            [effect.id for effect, _ in work.effects],
            [effect.kind for effect, _ in work.effects],
            [type(effect.payload).__name__ for effect, _ in work.effects],
            [effect.payload.model_dump_json(exclude_none=True) for effect, _ in work.effects],
            [cause_of(cause) for _, cause in work.effects],
            [effect.not_before or work.now for effect, _ in work.effects],
            [deadline.name for deadline in cancelled],
            [deadline.subject for deadline in cancelled],
            [deadline.name for deadline, _ in timers],
            [deadline.subject for deadline, _ in timers],
            [self._due(deadline.at, work.now) for deadline, _ in timers],
            [type(deadline.message).__name__ for deadline, _ in timers],
            [
                deadline.message.model_dump_json(exclude_none=True)
                for deadline, _ in timers
                if deadline.message
            ],
            [cause_of(cause) for _, cause in timers],
            [ids.new_uuid() for _ in timers],
            sorted(taken_up),
            *self._parked_columns(work),
            *self._quarantine_columns(),
        )

    def _due(self, at: datetime | None, now: datetime) -> datetime:
        assert at is not None
        return now + self.settings.scaled(at - now)

    def _parked_columns(self, work: UnitOfWork) -> tuple[list[Any], ...]:
        parked = work.parked
        return (
            [each.message.envelope.id for each in parked],
            ["\x1f".join(each.keys) for each in parked],
            [self._patience(each, work.now) for each in parked],
            [each.reason for each in parked],
            [type(each.message.body).__name__ for each in parked],
            [each.message.body.model_dump_json(exclude_none=True) for each in parked],
            [origin_of(each.message) for each in parked],
        )

    def _patience(self, parked: Parked, now: datetime) -> datetime:
        wait: timedelta = parked.until - now
        return now + self.settings.scaled(wait)

    def _quarantine_columns(self) -> tuple[list[Any], ...]:
        rows = self.quarantined
        return (
            [self.service for _ in rows],
            [self._unprefixed(row.topic) for row in rows],
            [row.partition for row in rows],
            [row.offset for row in rows],
            [row.key for row in rows],
            [json.dumps([[n, v.decode("latin-1")] for n, v in row.headers]) for row in rows],
            [row.value for row in rows],
            [row.reason.replace("\x00", "\\0")[:2000] for row in rows],
            [row.return_id for row in rows],
            [row.order_id for row in rows],
        )

    def _unprefixed(self, topic: str) -> str:
        return topic.removeprefix(self.settings.topic_prefix)


def cause_of(received: Received) -> str:
    """What a later message to self must know of the message that started it, as JSON."""
    return json.dumps(
        {
            "id": received.origin_id,
            "correlation_id": received.envelope.correlation_id
            or getattr(received.body, "return_id", None),
            "traceparent": received.envelope.traceparent,
        }
    )


def caused(cause: str, *, id_: str, now: datetime, service: str) -> Envelope:
    """The envelope of a message to self, from what `cause_of` kept."""
    kept = json.loads(cause)
    return Envelope(
        id=id_,
        source=f"/services/{service}",
        time=now,
        correlation_id=kept["correlation_id"],
        causation_id=kept["id"],
        traceparent=kept["traceparent"],
    )


def origin_of(received: Received) -> str:
    """A parked message's envelope and place, as JSON."""
    envelope = received.envelope
    return json.dumps(
        {
            "id": envelope.id,
            "source": envelope.source,
            "time": envelope.time.isoformat(),
            "subject": envelope.subject,
            "correlation_id": envelope.correlation_id,
            "causation_id": envelope.causation_id,
            "traceparent": envelope.traceparent,
            "topic": received.topic,
            "partition": received.partition,
            "offset": received.offset,
            "key": received.key,
            "tries": received.tries + 1,
        }
    )
