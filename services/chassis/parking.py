"""Messages that refer to something not known yet: kept under keys, taken up under their locks."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.base import write
from contracts.envelope import Envelope
from services.chassis import records
from services.chassis.records import Claim, Item, Record
from services.chassis.registry import Registry
from services.chassis.work import Received

PARKED = "parked"
WAITING_MAX = 500
"""Parked messages that one batch takes up; the rest waits for the next one."""

# Under the locks of these keys nobody else parks or takes up a message that has one of them.
UNDER_KEYS = """
SELECT event_id, keys, until, reason, type, payload, origin FROM parked
WHERE keys && $1::text[] ORDER BY seq LIMIT $2
"""
IMPATIENT = """
SELECT event_id, keys, until, reason, type, payload, origin FROM parked
WHERE until <= $1 ORDER BY until LIMIT $2
"""
# Counted by the caller: a row that is gone was taken up under another key at the same time.
TAKE_UP = "DELETE FROM parked WHERE event_id = ANY($1::uuid[]) RETURNING event_id"
# Parked again, it keeps its place and its patience.
PARK = """
INSERT INTO parked (event_id, keys, until, reason, type, payload, origin, parked_at)
SELECT event_id, string_to_array(keys, chr(31)), until, reason, type, payload, origin, parked_at
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::jsonb[],
            $7::jsonb[], $8::timestamptz[])
    AS new (event_id, keys, until, reason, type, payload, origin, parked_at)
ON CONFLICT (event_id) DO UPDATE SET keys = EXCLUDED.keys, reason = EXCLUDED.reason,
    origin = EXCLUDED.origin
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A parked message: `keys` are what it needs locked, with those whose news it waits for."""

    item: Item
    keys: tuple[str, ...]
    until: datetime
    reason: str
    stored: bool


def columns(rows: Sequence[Waiting], now: datetime) -> Sequence[list[Any]]:
    """The rows as the arrays of PARK."""
    received = [each.item.received for each in rows]
    return (
        [each.item.event_id for each in rows],
        ["\x1f".join(each.keys) for each in rows],
        [each.until for each in rows],
        [each.reason for each in rows],
        [type(each.body).__name__ for each in received],
        [write(each.body).decode() for each in received],
        [_origin(each) for each in received],
        [now for _ in rows],
    )


def waiting(row: Any, registry: Registry) -> Waiting:
    """A row of the store. Raises Poison for a message that this version no longer knows."""
    origin = json.loads(row["origin"])
    found = origin["envelope"]
    received = Received(
        body=registry[row["type"]].model_validate_json(row["payload"]),
        envelope=Envelope(**{**found, "time": datetime.fromisoformat(found["time"])}),
        topic=origin["topic"],
        partition=origin["partition"],
        offset=origin["offset"],
        key=origin["key"],
        headers=tuple((name, base64.b64decode(value)) for name, value in origin["headers"]),
        value=base64.b64decode(origin["value"]),
        tries=origin["tries"] + 1,
    )
    event_id: UUID = row["event_id"]
    return Waiting(
        item=Item(received=received, event_id=event_id, claim=Claim(table=PARKED, key=(event_id,))),
        keys=tuple(row["keys"]),
        until=row["until"],
        reason=row["reason"],
        stored=True,
    )


def unreadable(row: Any, reason: str, service: str, now: datetime) -> Item:
    """A parked message that this version no longer knows, as an item that says so."""
    origin = json.loads(row["origin"])
    record = Record(
        topic=origin["topic"],
        partition=origin["partition"],
        offset=origin["offset"],
        key=None if origin["key"] is None else origin["key"].encode(),
        headers=tuple((name, base64.b64decode(value)) for name, value in origin["headers"]),
        value=base64.b64decode(origin["value"]) or row["payload"].encode(),
    )
    claim = Claim(table=PARKED, key=(row["event_id"],))
    item = records.set_aside(record, reason, service, now)
    return replace(item, event_id=row["event_id"], claim=claim)


def _origin(received: Received) -> str:
    envelope = received.envelope
    return json.dumps(
        {
            "envelope": {
                "id": envelope.id,
                "source": envelope.source,
                "time": envelope.time.isoformat(),
                "subject": envelope.subject,
                "correlation_id": envelope.correlation_id,
                "causation_id": envelope.causation_id,
                "traceparent": envelope.traceparent,
            },
            "topic": received.topic,
            "partition": received.partition,
            "offset": received.offset,
            "key": received.key,
            "headers": [
                [name, base64.b64encode(value).decode()] for name, value in received.headers
            ],
            "value": base64.b64encode(received.value).decode(),
            "tries": received.tries,
        }
    )
