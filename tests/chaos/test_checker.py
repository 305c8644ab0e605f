"""What chaos is red for: a run is right only if nothing of this is found."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from services.ops.embedded import kafka_jars
from tests.chaos import checker
from tests.chaos.__main__ import told
from tests.chaos.checker import SETTLED, Held, Told
from tests.chaos.wanted import KINDS, REFUND, Case
from tests.conftest import Bus
from tests.waiting import wait_until

CASES = [Case(1, number) for number in range(len(KINDS))]
PAID = CASES[0]
[LATE] = [case for case in CASES if case.kind.name == "late"]
START_SECONDS_MAX = 120


def moved(case: Case, kind: str) -> dict[str, Any]:
    return {"kind": kind, "amount": REFUND, "metadata": {"return_id": case.return_id}}


def well() -> Held:
    """The stores and the book after a run in which all went well."""
    ends = {case.return_id: case.kind.ends for case in CASES}
    settled = [case.return_id for case in CASES if case.kind.ends == "settled"]
    return Held(
        book={case.reference: [moved(case, kind) for kind in case.kind.book] for case in CASES},
        statuses={"commerce": ends, "gateway": ends},
        refunded=dict.fromkeys(settled, REFUND),
        goods={case.return_id: ["restocked"] for case in CASES if case.kind.comes_back},
        open_money=[],
        left={"commerce": 0},
    )


def of(case: Case, **changes: Any) -> dict[str, Any]:
    """The view of a return at its end, as the gateway shows it."""
    until = None if case.kind.party == "none" else "2026-03-01T12:00:00Z"
    view = {"status": case.kind.ends, "waiting_on": case.kind.party, "until": until}
    return view | changes


def lifecycle() -> list[Told]:
    return [
        Told(
            id=f"{case.return_id}:{number}",
            type="returns.ReturnStatusChanged.v1",
            body={"return_id": case.return_id, "number": number, "status": status},
        )
        for case in CASES
        for number, status in ((1, "requested"), (2, case.kind.ends))
    ]


def events() -> list[Told]:
    return [
        Told(id=case.return_id, type=SETTLED, body={"return_id": case.return_id})
        for case in CASES
        if case.kind.book == ("refund",)
    ]


def test_a_run_in_which_all_went_well_is_right() -> None:
    assert checker.unlike(CASES, well()) == []
    assert list(checker.of_gateway(CASES, {case.return_id: of(case) for case in CASES})) == []
    assert list(checker.of_topics(CASES, lifecycle(), events())) == []


def without(found: Any, key: str) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != key}


BROKEN: dict[str, Callable[[Held], Held]] = {
    "was never refunded": lambda held: replace(held, book=without(held.book, PAID.reference)),
    "was refunded twice": lambda held: replace(
        held, book={**held.book, PAID.reference: [moved(PAID, "refund")] * 2}
    ),
    "was refunded too much": lambda held: replace(
        held,
        book={**held.book, PAID.reference: [moved(PAID, "refund") | {"amount": REFUND + 1}]},
    ),
    "was refunded for another": lambda held: replace(
        held, book={**held.book, PAID.reference: [moved(LATE, "refund")]}
    ),
    "was refunded while it waits for a person": lambda held: replace(
        held, book={**held.book, LATE.reference: [moved(LATE, "refund")]}
    ),
    "is lost to commerce": lambda held: replace(
        held,
        statuses=dict(held.statuses)
        | {"commerce": without(held.statuses["commerce"], PAID.return_id)},
    ),
    "is undecided at the gateway": lambda held: replace(
        held,
        statuses=dict(held.statuses)
        | {"gateway": dict(held.statuses["gateway"]) | {PAID.return_id: "in_review"}},
    ),
    "is not in payment's books": lambda held: replace(
        held, refunded=without(held.refunded, PAID.return_id)
    ),
    "is not on its shelf": lambda held: replace(
        held, goods=dict(held.goods) | {PAID.return_id: ["restocked", "received"]}
    ),
    "has money whose end nobody knows": lambda held: replace(held, open_money=["p1"]),
    "has messages that nobody was told": lambda held: replace(held, left={"commerce": 1}),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_run_is_wrong_when_a_return(how: str) -> None:
    assert checker.unlike(CASES, BROKEN[how](well()))


@pytest.mark.parametrize(
    ("case", "view"),
    [
        (PAID, None),
        (PAID, of(PAID, status="awaiting_goods")),
        (PAID, of(PAID, waiting_on="customer")),
        (LATE, of(LATE, waiting_on="none")),
        (LATE, of(LATE, until=None)),
    ],
)
def test_a_run_is_wrong_when_a_view_is_missing_stale_or_waits_on_nobody(
    case: Case, view: dict[str, Any] | None
) -> None:
    shown = {each.return_id: of(each) for each in CASES}
    found = without(shown, case.return_id) if view is None else shown | {case.return_id: view}
    assert len(list(checker.of_gateway(CASES, found))) == 1


def test_a_run_is_wrong_when_a_topic_has_gaps_or_tells_a_thing_twice() -> None:
    everything = lifecycle()
    first = everything[0]
    again = Told(id="another", type=first.type, body=first.body)
    assert list(checker.of_topics(CASES, [*everything, first], events())) == []  # one message
    assert len(list(checker.of_topics(CASES, [*everything, again], events()))) == 1
    assert len(list(checker.of_topics(CASES, everything[1:], events()))) == 1
    assert len(list(checker.of_topics(CASES, everything[:1] + everything[2:], events()))) == 1
    twice = Told(id="another", type=SETTLED, body={"return_id": PAID.return_id})
    assert len(list(checker.of_topics(CASES, everything, [*events(), twice]))) == 1
    assert len(list(checker.of_topics(CASES, everything, events()[1:]))) == 1


@pytest.mark.asyncio
async def test_a_topic_is_read_to_its_end_however_long_that_takes(bus: Bus) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bus.bootstrap)
    await producer.start()
    topic = f"{bus.prefix}returns.lifecycle"
    assert await checker.records(bus.bootstrap, topic) == []
    try:
        for told in lifecycle():
            headers = [("ce_id", told.id.encode()), ("ce_type", told.type.encode())]
            value = json.dumps(told.body).encode()
            await producer.send_and_wait(topic, value, key=told.id.encode(), headers=headers)
    finally:
        await producer.stop()
    found = await checker.records(bus.bootstrap, topic)
    assert sorted(each.id for each in found) == sorted(each.id for each in lifecycle())
    assert list(checker.of_topics(CASES, found, events())) == []


def test_what_failed_in_several_tasks_is_told_one_by_one() -> None:
    group = ExceptionGroup("tasks", [AssertionError("a caller gave up"), OSError("no port")])
    found = list(told(ExceptionGroup("more", [group, asyncio.InvalidStateError("x")])))
    assert found == ["AssertionError: a caller gave up", "OSError: no port", "InvalidStateError: x"]


def processes_of(home: Path) -> Iterator[int]:
    """Who was started for a run: its folder is in their command or their environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            said = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:  # over, or another user's
            continue
        if str(home).encode() in said:
            yield int(folder.name)


@pytest.mark.skipif(kafka_jars.missing() is not None, reason="chaos needs Apache Kafka")
def test_a_run_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos", "--minutes", "5", "--seed", "1"]
    with (tmp_path / "said").open("wb") as output:
        run = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env=os.environ | {"TMPDIR": str(tmp_path), "CHAOS": str(tmp_path)},
        )
        wait_until(
            lambda: b"ready after" in (tmp_path / "said").read_bytes(),
            seconds=START_SECONDS_MAX,
            what="the system of the run",
        )
        assert len(list(processes_of(tmp_path))) > len(("run", "kafka", "postgres"))
        run.send_signal(signal.SIGKILL)
        run.wait()
    wait_until(lambda: not list(processes_of(tmp_path)), what="the end of what it started")
