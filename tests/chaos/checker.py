"""Compares what was asked for with the three stores, the topics, the gateway and the book."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer

from tests.blackbox.world import Json
from tests.chaos.wanted import REFUND, Case
from tests.chaos.world import AGENTS, World

PAGE = 200
SILENT_MILLISECONDS = 3000
COMMERCE = "SELECT return_id, status FROM returns"
GOODS = "SELECT return_id, array_agg(DISTINCT state) AS states FROM units GROUP BY return_id"
# The latest move of each refund, of those that ever settled for good.
REFUNDED = """
SELECT return_id, sum(amount)::bigint AS amount FROM refund_intents AS intent WHERE (
    SELECT state FROM refund_moves WHERE refund_id = intent.refund_id ORDER BY seq DESC LIMIT 1
) = 'settled' GROUP BY return_id
"""
LEFT = "SELECT (SELECT count(*) FROM outbox) AS outbox, (SELECT count(*) FROM quarantine) AS aside"
OPEN_MONEY = "SELECT payment_id FROM payment_balances WHERE pending <> 0 OR unknown <> 0"
SIGNS = {"refund": 1, "refund_failed": -1}


async def rows(world: World, service: str, statement: str) -> list[Any]:
    connection = await asyncpg.connect(world.databases[service])  # past the proxy
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


async def seen(world: World) -> dict[str, Json]:
    """Every return as the gateway shows it."""
    found: dict[str, Json] = {}
    cursor: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=world.url("gateway"), timeout=30) as client:
        while True:
            answer = await client.get("/returns", params={"limit": PAGE, **cursor})
            page = answer.raise_for_status().json()
            found |= {each["return_id"]: each for each in page["items"]}
            if not page.get("next_cursor"):
                return found
            cursor = {"cursor": page["next_cursor"]}


async def book(world: World) -> dict[str, list[Json]]:
    """The processor's movements of money, by payment."""
    async with httpx.AsyncClient(timeout=30) as client:
        entries = (await client.get(f"{world.url('sandbox')}/sandbox/book")).json()["entries"]
    found: dict[str, list[Json]] = defaultdict(list)
    for entry in entries:
        found[entry["reference"]].append(entry)
    return found


async def undrained(world: World, cases: Sequence[Case]) -> list[str]:
    """What has not reached its end yet: cheap, for waiting."""
    shown, moved = await seen(world), await book(world)
    return [
        f"{case.kind.name} {case.return_id}: {_standing(shown.get(case.return_id))}"
        for case in cases
        if shown.get(case.return_id, {}).get("status") != case.kind.ends
        or [entry["kind"] for entry in moved[case.reference]] != list(case.kind.book)
    ]


def _standing(view: Json | None) -> str:
    if view is None:
        return "unknown"
    reason = ((view.get("decision") or {}).get("escalation") or {}).get("reason")
    history = [f"{entry['at'][11:19]} {entry['status']}" for entry in view["timeline"]]
    return f"{reason or view['explanation']} ({', '.join(history)})"


async def wrong(world: World, cases: Sequence[Case]) -> list[str]:
    """Everything that is not as it must be, in words."""
    found: list[str] = []
    moved = await book(world)
    for case in cases:
        found += _of_book(case, moved[case.reference])
    found += _of_gateway(cases, await seen(world))
    for service, statement in (("commerce", COMMERCE), ("payment", REFUNDED)):
        held = {row["return_id"]: row[1] for row in await rows(world, service, statement)}
        found += _of_store(service, cases, held)
    found += _of_goods(cases, await rows(world, "fulfillment", GOODS))
    for service in AGENTS:
        [left] = await rows(world, service, LEFT)
        found += [f"{service}: {left['outbox']} not published"] if left["outbox"] else []
        found += [f"{service}: {left['aside']} in quarantine"] if left["aside"] else []
    found += [f"open money of {row[0]}" for row in await rows(world, "payment", OPEN_MONEY)]
    found += [each async for each in _of_topics(world, cases)]
    return found


