"""`returns doctor`: what this machine has, what it lacks, and what to do about it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import psycopg
import typer
from confluent_kafka import KafkaException

from services.chassis.settings import Settings
from services.ops import console, home, named_files, returns
from services.ops.embedded import admin, kafka_jars, postgres, processes
from services.ops.embedded.processes import StartFailed
from services.ops.stack import SERVICES, WITH_A_STORE

PYTHON_MIN = (3, 11)
CONNECT_SECONDS_MAX = 5


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`ok` False: the system cannot run. `advice` is one sentence, empty when there is none."""

    what: str
    ok: bool
    found: str
    advice: str = ""


@console.in_one_sentence
def doctor(
    json: returns.AsJson = False,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch Kafka now, and no more.")] = False,
) -> None:
    """Look at what the system needs on this machine; ends with 1 when something is missing."""
    if fetch:
        console.say(kafka_jars.fetch())
        return
    findings = [
        finding
        for look in (_python, _java, _broker, _databases, _ports, _files, _system)
        for finding in look()
    ]
    for each in findings:
        if json:
            console.print_json(vars(each))
        else:
            advice = f" → {each.advice}" if each.advice else ""
            console.tell(console.mark(each.ok), f" {each.what}: {each.found}{advice}")
    if not all(each.ok for each in findings):
        raise console.Refused("something is missing: see above")


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= PYTHON_MIN
    yield Finding(what="Python", ok=ok, found=found, advice="" if ok else "install 3.11 or newer")


def _java() -> Iterator[Finding]:
    """Without Java the broker inside librdkafka does, so nothing here stops the system."""
    version = kafka_jars.java_version()
    reason = kafka_jars.missing()
    yield Finding(
        what="Java",
        ok=True,
        found=str(version) if version else "not found",
        advice=f"{reason}; until then the broker inside librdkafka is used" if reason else "",
    )
    yield Finding(what="Maven", ok=True, found=shutil.which("mvn") or "not found")
    fetched = kafka_jars.is_fetched()
    yield Finding(
        what="Apache Kafka",
        ok=True,
        found=kafka_jars.KAFKA_VERSION if fetched else "not fetched yet",
        advice="" if fetched or reason else "fetched by the first `returns up`, once",
    )


def _broker() -> Iterator[Finding]:
    settings = Settings()
    servers = settings.kafka_bootstrap_servers
    if not servers:
        yield Finding(what="broker", ok=True, found="embedded (KAFKA_BOOTSTRAP_SERVERS is not set)")
        return
    try:
        brokers = admin.client(servers, settings).list_topics(timeout=CONNECT_SECONDS_MAX).brokers
    except KafkaException:
        advice = "start it, or correct KAFKA_BOOTSTRAP_SERVERS"
        yield Finding(what="broker", ok=False, found=f"{servers} does not answer", advice=advice)
    else:
        yield Finding(what="broker", ok=True, found=f"{servers}: {len(brokers)} answer")


def _databases() -> Iterator[Finding]:
    settings = Settings()
    given = {name: str(getattr(settings, f"{name}_database_url")) for name in WITH_A_STORE}
    if not all(given.values()):
        yield _embedded_database()
    for name, url in given.items():
        if url:
            yield _given_database(name, url)


def _embedded_database() -> Finding:
    try:
        folder = postgres.binaries()
        postgres.wrapper()
    except StartFailed as error:
        return Finding(what="PostgreSQL", ok=False, found="not usable", advice=str(error))
    return Finding(what="PostgreSQL", ok=True, found=f"embedded, from {folder}")


def _given_database(name: str, url: str) -> Finding:
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS_MAX):
            return Finding(what=f"{name}'s database", ok=True, found="answers")
    except psycopg.Error as error:
        said = str(error).strip().splitlines()[0]
        advice = f"start it, or correct {name.upper()}_DATABASE_URL"
        return Finding(what=f"{name}'s database", ok=False, found=said, advice=advice)


def _ports() -> Iterator[Finding]:
    """A port that a variable names has to be free, unless our own system is what listens there."""
    settings = Settings()
    ours = home.published(home.folder()) is not None
    for service in SERVICES:
        port = settings.port(service)
        variable = f"{service.upper()}_PORT"
        free, named = port == 0 or processes.port_is_free(port), variable in os.environ
        advice = f"`returns up` takes a free one, unless {variable} is set"
        if named:
            advice = f"stop what listens there, or set {variable} to another port (0: any free one)"
        yield Finding(
            what=f"{service}'s port",
            ok=free or ours or not named,
            found=f"{port} {'is free' if free else 'is in use'}",
            advice="" if free or ours else advice,
        )


def _files() -> Iterator[Finding]:
    for variable, fault in named_files.faults(Settings()):
        yield Finding(what=variable, ok=fault is None, found=fault or "can be read")


def _system() -> Iterator[Finding]:
    folder = home.folder()
    live = home.published(folder)
    found = f"runs, gateway at {live['gateway']}" if live else "none runs"
    yield Finding(what=f"system in {folder}", ok=True, found=found)
