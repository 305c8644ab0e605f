"""The example frontends, run as their README says, against the running system."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.blackbox.world import Json, Stranger, an_order

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = Path("deploy/examples/frontend")
NPM_SECONDS_MAX = 120
UNREACHABLE = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET")


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript example in a folder of its own, with its packages."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    copy = tmp_path_factory.mktemp("typescript")
    left_behind = shutil.ignore_patterns("node_modules", "build")
    for part in (EXAMPLES / "typescript", Path("contracts/schemas")):
        shutil.copytree(ROOT / part, copy / part, ignore=left_behind)
    folder = copy / EXAMPLES / "typescript"
    done = npm(folder, "ci", "--prefer-offline", "--no-audit", "--no-fund")
    if done.returncode != 0 and any(sign in done.stderr for sign in UNREACHABLE):
        pytest.skip("npm cannot reach its registry")
    assert done.returncode == 0, done.stderr
    return folder


def npm(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["npm", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=NPM_SECONDS_MAX,
        check=False,
    )


def test_the_typescript_types_are_those_of_the_schemas(typescript: Path) -> None:
    made = npm(typescript, "run", "types")
    assert made.returncode == 0, made.stderr
    for committed in (ROOT / EXAMPLES / "typescript" / "messages").iterdir():
        fresh = (typescript / "messages" / committed.name).read_text()
        assert committed.read_text() == fresh, f"{committed.name} is stale: `npm run types`"


@pytest.mark.asyncio
async def test_the_python_frontend_follows_its_return_to_the_money(stranger: Stranger) -> None:
    await follows_to_the_money(stranger, sys.executable, ROOT / EXAMPLES / "python/frontend.py")


@pytest.mark.asyncio
async def test_the_typescript_frontend_follows_its_return_to_the_money(
    stranger: Stranger, typescript: Path
) -> None:
    built = npm(typescript, "run", "build")
    assert built.returncode == 0, built.stdout + built.stderr
    await follows_to_the_money(stranger, "node", typescript / "build" / "frontend.js")


async def follows_to_the_money(stranger: Stranger, *program: str | Path) -> None:
    order = an_order()
    await stranger.place(order)
    with frontend(stranger.world.kafka, *program, order["order_id"], "JACKET-M") as output:
        first = await next_change(output)
        await stranger.labelled(first["return_id"])
        await stranger.send_back(first["return_id"], order)
        seen = [first]
        while seen[-1]["waiting_on"] != "none":
            seen.append(await next_change(output))
    assert [change["number"] for change in seen] == list(range(1, len(seen) + 1))
    assert seen[0]["status"] == "requested"
    assert seen[-1]["status"] == "settled"
    assert await stranger.paid(order) == 22200


@contextmanager
def frontend(kafka: str, *command: str | Path) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": kafka}
    with subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


async def next_change(process: subprocess.Popen[str]) -> Json:
    assert process.stdout is not None
    line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), timeout=60)
    assert line, "the frontend ended early"
    change: Json = json.loads(line)
    return change