def _of_book(case: Case, entries: Sequence[Json]) -> Iterator[str]:
    kinds = [entry["kind"] for entry in entries]
    if kinds != list(case.kind.book):
        yield f"book: {case.kind.name} {case.return_id} has {kinds}"
    paid = sum(SIGNS[entry["kind"]] * entry["amount"] for entry in entries)
    if paid != (REFUND if case.kind.book == ("refund",) else 0):
        yield f"book: {case.kind.name} {case.return_id} was paid {paid}"
    if {entry["metadata"].get("return_id") for entry in entries} - {case.return_id}:
        yield f"book: {case.return_id} has a refund of another return"


def _of_gateway(cases: Sequence[Case], shown: Mapping[str, Json]) -> Iterator[str]:
    for case in cases:
        view = shown.get(case.return_id)
        if view is None:
            yield f"gateway: {case.return_id} is lost"
        elif (view["status"], view["waiting_on"]) != (case.kind.ends, case.kind.party):
            yield (
                f"gateway: {case.kind.name} {case.return_id} is {view['status']}, waits on"
                f" {view['waiting_on']}"
            )
        elif view["waiting_on"] != "none" and not view.get("until"):
            yield f"gateway: {case.return_id} waits on {view['waiting_on']} for ever"


def _of_store(service: str, cases: Sequence[Case], held: Mapping[str, Any]) -> Iterator[str]:
    for case in cases:
        settled = REFUND if case.kind.ends == "settled" else None
        expected = case.kind.ends if service == "commerce" else settled
        if held.get(case.return_id) != expected:
            yield f"{service}: {case.kind.name} {case.return_id} is {held.get(case.return_id)}"


def _of_goods(cases: Sequence[Case], found: Sequence[Any]) -> Iterator[str]:
    states = {row["return_id"]: row["states"] for row in found}
    for case in cases:
        if case.kind.comes_back and states.get(case.return_id) != ["restocked"]:
            yield f"fulfillment: {case.kind.name} {case.return_id} is {states.get(case.return_id)}"


async def _of_topics(world: World, cases: Sequence[Case]) -> AsyncIterator[str]:
    """Every message once by its id, every change numbered without gaps, the last one the end."""
    changes: dict[str, dict[int, Json]] = defaultdict(dict)
    settled: Counter[str] = Counter()
    seen_ids: set[bytes] = set()
    async for record in _records(world, "returns.lifecycle", "payment.events"):
        headers = dict(record.headers)
        if headers["ce_id"] in seen_ids:
            continue
        seen_ids.add(headers["ce_id"])
        body = json.loads(record.value)
        if record.topic == "returns.lifecycle":
            if body["number"] in changes[body["return_id"]]:
                yield f"lifecycle: {body['return_id']} has two changes {body['number']}"
            changes[body["return_id"]][body["number"]] = body
        elif headers["ce_type"] == b"returns.RefundSettled.v1":
            settled[body["return_id"]] += 1
    for case in cases:
        numbered = changes[case.return_id]
        if sorted(numbered) != list(range(1, len(numbered) + 1)):
            yield f"lifecycle: {case.return_id} has gaps: {sorted(numbered)}"
        elif not numbered or numbered[len(numbered)]["status"] != case.kind.ends:
            yield f"lifecycle: {case.return_id} does not end as {case.kind.ends}"
        if settled[case.return_id] not in _settlements(case):
            yield f"payment.events: {case.return_id} settled {settled[case.return_id]} times"


def _settlements(case: Case) -> tuple[int, ...]:
    """How often it may have settled. Of one that came back soon, nobody may have seen that."""
    return {(): (0,), ("refund",): (1,)}.get(case.kind.book, (0, 1))


async def _records(world: World, *topics: str) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=world.bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        while batches := await consumer.getmany(timeout_ms=SILENT_MILLISECONDS):
            for batch in batches.values():
                for record in batch:
                    yield record
    finally:
        await consumer.stop()
