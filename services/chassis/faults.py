"""Which exceptions mean that only waiting helps."""

from __future__ import annotations

import asyncpg

from services.chassis.errors import Poison, Transient

TRANSIENT_SQLSTATES = (
    "08",  # connection
    "40",  # serialisation, deadlock
    "53",  # disk full, out of memory, too many connections
    "55P03",  # lock not available
    "57",  # operator intervention, statement timeout
    "58",  # system error
    "25006",  # read only: a failover is under way
)


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later without anybody changing it."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate or "").startswith(TRANSIENT_SQLSTATES)
    if isinstance(error, asyncpg.InterfaceError):
        # The driver's complaint about an argument is a ValueError too; the rest is connections.
        return not isinstance(error, ValueError)
    return isinstance(error, Transient | OSError | TimeoutError)


def described(error: BaseException) -> str:
    """The error in one line; a poison is a sentence for people already."""
    text = " ".join(str(error).split())
    if isinstance(error, Poison) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
