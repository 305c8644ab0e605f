"""`returns quarantine list|show|redrive`: records that no service could handle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import asyncpg
import typer

from services.chassis import quarantine as records
from services.chassis.clock import WallClock
from services.chassis.quarantine import Entry
from services.ops import console, running
from services.ops.console import Refused
from services.ops.returns import AsJson

POLL_SECONDS = 0.2
REDRIVE_SECONDS_MAX = 30.0
NUMBER_MAX = 2**63 - 1
Found = TypeVar("Found")

app = typer.Typer(
    help="Records that no service could handle.", no_args_is_help=True, add_completion=False
)
Id = Annotated[str, typer.Argument(help="As `list` prints it: service:number.")]


@app.command("list")
@console.in_one_sentence
def list_(json: AsJson = False) -> None:
    """Everything that is set aside, oldest first."""
    waiting = [entry for entry in asyncio.run(_all()) if entry.redriven_at is None]
    if json:
        console.print_json([_public(entry) for entry in waiting])
        return
    if not waiting:
        console.out.print("nothing is in quarantine")
        return
    for entry in waiting:
        row = _public(entry)
        where = f"{row['topic']}, partition {row['partition']}, offset {row['offset']}"
        console.tell((row["id"], "bold"), f"  {row['at'][:19]}  {where}")
        console.tell(f"    {row['reason']}")


@app.command()
@console.in_one_sentence
def show(id_: Id, json: AsJson = False) -> None:
    """One record with its headers and bytes."""
    service, number = _split(id_)
    entry = asyncio.run(_with_store(service, lambda store: records.entry(store, number)))
    if entry is None:
        raise Refused(f"there is no record {id_}: see `returns quarantine list`")
    whole = _public(entry) | {
        "key": _text(entry.record.key),
        "headers": [[name, _text(value)] for name, value in entry.record.headers],
        "value": _text(entry.record.value),
        "mended": _text(entry.mended),
        "return_id": entry.return_id,
        "order_id": entry.order_id,
        "redriven_at": entry.redriven_at.isoformat() if entry.redriven_at else None,
    }
    if json:
        console.print_json(whole)
        return
    for name, value in whole.items():
        console.tell((name, "bold"), f": {value}")


@app.command()
@console.in_one_sentence
def redrive(
    id_: Id,
    value: Annotated[
        Path | None,
        typer.Option(
            help="A file with the mended record.", exists=True, dir_okay=False, readable=True
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Have the running service handle a record again; ends with 1 when it is refused again."""
    service, number = _split(id_)
    bytes_ = value.read_bytes() if value is not None else None
    refusal = asyncio.run(_with_store(service, lambda store: _redrive(store, number, bytes_)))
    if json:
        console.print_json({"id": id_, "redriven": refusal is None, "reason": refusal})
    if refusal is not None:
        raise Refused(f"{id_} was not handled: {refusal}")
    if not json:
        console.out.print(f"{id_} was handled")


async def _redrive(store: Any, number: int, value: bytes | None) -> str | None:
    """None when the record was handled, else why not."""
    if not await records.request_redrive(store, number, now=WallClock().now(), value=value):
        return "there is no such record, or it was handled already"
    deadline = asyncio.get_running_loop().time() + REDRIVE_SECONDS_MAX
    while asyncio.get_running_loop().time() < deadline:
        entry = await records.entry(store, number)
        if entry is None or entry.redriven_at is not None:
            return None
        if entry.redrive_requested_at is None:
            return entry.reason
        await asyncio.sleep(POLL_SECONDS)
    return f"its service has not taken it up within {REDRIVE_SECONDS_MAX:.0f} s: does it run?"


async def _all() -> list[Entry]:
    found: list[Entry] = []
    for service in running.databases():
        found += await _with_store(service, records.entries)
    return sorted(found, key=lambda entry: entry.at)


async def _with_store(service: str, ask: Callable[[Any], Awaitable[Found]]) -> Found:
    known = running.databases()
    if service not in known:
        raise Refused(f"there is no service {service}: it is one of {', '.join(known)}")
    try:
        store = await asyncpg.connect(known[service])
    except (OSError, asyncpg.PostgresError) as error:
        raise Refused(
            f"{service}'s database does not answer ({error}): start it, or correct"
            f" {service.upper()}_DATABASE_URL"
        ) from None
    try:
        return await ask(store)
    finally:
        await store.close()


def _public(entry: Entry) -> dict[str, Any]:
    return {
        "id": f"{entry.service}:{entry.id}",
        "service": entry.service,
        "topic": entry.record.topic,
        "partition": entry.record.partition,
        "offset": entry.record.offset,
        "reason": entry.reason,
        "at": entry.at.isoformat().replace("+00:00", "Z"),
    }


def _split(id_: str) -> tuple[str, int]:
    service, _, number = id_.partition(":")
    if not (number.isascii() and number.isdigit() and int(number) <= NUMBER_MAX):
        console.say(f"{id_} is no id: it looks like commerce:1")
        raise typer.Exit(console.WRONG_USE)
    return service, int(number)


def _text(value: bytes | None) -> str | None:
    """The bytes as text; those that are not UTF-8 as escapes."""
    return None if value is None else value.decode(errors="backslashreplace")
