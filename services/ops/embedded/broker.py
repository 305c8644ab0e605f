"""Which broker runs here: Apache Kafka where Java and Maven are, else librdkafka's."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

from services.ops.embedded import kafka_jars
from services.ops.embedded.processes import StartFailed
from services.ops.embedded.topics import NamedTopic

Choice = Literal["auto", "kafka", "librdkafka"]


class Broker(Protocol):
    """A started broker. `kind` is `kafka` or `librdkafka`."""

    kind: str
    process: subprocess.Popen[Any]

    @property
    def bootstrap(self) -> str:
        """host:port"""

    def wait_until_ready(self) -> None:
        """Raises StartFailed."""

    def create_topics(self, topics: Sequence[NamedTopic]) -> None:
        """Create what does not exist yet."""

    def start_again(self) -> None:
        """After its process ended: over the same data and port. Raises StartFailed."""

    def stop(self) -> None:
        """End it and wait for the end."""


def start(folder: Path, *, choice: Choice = "auto", keep: bool = False) -> Broker:
    """Start a broker without waiting until it is ready. Raises StartFailed.

    `keep=True` keeps Kafka's data between runs; librdkafka's broker keeps nothing.
    """
    if choice == "librdkafka" or (choice == "auto" and kafka_jars.missing() is not None):
        return _mock(folder)
    try:
        return _kafka(folder, keep=keep)
    except StartFailed:
        if choice == "kafka":
            raise
        return _mock(folder)


@contextmanager
def running(folder: Path, *, choice: Choice = "auto", keep: bool = False) -> Iterator[Broker]:
    """A broker that is ready, for the length of a block."""
    broker = start(folder, choice=choice, keep=keep)
    try:
        broker.wait_until_ready()
        yield broker
    finally:
        broker.stop()


def _kafka(folder: Path, *, keep: bool) -> Broker:
    from services.ops.embedded.kafka import Kafka

    return Kafka(folder, keep=keep)


def _mock(folder: Path) -> Broker:
    from services.ops.embedded.mock_broker import MockBroker

    return MockBroker(folder.with_suffix(".log"))
