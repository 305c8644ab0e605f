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
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> ALL($1::text[])
    AND pg_relation_size(oid) > 0
"""
FROM_THE_BEGINNING = "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"
# Neither foreign keys nor triggers have a say when everything goes.
UNCHECKED = "SET session_replication_role = replica"


@dataclass
class Store:
    """A service's store: a connection for each of its workers, one for whoever checks it."""

    service: str
    pools: list[Any]
    checker: Any

    async def empty(self) -> None:
        """As it was new, down to the order of its rows: no table has a page left.

        TRUNCATE does the same at six times the price: it makes new files, and every plan that
        was made for the old ones is made again.
        """
        written = await self._written()
        if not written:
            return
        await self.checker.execute(";".join(f'DELETE FROM "{name}"' for name in written))
        await self.checker.execute(FROM_THE_BEGINNING)
        await self.checker.execute(f"VACUUM {_names(written)}")
        left = await self._written()
        if left:
            await self.checker.execute(f"TRUNCATE {_names(left)} RESTART IDENTITY CASCADE")

    async def _written(self) -> list[str]:
        rows = await self.checker.fetch(WRITTEN, list(KEPT))
        return [row["relname"] for row in rows]


def _names(tables: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in tables)


@contextmanager
def cluster(folder: Path) -> Iterator[Server]:
    """The server; quiet in the background, so that nothing but the seed moves it."""
    with postgres.running(folder / "postgres", durable=False) as server:
        server.execute(
            sql.SQL("ALTER SYSTEM SET autovacuum = off"),
            sql.SQL("ALTER SYSTEM SET track_activities = off"),
            # Small tables: how a statement is carried out hardly depends on its arguments.
            sql.SQL("ALTER SYSTEM SET plan_cache_mode = force_generic_plan"),
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
            await checker.execute(UNCHECKED)
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
