"""A name in the consumer group that outlives the process (static membership, KIP-345).

A worker that was killed is replaced at once by the next one of the same name; otherwise its
partitions would stand still until the broker has given it up. A name is a slot of this machine,
held by a file lock that the kernel lets go of when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import tempfile
import uuid
from pathlib import Path
from typing import IO

SLOTS_MAX = 64


class Membership:
    """One slot of a group on this machine."""

    def __init__(self, group: str, broker: str) -> None:
        self._group = group
        self._broker = broker
        self._lock: IO[str] | None = None

    def take(self) -> str | None:
        """The name of the lowest free slot; None where no file can be locked."""
        # Two clusters may have a group of the same name.
        cluster = hashlib.sha256(self._broker.encode()).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"returns-members-{os.getuid()}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            for slot in range(SLOTS_MAX):
                lock = (folder / f"{cluster}.{self._group}.{slot}").open("w")
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    lock.close()
                    continue
                self._lock = lock
                # Two machines of one name must not take each other's place.
                return f"{self._group}.{socket.gethostname()}.{uuid.getnode():x}.{slot}"
        except OSError:
            return None
        return None

    def release(self) -> None:
        """Somebody else may have the name now."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
