"""`returns up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.table import Table

from services.ops import console, home, system
from services.ops.embedded import kafka_jars
from services.ops.system import System

IN_MEMORY = "The broker is the one inside librdkafka: it keeps nothing on disk, so restarts lose it"


@console.in_one_sentence
def up(
    json: Annotated[bool, typer.Option("--json", help="Print one line when all is ready.")] = False,
) -> None:
    """Start everything embedded and keep it running until SIGINT or SIGTERM."""
    asyncio.run(_run(json))


async def _run(json: bool) -> None:
    if not json:
        console.say("Starting broker, databases and services …")
    async with (
        console.ended_by_signals(),
        system.running(home.folder(), keep=True, say=console.say) as started,
    ):
        if started.parts.broker_kind == "librdkafka":
            console.say(IN_MEMORY)
            if (reason := kafka_jars.missing()) is not None:
                console.say(f"Apache Kafka was not taken: {reason}")
        if json:
            console.print_json(started.addresses)
        else:
            _print(started)
        await started.watching


def _print(started: System) -> None:
    table = Table(title="Everything is ready", title_justify="left", box=None, pad_edge=False)
    table.add_column("what")
    table.add_column("where")
    table.add_column("process", justify="right")
    addresses = started.addresses
    for service in addresses["processes"]:
        table.add_row(service, addresses[service], str(addresses["processes"][service]))
    table.add_row(f"broker ({addresses['broker']})", addresses["kafka"])
    for service, url in addresses["databases"].items():
        table.add_row(f"{service}'s database", url)
    table.add_row("logs", f"{addresses['home']}/logs")
    console.out.print(table)
    console.out.print("Stop with Ctrl-C.")
