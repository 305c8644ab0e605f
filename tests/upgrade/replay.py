"""A kept log, handled again: by today's code, on a store of its own."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from contracts.decisions import ReturnDecisionMade
from services.chassis import records
from services.chassis.records import Cause, Item, Record
from tests.driving import Drive
from tests.upgrade.world import Json

GOLDEN = Path(__file__).parent / "golden"
Rewrite = Callable[[Record], list[Record]]
TOMORROW = {"of_tomorrow": {"nested": [1, {"and": "more"}], "null": None}}
IDENTITIES = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND is_identity = 'YES'
"""


def policy(story: str) -> str:
    """The path of the merchant's policy in a story; nothing where it is the default."""
    found = GOLDEN / story / "policy.yaml"
    return str(found) if found.exists() else ""


def log(story: str, service: str, *, after: int = 0) -> list[Json]:
    """What one service handled, in its order, from an entry of the whole log on."""
    packed = (GOLDEN / story / "log.jsonl.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    entries = [json.loads(line) for line in lines[after:]]
    return [entry for entry in entries if entry["service"] == service]


def midway(story: str) -> int:
    """Where in the log the stores were kept: with most returns open."""
    return int((GOLDEN / story / "midway.txt").read_text())


def store(story: str, service: str) -> Json:
    """The whole store as it was midway: {revision, chassis, tables}.

    Before the chassis had revisions of its own, nothing says `chassis`.
    """
    kept: Json = json.loads(gzip.decompress((GOLDEN / story / "stores.json.gz").read_bytes()))
    found: Json = kept[service]
    return found


def final(story: str, service: str) -> Json:
    """The states that the code of that day came to."""
    found: Json = json.loads((GOLDEN / story / "states.json").read_text())[service]
    return found


def unchanged(record: Record) -> list[Record]:
    return [record]


async def replay(drive: Drive, entries: Iterable[Json], rewrite: Rewrite = unchanged) -> None:
    """Hand the entries to the pipeline, each batch at its instant."""
    for entry in entries:
        drive.clock.at = datetime.fromisoformat(entry["at"])
        await _reviewed_again(drive, entry["items"])
        items = [
            item for position, each in enumerate(entry["items"])
            for item in _items(drive, each, position, rewrite)
        ]  # fmt: skip
        await drive.pipeline.handle(items)


async def _reviewed_again(drive: Drive, items: list[Json]) -> None:
    """A person repeats the hash of the case that they see: of the one that is published now."""
    for each in items:
        if "ReviewDecided" in each.get("headers", {}).get("ce_type", ""):
            review = json.loads(each["value"])
            cases = [
                made.escalation.case.case_sha256
                for made in await drive.published(ReturnDecisionMade)
                if made.return_id == review["return_id"] and made.escalation is not None
            ]
            if cases:
                each["value"] = json.dumps(review | {"case_sha256": cases[-1]})


def _items(drive: Drive, each: Json, position: int, rewrite: Rewrite) -> list[Item]:
    service, now = drive.service.name, drive.clock.at
    if "headers" not in each:
        received = records.to_self(
            drive.pipeline.registry[each["type"]].model_validate_json(each["value"]),
            topic=each["topic"],
            id_=each["id"],
            service=service,
            now=now,
            cause=Cause.from_json(each["cause"]),
        )
        # Its row is of another store, so nothing is claimed.
        return [Item(received=received, event_id=records.event_id(each["topic"], each["id"]))]
    record = Record(
        topic=each["topic"],
        partition=0,
        offset=position,
        key=each["key"].encode() if each["key"] else None,
        headers=tuple((name, text.encode()) for name, text in each["headers"].items()),
        value=each["value"].encode(),
    )
    return [records.read(made, service, now) for made in rewrite(record)]


def fill(url: str, tables: dict[str, list[Json]]) -> None:
    """Put whole tables into a store, as its superuser: no trigger fires, no row is judged."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for table, rows in tables.items():
            name = sql.Identifier(table)
            connection.execute(sql.SQL("DELETE FROM {}").format(name))
            connection.execute(
                sql.SQL(
                    "INSERT INTO {0} OVERRIDING SYSTEM VALUE"
                    " SELECT * FROM jsonb_populate_recordset(NULL::{0}, %s::jsonb)"
                ).format(name),
                (json.dumps(rows),),
            )
        for table, column in connection.execute(IDENTITIES).fetchall():
            connection.execute(
                sql.SQL(
                    "SELECT setval(pg_get_serial_sequence(%s, %s),"
                    " (SELECT coalesce(max({}), 0) + 1 FROM {}), false)"
                ).format(sql.Identifier(column), sql.Identifier(table)),
                (table, column),
            )


def extended(value: Any) -> Any:
    """A document as a later version writes it: fields that nobody knows yet, everywhere."""
    if isinstance(value, dict):
        return {name: extended(inner) for name, inner in value.items()} | TOMORROW
    return [extended(inner) for inner in value] if isinstance(value, list) else value


def differences(kept: Any, found: Any, path: str = "") -> list[str]:
    """Where `found` does not say what was kept; what it says beyond that is welcome."""
    if isinstance(kept, dict) and isinstance(found, dict):
        return [
            each for name, value in kept.items()
            for each in differences(value, found.get(name), f"{path}.{name}")
        ]  # fmt: skip
    if isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        return [
            each for place, value in enumerate(kept)
            for each in differences(value, found[place], f"{path}.{place}")
        ]  # fmt: skip
    return [] if kept == found else [f"{path.lstrip('.')}: was {kept!r}, is {found!r}"]
