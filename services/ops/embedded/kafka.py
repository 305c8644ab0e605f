"""Apache Kafka in KRaft mode: one node, broker and controller in one process."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from services.ops.embedded import admin, kafka_jars, processes
from services.ops.embedded.topics import NamedTopic

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 10


class Kafka:
    """A broker that was started over `folder`; call `wait_until_ready` before using it."""

    kind = "kafka"

    def __init__(
        self,
        folder: Path,
        *,
        keep: bool,
        port: int | None = None,
        advertised: int | None = None,
    ) -> None:
        """Start it without waiting. `keep=False` forgets what an earlier run left, and stops
        at once instead of cleanly; `advertised` is the port of a proxy in front of it. Raises
        StartFailed."""
        self.advertised = advertised
        self.folder = folder.resolve()
        self.keep = keep
        self.port = port or processes.free_port()
        self.log = self.folder.with_suffix(".log")
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.process = self._start()
        self.admin = admin.client(self.bootstrap)

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _start(self) -> subprocess.Popen[bytes]:
        distribution = kafka_jars.prepared()
        if not (self.folder / "meta.properties").exists():
            shutil.copytree(distribution.folder / "data", self.folder, dirs_exist_ok=True)
        (self.folder / ".lock").unlink(missing_ok=True)
        properties = kafka_jars.write_properties(
            self.folder.with_suffix(".properties"),
            data=self.folder,
            port=self.port,
            controller_port=processes.free_port(),
            advertised=self.advertised,
        )
        return processes.spawn(
            distribution.command(properties), log=self.log, folder=distribution.folder
        )

    def wait_until_ready(self) -> None:
        """Until the broker answers. Raises StartFailed."""
        processes.wait_until(
            lambda: admin.answers(self.admin),
            self.process,
            seconds=START_SECONDS_MAX,
            name="Kafka",
            log=self.log,
        )

    def create_topics(self, topics: Sequence[NamedTopic]) -> None:
        """Create what does not exist yet, with its retention. Raises KafkaException."""
        admin.create_topics(self.admin, topics, replication=1)

    def start_again(self) -> None:
        """After its process ended: over the same data and port. Raises StartFailed."""
        self.process = self._start()

    def stop(self) -> None:
        """End it: cleanly when its data is kept, else at once."""
        processes.stop(
            self.process,
            signal_number=signal.SIGTERM if self.keep else signal.SIGKILL,
            grace_seconds=STOP_SECONDS_MAX,
        )
