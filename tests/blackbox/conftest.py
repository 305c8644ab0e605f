from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.blackbox.otlp import Collector, collecting
from tests.blackbox.world import Stranger, World, running
from tests.otelcol import Relay, binary, relaying


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Takes the spans of `world`."""
    with collecting() as started:
        yield started


@pytest.fixture(scope="session")
def relay(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Relay | None]:
    """The real collector, with our configuration, on the way there; None where it was not built."""
    program = binary()
    if program is None:
        yield None
        return
    with relaying(program, tmp_path_factory.mktemp("relay"), collector.endpoint) as started:
        yield started


def sites(home: Path) -> dict[str, str]:
    """The setting of a merchant for whom no carrier collects in Canada and Germany."""
    file = home / "sites.yaml"
    file.write_text("no_label_countries: [CA, DE]")
    return {"SITES_PATH": str(file)}


@pytest.fixture(scope="package")
def world(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector, relay: Relay | None
) -> Iterator[World]:
    """One system for all tests of this folder; every test has its own orders."""
    home: Path = tmp_path_factory.mktemp("blackbox")
    endpoint = relay.endpoint if relay else collector.endpoint
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "500"}
    with running(home, RETURNS_TIME_SCALE="1", **traced, **sites(home)) as started:
        yield started


@pytest_asyncio.fixture
async def stranger(world: World) -> AsyncIterator[Stranger]:
    person = Stranger(world)
    yield person
    await person.close()
