"""CloudEvents 1.0 on Kafka: binary mode out; binary, structured and bare JSON with `type` in.

Header names and rules: CloudEvents Kafka Protocol Binding 1.0.2, sections 3.2 and 3.3.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from contracts import requests, warehouse
from contracts.base import Message, write
from contracts.orders import OrderSnapshot
from contracts.topics import BY_NAME, MESSAGES

SPEC_VERSION = "1.0"
TYPE_PREFIX = "returns."
VERSION_SUFFIX = ".v1"
CONTENT_TYPE = "application/json"
STRUCTURED_CONTENT_TYPE = "application/cloudevents+json"
CLOUDEVENT_MEDIA_TYPES = "application/cloudevents"
RECORD_BYTES_MAX = 1024 * 1024
ATTRIBUTE_LENGTH_MAX = 500


class Unreadable(ValueError):
    """A record is not a message. `reason` says why; `field` names what is to blame, if anything."""

    def __init__(
        self, reason: str, *, field: str | None = None, body: dict[str, Any] | None = None
    ) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field
        self.body = body
        """The readable body, where the bytes were JSON at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """What travels around a message. `id` is the deduplication key."""

    id: str
    source: str
    time: datetime
    subject: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None


def message_type(message: type[Message]) -> str:
    """``returns.<Message>.v1``"""
    return f"{TYPE_PREFIX}{message.__name__}{VERSION_SUFFIX}"


def to_record(message: Message, envelope: Envelope) -> tuple[dict[str, str], bytes]:
    """Headers and value of the Kafka record (binary mode)."""
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": envelope.id,
        "ce_source": envelope.source,
        "ce_type": message_type(type(message)),
        "ce_time": envelope.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "content-type": CONTENT_TYPE,
    }
    optional = {
        "ce_subject": envelope.subject,
        "ce_correlationid": envelope.correlation_id,
        "ce_causationid": envelope.causation_id,
        "traceparent": envelope.traceparent,
    }
    headers.update({name: value for name, value in optional.items() if value is not None})
    return headers, write(message)


def parse(
    topic: str, headers: Iterable[tuple[str, bytes | None]], value: bytes, received_at: datetime
) -> tuple[Envelope, Message]:
    """The envelope and the message of a Kafka record.

    Accepts binary mode, structured mode and, on topics that outside systems write, a bare body
    whose ``type`` is the message's name. Headers that are not UTF-8 are ignored, as are those of
    other tools. `received_at` stands in for a time that the record lacks. Raises Unreadable.
    """
    if len(value) > RECORD_BYTES_MAX:
        raise Unreadable(f"the record is larger than {RECORD_BYTES_MAX} bytes")
    if not value:
        raise Unreadable("the record has no value")
    readable = dict(_readable(headers))
    traceparent = readable.get("traceparent")
    media_type = readable.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith(CLOUDEVENT_MEDIA_TYPES):
        if media_type != STRUCTURED_CONTENT_TYPE:
            raise Unreadable(f"{media_type[:200]} is not understood", field="content-type")
        return _structured(topic, _json_object(value), traceparent, received_at)
    attributes = {name[3:]: text for name, text in readable.items() if name.startswith("ce_")}
    if attributes:
        envelope = _envelope(attributes, traceparent, received_at, value)
        return envelope, _message(topic, attributes["type"], value)
    return _bare(topic, _json_object(value), value, traceparent, received_at)


def _structured(
    topic: str, event: dict[str, Any], traceparent: str | None, received_at: datetime
) -> tuple[Envelope, Message]:
    """Attributes and message in one body; headers may repeat the attributes and are not asked."""
    if not isinstance(event.get("data"), dict):
        raise Unreadable("a structured CloudEvent needs its message here", field="data")
    value = json.dumps(event["data"]).encode()
    attributes = {name: text for name, text in event.items() if isinstance(text, str)}
    envelope = _envelope(attributes, attributes.get("traceparent", traceparent), received_at, value)
    return envelope, _message(topic, attributes["type"], value)


def _readable(headers: Iterable[tuple[str, bytes | None]]) -> Iterable[tuple[str, str]]:
    for name, value in headers:
        try:
            yield name.lower(), (value or b"").decode()
        except UnicodeDecodeError:
            continue


