"""Logs and stores of earlier code: today's code comes to the same states."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import jsonschema  # type: ignore[import-untyped]
import pytest
import pytest_asyncio

from contracts.base import write
from services.chassis.migrate import migrate, role_of
from services.chassis.records import Record
from services.chassis.settings import Settings
from services.ops.embedded.postgres import Database, Server
from tests.conftest import DriveService
from tests.driving import Drive, SteppedClock, driving
from tests.upgrade import states
from tests.upgrade.replay import (
    GOLDEN,
    differences,
    extended,
    fill,
    final,
    log,
    midway,
    policy,
    replay,
    store,
)
from tests.upgrade.world import BUILDS, builder

pytestmark = pytest.mark.asyncio

BASELINE = Path(__file__).parent / "baseline"
TOLD = [(each.name, service) for each in sorted(GOLDEN.iterdir()) for service in BUILDS]
"""Every story that was kept, as each service heard it."""
NOT_YET_KNOWN = b'{"return_id": "6c0b95b5-dd2f-5934-8c96-c4f64b55cb86", "weather": "fine"}'


@pytest_asyncio.fixture
async def driven(story: str, service: str, drive: DriveService) -> Drive:
    """A service on an empty store."""
    clock = SteppedClock()
    return await drive(builder(service, clock), service, clock=clock, policy_path=policy(story))


@pytest.mark.parametrize(("story", "service"), TOLD)
async def test_todays_code_comes_to_the_states_of_an_old_log(
    driven: Drive, story: str, service: str
) -> None:
    await replay(driven, log(story, service))
    assert await driven.quarantined() == []
    assert differences(final(story, service), await states.of(service, driven.pool)) == []
    # What it says meanwhile, a program reads that was written against the first schemas.
    for message in await driven.published():
        schema = json.loads((BASELINE / f"{type(message).__name__}.json").read_text())
        jsonschema.validate(json.loads(write(message)), schema)


@pytest.mark.parametrize(("story", "service"), TOLD)
async def test_a_log_of_later_writers_comes_to_the_same_states(
    driven: Drive, story: str, service: str
) -> None:
    """Fields, headers and whole messages that nobody knows yet, beside what is known."""
    strangers = 0

    def later(record: Record) -> list[Record]:
        nonlocal strangers
        strangers += 1
        stranger = Record(
            topic=record.topic,
            partition=1,
            offset=strangers,
            key=record.key,
            headers=tuple(
                (name, b"returns.WeatherReported.v1" if name == "ce_type" else value)
                for name, value in record.headers
            ),
            value=NOT_YET_KNOWN.replace(b"6c0b95b5", b"00000000"),
        )
        body = json.dumps(extended(json.loads(record.value or b"{}"))).encode()
        headers = (*record.headers, ("ce_dataschema", b"/v1.7"), ("ce_signature", b"\xff\x00"))
        known = Record(
            topic=record.topic, partition=0, offset=record.offset, key=record.key,
            headers=headers, value=body,
        )  # fmt: skip
        return [stranger, known]

    await replay(driven, log(story, service), later)
    assert differences(final(story, service), await states.of(service, driven.pool)) == []
    rows = await driven.quarantined()
    assert len(rows) == strangers
    assert all("WeatherReported" in row["reason"] for row in rows)


@pytest.fixture
def old_store(story: str, service: str, postgres: Server) -> Iterator[Database]:
    """A store of the revision of that day that has data, with open returns."""
    kept = store(story, service)
    name = f"old_{service}_{uuid4().hex[:8]}"
    made = postgres.provide(service, database=name)
    role, revisions = role_of(made.runtime_url), (kept["revision"], kept.get("chassis"))
    migrate(service, made.migration_url, role, to=revisions)
    fill(postgres.url(name), kept["tables"])
    yield made
    postgres.drop(name)


@pytest.mark.parametrize(("story", "service"), TOLD)
async def test_a_store_with_open_returns_is_migrated_and_goes_on_to_settlement(
    old_store: Database, settings: Settings, story: str, service: str
) -> None:
    migrate(service, old_store.migration_url, role_of(old_store.runtime_url))
    own, clock = settings.model_copy(update={"policy_path": policy(story)}), SteppedClock()
    url, build = old_store.runtime_url, builder(service, clock)
    async with driving(build, service, url, own, clock) as driven:
        await replay(driven, log(story, service, after=midway(story)))
        assert await driven.quarantined() == []
        assert differences(final(story, service), await states.of(service, driven.pool)) == []
