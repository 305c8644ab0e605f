"""The outbox: what is to be published is stored in the transaction that decided it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts import topics
from contracts.base import Message
from contracts.envelope import Envelope, message_type, to_record
from services.chassis import ids
from services.chassis.errors import Poison
from services.chassis.work import AnyConnection, Published, Received


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxRow:
    id: str
    aggregatetype: str
    aggregateid: str
    type: str
    topic: str
    payload: bytes
    headers: str


# Rows of one order are written under that order's lock, so their seq follows their commit.
INSERT = """
INSERT INTO outbox (id, aggregatetype, aggregateid, type, topic, payload, headers)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[],
                     $7::jsonb[])
"""

# The broker counts headers too; this leaves them room below its usual limit of 1 MiB.
PAYLOAD_BYTES_MAX = 1_000_000


def row(body: Message, *, service: str, prefix: str, key: str, envelope: Envelope) -> OutboxRow:
    """Raises UnknownValue when the message cannot be written, LookupError for a foreign message,
    and Poison when no broker would take it.
    """
    headers, payload = to_record(body, envelope)
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise Poison(f"{type(body).__name__} would be {len(payload)} bytes long")
    return OutboxRow(
        id=envelope.id,
        aggregatetype="order",
        aggregateid=key,
        type=message_type(type(body)),
        topic=prefix + topics.topic_of(type(body), service).name,
        payload=payload,
        headers=json.dumps(headers),
    )


def envelope_for(
    body: Message, *, id_: str, service: str, now: datetime, cause: Received | None
) -> Envelope:
    """The envelope of a message that `service` publishes because of `cause`."""
    return_id: str | None = getattr(body, "return_id", None)
    order_id: str | None = getattr(body, "order_id", None)
    subject = return_id or order_id or getattr(body, "tracking_number", None)
    return Envelope(
        id=id_,
        source=f"/services/{service}",
        time=now,
        subject=subject,
        correlation_id=return_id or (cause.envelope.correlation_id if cause else None) or subject,
        causation_id=cause.causation_id if cause else None,
        traceparent=cause.envelope.traceparent if cause else None,
    )


def rows(
    published: Iterable[Published], *, service: str, prefix: str, now: datetime
) -> list[OutboxRow]:
    """Rows whose ids are derived from the cause, so that a replay publishes the same ids."""
    counters: dict[tuple[str, str, str], int] = {}
    made = []
    for item in published:
        cause = item.cause
        origin = (cause.topic, cause.envelope.id, type(item.body).__name__)
        count = counters[origin] = counters.get(origin, 0) + 1
        id_ = ids.derived(service, *origin, str(cause.tries), str(count))
        envelope = envelope_for(item.body, id_=id_, service=service, now=now, cause=item.cause)
        made.append(row(item.body, service=service, prefix=prefix, key=item.key, envelope=envelope))
    return made


def columns(made: Sequence[OutboxRow]) -> tuple[list[str] | list[bytes], ...]:
    """The rows as the arrays of INSERT."""
    return (
        [each.id for each in made],
        [each.aggregatetype for each in made],
        [each.aggregateid for each in made],
        [each.type for each in made],
        [each.topic for each in made],
        [each.payload for each in made],
        [each.headers for each in made],
    )


async def append(connection: AnyConnection, made: Sequence[OutboxRow]) -> None:
    """Store rows inside the caller's transaction."""
    if made:
        await connection.execute(INSERT, *columns(made))
