"""Compares what was asked for with the three stores, the topics, the gateway and the book."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer

from tests.blackbox.world import Json
from tests.chaos.wanted import REFUND, Case
from tests.chaos.world import AGENTS, World

PAGE = 200
POLL_MILLISECONDS = 1000
SETTLED = "returns.RefundSettled.v1"
STATUSES = ("commerce", "gateway")
STATUS = "SELECT return_id, status FROM returns"
GOODS = "SELECT return_id, array_agg(DISTINCT state) AS states FROM units GROUP BY return_id"
# The latest move of each refund, of those that ever settled for good.
REFUNDED = """
SELECT return_id, sum(amount)::bigint AS amount FROM refund_intents AS intent WHERE (
    SELECT state FROM refund_moves WHERE refund_id = intent.refund_id ORDER BY seq DESC LIMIT 1
) = 'settled' GROUP BY return_id
"""
OUTBOX = "SELECT count(*) AS outbox FROM outbox"
QUARANTINE = "SELECT count(*) AS aside FROM quarantine"
OPEN_MONEY = "SELECT payment_id FROM payment_balances WHERE pending <> 0 OR unknown <> 0"
SIGNS = {"refund": 1, "refund_failed": -1}


@dataclass(frozen=True, kw_only=True)
class Told:
    """A message of a topic."""

    id: str
    type: str
    body: Json


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
        answer = await client.get(f"{world.url('sandbox')}/sandbox/book")
    found: dict[str, list[Json]] = defaultdict(list)
    for entry in answer.raise_for_status().json()["entries"]:
        found[entry["reference"]].append(entry)
    return found


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the processor and the stores hold at one moment.

    `statuses` and `refunded` (minor units) by return, the former for each service that has them;
    `open_money` are payments with a refund whose end is not known; `left` is what each service
    has not published yet.
    """

    book: Mapping[str, Sequence[Json]]
    statuses: Mapping[str, Mapping[str, str]]
    refunded: Mapping[str, int]
    goods: Mapping[str, Sequence[str]]
    open_money: Sequence[str]
    left: Mapping[str, int]


async def held(world: World) -> Held:
    statuses, left = {}, {}
    for service in STATUSES:
        found = await rows(world, service, STATUS)
        statuses[service] = {row["return_id"]: row["status"] for row in found}
    for service in AGENTS:
        [counted] = await rows(world, service, OUTBOX)
        left[service] = counted["outbox"]
    refunded = await rows(world, "payment", REFUNDED)
    return Held(
        book=await book(world),
        statuses=statuses,
        refunded={row["return_id"]: row["amount"] for row in refunded},
        goods={row["return_id"]: row["states"] for row in await rows(world, "fulfillment", GOODS)},
        open_money=[row["payment_id"] for row in await rows(world, "payment", OPEN_MONEY)],
        left=left,
    )


def unlike(cases: Sequence[Case], found: Held) -> list[str]:
    """Where processor and stores do not hold what the returns' numbers say, in words."""
    wrong: list[str] = []
    for case in cases:
        wrong += _of_book(case, found.book.get(case.reference, ()))
    for service, statuses in found.statuses.items():
        wrong += [
            f"{service}: {case.kind.name} {case.return_id} is {statuses.get(case.return_id)}"
            for case in cases
            if statuses.get(case.return_id) != case.kind.ends
        ]
    wrong += _of_refunds(cases, found.refunded)
    wrong += _of_goods(cases, found.goods)
    wrong += [f"open money of {payment}" for payment in found.open_money]
    wrong += [f"{service}: {each} not published" for service, each in found.left.items() if each]
    return wrong


async def wrong(world: World, cases: Sequence[Case]) -> list[str]:
    """Everything that is not as it must be, in words."""
    found = unlike(cases, await held(world))
    found += of_gateway(cases, await seen(world))
    for service in AGENTS:
        [aside] = await rows(world, service, QUARANTINE)
        found += [f"{service}: {aside['aside']} in quarantine"] if aside["aside"] else []
    lifecycle = await records(world.bootstrap, "returns.lifecycle")
    return [*found, *of_topics(cases, lifecycle, await records(world.bootstrap, "payment.events"))]


def _of_book(case: Case, entries: Sequence[Json]) -> Iterator[str]:
    kinds = [entry["kind"] for entry in entries]
    if kinds != list(case.kind.book):
        yield f"book: {case.kind.name} {case.return_id} has {kinds}"
    paid = sum(SIGNS[entry["kind"]] * entry["amount"] for entry in entries)
    if paid != (REFUND if case.kind.book == ("refund",) else 0):
        yield f"book: {case.kind.name} {case.return_id} was paid {paid}"
    if {entry["metadata"].get("return_id") for entry in entries} - {case.return_id}:
        yield f"book: {case.return_id} has a refund of another return"


def of_gateway(cases: Sequence[Case], shown: Mapping[str, Json]) -> Iterator[str]:
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


def _of_refunds(cases: Sequence[Case], refunded: Mapping[str, int]) -> Iterator[str]:
    for case in cases:
        if refunded.get(case.return_id) != (REFUND if case.kind.ends == "settled" else None):
            paid = refunded.get(case.return_id)
            yield f"payment: {case.kind.name} {case.return_id} has settled {paid}"


def _of_goods(cases: Sequence[Case], states: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for case in cases:
        if case.kind.comes_back and list(states.get(case.return_id, ())) != ["restocked"]:
            yield f"fulfillment: {case.kind.name} {case.return_id} is {states.get(case.return_id)}"


def of_topics(
    cases: Sequence[Case], lifecycle: Sequence[Told], events: Sequence[Told]
) -> Iterator[str]:
    """Every change numbered without gaps, the last one the end; each refund settled once.

    The same message may be in a topic more than once: its id says so.
    """
    changes: dict[str, dict[int, Json]] = defaultdict(dict)
    for told in _once(lifecycle):
        numbered = changes[told.body["return_id"]]
        if told.body["number"] in numbered:
            yield f"lifecycle: {told.body['return_id']} has two changes {told.body['number']}"
        numbered[told.body["number"]] = told.body
    settled = Counter(told.body["return_id"] for told in _once(events) if told.type == SETTLED)
    for case in cases:
        numbered = changes[case.return_id]
        if sorted(numbered) != list(range(1, len(numbered) + 1)):
            yield f"lifecycle: {case.return_id} has gaps: {sorted(numbered)}"
        elif not numbered or numbered[len(numbered)]["status"] != case.kind.ends:
            yield f"lifecycle: {case.return_id} does not end as {case.kind.ends}"
        if settled[case.return_id] not in _settlements(case):
            yield f"payment.events: {case.return_id} settled {settled[case.return_id]} times"


def _once(told: Sequence[Told]) -> Iterable[Told]:
    return {each.id: each for each in reversed(told)}.values()


def _settlements(case: Case) -> tuple[int, ...]:
    """How often it may have settled. Of one that came back soon, nobody may have seen that."""
    return {(): (0,), ("refund",): (1,)}.get(case.kind.book, (0, 1))


async def records(bootstrap: str, topic: str) -> list[Told]:
    """All that a topic holds now."""
    found: list[Told] = []
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        assert ends, f"{topic} is not there"
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=POLL_MILLISECONDS)).values():
                found += [_told(record) for record in batch]
    finally:
        await consumer.stop()
    return found


def _told(record: Any) -> Told:
    headers = dict(record.headers)
    body = json.loads(record.value)
    return Told(id=headers["ce_id"].decode(), type=headers["ce_type"].decode(), body=body)
