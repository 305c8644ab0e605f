"""The embedded broker and database are real, apart from each other, and end with their starter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import ConfigResource, ResourceType

from contracts.topics import TOPICS
from services.ops.embedded import admin, broker, kafka_jars, postgres, processes, topics
from services.ops.embedded.postgres import Server
from tests.waiting import wait_until

needs_kafka = pytest.mark.skipif(kafka_jars.missing() is not None, reason="no Java or Maven")

HANGING = """
import sys, time
from pathlib import Path
from services.ops.embedded import {module}
with {module}.running(Path(sys.argv[1]), **{arguments!r}) as part:
    print(part.process.pid, flush=True)
    time.sleep(600)
"""


def pid_of_hanging(folder: Path, module: str, **arguments: object) -> tuple[int, int]:
    """(starter, child): a process that starts a part and then does nothing."""
    code = HANGING.format(module=module, arguments=arguments)
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    return starter.pid, int(starter.stdout.readline())


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_service_reaches_its_own_database_only(postgres: Server) -> None:
    one, _ = postgres.provide("one"), postgres.provide("two")
    with psycopg.connect(one.migration_url) as owner:
        owner.execute("CREATE TABLE money (amount int); GRANT SELECT, INSERT ON money TO one")
    with psycopg.connect(one.runtime_url, autocommit=True) as runtime:
        runtime.execute("INSERT INTO money VALUES (1)")
        for forbidden in ("DELETE FROM money", "CREATE TABLE mine (a int)", "DROP TABLE money"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                runtime.execute(forbidden)
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(postgres.url("two", role="one"))


def test_providing_twice_changes_nothing(postgres: Server) -> None:
    assert postgres.provide("three") == postgres.provide("three")


def readable_by_others(folder: Path) -> bool:
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run it as somebody else")
@pytest.mark.parametrize(
    "identity", [postgres.NAMESPACE, postgres.NOBODY], ids=["unshare", "nobody"]
)
def test_root_runs_it_in_a_folder_that_only_root_can_read(
    identity: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not postgres._works(identity):
        pytest.skip("not allowed here")
    if identity is postgres.NOBODY and not readable_by_others(Path(sys.prefix)):
        pytest.skip("nobody cannot reach the binaries in a checkout that only root can read")
    monkeypatch.setattr(postgres, "wrapper", lambda: identity)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with postgres.running(private / "data") as server:
        server.provide("commerce")
    with postgres.running(private / "data", durable=True) as server:
        assert server.provide("commerce").service == "commerce"


def test_the_database_ends_with_a_killed_starter_and_starts_again(tmp_path: Path) -> None:
    starter, child = pid_of_hanging(tmp_path / "data", "postgres")
    kill(starter)
    wait_until(lambda: has_ended(child), what="PostgreSQL ends")
    with postgres.running(tmp_path / "data") as server, psycopg.connect(server.url()) as found:
        assert found.execute("SELECT 1").fetchone() == (1,)


def test_the_mock_broker_ends_with_a_killed_starter(tmp_path: Path) -> None:
    starter, child = pid_of_hanging(tmp_path / "broker", "broker", choice="librdkafka")
    kill(starter)
    wait_until(lambda: has_ended(child), what="the broker ends")


@needs_kafka
def test_kafka_ends_with_a_killed_starter(tmp_path: Path) -> None:
    starter, child = pid_of_hanging(tmp_path / "broker", "broker", choice="kafka")
    kill(starter)
    wait_until(lambda: has_ended(child), what="Kafka ends")


@pytest.mark.parametrize("choice", ["librdkafka", pytest.param("kafka", marks=needs_kafka)])
def test_topics_have_the_partitions_of_the_table(tmp_path: Path, choice: broker.Choice) -> None:
    with broker.running(tmp_path / "broker", choice=choice) as started:
        started.create_topics(topics.all_topics("x."))
        started.create_topics(topics.all_topics("x."))
        wanted = {f"x.{topic.name}": topic.partitions for topic in TOPICS}

        def found() -> bool:
            topics = admin.client(started.bootstrap).list_topics(timeout=60).topics
            ours = {name: topic for name, topic in topics.items() if name.startswith("x.")}
            return wanted == {name: len(topic.partitions) for name, topic in ours.items()}

        wait_until(found, what="every topic with its partitions")


@needs_kafka
def test_kafka_keeps_records_and_port_through_kill_9(tmp_path: Path) -> None:
    started = broker.start(tmp_path / "broker", choice="kafka", keep=True)
    try:
        started.wait_until_ready()
        started.create_topics(topics.all_topics())
        producer = Producer({"bootstrap.servers": started.bootstrap, "log_level": 0})
        producer.produce("orders", b"value", b"key")
        assert producer.flush(60) == 0
        before = started.bootstrap
        started.process.kill()
        started.process.wait()
        started.start_again()
        started.wait_until_ready()
        assert started.bootstrap == before
        consumer = Consumer(
            {
                "bootstrap.servers": started.bootstrap,
                "group.id": "g",
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        consumer.subscribe(["orders"])
        record = consumer.poll(60)
        consumer.close()
        assert record is not None
        assert record.value() == b"value"
    finally:
        started.stop()


@needs_kafka
def test_kafka_compacts_orders_and_keeps_the_rest_as_long_as_the_table_says(
    tmp_path: Path,
) -> None:
    with broker.running(tmp_path / "broker", choice="kafka") as started:
        started.create_topics(topics.all_topics())
        client = admin.client(started.bootstrap)
        asked = client.describe_configs(
            [ConfigResource(ResourceType.TOPIC, t.name) for t in TOPICS]
        )
        configs = {resource.name: answer.result(60) for resource, answer in asked.items()}
    for topic in TOPICS:
        config = configs[topic.name]
        if topic.retention is None:
            assert config["cleanup.policy"].value == "compact"
        else:
            assert config["cleanup.policy"].value == "delete"
            milliseconds = int(topic.retention.total_seconds() * 1000)
            assert int(config["retention.ms"].value) == milliseconds


def test_a_part_that_cannot_start_says_what_its_log_says(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = processes.spawn([sys.executable, "-c", "raise SystemExit('no wheels')"], log=log)
    with pytest.raises(processes.StartFailed, match="no wheels"):
        processes.wait_until(lambda: False, process, seconds=60, name="The car", log=log)


def test_a_claimed_port_is_nobody_elses() -> None:
    port = processes.free_port()
    code = f"from services.ops.embedded import processes; print(processes.claim_port({port}))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
