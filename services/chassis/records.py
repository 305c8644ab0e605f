"""Records of the broker and rows of the store, read as messages. Nothing here can raise."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from contracts import envelope
from contracts.base import IDENTIFIER_LENGTH_MAX, Message
from contracts.envelope import Envelope, Unreadable
from contracts.quarantine import RecordQuarantined
from services.chassis import ids
from services.chassis.work import Received

REASON_LENGTH_MAX = 2000
QUARANTINE = "quarantine"
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A record as the broker delivered it. `topic` is without the prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarantined:
    """A row for the quarantine: the record as it came, and why it cannot succeed."""

    record: Record
    reason: str
    return_id: str | None = None
    order_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The right to handle a message: a row that only one transaction can insert or delete."""

    table: str
    key: tuple[str | int | UUID, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One message on its way through the pipeline."""

    received: Received
    event_id: UUID
    claim: Claim | None = None
    quarantined: Quarantined | None = None


def event_id(topic: str, id_: str) -> UUID:
    """The inbox's key. Scoped by topic: an id from outside cannot shadow one of ours."""
    return ids.digest(topic, id_)


def read(record: Record, service: str, now: datetime) -> Item:
    """The record's message, or a `RecordQuarantined` in its place."""
    try:
        found, body = envelope.parse(record.topic, record.headers, record.value or b"", now)
        if found.traceparent and not TRACEPARENT.fullmatch(found.traceparent):
            found = replace(found, traceparent=None)
        event = event_id(record.topic, found.id)
    except Unreadable as error:
        return set_aside(record, str(error), service, now)
    except Exception as error:  # whatever a hostile record brings about, its neighbours go on
        return set_aside(record, f"{type(error).__name__}: {error}", service, now)
    received = Received(
        body=body,
        envelope=found,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key.decode(errors="replace") if record.key is not None else None,
        headers=record.headers,
        value=record.value or b"",
    )
    return Item(received=received, event_id=event, claim=Claim(table="inbox", key=(event,)))


def set_aside(record: Record, reason: str, service: str, now: datetime) -> Item:
    """An unreadable record as an item of its own, deduplicated by its place and its bytes."""
    return_id, order_id = named(record.value)
    row = Quarantined(
        record=record, reason=printable(reason), return_id=return_id, order_id=order_id
    )
    place = f"{record.topic}:{record.partition}:{record.offset}"
    id_ = ids.derived(service, QUARANTINE, place, ids.fingerprint(record.value or b""))
    event = event_id(QUARANTINE, id_)
    return Item(
        received=_announcement(row, id_, _id_header(record.headers) or id_, service, now),
        event_id=event,
        claim=Claim(table="inbox", key=(event,)),
        quarantined=row,
    )


def unreadable(payload: str, topic: str, reason: str, service: str, now: datetime) -> Item:
    """A stored message that this version cannot read, as an item that says so."""
    record = Record(
        topic=topic, partition=0, offset=0, key=None, headers=(), value=payload.encode()
    )
    return set_aside(record, reason, service, now)


def condemn(item: Item, reason: str, service: str, now: datetime) -> Item:
    """A readable message that failed, as an item that says so; it keeps the claim."""
    received = item.received
    body = received.body
    row = Quarantined(
        record=raw(received),
        reason=printable(reason),
        return_id=getattr(body, "return_id", None),
        order_id=getattr(body, "order_id", None),
    )
    id_ = ids.derived(service, QUARANTINE, received.topic, received.envelope.id)
    return Item(
        received=_announcement(row, id_, received.causation_id, service, now),
        event_id=item.event_id,
        claim=item.claim,
        quarantined=row,
    )


def raw(received: Received) -> Record:
    """The record that a message came from; a message to self is written as one."""
    if received.value:
        value, headers = received.value, received.headers
    else:
        texts, value = envelope.to_record(received.body, received.envelope)
        headers = tuple((name, text.encode()) for name, text in texts.items())
    return Record(
        topic=received.topic,
        partition=received.partition,
        offset=received.offset,
        key=received.key.encode() if received.key is not None else None,
        headers=headers,
        value=value,
    )


def to_self(
    body: Message, *, topic: str, id_: str, service: str, now: datetime, cause: Cause
) -> Received:
    """A message to self. `id_` is unique, so that what it publishes has ids of its own."""
    return Received(
        body=body,
        topic=topic,
        envelope=Envelope(
            id=id_,
            source=f"/services/{service}",
            time=now,
            correlation_id=cause.correlation_id,
            causation_id=cause.id,
            traceparent=cause.traceparent,
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """What a stored intent remembers of the message that it goes back to."""

    id: str
    correlation_id: str | None = None
    traceparent: str | None = None

    @classmethod
    def of(cls, received: Received) -> Cause:
        return cls(
            id=received.causation_id,
            correlation_id=received.envelope.correlation_id,
            traceparent=received.envelope.traceparent,
        )

    def to_json(self) -> str:
        return json.dumps([self.id, self.correlation_id, self.traceparent])

    @classmethod
    def from_json(cls, text: str) -> Cause:
        id_, correlation_id, traceparent = json.loads(text)
        return cls(id=id_, correlation_id=correlation_id, traceparent=traceparent)


def named(value: bytes | None) -> tuple[str | None, str | None]:
    """The return and the order that a body names, where it can be read at all."""
    if not value or len(value) > envelope.RECORD_BYTES_MAX:
        return None, None
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        return None, None
    if isinstance(body, dict) and isinstance(body.get("data"), dict):
        body = body["data"]
    if not isinstance(body, dict):
        return None, None
    return _uuid(body.get("return_id")), _identifier(body.get("order_id"))


def printable(text: str) -> str:
    """Text that any column and any log accepts."""
    clean = text.replace("\x00", "").encode(errors="replace").decode()
    return clean[:REASON_LENGTH_MAX] or "no reason was given"


def _announcement(
    row: Quarantined, id_: str, causation_id: str, service: str, now: datetime
) -> Received:
    body = RecordQuarantined(
        service=service,
        topic=row.record.topic,
        partition=row.record.partition,
        offset=row.record.offset,
        return_id=row.return_id,
        order_id=row.order_id,
        reason=row.reason,
    )
    cause = Cause(id=causation_id, correlation_id=row.return_id or row.order_id)
    return to_self(body, topic=QUARANTINE, id_=id_, service=service, now=now, cause=cause)


def _id_header(headers: Sequence[tuple[str, bytes]]) -> str | None:
    for name, value in headers:
        if name.lower() == "ce_id":
            return _identifier(value.decode(errors="replace"))
    return None


def _uuid(value: object) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _identifier(value: object) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= IDENTIFIER_LENGTH_MAX:
        return None
    return value if printable(value) == value else None
