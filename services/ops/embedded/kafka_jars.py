"""Apache Kafka from Maven, fetched once: its jars, a formatted data folder, a class archive.

The class archive (JDK class-data sharing) halves the time until the broker is ready.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic

from services.ops.embedded import processes
from services.ops.embedded.processes import StartFailed

KAFKA_VERSION = "4.1.1"
SCALA_VERSION = "2.13"
SLF4J_VERSION = "1.7.36"
COPY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
JAVA_VERSION_MIN = 17
FETCH_SECONDS_MAX = 600
FORMAT_SECONDS_MAX = 60
FIRST_START_SECONDS_MAX = 60
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"
MEMORY_FLAGS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LOG_FLAGS = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
)

# The tools bring Connect and a web server with them; the broker needs neither.
POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>returns</groupId>
  <artifactId>embedded-kafka</artifactId>
  <version>{KAFKA_VERSION}</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_{SCALA_VERSION}</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>{KAFKA_VERSION}</version>
      <exclusions>
        <exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>{SLF4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""

SERVER_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
message.max.bytes=1048588
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
num.io.threads=4
num.network.threads=2
log.cleaner.dedupe.buffer.size=16777216
"""


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A folder made by `prepared`: `lib/`, `data/` (formatted, empty), `classes.jsa`."""

    folder: Path
    java: str

    def command(self, properties: Path) -> list[str]:
        """Starts a broker, from `folder`. The JVM ignores a class archive of another JVM."""
        archive = self.folder / "classes.jsa"
        sharing = (f"-XX:SharedArchiveFile={archive}",) if archive.exists() else ()
        return self._java(*sharing, "kafka.Kafka", str(properties))

    def _java(self, *arguments: str) -> list[str]:
        # Relative, because the class archive is bound to the class path it was made with.
        return [self.java, "-cp", "lib/*", *MEMORY_FLAGS, *LOG_FLAGS, *arguments]


def cache_folder() -> Path:
    """Where fetched things live: in the virtual environment, otherwise in the user's cache.

    They belong to the installation, not to a system's data, so RETURNS_HOME does not matter.
    """
    installed = Path(sys.prefix)
    if sys.prefix != sys.base_prefix and os.access(installed, os.W_OK):
        return installed / "share" / "returns"
    return Path.home() / ".cache" / "returns" / "cache"


@cache
def missing() -> str | None:
    """Why Apache Kafka cannot run here, as a sentence that says what to do; None when it can."""
    java = java_version()
    if java is None:
        return "no Java was found: install a JVM (apt install default-jre-headless)"
    if java < JAVA_VERSION_MIN:
        return f"Java {java} is too old for Kafka: install version {JAVA_VERSION_MIN} or newer"
    if not is_fetched() and shutil.which("mvn") is None:
        return "Maven, which fetches Kafka, was not found: install it (apt install maven)"
    return None


def is_fetched() -> bool:
    """Whether nothing has to be fetched any more."""
    return _complete(_folder())


def java_version() -> int | None:
    """The major version of `java` on the path; None without one."""
    java = shutil.which("java")
    if java is None:
        return None
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', said.stderr + said.stdout)
    return int(found.group(1)) if found else None


def prepared() -> Distribution:
    """Kafka, ready to start; fetched on the first call (some 15 s). Raises StartFailed."""
    reason = missing()
    if reason is not None:
        raise StartFailed(reason)
    java = shutil.which("java")
    assert java is not None  # `missing` looked
    folder = _folder()
    with processes.only_one(folder.with_name(f"{folder.name}.lock")):
        if not _complete(folder):
            _fetch(folder, java)
    return Distribution(folder=folder, java=java)


def fetch() -> str:
    """Fetch Kafka where that is possible; what came of it, as a sentence. Never raises."""
    try:
        found = prepared()
    except StartFailed as error:
        return f"{error}; until then the broker inside librdkafka is used"
    return f"Apache Kafka {KAFKA_VERSION} is in {found.folder}"


def write_properties(
    path: Path, *, data: Path, port: int, controller_port: int, advertised: int | None = None
) -> Path:
    """The configuration of one broker; returns its path. `advertised`: where clients reach it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = SERVER_PROPERTIES.format(
        data=data, port=port, controller_port=controller_port, advertised=advertised or port
    )
    path.write_text(text)
    return path


def _folder() -> Path:
    return cache_folder() / f"kafka-{KAFKA_VERSION}"


def _complete(folder: Path) -> bool:
    return (folder / "data" / "meta.properties").exists()


def _fetch(folder: Path, java: str) -> None:
    """Make the folder under another name and move it in place when it is whole."""
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    (fresh / "pom.xml").write_text(POM)
    repository = fresh / "repository"  # not ~/.m2: nothing outside our folder is touched
    _run(
        [
            *("mvn", "-q", "-B", "-ntp", "-f", str(fresh / "pom.xml"), COPY_PLUGIN),
            *(f"-Dmaven.repo.local={repository}", f"-DoutputDirectory={fresh / 'lib'}"),
            "-DincludeScope=runtime",
        ],
        folder=fresh,
        seconds=FETCH_SECONDS_MAX,
        what="Maven could not fetch Kafka: check that this machine reaches a Maven repository",
    )
    shutil.rmtree(repository, ignore_errors=True)
    _format(fresh, java)
    _archive_classes(fresh, java)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _format(fresh: Path, java: str) -> None:
    properties = write_properties(
        fresh / "server.properties", data=fresh / "data", port=9092, controller_port=9093
    )
    distribution = Distribution(folder=fresh, java=java)
    tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)]
    _run(
        distribution._java(*tool),
        folder=fresh,
        seconds=FORMAT_SECONDS_MAX,
        what="Kafka could not format its data folder",
    )


def _archive_classes(fresh: Path, java: str) -> None:
    """Run a broker once over a copy of the data so that the JVM writes its class archive."""
    data, log = fresh / "first", fresh / "first.log"
    shutil.copytree(fresh / "data", data)
    port = processes.free_port()
    properties = write_properties(
        fresh / "first.properties",
        data=data,
        port=port,
        controller_port=processes.free_port(),
    )
    command = Distribution(folder=fresh, java=java)._java(
        "-XX:ArchiveClassesAtExit=classes.jsa",
        "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
        "kafka.Kafka",
        str(properties),
    )
    process = processes.spawn(command, log=log, folder=fresh)
    deadline = monotonic() + FIRST_START_SECONDS_MAX
    while process.poll() is None and monotonic() < deadline and b"started" not in _read(log):
        processes.pause()
    processes.stop(process, signal_number=signal.SIGTERM, grace_seconds=FIRST_START_SECONDS_MAX)
    shutil.rmtree(data, ignore_errors=True)


def _read(log: Path) -> bytes:
    return log.read_bytes() if log.exists() else b""


def _run(command: list[str], *, folder: Path, seconds: float, what: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise StartFailed(f"{what} (no answer within {seconds:.0f} s)") from None
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise StartFailed(f"{what} ({lines[0] if lines else 'it said nothing'})")
