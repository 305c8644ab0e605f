"""RETURNS_HOME: where an embedded system keeps its data, its logs and its addresses."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.chassis.settings import Settings

SYSTEM_FILE = "system.json"
LOCK_FILE = "lock"


class InUse(Exception):
    """Another embedded system runs in this folder; its text says what to do."""


def folder() -> Path:
    """RETURNS_HOME, made when it is missing. Raises SystemExit where it cannot be."""
    home = Settings().returns_home.expanduser().resolve()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SystemExit(f"RETURNS_HOME: {home} cannot be a folder: {error.strerror}") from None
    return home


@contextmanager
def claimed(home: Path) -> Iterator[None]:
    """Hold the folder for this process; the kernel lets go of it when the process ends.

    Raises InUse.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / LOCK_FILE).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise InUse(
                f"a system runs in {home} already (process {lock.read().strip() or 'unknown'}):"
                " stop it, or set RETURNS_HOME to another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            (home / SYSTEM_FILE).unlink(missing_ok=True)


def publish(home: Path, system: dict[str, Any]) -> None:
    """Write down where everything is, in one step, for commands that look for it."""
    fresh = home / f"{SYSTEM_FILE}.new"
    fresh.write_text(json.dumps(system, indent=2) + "\n")
    fresh.replace(home / SYSTEM_FILE)


def published(home: Path) -> dict[str, Any] | None:
    """The addresses of the system that runs in this folder; None when none does."""
    try:
        found: dict[str, Any] = json.loads((home / SYSTEM_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found if is_claimed(home) else None


def is_claimed(home: Path) -> bool:
    """Whether a living process holds the folder."""
    try:
        with (home / LOCK_FILE).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
