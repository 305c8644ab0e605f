"""`returns submit`, `show`, `watch`: a return from the outside."""

from __future__ import annotations

import json as jsons
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer
from rich.table import Table

from services.ops import console, running
from services.ops.demo.command import money

RECONNECT_SECONDS = 1.0
LIST_POLL_SECONDS = 1.0
PAGE_RETURNS = 100
FINAL = {"settled", "rejected", "cancelled", "expired"}
AsJson = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]
Json = dict[str, Any]


@console.in_one_sentence
def submit(
    file: Annotated[Path, typer.Argument(help="A ReturnRequest as JSON; - for standard input.")],
    json: AsJson = False,
) -> None:
    """Ask for a return. The same file again is the same return."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        request = jsons.loads(text)
    except (OSError, ValueError) as error:
        console.say(f"{file} is not readable JSON: {error}")
        raise typer.Exit(console.WRONG_USE) from None
    with running.client() as gateway:
        answer = running.checked(gateway.post("/returns", json=request)).json()
    if json:
        console.print_json(answer)
    else:
        console.tell(f"accepted: {answer['return_id']} (returns show {answer['return_id']})")


@console.in_one_sentence
def show(
    return_id: Annotated[str, typer.Argument(help="The id of the return.")], json: AsJson = False
) -> None:
    """Show a return as it stands: status, money, goods, history."""
    with running.client() as gateway:
        seen = running.checked(gateway.get(_path(return_id))).json()
    if json:
        console.print_json(seen)
    else:
        _print(seen)


@console.in_one_sentence
def watch(
    return_id: Annotated[str, typer.Argument(help="One return; all when left out.")] = "",
    json: AsJson = False,
) -> None:
    """Follow a return until it is final; without an id, follow every return until Ctrl-C."""
    ctrl_c_is_the_end = nullcontext() if return_id else suppress(KeyboardInterrupt)
    with running.client() as gateway, ctrl_c_is_the_end:
        changes = _changes(gateway, return_id) if return_id else _changes_of_all(gateway)
        for change in changes:
            if json:
                console.print_json(change)
            else:
                console.tell(
                    (change["changed_at"], "dim"),
                    f" {change['return_id']} ",
                    (change["status"], "bold"),
                    f" {change['explanation']}",
                )


def _changes(gateway: httpx.Client, return_id: str) -> Iterator[Json]:
    """Every change of one return, from the first, across broken connections."""
    running.checked(gateway.get(_path(return_id)))
    last = "0"
    while True:
        try:
            headers = {"Last-Event-ID": last}
            path = f"{_path(return_id)}/events"
            with gateway.stream("GET", path, headers=headers, timeout=None) as stream:
                for line in stream.iter_lines():
                    name, _, value = line.partition(":")
                    if name == "id":
                        last = value.strip()
                    if name == "data":
                        change: Json = jsons.loads(value)
                        yield change
                        if change["status"] in FINAL:
                            return
        except httpx.TransportError:
            console.say("the gateway went away; trying again")
        time.sleep(RECONNECT_SECONDS)


def _changes_of_all(gateway: httpx.Client) -> Iterator[Json]:
    """New entries of everybody's timelines: all pages of returns, looked at again and again.

    Each look costs a request per hundred returns; the topic `returns.lifecycle` tells the same.
    """
    running.checked(gateway.get("/returns"))
    known: dict[str, set[tuple[str, ...]]] = {}
    while True:
        fresh: list[Json] = []
        for seen in _all_returns(gateway):
            told = known.setdefault(seen["return_id"], set())
            for entry in seen["timeline"]:
                change = (entry["status"], entry["explanation"], entry["at"])
                if change not in told:
                    told.add(change)
                    names = ("status", "explanation", "changed_at")
                    told_now = dict(zip(names, change, strict=True))
                    fresh.append({"return_id": seen["return_id"], **told_now})
        yield from sorted(fresh, key=itemgetter("changed_at"))
        time.sleep(LIST_POLL_SECONDS)


def _all_returns(gateway: httpx.Client) -> Iterator[Json]:
    """Every return as it stands, newest first; from the start again when the gateway went away."""
    page: Json = {"next_cursor": None}
    while True:
        cursor = {"cursor": page["next_cursor"]} if page.get("next_cursor") else {}
        try:
            answer = gateway.get("/returns", params={"limit": PAGE_RETURNS, **cursor})
        except httpx.TransportError:
            console.say("the gateway went away; trying again")
            return
        page = running.checked(answer).json()
        yield from page["items"]
        if not page.get("next_cursor"):
            return


def _path(return_id: str) -> str:
    """Whatever is in the id stays one step of the path."""
    return f"/returns/{quote(return_id, safe='')}"


def _print(seen: Json) -> None:
    decision = seen.get("decision") or {}
    currency = decision.get("currency") or ""
    console.tell((seen["return_id"], "bold"), f"  order {seen.get('order_id') or 'unknown'}")
    until = f" until {seen['until']}" if seen.get("until") else ""
    waits = "" if seen["waiting_on"] == "none" else f" (waits on {seen['waiting_on']}{until})"
    console.tell((seen["status"], "bold green"), waits)
    console.tell(seen["explanation"])
    if decision.get("refund"):
        table = Table("part", "amount", title="Amount", title_justify="left", box=None)
        for part, amount in decision["refund"].items():
            if amount or part == "total":
                table.add_row(part.replace("_", " "), money(amount, currency))
        console.out.print(table)
    for refund in seen["refunds"]:
        amount = money(refund["amount"], refund["currency"])
        reference = refund.get("processor_reference") or ""
        console.tell(f"refund {amount}: {refund['state']} {reference}")
    if seen.get("label"):
        label = seen["label"]
        console.tell(f"label {label['carrier']} {label['tracking_number']}: {label['label_url']}")
    table = Table("at", "status", "explanation", title="History", title_justify="left", box=None)
    for entry in seen["timeline"]:
        table.add_row(entry["at"][:19], entry["status"], entry["explanation"])
    console.out.print(table)
