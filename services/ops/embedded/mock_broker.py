"""The broker inside librdkafka: in memory, one process, for machines without Java.

Run as a program it is the broker: it prints its address, then obeys one command per line of its
standard input (``topic NAME PARTITIONS``) and ends when that closes, so it never outlives its
starter. It keeps nothing on disk and drops what exceeds 5 MB in a partition.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Sequence
from importlib import util
from pathlib import Path

from services.ops.embedded import processes
from services.ops.embedded.processes import StartFailed
from services.ops.embedded.topics import NamedTopic

RD_KAFKA_PRODUCER = 0
ERROR_BYTES = 512
BROKERS = 1
REPLICATION = 1


class MockBroker:
    """A child process that serves the broker. Ready as soon as it is constructed."""

    kind = "librdkafka"

    def __init__(self, log: Path) -> None:
        """Raises StartFailed."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.ops.embedded.mock_broker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self.bootstrap = self._answer()
        if not self.bootstrap:
            raise StartFailed(
                f"the broker inside librdkafka did not start; its log {log} says:"
                f" {processes.tail(log)}"
            )

    def wait_until_ready(self) -> None:
        """It already is."""

    def create_topics(self, topics: Sequence[NamedTopic]) -> None:
        """Create topics; one that exists stays as it is."""
        assert self.process.stdin is not None
        for topic in topics:
            self.process.stdin.write(f"topic {topic.name} {topic.partitions}\n")
        self.process.stdin.flush()
        for _ in topics:
            self._answer()

    def start_again(self) -> None:
        """It cannot: what it held is gone. Raises StartFailed."""
        raise StartFailed("the broker inside librdkafka ended, and all it held: start again")

    def stop(self) -> None:
        """End it, with all it holds."""
        self.process.kill()
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def _library() -> ctypes.CDLL:
    """librdkafka as the confluent-kafka wheel brings it, with the signatures used here."""
    spec = util.find_spec("confluent_kafka")
    if spec is None or spec.origin is None:
        raise SystemExit("confluent-kafka is not installed: run `make setup`")
    package = Path(spec.origin).parent
    found = [
        *package.parent.glob("confluent_kafka.libs/librdkafka*"),
        *package.glob(".dylibs/librdkafka*"),
    ]
    if not found:
        raise SystemExit("this build of confluent-kafka brings no librdkafka: install Java 17")
    library = ctypes.CDLL(str(found[0]))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_new", pointer, [number, pointer, text, ctypes.c_size_t]),
        ("rd_kafka_mock_cluster_new", pointer, [pointer, number]),
        ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
        ("rd_kafka_mock_topic_create", number, [pointer, text, number, number]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [pointer, ctypes.c_int32]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def serve() -> None:
    """The child's main."""
    library = _library()
    error = ctypes.create_string_buffer(ERROR_BYTES)
    client = library.rd_kafka_new(
        RD_KAFKA_PRODUCER, library.rd_kafka_conf_new(), error, ERROR_BYTES
    )
    if not client:
        raise SystemExit(error.value.decode())
    cluster = library.rd_kafka_mock_cluster_new(client, BROKERS)
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
    say(library.rd_kafka_mock_cluster_bootstraps(cluster).decode())
    for line in sys.stdin:
        _, name, partitions = line.split()
        code = library.rd_kafka_mock_topic_create(
            cluster, name.encode(), int(partitions), REPLICATION
        )
        say(str(code))


def say(line: str) -> None:
    """Answer the starter."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
