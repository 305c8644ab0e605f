"""A service that ends is started again; one that never starts is told."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from services.ops import supervisor
from services.ops.embedded import processes
from services.ops.embedded.processes import StartFailed
from services.ops.supervisor import Supervisor
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio

SERVER = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
HTTPServer(("127.0.0.1", int(os.environ["TOY_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment in which `python -m services.toy` is a small server."""
    package = tmp_path / "path" / "services"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "toy.py").write_text(SERVER)
    (package / "broken.py").write_text("raise SystemExit('the toy has no battery')")
    monkeypatch.chdir(tmp_path / "path")  # where `python -m` looks first
    return os.environ | {"TOY_PORT": str(processes.free_port())}


async def test_a_killed_service_comes_back_on_its_port_and_that_is_said(
    toy: dict[str, str], tmp_path: Path
) -> None:
    said: list[str] = []
    changes: list[int] = []
    keeper = Supervisor(toy, tmp_path, say=said.append, on_change=lambda: changes.append(1))
    address = {"toy": f"http://127.0.0.1:{toy['TOY_PORT']}"}
    await keeper.start("toy")
    try:
        await keeper.wait_until_ready(address)
        first = keeper.processes["toy"]
        command = psutil.Process(first).cmdline()
        os.kill(first, signal.SIGKILL)
        await wait_for(lambda: keeper.processes["toy"] != first, what="a restart")
        await keeper.wait_until_ready(address)
        assert psutil.Process(keeper.processes["toy"]).cmdline() == command
    finally:
        await keeper.stop()
    assert said == ["toy ended (signal SIGKILL); starting it again in 0.2 s"]
    assert len(changes) == 2
    assert not psutil.pid_exists(keeper.processes["toy"])


async def test_a_service_that_never_starts_is_told_with_its_last_words(
    toy: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF_SECONDS_MAX", 0.01)
    keeper = Supervisor(toy, tmp_path, say=lambda sentence: None)
    await keeper.start("broken")
    with pytest.raises(StartFailed, match="the toy has no battery"):
        await keeper.wait_until_ready({"broken": "http://127.0.0.1:9"})
    await keeper.stop()


async def test_stop_ends_a_service_that_does_not_listen_to_sigterm(
    toy: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS_MAX", 0.3)
    deaf = tmp_path / "path" / "services" / "deaf.py"
    deaf.write_text(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\ntime.sleep(600)"
    )
    keeper = Supervisor(toy, tmp_path, say=lambda sentence: None)
    await keeper.start("deaf")
    await wait_for(lambda: "deaf" in (tmp_path / "deaf.log").read_text(), what="it is deaf")
    await asyncio.wait_for(keeper.stop(), 60)
    assert not psutil.pid_exists(keeper.processes["deaf"])


async def test_a_service_that_cannot_be_started_now_is_tried_until_it_can(
    toy: dict[str, str], tmp_path: Path
) -> None:
    said: list[str] = []
    logs = tmp_path / "logs"
    keeper = Supervisor(toy, logs, say=said.append)
    address = {"toy": f"http://127.0.0.1:{toy['TOY_PORT']}"}
    await keeper.start("toy")
    try:
        await keeper.wait_until_ready(address)
        shutil.rmtree(logs)
        logs.write_text("a file where the folder of the logs was")
        os.kill(keeper.processes["toy"], signal.SIGKILL)
        await wait_for(lambda: "could not" in " ".join(said), what="it is said")
        logs.unlink()
        await keeper.wait_until_ready(address)
    finally:
        await keeper.stop()
    assert "toy could not be started" in said[1]
    assert "trying again in 0.2 s" in said[1]
