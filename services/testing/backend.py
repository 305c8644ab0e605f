"""Where broker and server come from: containers where an engine answers, else embedded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from services.ops.embedded import broker as embedded_broker
from services.ops.embedded import postgres as embedded_postgres
from services.ops.embedded.postgres import Server
from services.ops.embedded.topics import NamedTopic
from services.testing import containers

BACKEND = "RETURNS_TEST_BACKEND"
AUTO, CONTAINERS, EMBEDDED = "auto", "containers", "embedded"


class Broker(Protocol):
    """A broker that answers; `kind` is `kafka` or `librdkafka`."""

    @property
    def kind(self) -> str: ...

    @property
    def bootstrap(self) -> str:
        """host:port"""

    def create_topics(self, topics: Sequence[NamedTopic]) -> None:
        """Create what does not exist yet."""


def chosen(default: str = AUTO) -> str:
    """`containers` or `embedded`. Raises SystemExit when the variable says something else."""
    choice = os.environ.get(BACKEND) or default
    if choice == AUTO:
        return CONTAINERS if containers.engine_answers() else EMBEDDED
    if choice not in (CONTAINERS, EMBEDDED):
        raise SystemExit(f"{BACKEND}: {choice} is not one of {AUTO}, {CONTAINERS}, {EMBEDDED}")
    return choice


@contextmanager
def broker(folder: Path, *, default: str = AUTO) -> Iterator[Broker]:
    """A broker for the length of a block. Raises StartFailed."""
    if chosen(default) == CONTAINERS:
        with containers.kafka() as started:
            yield started
        return
    # EMBEDDED_BROKER says which one of the two.
    choice: Any = os.environ.get("EMBEDDED_BROKER", "auto")
    with embedded_broker.running(folder, choice=choice) as embedded:
        yield embedded


@contextmanager
def server(folder: Path, *, default: str = AUTO) -> Iterator[Server]:
    """PostgreSQL without a password, for the length of a block. Raises StartFailed."""
    if chosen(default) == CONTAINERS:
        with containers.postgres() as started:
            yield started
        return
    with embedded_postgres.running(folder, durable=False) as embedded:
        yield embedded
