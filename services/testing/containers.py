"""Kafka and PostgreSQL from the official images, by testcontainers, on loopback ports.

Nothing is kept: PostgreSQL's data lies in memory and is never synced.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg

from services.ops.embedded import admin, processes
from services.ops.embedded.postgres import Server
from services.ops.embedded.processes import StartFailed
from services.ops.embedded.topics import NamedTopic

KAFKA_IMAGE = "apache/kafka:4.1.1"
POSTGRES_IMAGE = "postgres:17"
START_SECONDS_MAX = 90
ENGINE_SECONDS_MAX = 10
LOOPBACK = "127.0.0.1"
CLEANER_DISABLED = "TESTCONTAINERS_RYUK_DISABLED"
POSTGRES_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "jit": "off",
    "timezone": "UTC",
}


def engine_answers() -> bool:
    """Whether a container engine runs here."""
    try:
        return _docker("version") is not None
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


@dataclass(frozen=True, kw_only=True)
class KafkaContainer:
    """A broker in a container, on a port of this machine."""

    port: int
    id: str
    admin: Any = field(repr=False)
    kind: str = "kafka"

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def create_topics(self, topics: Sequence[NamedTopic]) -> None:
        """Create what does not exist yet, with its retention. Raises KafkaException."""
        admin.create_topics(self.admin, topics, replication=1)


@contextmanager
def kafka() -> Iterator[KafkaContainer]:
    """A broker that answers, for the length of a block. Raises StartFailed."""
    port = processes.free_port()
    container = _container(KAFKA_IMAGE, inside=9092, outside=port)
    for name, value in _kafka_settings(port).items():
        container.with_env(name, value)
    with _running(container, "Kafka"):
        client = admin.client(f"{LOOPBACK}:{port}")
        if not admin.answers(client, seconds=START_SECONDS_MAX):
            raise StartFailed(f"Kafka does not answer: {_last_words(container)}")
        yield KafkaContainer(port=port, id=container.get_wrapped_container().id, admin=client)


@contextmanager
def postgres() -> Iterator[Server]:
    """A server that answers, for the length of a block. Raises StartFailed."""
    port = processes.free_port()
    container = _container(POSTGRES_IMAGE, inside=5432, outside=port)
    container.with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
    container.with_env("PGDATA", "/memory/data")
    container.with_tmpfs_mount("/memory")
    container.with_command(
        [part for name, value in POSTGRES_SETTINGS.items() for part in ("-c", f"{name}={value}")]
    )
    with _running(container, "PostgreSQL"):
        server = Server(port=port)
        # Its first start is on a socket only, so what answers over TCP is there to stay.
        deadline = time.monotonic() + START_SECONDS_MAX
        while not _accepts(server):
            if time.monotonic() > deadline:
                raise StartFailed(f"PostgreSQL does not answer: {_last_words(container)}")
            processes.pause()
        yield server


def _kafka_settings(port: int) -> dict[str, str]:
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{LOOPBACK}:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_MESSAGE_MAX_BYTES": str(2 * 1024 * 1024),
        "KAFKA_HEAP_OPTS": "-Xms256m -Xmx512m",
    }


def _container(image: str, *, inside: int, outside: int) -> Any:
    """Raises StartFailed where testcontainers is not installed."""
    if not _docker("image", "inspect", _cleaner()):
        # Without the image that cleans up after a killed run, only this process does.
        os.environ.setdefault(CLEANER_DISABLED, "true")
    try:
        from testcontainers.core.container import DockerContainer
    except ImportError:
        raise StartFailed("install testcontainers, or set RETURNS_TEST_BACKEND=embedded") from None
    container: Any = DockerContainer(image)
    container.ports[f"{inside}/tcp"] = (LOOPBACK, outside)
    return container


def _cleaner() -> str:
    return os.environ.get("RYUK_CONTAINER_IMAGE", "testcontainers/ryuk:0.8.1")


@contextmanager
def _running(container: Any, name: str) -> Iterator[None]:
    try:
        container.start()
    except Exception as error:
        raise StartFailed(f"{name} did not start as a container: {error}") from error
    try:
        yield
    finally:
        with suppress(Exception):
            container.stop()


def _last_words(container: Any) -> str:
    standard, errors = container.get_logs()
    return str((standard + errors).decode(errors="replace")[-2000:])


def _accepts(server: Server) -> bool:
    try:
        with psycopg.connect(server.url(), connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def _docker(*arguments: str) -> str | None:
    """The output of a `docker` command; None when it fails."""
    done = subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=ENGINE_SECONDS_MAX,
    )
    return done.stdout if done.returncode == 0 else None
