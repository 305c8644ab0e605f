"""Records that can never succeed: kept with their bytes, listed, and driven again on request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from contracts.envelope import TYPE_PREFIX, VERSION_SUFFIX
from services.chassis import ids, records
from services.chassis.records import Cause, Claim, Item, Quarantined, Record, printable
from services.chassis.registry import Registry
from services.chassis.work import TO_SELF, AnyConnection

REDRIVE_MAX = 50

INSERT = """
INSERT INTO quarantine (service, topic, partition, "offset", key, headers, value, reason,
                        return_id, order_id, at)
SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bytea[],
                     $6::jsonb[], $7::bytea[], $8::text[], $9::text[], $10::text[],
                     $11::timestamptz[])
"""
LIST = """
SELECT id, service, topic, partition, "offset", key, headers, value, mended, reason, return_id,
       order_id, at, redrive_requested_at, redriven_at
FROM quarantine ORDER BY id
"""
SHOW = LIST.replace("ORDER BY id", "WHERE id = $1")
# The running service takes it up: only it knows the handlers, and only it may write its store.
# `value` stays as it came: what a person mended stands beside it.
REQUEST_REDRIVE = """
UPDATE quarantine SET redrive_requested_at = $2, mended = coalesce($3, mended)
WHERE id = $1 AND redriven_at IS NULL RETURNING id
"""
REQUESTED = """
SELECT id, topic, partition, "offset", key, headers, coalesce(mended, value) AS value
FROM quarantine
WHERE redrive_requested_at IS NOT NULL ORDER BY id LIMIT $1
"""
REFUSED = "UPDATE quarantine SET redrive_requested_at = NULL, reason = $2 WHERE id = $1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A quarantined record as an operator sees it.

    `record` is as it came; `mended` holds the bytes that were driven again in place of its value.
    """

    id: int
    service: str
    record: Record
    mended: bytes | None
    reason: str
    return_id: str | None
    order_id: str | None
    at: datetime
    redrive_requested_at: datetime | None
    redriven_at: datetime | None


async def entries(connection: AnyConnection) -> list[Entry]:
    """Everything that was ever set aside, oldest first."""
    return [_entry(row) for row in await connection.fetch(LIST)]


async def entry(connection: AnyConnection, id_: int) -> Entry | None:
    row = await connection.fetchrow(SHOW, id_)
    return _entry(row) if row else None


async def request_redrive(
    connection: AnyConnection, id_: int, *, now: datetime, value: bytes | None = None
) -> bool:
    """Ask the running service to handle the record again, with mended bytes if given.

    Without any, those that were given before are taken, else the record's own.
    False where there is no such record, or it was driven again already.
    """
    return await connection.fetchval(REQUEST_REDRIVE, id_, now, value) is not None


def columns(rows: Sequence[Quarantined], service: str, now: datetime) -> Sequence[list[Any]]:
    """The rows as the arrays of INSERT."""
    return (
        [service for _ in rows],
        [row.record.topic for row in rows],
        [row.record.partition for row in rows],
        [row.record.offset for row in rows],
        [row.record.key for row in rows],
        [
            json.dumps([[printable(name), value.hex()] for name, value in row.record.headers])
            for row in rows
        ],
        [row.record.value for row in rows],
        [row.reason for row in rows],
        [row.return_id for row in rows],
        [row.order_id for row in rows],
        [now for _ in rows],
    )


def record(row: Any) -> Record:
    """The record that a row holds: as it came, or as REQUESTED wants it handled."""
    headers = json.loads(row["headers"])
    return Record(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        key=row["key"],
        headers=tuple((name, bytes.fromhex(value)) for name, value in headers),
        value=row["value"],
    )


def item(row: Any, registry: Registry, service: str, now: datetime) -> Item:
    """The record on its way again; `quarantined` where it still cannot be read."""
    found = record(row)
    claim = Claim(table="quarantine", key=(row["id"],))
    if found.topic not in TO_SELF:
        return replace(records.read(found, service, now), claim=claim)
    headers = {name: value.decode(errors="replace") for name, value in found.headers}
    name = headers["ce_type"].removeprefix(TYPE_PREFIX).removesuffix(VERSION_SUFFIX)
    cause = Cause(id=headers.get("ce_causationid", headers["ce_id"]))
    received = records.to_self(
        registry[name].model_validate_json(found.value or b""),
        topic=found.topic,
        id_=ids.new(),
        service=service,
        now=now,
        cause=cause,
    )
    event_id = records.event_id(found.topic, received.envelope.id)
    return Item(received=received, event_id=event_id, claim=claim)


def _entry(row: Any) -> Entry:
    return Entry(
        id=row["id"],
        service=row["service"],
        record=record(row),
        mended=row["mended"],
        reason=row["reason"],
        return_id=row["return_id"],
        order_id=row["order_id"],
        at=row["at"],
        redrive_requested_at=row["redrive_requested_at"],
        redriven_at=row["redriven_at"],
    )
