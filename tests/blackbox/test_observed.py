"""What an operator sees of a return: one trace, log lines that name it, metrics; nobody's name."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.blackbox.otlp import Collector, Span
from tests.blackbox.world import Json, Stranger, a_request, an_order, until
from tests.otelcol import HOW_TO_GET_IT, Relay

pytestmark = pytest.mark.asyncio

SERVICES = ("commerce", "fulfillment", "payment", "gateway")
IN_BOOKS = {
    "returns_decisions_total",
    "returns_status_changes_total",
    "returns_refunds_total",
    "returns_outbox_backlog_rows",
    "returns_quarantine_open",
    "returns_inbox_lag_seconds_count",
    "returns_consumer_lag_records",
    "returns_processor_request_seconds_count",
    "returns_http_requests_total",
}


async def settled(stranger: Stranger, order: Json, **request: object) -> str:
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order) | request)
    await stranger.labelled(return_id)
    await stranger.send_back(return_id, order)
    await stranger.reaches(return_id, "settled")
    return return_id


async def test_a_return_is_one_trace_through_every_service(
    stranger: Stranger, collector: Collector
) -> None:
    return_id = await settled(stranger, an_order())
    trace = return_id.replace("-", "")

    def found() -> dict[str, Span]:
        return {span.span_id: span for span in collector.spans() if span.trace_id == trace}

    async def complete() -> bool:
        spans = found().values()
        return wanted <= {(span.service, span.name) for span in spans}

    async def joined() -> bool:
        by_id = found()
        return all(span.parent in by_id for span in by_id.values() if span.parent)

    wanted = {
        ("gateway", "POST ReturnRequest"),
        ("gateway", "POST ParcelScanned"),
        ("commerce", "returns.requests ReturnRequest"),
        ("fulfillment", "returns.assessments AssessmentRequested"),
        ("payment", "returns.decisions RefundReleased"),
        ("payment", "effect SubmitRefund"),
        ("commerce", "payment.events RefundSettled"),
        ("gateway", "returns.lifecycle ReturnStatusChanged"),
    }
    await until(complete, about="spans of every service")
    await until(joined, about="the parents of all spans: each service sends its own when it likes")
    spans = list(found().values())
    asked = next(span for span in spans if span.name == "POST ReturnRequest")
    taken = next(span for span in spans if span.name == "returns.requests ReturnRequest")
    assert asked.parent == ""
    assert taken.parent == asked.span_id


async def test_the_collector_takes_spans_by_our_configuration_and_hands_them_on(
    stranger: Stranger, collector: Collector, relay: Relay | None
) -> None:
    if relay is None:
        pytest.skip(HOW_TO_GET_IT)
    return_id = await settled(stranger, an_order())
    trace = return_id.replace("-", "")

    async def handed_on() -> bool:
        found = {span.service for span in collector.spans() if span.trace_id == trace}
        return found >= set(SERVICES)

    await until(handed_on, about="spans of every service behind the collector")
    sent = relay.counts("otelcol_exporter_sent_spans")
    assert 0 < sent <= relay.counts("otelcol_receiver_accepted_spans")
    assert relay.counts("otelcol_receiver_refused_spans") == 0


def lines(stranger: Stranger) -> Iterator[tuple[str, str]]:
    for service in SERVICES:
        text = (stranger.world.home / "logs" / f"{service}.log").read_text()
        yield from ((service, line) for line in text.splitlines())


async def test_logs_and_metrics_name_returns_and_no_customer(stranger: Stranger) -> None:
    canary = "Canary-Quetzalcoatl"
    order = an_order()
    order["buyer"]["email"] = f"{canary}@customer.example"
    order["ship_to"] |= {"name": canary, "line1": f"{canary} street", "city": canary}
    order["payments"][0]["last4"] = "ZQ42"  # no time and no id contains it by chance
    line = a_request(order)["lines"][0] | {"note": f"{canary} says it does not fit"}
    words = {"evidence_id": "e1", "kind": "text", "text": f"{canary} again"}
    return_id = await settled(stranger, order, lines=[line], evidence=[words])
    await stranger.publish("orders", f'{{"{canary}": 1}}'.encode(), key=canary)
    seen = [(service, json.loads(line)) for service, line in lines(stranger)]
    of_return = [line for _, line in seen if line.get("return_id") == return_id]
    statuses = [line["status"] for line in of_return if line["event"] == "status_changed"]
    assert statuses[0] == "requested"
    assert statuses[-1] == "settled"
    assert {line["trace_id"] for line in of_return} == {return_id.replace("-", "")}
    assert all({"level", "timestamp", "event"} <= line.keys() for _, line in seen)

    async def set_aside() -> bool:
        return "returns_quarantine_open" in await metrics(stranger)

    await until(set_aside, about="the quarantine's figure")
    said = "\n".join(line for _, line in lines(stranger)) + await metrics(stranger)
    for personal in (canary, canary.lower(), order["order_number"], "ZQ42", "Main Street"):
        assert personal not in said


async def test_every_service_tells_the_figures_that_the_dashboard_shows(
    stranger: Stranger,
) -> None:
    await settled(stranger, an_order())
    names = {line.split("{")[0].split(" ")[0] for line in (await metrics(stranger)).splitlines()}
    assert names >= IN_BOOKS, f"missing: {IN_BOOKS - names}"


async def metrics(stranger: Stranger) -> str:
    async with httpx.AsyncClient(timeout=20) as http:
        texts = [
            (await http.get(f"{stranger.world.addresses[name]}/metrics")).text for name in SERVICES
        ]
    return "\n".join(texts)
