"""The example frontends, run as their README says, by a customer whose return goes to its end."""

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

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = Path("deploy/examples/frontend")
PYTHON = (sys.executable, ROOT / EXAMPLES / "python" / "frontend.py")
NPM_SECONDS_MAX = 240
CHANGE_SECONDS_MAX = 120
END_SECONDS_MAX = 60
UNREACHABLE = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET")
Program = tuple[str | Path, ...]


def typescript_in(copy: Path) -> Path:
    """The TypeScript example in a folder of its own, with its packages. Skips without npm."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
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


def built(folder: Path) -> Program:
    """The compiled TypeScript example."""
    done = npm(folder, "run", "build")
    assert done.returncode == 0, done.stdout + done.stderr
    return ("node", folder / "build" / "frontend.js")


async def follows_to_the_money(stranger: Stranger, program: Program, client: Json) -> None:
    """`client` is how the program's Kafka library is told of the broker."""
    order = an_order()
    await stranger.place(order)
    with _frontend(client, *program, order["order_id"], "JACKET-M") as output:
        first = await _next_change(output)
        await stranger.labelled(first["return_id"])
        await stranger.send_back(first["return_id"], order)
        seen = [first]
        while seen[-1]["waiting_on"] != "none":
            seen.append(await _next_change(output))
    assert [change["number"] for change in seen] == list(range(1, len(seen) + 1))
    assert seen[0]["status"] == "requested"
    assert seen[-1]["status"] == "settled"
    assert await stranger.paid(order) == 22200


@contextmanager
def _frontend(client: Json, *command: str | Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"KAFKA_CLIENT": json.dumps(client)},
    ) as process:
        try:
            yield process
            assert process.wait(timeout=END_SECONDS_MAX) == 0
        finally:
            process.kill()


async def _next_change(process: subprocess.Popen[str]) -> Json:
    assert process.stdout is not None
    reading = asyncio.to_thread(process.stdout.readline)
    line = await asyncio.wait_for(reading, timeout=CHANGE_SECONDS_MAX)
    assert line, "the frontend ended early"
    change: Json = json.loads(line)
    return change
