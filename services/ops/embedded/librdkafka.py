"""The broker inside librdkafka: in memory, for demos and tests on machines without Java.

`python -m services.ops.embedded.librdkafka PORT PREFIX…` serves the topics of the table under
each prefix until it is told to stop, and prints ``host:port`` once it listens.
"""

from __future__ import annotations

import ctypes
import glob
import signal
import sys
from pathlib import Path

from contracts.topics import TOPICS

ERROR_BYTES = 512


def _library() -> ctypes.CDLL:
    import confluent_kafka

    folder = Path(confluent_kafka.__file__).parent
    bundled = glob.glob(str(folder.parent / "confluent_kafka.libs" / "librdkafka*"))
    if not bundled:
        raise SystemExit("confluent-kafka was installed without its own librdkafka")
    return ctypes.CDLL(bundled[0])


class MockCluster:
    """One broker of librdkafka's mock cluster."""

    def __init__(self) -> None:
        library = _library()
        library.rd_kafka_conf_new.restype = ctypes.c_void_p
        library.rd_kafka_new.restype = ctypes.c_void_p
        library.rd_kafka_new.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t,
        ]  # fmt: skip
        library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
        library.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
        library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        library.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
        library.rd_kafka_mock_topic_create.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int,
        ]  # fmt: skip
        self._library = library
        error = ctypes.create_string_buffer(ERROR_BYTES)
        client = library.rd_kafka_new(0, library.rd_kafka_conf_new(), error, ERROR_BYTES)
        if not client:
            raise SystemExit(f"librdkafka: {error.value.decode()}")
        self._cluster = library.rd_kafka_mock_cluster_new(client, 1)
        if hasattr(library, "rd_kafka_mock_group_initial_rebalance_delay_ms"):
            library.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [
                ctypes.c_void_p, ctypes.c_int32,
            ]  # fmt: skip
            library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)

    def create_topics(self, prefix: str) -> None:
        for topic in TOPICS:
            self._library.rd_kafka_mock_topic_create(
                self._cluster, (prefix + topic.name).encode(), topic.partitions, 1
            )

    @property
    def bootstrap(self) -> str:
        text: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return text.decode()


def main() -> None:
    cluster = MockCluster()
    for prefix in sys.argv[1:] or [""]:
        cluster.create_topics(prefix)
    print(cluster.bootstrap, flush=True)
    for line in sys.stdin:
        cluster.create_topics(line.strip())
        print("created", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
