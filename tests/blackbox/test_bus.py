"""A frontend in any language: one record on a topic is enough, and nonsense harms nobody."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.blackbox.world import Stranger, a_request, an_order, new_id, now, rfc3339, until

pytestmark = pytest.mark.asyncio


async def test_a_bare_record_with_its_type_starts_a_return(stranger: Stranger) -> None:
    order = an_order()
    await stranger.place(order)
    request = {"type": "ReturnRequest"} | a_request(order)
    value = json.dumps(request).encode()
    for _ in range(3):
        await stranger.publish("returns.requests", value, key=order["order_id"])
    await stranger.reaches(request["return_id"], "awaiting_physical_receipt")
    changed = json.dumps(request | {"resolution": "store_credit"}).encode()
    await stranger.publish("returns.requests", changed, key=order["order_id"])
    seen = await stranger.labelled(request["return_id"])
    assert seen["decision"]["resolution"] == "refund"


async def test_binary_and_structured_cloudevents_start_returns(stranger: Stranger) -> None:
    order = an_order(quantity=2)
    await stranger.place(order)
    binary, structured = a_request(order), a_request(order)
    await stranger.publish(
        "returns.requests",
        json.dumps(binary).encode(),
        key=order["order_id"],
        headers=[
            ("ce_specversion", b"1.0"),
            ("ce_id", new_id().encode()),
            ("ce_source", b"/frontend"),
            ("ce_type", b"returns.ReturnRequest.v1"),
            ("content-type", b"application/json; charset=utf-8"),
            ("__value_schema_id", b"\x01\xff\xfe\x00"),
        ],
    )
    event = {
        "specversion": "1.0",
        "id": new_id(),
        "source": "/frontend",
        "type": "returns.ReturnRequest.v1",
        "time": rfc3339(now()),
        "data": structured,
    }
    await stranger.publish(
        "returns.requests",
        json.dumps(event).encode(),
        key=order["order_id"],
        headers=[("content-type", b"application/cloudevents+json; charset=utf-8")],
    )
    for request in (binary, structured):
        await stranger.reaches(request["return_id"], "awaiting_physical_receipt")


async def test_a_request_that_overtakes_its_order_waits_for_it(stranger: Stranger) -> None:
    order = an_order()
    request = a_request(order)
    await stranger.ask(request)
    await stranger.place(order)
    await stranger.reaches(request["return_id"], "awaiting_physical_receipt")


async def test_an_unknown_order_reaches_a_person_and_then_turns_up(stranger: Stranger) -> None:
    order = an_order()
    request = a_request(order)
    await stranger.ask(request)
    escalation = await stranger.case(request["return_id"])
    assert escalation["reason"] == "order_not_found"
    assert "it does not fit" in escalation["context"]["customer_words"]
    await stranger.place(order)
    await stranger.reaches(request["return_id"], "awaiting_physical_receipt")


HOSTILE = {
    "broken JSON": b'{"type": "ReturnRequest", ',
    "a list": b"[1, 2, 3]",
    "nothing": b"",
    "not UTF-8": b"\xff\xfe\x00\x01",
    "an unknown type": b'{"type": "Nonsense"}',
    "a terminal's instructions": b'{"type": "[/bold]:bomb:"}',
    "deep nesting": b'{"type":"ReturnRequest","lines":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a lone surrogate": b'{"type":"ReturnRequest","return_id":"\\ud800"}',
    "NaN": b'{"type":"ReturnRequest","requested_amount":NaN}',
    "a huge number": b'{"type":"ReturnRequest","requested_amount":1' + b"0" * 400 + b"}",
}


async def test_nonsense_is_quarantined_with_its_bytes_and_neighbours_go_on(
    stranger: Stranger,
) -> None:
    order = an_order()
    await stranger.place(order)
    for value in HOSTILE.values():
        await stranger.publish("returns.requests", value, key=order["order_id"])
    return_id = await stranger.ask(a_request(order))
    await stranger.reaches(return_id, "awaiting_physical_receipt")
    returns = Path(sys.executable).parent / "returns"

    def quarantine_list(*options: str) -> str:
        return subprocess.run(
            [str(returns), "quarantine", "list", *options],
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "RETURNS_HOME": str(stranger.world.home)},
            check=True,
        ).stdout

    async def listed() -> bool:
        ours = [
            row
            for row in json.loads(quarantine_list("--json"))
            if row["topic"] == "returns.requests" and row["service"] == "commerce"
        ]
        return len(ours) >= len(HOSTILE)

    await until(listed, about="every hostile record is listed")
    assert "[/bold]:bomb:" in quarantine_list()


async def test_the_lifecycle_topic_numbers_every_change_without_gaps(stranger: Stranger) -> None:
    order = an_order()
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order))
    await stranger.labelled(return_id)
    await stranger.send_back(return_id, order)
    await stranger.reaches(return_id, "settled")
    records = await stranger.read_topic("returns.lifecycle")
    changes = [
        json.loads(record.value)
        for record in records
        if json.loads(record.value)["return_id"] == return_id
    ]
    assert [change["number"] for change in changes] == list(range(1, len(changes) + 1))
    for before, after in itertools.pairwise(changes):
        assert after["previous"] == before["status"]
    for record in records:
        headers = dict(record.headers)
        assert headers["ce_type"] == b"returns.ReturnStatusChanged.v1"
        assert headers["ce_source"] == b"/services/commerce"
        assert headers["ce_causationid"]
        assert headers["ce_correlationid"] == headers["ce_subject"]
        assert record.key.decode().startswith(("order-", json.loads(record.value)["return_id"]))


WRITERS = {
    "orders": "gateway",
    "returns.requests": "gateway",
    "returns.assessments": "commerce",
    "returns.decisions": "commerce",
    "returns.lifecycle": "commerce",
    "warehouse.events": "gateway",
    "fulfillment.events": "fulfillment",
    "payment.events": "payment",
}
ALWAYS = {"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject"}
ALWAYS |= {"content-type", "traceparent"}


async def test_every_record_of_a_return_has_the_whole_envelope_and_its_order_as_key(
    stranger: Stranger,
) -> None:
    order = an_order()
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order))
    await stranger.labelled(return_id)
    await stranger.send_back(return_id, order)
    await stranger.reaches(return_id, "settled")
    for topic, writer in WRITERS.items():
        key = order["order_id"].encode()
        ours = [record for record in await stranger.read_topic(topic) if record.key == key]
        assert ours, topic
        subject = order["order_id"] if topic == "orders" else return_id
        for record in ours:
            headers = {name: value.decode() for name, value in record.headers}
            assert set(headers) >= ALWAYS, (topic, headers)
            assert headers["ce_source"] == f"/services/{writer}"
            assert headers["ce_subject"] == headers["ce_correlationid"] == subject
            assert headers["content-type"] == "application/json"
            assert writer == "gateway" or headers["ce_causationid"], (topic, headers)
        assert len({dict(record.headers)["ce_id"] for record in ours}) == len(ours), topic
