"""Whatever the bytes: a message or an error with a name, and never anything else."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import topics
from contracts.envelope import message_type
from contracts.quarantine import RecordQuarantined
from services.chassis import parking, quarantine, records
from services.chassis.records import Item, Record
from services.chassis.registry import Registry
from services.payment import webhooks
from services.payment.messages import WebhookReceived
from services.sandbox import forms
from services.sandbox.refusal import Refused
from tests.hostile.services import GOLDEN, is_ours

NOW = datetime(2026, 3, 20, 10, tzinfo=UTC)
MODERATE = settings(max_examples=150, deadline=None)
GOLDENS = {name: json.loads((GOLDEN / f"{name}.json").read_text()) for name in topics.MESSAGES}
LITERALS = (
    "NaN", "-Infinity", "1e999", "-0", "1E400", "9" * 400, "1.0", "true", "null", '""', '"\\ud800"',
    '"\\u0000"', '"a\\udc00b"', "[]", "{}", "[[[[]]]]", '{"":{"":{}}}', "-1", "1e-999", "0x10",
    '"2026-13-01T00:00:00Z"', '"0000-00-00T00:00:00Z"', '"9999-12-31T23:59:59-14:00"', "'", "\\",
    "\xff", "\ufeff", "18446744073709551616", '"__class__"', '"' + "a" * 20_001 + '"',
)  # fmt: skip
"""What stands in place of one value: some of it is no JSON at all."""
names = st.sampled_from(sorted(topics.MESSAGES))
headers = st.lists(
    st.tuples(
        st.sampled_from(
            ("ce_id", "CE_ID", "ce_type", "ce_source", "ce_specversion", "ce_time", "ce_subject",
             "ce_correlationid", "ce_causationid", "traceparent", "content-type", "", "x"),
        ) | st.text(max_size=8),
        st.binary(max_size=40)
        | st.sampled_from((b"1.0", b"application/cloudevents+json", b"\x00", b"a" * 600)),
    ),
    max_size=6,
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, ...]]:
    """The paths of all values inside a document."""
    steps: list[Any] = []
    if isinstance(value, dict):
        steps = list(value)
    elif isinstance(value, list):
        steps = list(range(len(value)))
    return [(), *((step, *rest) for step in steps for rest in places(value[step]))]


def with_literal(document: Any, place: tuple[Any, ...], literal: str) -> bytes:
    """The document with one value replaced by a text that need not be JSON."""
    if not place:
        return literal.encode(errors="surrogatepass")
    copied = json.loads(json.dumps(document))
    inner = copied
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = "@@HERE@@"
    return json.dumps(copied).replace('"@@HERE@@"', literal).encode(errors="surrogatepass")


def sound(item: Item) -> bool:
    """A message, or a row that every column takes, with a reason that blames the sender."""
    if item.quarantined is None:
        return True
    assert isinstance(item.received.body, RecordQuarantined)
    reason = item.quarantined.reason
    assert reason and not is_ours(reason), reason
    quarantine.columns([item.quarantined], "commerce", NOW)
    for text in (reason, item.quarantined.return_id, item.quarantined.order_id):
        assert text is None or (text.encode() and "\x00" not in text)
    return True


@MODERATE
@given(name=names, data=st.data(), extra=headers)
def test_a_record_with_one_value_replaced_is_a_message_or_set_aside(
    name: str, data: st.DataObject, extra: list[tuple[str, bytes]]
) -> None:
    place = data.draw(st.sampled_from(places(GOLDENS[name])))
    value = with_literal(GOLDENS[name], place, data.draw(st.sampled_from(LITERALS)))
    topic = next(t.name for t in topics.TOPICS if topics.MESSAGES[name] in t.messages)
    event = (
        ("ce_specversion", b"1.0"),
        ("ce_id", b"id-1"),
        ("ce_source", b"/s"),
        ("ce_type", message_type(topics.MESSAGES[name]).encode()),
    )
    record = Record(
        topic=topic, partition=0, offset=1, key=None, headers=(*event, *extra), value=value
    )
    assert sound(records.read(record, "commerce", NOW))


@MODERATE
@given(topic=st.sampled_from(sorted(topics.BY_NAME)), found=headers, value=st.binary(max_size=200))
def test_a_record_of_any_bytes_is_a_message_or_set_aside(
    topic: str, found: list[tuple[str, bytes]], value: bytes
) -> None:
    record = Record(
        topic=topic, partition=0, offset=1, key=b"\xff", headers=tuple(found), value=value
    )
    assert sound(records.read(record, "commerce", NOW))


@MODERATE
@given(name=names, data=st.data())
def test_a_parked_row_that_this_version_cannot_read_says_so(name: str, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(places(GOLDENS[name])))
    payload = with_literal(GOLDENS[name], place, data.draw(st.sampled_from(LITERALS)))
    origin = {
        "envelope": {"id": "i", "source": "/s", "time": NOW.isoformat()},
        "topic": "returns.requests", "partition": 0, "offset": 1, "key": None, "headers": [],
        "value": "", "tries": 0,
    }  # fmt: skip
    row = {
        "event_id": "00000000-0000-4000-8000-000000000001", "keys": ["a"], "until": NOW,
        "reason": "r", "type": name, "payload": payload.decode(errors="replace"),
        "origin": json.dumps(origin),
    }  # fmt: skip
    try:
        parking.waiting(row, Registry(()))
    except ValueError as error:
        item = parking.unreadable(row, f"as it was: {error}", "commerce", NOW)
        assert item.quarantined is not None and item.quarantined.reason


EVENT = {
    "id": "evt_1", "object": "event", "type": "refund.updated",
    "data": {"object": {"id": "re_1", "object": "refund", "payment_intent": "pi_1",
                        "metadata": {"refund_id": "r"}, "status": "succeeded"}},
}  # fmt: skip


@MODERATE
@given(data=st.data())
def test_a_processors_event_is_read_ignored_or_refused(data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(places(EVENT)))
    body = with_literal(EVENT, place, data.draw(st.sampled_from(LITERALS)))
    try:
        found = webhooks.read(body)
    except webhooks.Refused:
        return
    assert found is None or isinstance(found, WebhookReceived)


@MODERATE
@given(body=st.binary(max_size=60), header=st.text(max_size=60) | st.just("t=1,v1=ab,v1=\xff"))
def test_a_signature_that_is_none_is_refused(body: bytes, header: str) -> None:
    try:
        webhooks.verify(body, header, ("whsec_a", "whsec_b"), NOW)
    except webhooks.Refused:
        return
    raise AssertionError("a signature was guessed")


@MODERATE
@given(
    text=st.binary(max_size=60)
    | st.text("ab[]=&%0123\x00é", max_size=60)
    | st.just("a[b]" + "[c]" * 5_000 + "=1")
)
def test_a_form_is_parameters_or_refused_by_name(text: bytes | str) -> None:
    with suppress(Refused):
        read = forms.parameters(text)
        assert len(forms.digest("/v1/refunds", read)) == 64
        assert len(forms.metadata(read)) <= forms.METADATA_KEYS_MAX
        forms.integer(read, "a")
