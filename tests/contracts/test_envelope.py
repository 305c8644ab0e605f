"""Records become messages, or say in one sentence why not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base import Message
from contracts.envelope import (
    RECORD_BYTES_MAX,
    Envelope,
    Unreadable,
    message_type,
    parse,
    to_record,
)
from contracts.requests import ReturnRequest
from contracts.topics import BY_NAME, MESSAGES

NOW = datetime(2026, 3, 20, 10, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden"
REQUEST: dict[str, Any] = json.loads((GOLDEN / "ReturnRequest.json").read_text())
HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"id-1"),
    ("ce_source", b"/frontend"),
    ("ce_type", b"returns.ReturnRequest.v1"),
]


def read(value: bytes, headers: list[tuple[str, bytes]] = HEADERS, topic: str = "returns.requests"):  # type: ignore[no-untyped-def]
    return parse(topic, headers, value, NOW)


def body(**changes: Any) -> bytes:
    return json.dumps(REQUEST | changes).encode()


def test_what_is_written_is_read_back() -> None:
    message = ReturnRequest.model_validate(REQUEST)
    envelope = Envelope(
        id="id-1", source="/services/chat", time=NOW, subject=message.return_id,
        correlation_id=message.return_id, causation_id="id-0", traceparent="00-1-2-01",
    )  # fmt: skip
    headers, value = to_record(message, envelope)
    assert read(value, [(name, text.encode()) for name, text in headers.items()]) == (
        envelope,
        message,
    )


def test_a_foreign_cloudevents_library_reads_our_records() -> None:
    message = ReturnRequest.model_validate(REQUEST)
    headers, value = to_record(message, Envelope(id="id-1", source="/services/chat", time=NOW))
    event = from_binary_event(
        KafkaMessage({name: text.encode() for name, text in headers.items()}, b"key", value)
    )
    assert event.get_id() == "id-1"
    assert event.get_type() == message_type(ReturnRequest)
    assert event.get_data()["return_id"] == message.return_id


def test_a_bare_body_is_known_by_its_type_and_its_own_id() -> None:
    envelope, message = read(body(type="ReturnRequest"), [("other", b"\xff\xfe")])
    assert isinstance(message, ReturnRequest)
    assert envelope.id == REQUEST["return_id"]


@pytest.mark.parametrize(
    ("name", "topic", "expected"),
    [
        ("OrderSnapshot", "orders", "order-1001:1"),
        ("ParcelScanned", "warehouse.events", "event-id"),
        ("CancelReturn", "returns.requests", "CancelReturn:"),
        ("EvidenceAdded", "returns.requests", "EvidenceAdded:"),
        ("SettlementChosen", "returns.requests", "SettlementChosen:"),
        ("ReversalRequested", "returns.requests", "ReversalRequested:"),
    ],
)
def test_bare_messages_have_keys_of_their_own(name: str, topic: str, expected: str) -> None:
    kept = json.loads((GOLDEN / f"{name}.json").read_text())
    envelope, _ = read(json.dumps(kept | {"type": name}).encode(), [], topic)
    assert envelope.id.startswith(expected)


@pytest.mark.parametrize(
    "kind", ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"]
)
def test_structured_mode_is_read(kind: str) -> None:
    event = {
        "specversion": "1.0", "id": "id-9", "source": "/s", "type": "returns.ReturnRequest.v1",
        "correlationid": "c", "data": REQUEST,
    }  # fmt: skip
    envelope, message = read(json.dumps(event).encode(), [("content-type", kind.encode())])
    assert (envelope.id, envelope.correlation_id) == ("id-9", "c")
    assert isinstance(message, ReturnRequest)


def event(**changes: Any) -> bytes:
    attributes = {
        "specversion": "1.0", "id": "id-9", "source": "/s", "type": "returns.ReturnRequest.v1",
    }  # fmt: skip
    return json.dumps(attributes | {"data": REQUEST} | changes).encode()


STRUCTURED = ("content-type", b"Application/CloudEvents+JSON")


def test_structured_mode_counts_also_where_headers_repeat_the_attributes() -> None:
    envelope, message = read(event(), [*HEADERS, STRUCTURED])
    assert envelope.id == "id-9"
    assert isinstance(message, ReturnRequest)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (event(id="\ud800"), "ce_id"),
        (event(id="a\x00"), "ce_id"),
        (event(id="x" * 501), "ce_id"),
        (event(source=None), "ce_source"),
        (event(type="returns.ReturnRequest.v9"), "ce_type"),
        (event(data="{}"), "data"),
        (event(data=None), "data"),
    ],
)
def test_a_structured_event_that_is_none_names_the_attribute(value: bytes, field: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(value, [STRUCTURED])
    assert caught.value.field == field


def test_batches_are_not_understood() -> None:
    with pytest.raises(Unreadable, match="content-type"):
        read(b"[]", [("content-type", b"application/cloudevents-batch+json")])


def test_optional_attributes_that_nothing_can_store_are_left_out() -> None:
    junk = [("ce_subject", b"a\x00b"), ("ce_correlationid", b"\xff"), ("traceparent", b"0" * 999)]
    envelope, _ = read(body(), [*HEADERS, *junk, ("ce_time", b"9999-12-31T23:59:59-14:00")])
    assert (envelope.subject, envelope.correlation_id, envelope.traceparent) == (None, None, None)
    assert envelope.time == NOW


def test_of_a_header_that_comes_twice_the_last_one_counts() -> None:
    envelope, _ = read(body(), [("ce_id", b"first"), *HEADERS, ("ce_id", b"last")])
    assert envelope.id == "last"


@pytest.mark.parametrize("type_", [b"returns.ReturnRequest.v2", b"returns.Nothing.v1", b"x", b""])
def test_what_is_not_known_still_shows_the_return_it_names(type_: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read(body(), [*WITHOUT["ce_type"], ("ce_type", type_)])
    assert caught.value.body == REQUEST


def test_a_record_over_one_mebibyte_is_not_even_read() -> None:
    filled = body(padding="x" * RECORD_BYTES_MAX)
    for headers in (HEADERS, [], [STRUCTURED]):
        with pytest.raises(Unreadable, match="larger than") as caught:
            read(filled, headers)
        assert caught.value.body is None
    room = RECORD_BYTES_MAX - len(body(padding=""))
    assert isinstance(read(body(padding="x" * room))[1], ReturnRequest)


def test_numbers_no_store_could_hold_and_deep_nests_are_unreadable() -> None:
    raw = body(extra="HERE").decode()
    for junk in ("9" * 5000, "[" * 300 + "]" * 300, '{"a":' * 300 + "1" + "}" * 300, "\\ud83d"):
        for headers, value in (
            (HEADERS, raw.replace('"HERE"', junk)),
            ([STRUCTURED], event(data=json.loads(raw)).decode().replace('"HERE"', junk)),
        ):
            with pytest.raises(Unreadable):
                read(value.encode(), headers)


WITHOUT = {name: [pair for pair in HEADERS if pair[0] != name] for name, _ in HEADERS}
UNREADABLE = {
    "no id": (body(), WITHOUT["ce_id"], "ce_id"),
    "no source": (body(), WITHOUT["ce_source"], "ce_source"),
    "no type": (body(), WITHOUT["ce_type"], "ce_type"),
    "no version": (body(), WITHOUT["ce_specversion"], "ce_specversion"),
    "future version": (
        body(), [*WITHOUT["ce_type"], ("ce_type", b"returns.ReturnRequest.v2")], "ce_type",
    ),
    "foreign message": (
        b"{}", [*WITHOUT["ce_type"], ("ce_type", b"returns.OrderSnapshot.v1")], None,
    ),
    "binary id": (body(), [*WITHOUT["ce_id"], ("ce_id", b"\xff\xfe")], "ce_id"),
    "empty": (b"", HEADERS, None),
    "too large": (b" " * (RECORD_BYTES_MAX + 1), HEADERS, None),
    "no JSON": (b"{", HEADERS, None),
    "a list": (b"[]", [], None),
    "no type, bare": (body(), [], "type"),
    "nested": (b"[" * 100_000, [], None),
    "NUL": (body(order_id="a\x00b"), HEADERS, "order_id"),
    "surrogate": (body().replace(b"order-1001", b"\\ud800"), HEADERS, None),
    "quantity": (body(lines=[REQUEST["lines"][0] | {"quantity": 0}]), HEADERS, "lines.0.quantity"),
    "float": (body(requested_amount=1.5), HEADERS, "requested_amount"),
    "201 lines": (body(lines=REQUEST["lines"] * 201), HEADERS, "lines"),
    "no order, no claim": (body(order_id=None, claim=None), HEADERS, None),
    "no offset": (body(requested_at="2026-03-20T10:00:00"), HEADERS, "requested_at"),
    "a number for a time": (body(requested_at=5), HEADERS, "requested_at"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREADABLE, ids=str)
def test_what_cannot_be_read_names_its_reason(case: str) -> None:
    value, headers, field = UNREADABLE[case]
    with pytest.raises(Unreadable) as caught:
        read(value, headers)
    assert caught.value.reason
    if field is not None:
        assert caught.value.field == field


def test_bare_records_are_for_topics_that_outsiders_write() -> None:
    with pytest.raises(Unreadable, match="needs CloudEvents headers"):
        read(b'{"type": "RefundSettled"}', [], "payment.events")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(MESSAGES)),
    field=st.integers(0, 30),
    junk=JSON,
    extra=st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=40)), max_size=3),
)
def test_any_field_may_be_anything_and_still_it_is_a_message_or_unreadable(
    name: str, field: int, junk: Any, extra: list[tuple[str, bytes]]
) -> None:
    kept = json.loads((GOLDEN / f"{name}.json").read_text())
    fields = sorted(kept)
    kept[fields[field % len(fields)]] = junk
    topic = next(t for t, table in BY_NAME.items() if MESSAGES[name] in table.messages)
    headers = [*WITHOUT["ce_type"], ("ce_type", message_type(MESSAGES[name]).encode()), *extra]
    try:
        _, message = parse(topic, headers, json.dumps(kept).encode(), NOW)
    except Unreadable:
        return
    assert isinstance(message, Message)


@settings(max_examples=300, deadline=None)
@given(value=st.binary(max_size=300), topic=st.sampled_from(sorted(BY_NAME)))
def test_any_bytes_are_a_message_or_unreadable(value: bytes, topic: str) -> None:
    for headers in ([], HEADERS, [("content-type", b"application/cloudevents+json")]):
        try:
            parse(topic, headers, value, NOW)
        except Unreadable:
            continue
