"""Named places at which a test may kill the process: ``CRASH_AT=after_commit:3``."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

_armed, _, _count = os.environ.get("CRASH_AT", "").partition(":")
_left = int(_count or 1)


def checkpoint(name: str) -> None:
    """Ends the process as `kill -9` would, the n-th time an armed place is reached."""
    reached(name)


def _die_if_armed(name: str) -> None:
    global _left
    if name != _armed:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)


reached: Callable[[str], None] = _die_if_armed
"""What happens at a named place; the simulation puts its own faults here."""
