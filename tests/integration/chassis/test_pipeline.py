"""What happens to a batch, on a real store."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from contracts.lifecycle import ReturnStatusChanged
from contracts.requests import ReturnRequest
from services.chassis import quarantine
from services.chassis.effects import LEASE
from services.chassis.errors import Transient
from services.chassis.pipeline import Record
from tests.conftest import DriveService
from tests.driving import Drive, record
from tests.integration.chassis import toy
from tests.integration.chassis.messages import (
    cancel,
    evidence,
    order,
    request,
    return_id,
    review,
    settlement,
)
from tests.round_trips import ROUND_TRIPS_MAX, counted_round_trips

pytestmark = pytest.mark.asyncio


async def account(drive: Drive, order_id: str) -> toy.Account:
    found = await drive.pool.fetchval("SELECT document FROM accounts WHERE order_id = $1", order_id)
    return toy.Account.model_validate_json(found) if found else toy.Account(order_id=order_id)


async def test_a_batch_is_handled_in_order_and_published_in_order(toys: Drive) -> None:
    names = [f"r{number}" for number in range(20)]
    await toys.send(*(request("o1", name) for name in names))
    assert (await account(toys, "o1")).requests == tuple(return_id(name) for name in names)
    published = await toys.published(ReturnStatusChanged)
    assert [each.number for each in published] == list(range(1, 21))


async def test_a_record_that_comes_again_changes_nothing(toys: Drive) -> None:
    first = record(request("o1", "a"))
    await toys.send(first, first)
    await toys.send(first, record(request("o1", "b")))
    assert (await account(toys, "o1")).requests == (return_id("a"), return_id("b"))
    assert await toys.count("outbox") == 2


async def test_the_same_id_on_another_topic_is_another_message(toys: Drive) -> None:
    await toys.send(record(order("o1"), id_="same"), record(request("o1"), id_="same"))
    found = await account(toys, "o1")
    assert found.known
    assert len(found.requests) == 1


async def test_what_is_published_names_its_cause_its_return_and_its_trace(toys: Drive) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    sent = record(request("o1", "a"), headers=(("traceparent", trace.encode()),))
    await toys.send(sent)
    (row,) = await toys.outbox()
    cause = dict(sent.headers)["ce_id"].decode()
    assert row["headers"]["ce_causationid"] == cause
    assert row["headers"]["ce_correlationid"] == return_id("a")
    assert row["headers"]["ce_subject"] == return_id("a")
    assert row["headers"]["ce_source"] == "/services/commerce"
    assert row["headers"]["traceparent"] == trace
    assert (row["aggregateid"], row["topic"]) == ("o1", "returns.lifecycle")
    assert row["headers"]["ce_id"] == row["id"]


async def test_what_came_without_a_trace_begins_the_trace_of_its_return(toys: Drive) -> None:
    await toys.send(request("o1", "a"))
    (row,) = await toys.outbox()
    version, trace, parent, flags = row["headers"]["traceparent"].split("-")
    assert (version, trace, flags) == ("00", return_id("a").replace("-", ""), "01")
    assert len(parent) == 16
    assert int(parent, 16) > 0


async def test_a_replay_on_another_store_publishes_the_same_ids(
    drive: DriveService, toys: Drive
) -> None:
    other = await drive(toy.builder(), toy.NAME, versions=toy.VERSIONS)
    batch = [record(request("o1", name)) for name in "abc"]
    await toys.send(*batch)
    for each in batch:
        await other.send(each)
    assert [row["id"] for row in await toys.outbox()] == [row["id"] for row in await other.outbox()]
    assert len({row["id"] for row in await toys.outbox()}) == 3


@pytest.mark.parametrize("size", [1, 10, 200])
async def test_a_batch_costs_at_most_twelve_round_trips_whatever_its_size(
    toys: Drive, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def batch(half: str) -> list[Any]:
        made: list[Any] = []
        for number in range(size):
            order_id, name = f"o{number % 50}", f"{half}{number}"
            made += [request(order_id, name), review(f"late{number}", name=name)]
            made += [cancel(order_id, name=name), evidence(order_id, name, name=name)]
        return made[:size] if size > 1 else made[:1]

    await toys.send(*batch("warm"))
    with counted_round_trips(monkeypatch) as sent:
        await toys.send(*batch("hot"))
    assert 0 < len(sent) <= ROUND_TRIPS_MAX, sent


async def test_poison_is_set_aside_with_its_bytes_and_its_neighbours_go_on(toys: Drive) -> None:
    poison = record(request("o1", "bad", locale=toy.POISON), headers=(("x", b"\xff\x00"),))
    await toys.send(record(request("o1", "a")), poison, record(request("o1", "b")))
    found = await account(toys, "o1")
    assert found.requests == (return_id("a"), return_id("b"))
    assert found.quarantined == 1
    (row,) = await toys.quarantined()
    assert row["value"] == poison.value
    assert json.loads(row["headers"])[-1] == ["x", "ff00"]
    assert row["key"] == b"o1"
    assert "this one never works" in row["reason"]
    assert (row["return_id"], row["order_id"]) == (return_id("bad"), "o1")
    await toys.send(poison)
    assert await toys.count("quarantine") == 1


UNREADABLE = {
    "not JSON": b"{",
    "no object": b"[1]",
    "no type": b'{"return_id": "x"}',
    "unknown type": b'{"type": "Nonsense"}',
    "no value": b"",
    "lone surrogate": b'{"type": "ReturnRequest", "locale": "\\ud800"}',
    "NUL": b'{"type": "ReturnRequest\\u0000"}',
    "deep": b"[" * 100_000,
    "huge number": b'{"type": "CancelReturn", "n": ' + b"9" * 5000 + b"}",
    "too large": b'"' + b"x" * 1_100_000 + b'"',
}


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_an_unreadable_record_is_set_aside_and_never_heard_of_twice(
    toys: Drive, value: bytes
) -> None:
    bad = Record(
        topic="returns.requests",
        partition=3,
        offset=7,
        key=b"\xff",
        headers=(("\x00", b"\x00"), ("traceparent", b"\xff")),
        value=value,
    )
    await toys.send(record(request("o1", "a")), bad, record(request("o1", "b")))
    await toys.send(bad)
    assert len((await account(toys, "o1")).requests) == 2
    (row,) = await toys.quarantined()
    assert row["value"] == value
    assert (row["partition"], row["offset"]) == (3, 7)


async def test_a_quarantined_record_moves_only_the_order_that_its_body_names(
    toys: Drive,
) -> None:
    body = json.dumps({"type": "Nonsense", "order_id": "o9", "return_id": "no uuid"}).encode()
    bad = Record(topic="returns.requests", partition=0, offset=0, key=b"o1", headers=(), value=body)
    await toys.send(bad)
    assert (await account(toys, "o9")).quarantined == 1
    assert (await account(toys, "o1")).quarantined == 0


async def test_tombstones_and_messages_for_others_are_passed_over(toys: Drive) -> None:
    tombstone = Record(topic="orders", partition=0, offset=0, key=b"o1", headers=(), value=None)
    await toys.send(tombstone)
    assert await toys.count("inbox") == 0
    assert await toys.count("quarantine") == 0


@pytest.mark.parametrize("structured", [False, True])
async def test_bare_and_structured_messages_are_deduplicated_by_their_own_id(
    toys: Drive, structured: bool
) -> None:
    body = request("o1", "a").model_dump(mode="json", exclude_none=True)
    if structured:
        event = {
            "specversion": "1.0", "id": "e1", "source": "/oms", "data": body,
            "type": "returns.ReturnRequest.v1",
        }  # fmt: skip
        headers = (("content-type", b"application/cloudevents+json; charset=utf-8"),)
    else:
        event, headers = {"type": "ReturnRequest", **body}, ()
    bare = record(request("o1", "a"))
    bare = replace(bare, headers=headers, value=json.dumps(event).encode())
    await toys.send(bare)
    await toys.send(replace(bare, offset=99))
    assert (await account(toys, "o1")).requests == (return_id("a"),)


async def test_a_message_waits_for_its_order_and_is_taken_up_when_that_comes(
    toys: Drive,
) -> None:
    await toys.send(review("o1"))
    assert await toys.count("parked") == 1
    await toys.send(request("o2"))
    assert await toys.count("parked") == 1
    await toys.send(order("o1"))
    assert (await account(toys, "o1")).outcomes == ("reviewed:fine",)
    assert await toys.count("parked") == 0


async def test_what_overtakes_its_order_within_one_batch_is_not_stored_at_all(
    toys: Drive,
) -> None:
    await toys.send(review("o1", "one"), review("o1", "two"), order("o1"))
    assert (await account(toys, "o1")).outcomes == ("reviewed:one", "reviewed:two")
    assert await toys.count("parked") == 0


async def test_what_waits_for_something_that_waits_is_taken_up_with_it(toys: Drive) -> None:
    await toys.send(settlement("o1"))
    await toys.send(request("o1", locale=toy.PATIENT))
    assert await toys.count("parked") == 2
    await toys.send(order("o1"))
    assert (await account(toys, "o1")).outcomes == ("chosen:store_credit",)
    assert await toys.count("parked") == 0


async def test_what_waits_keeps_its_first_patience_and_is_then_set_aside(toys: Drive) -> None:
    sent = record(review("o1"))
    await toys.send(sent)
    await toys.advance(timedelta(seconds=6))
    await toys.send(request("o1"))
    assert await toys.count("parked") == 1
    await toys.advance(timedelta(seconds=3))
    assert await toys.count("quarantine") == 0
    await toys.advance(timedelta(seconds=2))
    (row,) = await toys.quarantined()
    assert row["reason"] == "refers to something unknown: order o1"
    assert row["value"] == sent.value
    assert await toys.count("parked") == 0
    assert (await account(toys, "o1")).quarantined == 1


async def test_a_parked_message_that_breaks_is_set_aside_and_its_waker_goes_on(
    toys: Drive,
) -> None:
    await toys.send(review("o1"))
    await toys.pool.execute(
        "UPDATE parked SET payload = jsonb_set(payload, '{locale}', '\"poison\"'),"
        " type = 'ReturnRequest'"
    )
    body = request("o1", "bad", locale=toy.POISON).model_dump_json(exclude_none=True)
    await toys.pool.execute("UPDATE parked SET payload = $1", body)
    await toys.send(order("o1"))
    assert (await account(toys, "o1")).known
    assert await toys.count("parked") == 0
    assert await toys.count("quarantine") == 1


async def test_a_parked_message_that_no_version_knows_is_set_aside_in_the_end(
    toys: Drive,
) -> None:
    await toys.send(review("o1"))
    await toys.pool.execute("UPDATE parked SET type = 'Forgotten'")
    await toys.send(order("o1"))
    assert (await account(toys, "o1")).known
    await toys.advance(timedelta(seconds=11))
    assert await toys.count("parked") == 0
    assert await toys.count("quarantine") == 1


async def test_a_deadline_fires_once_and_remembers_what_started_it(toys: Drive) -> None:
    sent = record(cancel("o1"))
    await toys.send(sent)
    await toys.advance(timedelta(minutes=59))
    assert await toys.published() == []
    await toys.advance(timedelta(minutes=2))
    await toys.advance(timedelta(hours=2))
    assert (await account(toys, "o1")).outcomes == ("reminded",)
    (row,) = await toys.outbox()
    assert row["headers"]["ce_causationid"] == dict(sent.headers)["ce_id"].decode()


async def test_a_deadline_set_again_moves_and_can_be_taken_back(toys: Drive) -> None:
    await toys.send(cancel("o1", "a"))
    await toys.advance(timedelta(minutes=30))
    await toys.send(cancel("o1", "b"))
    await toys.advance(timedelta(minutes=40))
    assert (await account(toys, "o1")).outcomes == ()
    await toys.send(cancel("o1", "never mind"))
    await toys.advance(timedelta(hours=5))
    assert (await account(toys, "o1")).outcomes == ()
    assert await toys.count("deadlines") == 0


async def test_long_waits_are_divided_by_the_time_scale(drive: DriveService) -> None:
    fast = await drive(toy.builder(), toy.NAME, versions=toy.VERSIONS, returns_time_scale=3600.0)
    await fast.send(cancel("o1"))
    await fast.advance(timedelta(seconds=1))
    assert (await account(fast, "o1")).outcomes == ("reminded",)


async def test_effects_are_carried_out_once_and_their_outcome_comes_back(
    drive: DriveService,
) -> None:
    world = toy.World(refusals={"b": 2})
    toys = await drive(toy.builder(world), toy.NAME, versions=toy.VERSIONS)
    world.postponed["c"] = toys.clock.now() + timedelta(seconds=30)
    sent = record(evidence("o1", "a", "b", "c"))
    await toys.send(sent, record(evidence("o1", "a")))
    await toys.settle()
    assert world.book == ["a"]
    for _ in range(5):
        await toys.advance(timedelta(seconds=2))
    assert world.book == ["a", "b"]
    await toys.advance(timedelta(seconds=30))
    assert world.book == ["a", "b", "c"]
    assert (await account(toys, "o1")).outcomes == ("done:a", "done:b", "done:c")
    rows = await toys.outbox()
    assert {row["headers"]["ce_causationid"] for row in rows} == {
        dict(sent.headers)["ce_id"].decode()
    }
    assert len({row["id"] for row in rows}) == 3
    assert await toys.count("effects") == 0


async def test_an_executor_whose_lease_ran_out_changes_nothing_any_more(toys: Drive) -> None:
    await toys.send(evidence("o1", "a"))
    slow = await toys.effects._claim(10)
    outcome = await toys.effects._carry_out(slow[0])
    await toys.advance(timedelta(seconds=100))
    await toys.effects.settle([outcome])
    assert (await account(toys, "o1")).outcomes == ("done:a",)
    assert await toys.count("outbox") == 1


async def test_a_lease_is_renewed_while_somebody_works_and_only_then(toys: Drive) -> None:
    await toys.send(evidence("o1", "a"))
    (row,) = await toys.effects._claim(10)
    toys.effects._held[row["id"]] = row["lease_token"]
    for _ in range(5):
        toys.clock.at += LEASE * 0.9
        await toys.effects.renew()
    assert await toys.effects._claim(10) == []
    await toys.effects.settle([await toys.effects._carry_out(row)])
    assert (await account(toys, "o1")).outcomes == ("done:a",)
    await toys.send(evidence("o1", "b"))
    await toys.effects._claim(10)
    toys.clock.at += LEASE * 1.1
    assert len(await toys.effects._claim(10)) == 1


async def test_an_outcome_that_breaks_is_set_aside_and_not_carried_out_again(
    drive: DriveService,
) -> None:
    world = toy.World()
    toys = await drive(toy.builder(world), toy.NAME, versions=toy.VERSIONS)
    await toys.send(evidence("o1", "a", toy.POISON, "b"))
    await toys.settle()
    await toys.advance(timedelta(minutes=10))
    assert sorted(world.book) == ["a", "b", "poison"]
    assert await toys.count("effects") == 0
    (row,) = await toys.quarantined()
    assert row["topic"] == "effect"
    assert (await account(toys, "o1")).quarantined == 1


async def test_a_quarantined_record_is_driven_again_on_request_with_mended_bytes(
    toys: Drive,
) -> None:
    await toys.send(request("o1", "bad", locale=toy.POISON))
    (row,) = await toys.quarantined()
    as_it_came, set_aside_at = row["value"], row["at"]
    await toys.advance(timedelta(minutes=1))
    async with toys.pool.acquire() as connection:
        assert await quarantine.request_redrive(connection, row["id"], now=toys.clock.now())
        await toys.settle()
        (row,) = await toys.quarantined()
        assert row["redriven_at"] is None
        assert row["redrive_requested_at"] is None
        assert row["at"] == set_aside_at
        mended = request("o1", "bad").model_dump_json(exclude_none=True).encode()
        assert await quarantine.request_redrive(
            connection, row["id"], now=toys.clock.now(), value=mended
        )
        await toys.settle()
        (entry,) = await quarantine.entries(connection)
        assert entry.redriven_at is not None
        assert (entry.record.value, entry.mended) == (as_it_came, mended)
        assert not await quarantine.request_redrive(connection, entry.id, now=toys.clock.now())
    assert (await account(toys, "o1")).requests == (return_id("bad"),)


async def test_somebody_faster_makes_the_batch_load_again(drive: DriveService) -> None:
    toys = await drive(toy.builder(toy.World(conflicts=2)), toy.NAME, versions=toy.VERSIONS)
    await toys.send(request("o1", "a"), request("o2", "b"))
    assert (await account(toys, "o1")).requests == (return_id("a"),)
    assert await toys.count("quarantine") == 0


async def test_submitting_raises_what_the_handler_raises_and_leaves_nothing(
    toys: Drive,
) -> None:
    with pytest.raises(ValueError, match="never works"):
        await toys.pipeline.submit(request("o1", locale=toy.POISON))
    assert await toys.count("quarantine") == 0
    work = await toys.pipeline.submit(request("o1", "a"))
    assert isinstance(work, toy.Work)
    assert work.account("o1").requests == (return_id("a"),)
    (row,) = await toys.outbox()
    assert row["headers"]["ce_causationid"]


async def test_a_store_that_goes_away_makes_the_records_come_again(toys: Drive) -> None:
    async with toys.pool.acquire() as connection:
        backend = connection.get_server_pid()
    sent = record(request("o1", "a"))

    async def cut_off(*_: Any) -> list[tuple[str, ...]]:
        await _break_connection(toys, backend)
        return [("o1",)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy.Work, "keys", cut_off)
        with pytest.raises(Transient):
            await toys.pipeline.process([sent])
    assert await toys.count("inbox") == 0
    await toys.pipeline.process([sent])
    assert (await account(toys, "o1")).requests == (return_id("a"),)


async def _break_connection(toys: Drive, backend: int) -> None:
    """Ends the session at the server; the pool has not noticed yet."""
    url = toys.settings.database_url(toy.NAME)
    connection = await asyncpg.connect(url)
    await connection.execute("SELECT pg_terminate_backend($1)", backend)
    await connection.close()


async def test_what_cannot_be_published_is_set_aside(toys: Drive) -> None:
    foreign: ReturnRequest = request("o1", "a")
    original = toys.service.handlers[ReturnRequest]

    def publishes_nonsense(work: toy.Work, message: ReturnRequest) -> None:
        original(work, message)
        work.publish(foreign, key="o1")

    toys.service.handlers[ReturnRequest] = publishes_nonsense  # type: ignore[index]
    await toys.send(request("o1", "a"), order("o2"))
    assert (await account(toys, "o1")).requests == ()
    assert (await account(toys, "o2")).known
    assert await toys.count("quarantine") == 1
