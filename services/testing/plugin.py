"""The fixtures. `pytest_plugins = ["services.testing.plugin"]` in `conftest.py` brings them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from services.chassis import ids
from services.ops.embedded import topics
from services.ops.embedded.postgres import Database
from services.ops.stack import WITH_A_STORE
from services.testing import backend, system
from services.testing.backend import Broker
from services.testing.stores import Stores
from services.testing.system import ReturnsSystem


@dataclass(frozen=True, kw_only=True)
class Kafka:
    """A broker, and the prefix of the topics that only one test uses."""

    bootstrap: str
    prefix: str

    def topic(self, name: str) -> str:
        """The broker's name of a topic of the public interface."""
        return f"{self.prefix}{name}"


@dataclass(kw_only=True)
class Postgres:
    """A server, and the databases that only one test uses."""

    stores: Stores
    made: list[Database] = field(default_factory=list)

    def store(self, service: str) -> Database:
        """A migrated database of this service: `runtime_url` for it, `migration_url` its owner."""
        self.made.append(self.stores.clone(service))
        return self.made[-1]


@pytest.fixture(scope="session")
def returns_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker for the whole test run."""
    with backend.broker(tmp_path_factory.mktemp("broker") / "data") as started:
        yield started


@pytest.fixture(scope="session")
def returns_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """One server for the whole test run, with a migrated template per service."""
    with backend.server(tmp_path_factory.mktemp("postgres") / "data") as started:
        yield Stores(started)


@pytest.fixture
def kafka(returns_broker: Broker) -> Kafka:
    """All topics of the public interface, under a prefix of this test's own."""
    return _prefixed(returns_broker)


@pytest.fixture
def postgres(returns_stores: Stores) -> Iterator[Postgres]:
    """`postgres.store("commerce")`: databases that are dropped after the test."""
    made = Postgres(stores=returns_stores)
    yield made
    for each in made.made:
        returns_stores.drop(each)


@pytest.fixture(scope="session")
def returns_system(
    returns_broker: Broker, returns_stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReturnsSystem]:
    """All services, ready, once for the whole test run; tests keep apart by their own orders."""
    stores = {name: returns_stores.clone(name) for name in WITH_A_STORE}
    bus = _prefixed(returns_broker)
    with system.running(
        tmp_path_factory.mktemp("returns"),
        kafka=bus.bootstrap,
        databases={name: each.runtime_url for name, each in stores.items()},
        migrations={name: each.migration_url for name, each in stores.items()},
        prefix=bus.prefix,
    ) as started:
        yield started
    for each in stores.values():
        returns_stores.drop(each)


def _prefixed(broker: Broker) -> Kafka:
    prefix = f"t{ids.new().rpartition('-')[2]}."
    broker.create_topics(topics.all_topics(prefix))
    return Kafka(bootstrap=broker.bootstrap, prefix=prefix)
