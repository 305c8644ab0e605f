"""`returns demo [SCENARIO]`: start everything, play, tell, verify, stop."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from contracts.money import EXPONENTS
from services.ops import console, home, system
from services.ops import running as found
from services.ops.demo import playing
from services.ops.demo.bus import Heard
from services.ops.demo.orders import Json
from services.ops.demo.scenarios import BY_NAME, SCENARIOS, Scenario
from services.ops.demo.timeline import STEP_NAMES, Line
from services.ops.demo.verify import Check
from services.ops.stack import DATA_FOLDERS

ALL = "all"
BROKERS = {"kafka": "Apache Kafka", "librdkafka": "librdkafka's broker, in memory"}
WHO_COLUMNS, AMOUNT_COLUMNS = 12, 14
PEOPLE = {"ReviewDecided": "reviewer", "ReturnRequest": "customer", "CancelReturn": "customer"}


@console.in_one_sentence
def demo(
    scenario: Annotated[str, typer.Argument(help="One of --list, or `all`.")] = "jacket",
    list_: Annotated[bool, typer.Option("--list", help="Print the scenarios.")] = False,
    running: Annotated[
        bool,
        typer.Option("--running", help="Play on the system that the environment names."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print data, one object a line.")] = False,
) -> None:
    """Play a return from request to refund on a system of its own, and verify the end."""
    if list_:
        _print_list(json)
        return
    if scenario not in (*BY_NAME, ALL):
        names = ", ".join((*BY_NAME, ALL))
        console.say(f"there is no scenario {scenario}: take one of {names}")
        raise typer.Exit(console.WRONG_USE)
    chosen = SCENARIOS if scenario == ALL else (BY_NAME[scenario],)
    teller = _Teller(json=json)
    if not asyncio.run(_on_running(chosen, teller) if running else _on_its_own(chosen, teller)):
        raise typer.Exit(console.FAILED)


def _print_list(json: bool) -> None:
    for each in SCENARIOS:
        if json:
            console.print_json({"name": each.name, "story": each.story, "ends": each.ends})
        else:
            console.tell((f"{each.name:18}", "bold"), f" {each.story}")


async def _on_its_own(scenarios: Sequence[Scenario], teller: _Teller) -> bool:
    """Start a system, play on it, stop it. True when everything that was verified holds."""
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=home.folder()))
    verified = False
    try:
        async with console.ended_by_signals():
            with teller.progress() as progress:
                progress.add_task("Starting broker, databases and services")
                started = time.monotonic()
                running = system.running(folder, keep=False, say=console.say)
                live = await running.__aenter__()
            try:
                ready = BROKERS[live.parts.broker_kind], time.monotonic() - started
                verified = await _play(scenarios, live.addresses, teller, ready)
            finally:
                await running.__aexit__(None, None, None)
    finally:
        for each in (folder,) if verified else (folder / name for name in DATA_FOLDERS):
            shutil.rmtree(each, ignore_errors=True)
        if (folder / "logs").exists():
            console.say(f"the logs are in {folder / 'logs'}")
    return verified


async def _on_running(scenarios: Sequence[Scenario], teller: _Teller) -> bool:
    """Play on the system that the environment names, and leave it running."""
    async with console.ended_by_signals():
        return await _play(scenarios, found.addresses(), teller)
    return False


async def _play(
    scenarios: Sequence[Scenario],
    addresses: Json,
    teller: _Teller,
    ready: tuple[str, float] | None = None,
) -> bool:
    """One after the other; `ready` is the broker that was started, and after how many seconds."""
    verified = True
    for scenario in scenarios:
        teller.begin(scenario, ready)
        checks = await playing.play(scenario, addresses, tell=teller.tell)
        teller.end(checks)
        verified = verified and all(check.holds for check in checks)
    return verified


@dataclass(kw_only=True)
class _Teller:
    """Prints the timeline for people, or as JSON for programs."""

    json: bool

    def progress(self) -> Progress:
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console.errors,
            transient=True,
        )

    def begin(self, scenario: Scenario, ready: tuple[str, float] | None) -> None:
        if self.json:
            return
        console.tell((scenario.name, "bold"), f": {scenario.story}")
        if ready is not None:
            broker, seconds = ready
            ready_with = (
                f"five services, {broker}, PostgreSQL and a processor that speaks Stripe's"
                f" API, ready after {seconds:.1f} s\n"
            )
            console.tell((ready_with, "dim"))

    def tell(self, heard: Heard, line: Line) -> None:
        who = PEOPLE.get(type(heard.message).__name__, heard.who)
        if self.json:
            at = heard.at.isoformat()
            told = {"at": at, "who": who, "what": line.text, "step": line.step or None}
            console.print_json(told | {"amount": line.amount, "currency": line.currency or None})
            return
        step = f"{line.step} {STEP_NAMES[line.step]}" if line.step else ""
        amount = money(line.amount, line.currency) if line.amount is not None else ""
        text = Text()
        text.append(f"{heard.at:%H:%M:%S}.{heard.at.microsecond // 1000:03d}  ", "dim")
        text.append(f"{who:{WHO_COLUMNS}} ", "cyan")
        text.append(f"{amount:>{AMOUNT_COLUMNS}}  ", "bold green")
        text.append(f"[{step}] " if step else "", "bold yellow")
        text.append(line.text)
        console.out.print(text, soft_wrap=True)

    def end(self, found: Sequence[Check]) -> None:
        if self.json:
            failing = [check.what for check in found if not check.holds]
            console.print_json({"verified": not failing, "failing": failing})
            return
        console.tell(("\nVerified", "bold"))
        for check in found:
            wrong = "" if check.holds else f" (expected {_plain(check.expected)})"
            told = f" {check.what}: {_plain(check.found)}{wrong}"
            console.tell(console.mark(check.holds), told)


def _plain(value: object) -> str:
    return ", ".join(sorted(map(str, value))) if isinstance(value, list | set) else str(value)


def money(amount: int, currency: str) -> str:
    """Minor units as people write them: 22200 USD is 222.00 USD."""
    decimals = EXPONENTS.get(currency, 0)
    whole, rest = divmod(abs(amount), 10**decimals)
    sign = "-" if amount < 0 else ""
    fraction = f".{rest:0{decimals}d}" if decimals else ""
    return f"{sign}{whole:,}{fraction} {currency}".strip()
