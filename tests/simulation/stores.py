"""One PostgreSQL without fsync for all seeds: a store per service, emptied between two seeds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from psycopg import sql

from services.chassis import database
from services.ops.embedded import postgres
from services.ops.embedded.postgres import Server
from tests.stores import Stores

SERVICES = ("commerce", "fulfillment", "payment", "gateway")
WORKERS_MAX = 2
KEPT = ("alembic_version", "chassis_version")
# Written in the transaction that decides to publish: what the relay must have published in the end.
AUDIT = """
CREATE TABLE promised (seq bigint PRIMARY KEY, id text NOT NULL, topic text NOT NULL,
    key text NOT NULL);
CREATE FUNCTION note_promise() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    INSERT INTO promised VALUES (NEW.seq, NEW.id, NEW.topic, NEW.aggregateid); RETURN NULL;
END $$;
CREATE TRIGGER note_promise AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION note_promise();
"""
# Tables in which something was written, also by a transaction that came to nothing.
WRITTEN = """
SELECT string_agg(format('%I', relname), ', ') FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> ALL($1::text[])
    AND pg_relation_size(oid) > 0
"""


@dataclass
class Store:
    """A service's store: a connection for each of its workers, one for whoever checks it."""

    service: str
    pools: list[Any]
    checker: Any

    async def empty(self) -> None:
        """As it was new; only what was written is emptied, for that costs files."""
        written = await self.checker.fetchval(WRITTEN, list(KEPT))
        if written is not None:
            await self.checker.execute(f"TRUNCATE {written} RESTART IDENTITY CASCADE")


@contextmanager
def cluster(folder: Path) -> Iterator[Server]:
    """The server; quiet in the background, so that nothing but the seed moves it."""
    with postgres.running(folder / "postgres", durable=False) as server:
        server.execute(
            sql.SQL("ALTER SYSTEM SET autovacuum = off"),
            sql.SQL("ALTER SYSTEM SET track_activities = off"),
            sql.SQL("SELECT pg_reload_conf()"),
        )
        yield server


@asynccontextmanager
async def opened(made: Stores) -> AsyncIterator[dict[str, Store]]:
    """Fresh stores of all services, with connections that every seed of this process uses."""
    found: dict[str, Store] = {}
    try:
        for service in SERVICES:
            address = made.clone(service)
            name = address.runtime_url.rpartition("/")[2]
            checker = await asyncpg.connect(made.server.url(name))
            await checker.execute(AUDIT)
            pools = [
                await database.connect_pool(address.runtime_url, service, size=1)
                for _ in range(WORKERS_MAX)
            ]
            found[service] = Store(service, pools, checker)
        yield found
    finally:
        for store in found.values():
            for pool in store.pools:
                await pool.close()
            await store.checker.close()
