"""Small parts of the chassis, without I/O."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from faststream.kafka.security import parse_security
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from contracts.envelope import Envelope
from contracts.quarantine import RecordQuarantined
from services.chassis import bus, effects, faults, journal, parking, records, telemetry, tracing
from services.chassis.membership import Membership
from services.chassis.records import Cause, Record
from services.chassis.registry import Registry
from services.chassis.settings import Settings
from services.chassis.work import IdentityMap, Received

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wait", "scaled"),
    [
        (timedelta(seconds=60), timedelta(seconds=60)),
        (timedelta(seconds=61), timedelta(seconds=1)),
        (timedelta(hours=2), timedelta(seconds=2)),
        (timedelta(seconds=-5), timedelta(seconds=-5)),
    ],
)
def test_waits_over_a_minute_are_scaled_and_never_below_a_second(
    wait: timedelta, scaled: timedelta
) -> None:
    assert Settings(_env_file=None, returns_time_scale=3600).scaled(wait) == scaled


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (asyncpg.DeadlockDetectedError(), True),
        (asyncpg.AdminShutdownError(), True),
        (asyncpg.QueryCanceledError(), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.UniqueViolationError(), False),
        (asyncpg.DataError(), False),
        (ValueError(), False),
        (KeyError(), False),
    ],
)
def test_only_what_waiting_mends_is_transient(error: Exception, transient: bool) -> None:
    assert faults.is_transient(error) is transient


def test_an_argument_that_the_driver_refuses_is_no_reason_to_wait() -> None:
    class Refused(asyncpg.InterfaceError, ValueError):
        pass

    assert not faults.is_transient(Refused("invalid input for query argument"))


@given(
    value=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)),
    headers=st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=20)), max_size=5),
    topic=st.sampled_from(["orders", "returns.requests", "returns.decisions", "elsewhere"]),
)
def test_no_record_can_break_the_reading(
    value: bytes, headers: list[tuple[str, bytes]], topic: str
) -> None:
    item = records.read(
        Record(
            topic=topic, partition=0, offset=1, key=b"\xff", headers=tuple(headers), value=value
        ),
        "commerce",
        NOW,
    )
    assert item.quarantined is not None
    assert isinstance(item.received.body, RecordQuarantined)
    item.quarantined.reason.encode()


@given(st.text())
def test_reasons_can_be_stored_and_logged(text: str) -> None:
    clean = records.printable(text + "\ud800\x00")
    assert clean
    assert "\x00" not in clean
    clean.encode()


def test_a_cause_remembers_where_everything_began() -> None:
    body = RecordQuarantined(service="x", topic="t", partition=0, offset=0, reason="r")
    first = Received(
        body=body, topic="orders", envelope=Envelope(id="first", source="/oms", time=NOW)
    )
    cause = Cause.from_json(Cause.of(first).to_json())
    second = records.to_self(
        body, topic="effect", id_="second", service="commerce", now=NOW, cause=cause
    )
    third = records.to_self(
        body, topic="deadline", id_="third", service="commerce", now=NOW, cause=Cause.of(second)
    )
    assert [each.causation_id for each in (first, second, third)] == ["first"] * 3
    assert third.because_of("webhook").causation_id == "webhook"
    assert first.because_of("webhook").causation_id == "first"


def test_statements_are_joined_with_their_arguments_in_order() -> None:
    text, arguments = journal.joined(
        [(parking.TAKE_UP, [["a"]]), ("INSERT $1, $2", [1, 2]), ("DELETE $1", [3])]
    )
    assert "part1 AS (INSERT $2, $3)" in text
    assert "part2 AS (DELETE $4)" in text
    assert text.endswith("SELECT (SELECT count(*) FROM part0)::int")
    assert arguments == [["a"], 1, 2, 3]


def test_a_stored_message_that_nobody_knows_any_more_is_named() -> None:
    registry = Registry([RecordQuarantined])
    assert registry["RecordQuarantined"] is RecordQuarantined
    with pytest.raises(Exception, match="no message is called Forgotten"):
        registry["Forgotten"]


def test_an_identity_map_gives_each_aggregate_once_and_knows_the_changed_ones() -> None:
    things: IdentityMap[tuple[str, int]] = IdentityMap(lambda thing: thing[0])
    things.load([("b", 1), ("a", 1)])
    things.put(("b", 2))
    things.load([("b", 1)])
    things.put(things["a"])
    assert things["b"] == ("b", 2)
    assert things.changed() == [("b", 2)]


def test_two_workers_never_have_the_same_name_and_a_free_one_is_taken_again() -> None:
    group = f"test-{uuid4().hex}"
    one, two = Membership(group, "broker:1"), Membership(group, "broker:1")
    names = [one.take(), two.take()]
    assert len(set(names)) == 2
    assert names[0] is not None
    one.release()
    assert Membership(group, "broker:1").take() == names[0]


def test_backing_off_doubles_up_to_a_bound_with_jitter() -> None:
    for attempts in range(30):
        wait = effects.backoff(attempts).total_seconds()
        ceiling = min(effects.BACKOFF_SECONDS_MIN * 2**attempts, effects.BACKOFF_SECONDS_MAX)
        assert ceiling / 2 <= wait <= ceiling


def test_only_allowed_fields_are_logged_and_errors_without_their_words() -> None:
    event = {"event": "x", "email": "sarah@example.com", "exc_info": ValueError("Sarah")}
    printed = telemetry.only_allowed(None, "", telemetry.with_traceback(None, "", dict(event)))
    assert "arah" not in repr(printed)
    assert printed["error"] == "ValueError"
    with capture_logs() as logs:
        telemetry.log.warning("test")
    assert logs


def test_a_span_is_a_child_of_the_message_and_the_parent_of_what_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    received = Received(
        body=RecordQuarantined(service="x", topic="t", partition=0, offset=0, reason="r"),
        topic="orders",
        envelope=Envelope(id="i", source="/oms", time=NOW, traceparent=f"00-{trace}-{parent}-01"),
    )
    with telemetry.span(received) as traced:
        caused = str(traced.envelope.traceparent)
    (span,) = exporter.get_finished_spans()
    assert span.name == "orders RecordQuarantined"
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == parent
    assert caused.split("-")[1:3] == [trace, format(span.context.span_id, "016x")]


def test_lines_of_libraries_are_json_without_the_values_of_an_error() -> None:
    try:
        raise ValueError("sarah@example.com")
    except ValueError as error:
        seen = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("asyncio", logging.ERROR, "x", 1, "task\nfailed", (), seen)
    line = json.loads(telemetry.Library().format(record))
    assert (line["event"], line["reason"], line["error"]) == ("asyncio", "task", "ValueError")
    assert "sarah" not in repr(line)


@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [
        ("PLAINTEXT", "PLAIN"),
        ("SSL", "PLAIN"),
        ("SASL_PLAINTEXT", "SCRAM-SHA-512"),
        ("SASL_SSL", "SCRAM-SHA-256"),
        ("SASL_SSL", "PLAIN"),
    ],
)
def test_both_clients_of_the_broker_log_in_alike(protocol: Any, mechanism: str) -> None:
    settings = Settings(
        _env_file=None,
        kafka_bootstrap_servers="broker:9093",
        kafka_security_protocol=protocol,
        kafka_sasl_mechanism=mechanism,
        kafka_sasl_username="commerce",
        kafka_sasl_password="secret",
    )
    raw = bus.client_arguments(settings)
    parsed = parse_security(bus.security(settings))
    names = ("security_protocol", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password")
    assert {name: raw.get(name) for name in names} == {
        name: parsed.get(name) or ("PLAINTEXT" if name == "security_protocol" else None)
        for name in names
    }
    assert ("ssl_context" in raw) is protocol.endswith("SSL")
    assert (parsed.get("ssl_context") is not None) is protocol.endswith("SSL")