def _json_object(value: bytes) -> dict[str, Any]:
    try:
        body = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Unreadable("the value is not JSON") from error
    if not isinstance(body, dict):
        raise Unreadable("the value is not a JSON object")
    return body


def _envelope(
    attributes: dict[str, str], traceparent: str | None, received_at: datetime, value: bytes
) -> Envelope:
    for name in ("specversion", "id", "source", "type"):
        if not _usable(attributes.get(name)):
            raise Unreadable(
                f"a CloudEvent needs this attribute, of at most {ATTRIBUTE_LENGTH_MAX} characters",
                field=f"ce_{name}", body=_body_of(value),
            )  # fmt: skip
    if not attributes["specversion"].startswith("1."):
        raise Unreadable(
            "only CloudEvents 1.0 is understood", field="ce_specversion", body=_body_of(value)
        )
    return Envelope(
        id=attributes["id"],
        source=attributes["source"],
        time=_time(attributes.get("time"), received_at),
        subject=_usable(attributes.get("subject")),
        correlation_id=_usable(attributes.get("correlationid")),
        causation_id=_usable(attributes.get("causationid")),
        traceparent=_usable(traceparent),
    )


def _usable(text: str | None) -> str | None:
    """The attribute, if stores and logs can hold it: bounded, without U+0000, valid Unicode."""
    if not text or len(text) > ATTRIBUTE_LENGTH_MAX or "\x00" in text:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, out of a structured body
        return None
    return text


def _time(text: str | None, received_at: datetime) -> datetime:
    try:
        time = datetime.fromisoformat(text or "")
        return time.astimezone(UTC) if time.tzinfo else received_at
    except (ValueError, OverflowError):
        return received_at


def _message(topic: str, type_: str, value: bytes) -> Message:
    name = type_.removeprefix(TYPE_PREFIX).removesuffix(VERSION_SUFFIX)
    model = MESSAGES.get(name)
    if model is None or message_type(model) != type_:
        raise Unreadable(
            f"the type {type_[:200]!r} is not known", field="ce_type", body=_body_of(value)
        )
    return _validated(topic, model, value)


def _bare(
    topic: str, body: dict[str, Any], value: bytes, traceparent: str | None, received_at: datetime
) -> tuple[Envelope, Message]:
    if topic in BY_NAME and not BY_NAME[topic].open:
        raise Unreadable("a record on this topic needs CloudEvents headers", body=body)
    name = body.get("type")
    if not isinstance(name, str):
        raise Unreadable("a record without ce_ headers needs a type", field="type", body=body)
    model = MESSAGES.get(name)
    if model is None:
        raise Unreadable(f"the type {name[:200]!r} is not known", field="type", body=body)
    message = _validated(topic, model, value)
    envelope = Envelope(
        id=own_id(message),
        source="/unnamed",
        time=received_at,
        subject=_subject(message),
        traceparent=_usable(traceparent),
    )
    return envelope, message


def _subject(message: Message) -> str | None:
    for name in ("return_id", "order_id", "tracking_number"):
        if found := getattr(message, name, None):
            return str(found)
    return None


def own_id(message: Message) -> str:
    """The deduplication key of a message that came without an envelope."""
    match message:
        case requests.ReturnRequest():
            return message.return_id
        case OrderSnapshot():
            return f"{message.order_id}:{message.version}"
        case warehouse.WarehouseEvent():
            return message.event_id
        case requests.EvidenceAdded():
            return f"EvidenceAdded:{message.return_id}:{message.added_at.isoformat()}"
        case requests.SettlementChosen():
            return f"SettlementChosen:{message.return_id}:{message.consent_at.isoformat()}"
        case requests.CancelReturn() | requests.ReversalRequested():
            kind = type(message).__name__
            return f"{kind}:{message.return_id}:{message.requested_at.isoformat()}"
    raise Unreadable(f"{type(message).__name__} needs CloudEvents headers")


def _validated(topic: str, model: type[Message], value: bytes) -> Message:
    if topic in BY_NAME and model not in BY_NAME[topic].messages:
        raise Unreadable(f"{model.__name__} is no message of {topic}", body=_body_of(value))
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(step) for step in first["loc"]) or None
        raise Unreadable(first["msg"], field=field, body=_body_of(value)) from error


def _body_of(value: bytes) -> dict[str, Any] | None:
    try:
        return _json_object(value)
    except Unreadable:
        return None
