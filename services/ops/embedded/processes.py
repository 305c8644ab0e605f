"""Child processes that end with us, whatever ends us."""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.01
FREE_PORTS = (15_000, 32_000)
_claims: list[IO[str]] = []
"""Open files, kept for as long as the process lives."""
LOG_TAIL_BYTES_MAX = 2000


class StartFailed(Exception):
    """Something embedded did not start; the text is one sentence that says what to do."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on.

    Below the range from which the kernel takes the ports of outgoing connections, so that a
    service which was killed finds its port still free.
    """
    while True:
        port = random.randrange(*FREE_PORTS)
        if claim_port(port):
            return port


def claim_port(port: int) -> bool:
    """Whether the port is free and now ours, among systems that start at the same time.

    What will listen there starts only later, so until then a locked file speaks for it: the
    kernel drops the lock when this process ends.
    """
    lock = Path(tempfile.gettempdir()) / f"returns-port-{port}.lock"
    try:
        claim = lock.open("w")
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another system's, or another user's
        return False
    if not port_is_free(port):
        claim.close()
        return False
    _claims.append(claim)
    return True


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def dies_with_parent(signal_number: int = signal.SIGKILL) -> Callable[[], None] | None:
    """A `preexec_fn`: the kernel sends the child this signal when its parent ends.

    "Parent" is the *thread* that forks, so start children from the main thread. Elsewhere than
    on Linux there is no such thing and the answer is None.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def arm() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(signal_number))
        if os.getppid() != parent:  # it ended between fork and prctl
            os._exit(1)

    return arm


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    on_parent_death: int = signal.SIGKILL,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a child in its own session (Ctrl-C reaches only us), output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            cwd=folder,
            start_new_session=True,
            preexec_fn=dies_with_parent(on_parent_death),
        )


def stop(
    process: subprocess.Popen[bytes],
    *,
    signal_number: int = signal.SIGTERM,
    grace_seconds: float = 10,
) -> None:
    """Ask a child to end; kill it when it has not after `grace_seconds`."""
    if process.poll() is not None:
        return
    process.send_signal(signal_number)
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    *,
    seconds: float,
    name: str,
    log: Path,
) -> None:
    """Wait for a condition of a child. Raises StartFailed when it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None:
            raise StartFailed(f"{name} ended while starting; its log {log} says: {tail(log)}")
        if time.monotonic() > deadline:
            raise StartFailed(f"{name} was not ready after {seconds:.0f} s; see its log {log}")
        time.sleep(POLL_SECONDS)


def tail(log: Path) -> str:
    """The end of a log file, for an error message."""
    if not log.exists():
        return "(nothing)"
    return log.read_bytes()[-LOG_TAIL_BYTES_MAX:].decode(errors="replace").strip()


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Wait for, and hold, an exclusive lock on a file: the kernel drops it when we end."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def pause() -> None:
    """One step of a wait for another process."""
    time.sleep(POLL_SECONDS)
