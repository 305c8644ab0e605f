"""What a system needs beside its services: a broker, databases, ports; embedded or given."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from confluent_kafka import KafkaException

from services.chassis.settings import Settings
from services.ops import named_files
from services.ops.embedded import admin, postgres, processes
from services.ops.embedded import broker as brokers
from services.ops.embedded.processes import StartFailed
from services.ops.embedded.topics import all_topics

SERVICES = ("sandbox", "commerce", "fulfillment", "payment", "gateway")
WITH_A_STORE = ("commerce", "fulfillment", "payment", "gateway")
BROKER_FOLDER, STORES_FOLDER = DATA_FOLDERS = ("kafka", "postgres")
MIGRATION_SECONDS_MAX = 120
BROKER_SECONDS_MAX = 10
DATABASE_SECONDS_MAX = 5
SCHEME_LOCAL = "http://127.0.0.1"


@dataclass(kw_only=True)
class Stack:
    """The parts that were started here are `broker` and `server`; what was given is None."""

    home: Path
    environment: dict[str, str]
    ports: Mapping[str, int]
    databases: dict[str, str] = field(default_factory=dict)
    broker: brokers.Broker | None = None
    server: postgres.Started | None = None

    @property
    def bootstrap(self) -> str:
        return self.environment["KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def broker_kind(self) -> str:
        return self.broker.kind if self.broker is not None else "kafka"

    def url(self, service: str) -> str:
        return f"{SCHEME_LOCAL}:{self.ports[service]}"

    def log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def ended(self) -> list[str]:
        """The embedded parts whose process has ended."""
        parts = {"broker": self.broker, "database": self.server}
        return [name for name, part in parts.items() if part and part.process.poll() is not None]

    def mend(self, what: str) -> None:
        """Start an embedded part again, on its port, over its data. Raises StartFailed."""
        if what == "database" and self.server is not None:
            self.server = postgres.start(
                self.server.folder,
                durable=True,
                port=self.server.port,
                log=self.log("postgres"),
            )
        elif self.broker is not None:
            self.broker.start_again()

    def stop(self) -> None:
        """End what was started here; the database last."""
        if self.broker is not None:
            self.broker.stop()
        if self.server is not None:
            postgres.stop(self.server)


def start(home: Path, *, keep: bool) -> Stack:
    """Start a broker and databases where none are given, create topics, migrate.

    `keep=False`: the broker forgets what an earlier run left, and nobody is asked for a key, so
    that the services listen on the loopback interface only. Raises StartFailed.
    """
    settings = Settings()
    for variable, fault in named_files.faults(settings):
        if fault is not None and (keep or variable != named_files.KEYS):
            raise StartFailed(fault)
    ports = chosen_ports(settings)
    environment = _environment(home, ports)
    if not keep:
        environment.pop(named_files.KEYS, None)
    stack = Stack(home=home, ports=ports, environment=environment)
    try:
        if not settings.kafka_bootstrap_servers:
            choice = settings.embedded_broker
            stack.broker = brokers.start(home / BROKER_FOLDER, choice=choice, keep=keep)
        _provide_databases(stack, settings)
        if stack.broker is not None:
            stack.broker.wait_until_ready()
            stack.broker.create_topics(all_topics(settings.topic_prefix))
            stack.environment["KAFKA_BOOTSTRAP_SERVERS"] = stack.broker.bootstrap
            stack.environment["EMBEDDED_BROKER"] = stack.broker.kind
        else:
            _use_given_broker(settings)
            stack.environment["KAFKA_BOOTSTRAP_SERVERS"] = settings.kafka_bootstrap_servers
    except BaseException:
        stack.stop()
        raise
    return stack


def chosen_ports(settings: Settings) -> dict[str, int]:
    """Each service's port: what the environment names, else its usual one, else a free one.

    Raises StartFailed when a named port is taken.
    """
    ports: dict[str, int] = {}
    for service in SERVICES:
        variable = f"{service.upper()}_PORT"
        port = settings.port(service)
        if port and not processes.claim_port(port):
            if variable in os.environ:
                raise StartFailed(
                    f"port {port} is in use: stop what listens there, or set {variable} to another"
                    " port (0 for any free one)"
                )
            port = 0
        ports[service] = port or processes.free_port()
    return ports


def _environment(home: Path, ports: Mapping[str, int]) -> dict[str, str]:
    addresses = {f"{name.upper()}_URL": f"{SCHEME_LOCAL}:{ports[name]}" for name in ports}
    named = {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
    return os.environ | addresses | named | {"RETURNS_HOME": str(home)}


def _use_given_broker(settings: Settings) -> None:
    """Create topics on a broker that we did not start, where we may. Raises StartFailed."""
    servers = settings.kafka_bootstrap_servers
    broker = admin.client(servers, settings)
    if not admin.answers(broker, seconds=BROKER_SECONDS_MAX):
        raise StartFailed(
            f"the broker {servers} does not answer: start it, or correct KAFKA_BOOTSTRAP_SERVERS"
        )
    with suppress(KafkaException):  # not allowed here: whoever runs that broker creates them
        admin.create_topics(broker, all_topics(settings.topic_prefix))


def _check_given_database(name: str, url: str) -> None:
    try:
        with psycopg.connect(url, connect_timeout=DATABASE_SECONDS_MAX):
            pass
    except psycopg.Error as error:
        said = str(error).strip().splitlines()[0]
        raise StartFailed(
            f"{name}'s database does not answer ({said}): start it, or correct"
            f" {name.upper()}_DATABASE_URL"
        ) from None


def _provide_databases(stack: Stack, settings: Settings) -> None:
    """Databases and migrations. New ones are made without fsync, which is ten times as fast:
    a machine that crashes in these seconds leaves nothing that anybody relied on."""
    missing = [name for name in WITH_A_STORE if not getattr(settings, f"{name}_database_url")]
    given = [name for name in WITH_A_STORE if name not in missing]
    for name in given:
        stack.databases[name] = stack.environment[f"{name.upper()}_DATABASE_URL"]
        _check_given_database(name, stack.databases[name])
    if not missing:
        _migrate(stack)
        return
    folder, log = stack.home / STORES_FOLDER, stack.log("postgres")
    is_new = not postgres.exists(folder)
    stack.server = postgres.start(folder, durable=not is_new, log=log)
    for name in missing:
        database = stack.server.provide(name)
        stack.environment[f"{name.upper()}_DATABASE_URL"] = database.runtime_url
        stack.environment[f"{name.upper()}_MIGRATION_DATABASE_URL"] = database.migration_url
        stack.databases[name] = database.runtime_url
    _migrate(stack)
    if is_new:
        postgres.stop(stack.server)
        stack.server = postgres.start(folder, durable=True, port=stack.server.port, log=log)


def _migrate(stack: Stack) -> None:
    """The step of its own that production has too, in a process of its own."""
    command = [sys.executable, "-m", "services.chassis.migrate", *WITH_A_STORE]
    try:
        done = subprocess.run(
            command,
            env=stack.environment,
            capture_output=True,
            text=True,
            timeout=MIGRATION_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StartFailed(
            f"the databases were not migrated within {MIGRATION_SECONDS_MAX} s: look for a"
            " transaction that holds a lock there"
        ) from None
    stack.log("migrate").parent.mkdir(parents=True, exist_ok=True)
    stack.log("migrate").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StartFailed(f"the databases could not be migrated ({said})")
