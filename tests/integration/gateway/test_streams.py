"""Server-sent events: every change after a number, each once, also those that come later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from contracts.lifecycle import Status
from services.gateway import streams
from services.ops import returns
from tests.integration.gateway.door import Door, Json, change

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def events(response: httpx.Response) -> AsyncIterator[Json]:
    """The events of an open stream."""
    event: Json = {}
    async for line in response.aiter_lines():
        if line.startswith(":"):
            continue
        if not line:
            if event:
                yield event
            event = {}
            continue
        name, _, value = line.partition(": ")
        event[name] = json.loads(value) if name == "data" else value


async def take(source: AsyncIterator[Json], count: int) -> list[Json]:
    async with asyncio.timeout(10):
        return [await anext(source) for _ in range(count)]


async def test_a_stream_tells_what_was_and_what_happens_after_it_opened(door: Door) -> None:
    return_id = await door.ask()
    await door.changed(return_id, Status.REQUESTED, Status.ASSESSING)
    async with door.http.stream("GET", f"/returns/{return_id}/events") as opened:
        assert opened.status_code == 200
        assert opened.headers["content-type"].startswith("text/event-stream")
        source = events(opened)
        first, second = await take(source, 2)
        assert first["event"] == "ReturnStatusChanged"
        assert (first["id"], first["data"]["status"]) == ("1", "requested")
        assert second["data"]["number"] == 2
        await door.changed(return_id, Status.AWAITING_REVIEW, start=3)
        [third] = await take(source, 1)
        assert (third["id"], third["data"]["status"]) == ("3", "awaiting_review")


async def test_a_stream_resumes_after_the_last_event_that_was_seen(door: Door) -> None:
    return_id = await door.ask()
    await door.changed(return_id, *list(Status)[:5])
    for last, expected in (("3", ["4", "5"]), ("0", ["1", "2"]), ("nonsense", ["1", "2"])):
        headers = {"Last-Event-ID": last}
        async with door.http.stream(
            "GET", f"/returns/{return_id}/events", headers=headers
        ) as opened:
            got = await take(events(opened), len(expected))
            assert [event["id"] for event in got] == expected


async def test_a_change_that_was_overtaken_comes_late_and_not_never(door: Door) -> None:
    return_id = await door.ask()
    await door.publish("returns.lifecycle", change(return_id, 2, Status.ASSESSING))
    async with door.http.stream("GET", f"/returns/{return_id}/events") as opened:
        source = events(opened)
        assert [event["id"] for event in await take(source, 1)] == ["2"]
        await door.publish("returns.lifecycle", change(return_id, 1, Status.REQUESTED))
        await door.publish("returns.lifecycle", change(return_id, 3, Status.AWAITING_REVIEW))
        assert [event["id"] for event in await take(source, 2)] == ["1", "3"]


async def test_streams_share_one_look_and_close_when_the_reader_leaves(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STREAMS_MAX", 2)
    return_id = await door.ask()
    path = f"/returns/{return_id}/events"
    await door.changed(return_id, Status.REQUESTED)
    async with door.http.stream("GET", path) as one, door.http.stream("GET", path) as two:
        both = [events(one), events(two)]
        for source in both:
            await take(source, 1)
        refused = await door.http.get(path)
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        await door.changed(return_id, Status.ASSESSING, start=2)
        for source in both:
            assert [event["id"] for event in await take(source, 1)] == ["2"]
    async with asyncio.timeout(10):
        while door.app.state.gateway.streams.full:
            await asyncio.sleep(0.02)
    async with door.http.stream("GET", path) as again:
        assert again.status_code == 200


async def test_watching_everything_misses_nothing_however_many_pages_there_are(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(returns, "PAGE_RETURNS", 2)
    monkeypatch.setattr(returns, "LIST_POLL_SECONDS", 0.02)
    ids = [await door.ask() for _ in range(5)]
    for return_id in ids:
        await door.changed(return_id, Status.REQUESTED)
    with httpx.Client(base_url=door.http.base_url) as client:
        changes = returns._changes_of_all(client)

        async def told(count: int) -> list[tuple[str, str]]:
            async with asyncio.timeout(10):
                heard = [await asyncio.to_thread(next, changes) for _ in range(count)]
            return [(each["return_id"], each["status"]) for each in heard]

        assert await told(5) == [(return_id, "requested") for return_id in reversed(ids)]
        for return_id in (ids[0], ids[-1]):
            await door.changed(return_id, Status.ASSESSING, start=2)
        assert sorted(await told(2)) == sorted(
            (return_id, "assessing") for return_id in (ids[0], ids[-1])
        )
