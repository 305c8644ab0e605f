"""Every attack on every topic, at every service that reads it, on its real store."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import topics
from services.chassis.records import Record
from tests.conftest import DriveService
from tests.driving import Drive, SteppedClock
from tests.hostile.corpus import Case, cases
from tests.hostile.services import (
    BUILDS,
    as_record,
    builder,
    inbox_id,
    is_ours,
    neighbour,
    reads,
)

CASES = cases("bus")
ROWS = "SELECT * FROM quarantine WHERE id > $1 ORDER BY id"
LAST = "SELECT coalesce(max(id), 0) FROM quarantine"
HANDLED = "SELECT count(*) FROM inbox WHERE event_id = ANY($1::uuid[])"


def test_the_corpus_attacks_every_topic_and_says_what_with() -> None:
    assert len(CASES) >= 150
    assert {case.topic for case in CASES} == set(topics.BY_NAME)
    assert all(case.attacks for case in CASES)


@pytest.mark.parametrize("service", BUILDS)
@pytest.mark.asyncio
async def test_a_record_is_handled_or_set_aside_with_its_bytes_and_its_neighbours_go_on(
    service: str, drive: DriveService
) -> None:
    clock = SteppedClock()
    driven = await drive(builder(service, clock), service, clock=clock)
    wrong = [
        f"{case.name}: {complaint}"
        for offset, case in enumerate(CASES)
        if reads(service, case)
        for complaint in await complaints(driven, case, offset)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("service", BUILDS)
@pytest.mark.asyncio
async def test_all_of_them_in_one_batch_hold_nobody_up(service: str, drive: DriveService) -> None:
    clock = SteppedClock()
    driven = await drive(builder(service, clock), service, clock=clock)
    batch: list[Record] = []
    for offset, case in enumerate(case for case in CASES if reads(service, case)):
        batch += [neighbour(), as_record(case, offset)]
    await driven.send(*batch)
    neighbours = [inbox_id(each) for each in batch[::2]]
    assert await driven.pool.fetchval(HANDLED, neighbours) == len(neighbours)
    rows = await driven.quarantined()
    assert [row["reason"] for row in rows if is_ours(row["reason"])] == []


async def complaints(driven: Drive, case: Case, offset: int) -> list[str]:
    """What is wrong with how a service took a case between two neighbours; nothing is best."""
    last = await driven.pool.fetchval(LAST)
    before, after = neighbour(), neighbour()
    await driven.send(before, as_record(case, offset), after)
    found: list[str] = []
    handled = await driven.pool.fetchval(HANDLED, [inbox_id(before), inbox_id(after)])
    if handled != 2:
        found.append(f"{2 - handled} neighbours were not handled")
    rows = await driven.pool.fetch(ROWS, last)
    found += judged(case, [dict(row) for row in rows])
    return found


def judged(case: Case, rows: list[dict[str, Any]]) -> list[str]:
    """Complaints about the rows that one case left in the quarantine."""
    reasons = [str(row["reason"]) for row in rows]
    [how] = case.expected.how
    if len(rows) > 1:
        return [f"{len(rows)} rows: {reasons}"]
    if not rows:
        return ["it was taken for a message"] if how == "quarantined" else []
    found = [f"a mistake of ours: {reason}" for reason in reasons if is_ours(reason)]
    if how == "handled" and not found:
        found.append(f"set aside: {reasons}")
    if case.expected.what not in reasons[0]:
        found.append(f"{case.expected.what!r} is not in {reasons}")
    if (rows[0]["value"] or b"") != case.body():
        found.append("its bytes were not kept")
    return found
