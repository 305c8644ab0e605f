"""Keeps services running: each a process of its own, started again when it ends."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import SubprocessError

import httpx

from services.ops.embedded import processes
from services.ops.embedded.processes import StartFailed

BACKOFF_SECONDS_MIN = 0.2
BACKOFF_SECONDS_MAX = 4.0
STABLE_SECONDS = 30.0
READY_SECONDS_MAX = 90.0
READY_POLL_SECONDS = 0.05
EARLY_ENDS_MAX = 5
STOP_SECONDS_MAX = 15.0
ANSWER_SECONDS_MAX = 2.0

Say = Callable[[str], None]


class Supervisor:
    """`processes` names the pid that does the work now; a restart keeps command and port."""

    def __init__(
        self,
        environment: Mapping[str, str],
        logs: Path,
        *,
        say: Say,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.environment = environment
        self.logs = logs
        self.say = say
        self.on_change = on_change
        self.processes: dict[str, int] = {}
        self._running: dict[str, Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False
        self._was_ready = False

    async def start(self, service: str) -> None:
        """Start `python -m services.<service>` and keep it running until `stop`."""
        process = await self._spawn(service)
        self._keepers.append(asyncio.create_task(self._keep(service, process)))

    async def stop(self) -> None:
        """End everything: SIGTERM, then SIGKILL for what is still there."""
        self._stopping = True
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        _, late = await asyncio.wait(self._keepers, timeout=STOP_SECONDS_MAX)
        for process in self._running.values() if late else ():
            if process.returncode is None:
                process.kill()
        for keeper in late:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(keeper, STOP_SECONDS_MAX)

    async def wait_until_ready(self, addresses: Mapping[str, str]) -> None:
        """Until every service answers `/readyz` with 200. Raises StartFailed."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX) as client:
            for service, address in addresses.items():
                while not await _is_ready(client, address):
                    for keeper in self._keepers:
                        if keeper.done():
                            keeper.result()
                    if time.monotonic() > deadline:
                        raise StartFailed(
                            f"{service} was not ready after {READY_SECONDS_MAX:.0f} s;"
                            f" see its log {self._log(service)}"
                        )
                    await asyncio.sleep(READY_POLL_SECONDS)
        self._was_ready = True

    async def _keep(self, service: str, process: Process) -> None:
        early_ends = 0
        while True:
            started = time.monotonic()
            code = await process.wait()
            if self._stopping:
                return
            lived = time.monotonic() - started
            early_ends = 0 if lived > STABLE_SECONDS else early_ends + 1
            # One that worked before is tried for ever: what it lacks may come back.
            if early_ends > EARLY_ENDS_MAX and code > 0 and not self._was_ready:
                said = processes.tail(self._log(service)).splitlines() or ["nothing"]
                raise StartFailed(f"{service} keeps ending ({said[-1]})")
            pause = min(BACKOFF_SECONDS_MIN * 2 ** max(early_ends - 1, 0), BACKOFF_SECONDS_MAX)
            self.say(f"{service} ended ({reason(code)}); starting it again in {pause:.1f} s")
            again = await self._spawn_after(pause, service)
            if again is None:
                return
            process = again

    async def _spawn_after(self, pause: float, service: str) -> Process | None:
        """Try until it starts: what is short now, memory or disk, may be there later.

        None when everything is being stopped.
        """
        while True:
            await asyncio.sleep(pause)
            if self._stopping:
                return None
            try:
                return await self._spawn(service)
            except (OSError, SubprocessError) as error:
                self.say(f"{service} could not be started ({error}); trying again in {pause:.1f} s")
            pause = min(pause * 2, BACKOFF_SECONDS_MAX)

    async def _spawn(self, service: str) -> Process:
        self.logs.mkdir(parents=True, exist_ok=True)
        with self._log(service).open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", f"services.{service}"),
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                env=dict(self.environment),
                start_new_session=True,
                preexec_fn=processes.dies_with_parent(),
            )
        self._running[service] = process
        self.processes[service] = process.pid
        self.on_change()
        return process

    def _log(self, service: str) -> Path:
        return self.logs / f"{service}.log"


def reason(code: int) -> str:
    """How a process ended, in words."""
    return f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


async def _is_ready(client: httpx.AsyncClient, address: str) -> bool:
    try:
        answer = await client.get(f"{address}/readyz")
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK
