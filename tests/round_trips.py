"""Counts what a service sends to its store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from contracts.base import Message
from tests.driving import Drive

ROUND_TRIPS_MAX = 12
"""Of one batch, whatever its size."""


@contextmanager
def counted_round_trips(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every statement that goes to the store, each a round trip once it is prepared."""
    sent: list[str] = []
    bind, simple = asyncpg.Connection._execute, asyncpg.Connection.execute

    async def counted_bind(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        sent.append(query)
        return await bind(self, query, *args, **kwargs)

    async def counted_simple(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        if not args:
            sent.append(query)
        return await simple(self, query, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "_execute", counted_bind)
        patch.setattr(asyncpg.Connection, "execute", counted_simple)
        yield sent


async def costs(
    drive: Drive, batches: Sequence[Sequence[Message]], monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """Round trips of each batch; what follows from it is done before the next one."""
    found = []
    for batch in batches:
        with counted_round_trips(monkeypatch) as sent:
            await drive.send(*batch)
        found.append(len(sent))
        await drive.settle()
    return found
