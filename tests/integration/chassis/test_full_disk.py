"""The volume of the database is full: the service waits, says so, loses nothing, and goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from psycopg import sql

from services.chassis.settings import Settings
from services.ops.embedded import postgres
from services.ops.embedded.postgres import Server
from tests.integration.chassis import toy
from tests.integration.chassis.bus import producing, publish
from tests.integration.chassis.messages import request
from tests.integration.chassis.test_running import requests_of, running
from tests.stores import Stores
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio

VOLUME = "size=32m"
PIECE = bytes(65536)
BURST = 50
BURSTS_MAX = 60


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A small volume of its own; skipped where this user may not mount one."""
    folder = tmp_path / "volume"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", VOLUME, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no volume can be mounted here: a full disk is not brought about")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def server(volume: Path, tmp_path: Path) -> Iterator[Server]:
    with postgres.running(tmp_path / "postgres") as started:
        yield started


def store_on(volume: Path, server: Server) -> str:
    """The address of a toy store whose tables are on the volume; the server's log is not."""
    database = Stores(server).clone("commerce", versions=toy.VERSIONS)
    place = volume / "tables"
    place.mkdir()
    if postgres.wrapper() == postgres.NOBODY:
        subprocess.run(["chown", "nobody", str(place)], check=True)
    name = database.runtime_url.rsplit("/", 1)[1]
    server.execute(
        sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(place))),
        sql.SQL("ALTER DATABASE {} SET TABLESPACE small").format(sql.Identifier(name)),
    )
    return database.runtime_url


@contextmanager
def full(volume: Path) -> Iterator[None]:
    """Not a byte is left on it, for the length of a block."""
    ballast = volume / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(PIECE)
    try:
        yield
    finally:
        ballast.unlink()


async def test_a_full_disk_is_waited_for(
    toy_settings: Settings, server: Server, volume: Path
) -> None:
    url = store_on(volume, server)
    settings = toy_settings.model_copy(update={"commerce_database_url": url})
    async with running(settings) as started, producing(settings) as producer:
        await publish(producer, settings, request("o0", "first"))
        await wait_for(lambda: requests_of(started, "o0"))
        sent = 0
        with full(volume):
            while "broker" not in (found := await started.failing_parts()):
                assert sent < BURST * BURSTS_MAX, "the tables never grew"
                orders = [f"o{sent + number + 1}" for number in range(BURST)]
                await publish(producer, settings, *(request(each, each) for each in orders))
                sent += BURST
            assert "No space left on device" in found["broker"]

        async def all_in() -> bool:
            count = await started.pool.fetchval("SELECT count(*) FROM accounts")
            return bool(count == sent + 1) and not await started.failing_parts()

        await wait_for(all_in, seconds=60)
        assert await started.pool.fetchval("SELECT count(*) FROM quarantine") == 0
