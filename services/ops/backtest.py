"""`returns policy backtest`: past cases under one policy, or under two, and what would change.

Memory stays flat whatever the file's length: chunks go to worker processes, only sums come back,
and each changed case goes straight into the report.
"""

from __future__ import annotations

import json
import os
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from contracts.decisions import Effect, Outcome, RefundBreakdown, ReturnDecisionMade
from contracts.money import Money
from services.chassis import garbage
from services.commerce import judgement
from services.commerce.policy.loader import PolicyRefused
from services.commerce.policy.versions import BUILT_IN_VERSIONS, Versions
from services.ops import backtest_plot
from services.ops.decide import (
    WRONG_USE,
    Document,
    Unparsed,
    Unreadable,
    as_case,
    chosen_policies,
    documents,
    opened,
    policy_of,
    read_document,
)

CHUNK_DOCUMENTS = 200
CHUNKS_WAITING_PER_WORKER = 3
CASES_PRINTED_MAX = 10_000
Json = dict[str, Any]


@dataclass(slots=True)
class Side:
    """What one policy did with all cases: counts by outcome, sums by currency and outcome."""

    outcomes: Counter[str] = field(default_factory=Counter)
    sums: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, decision: ReturnDecisionMade) -> None:
        self.outcomes[decision.decision] += 1
        if decision.refund is not None and decision.currency is not None:
            self.sums[decision.currency, decision.decision] += decision.refund.total

    def merge(self, other: Side) -> None:
        self.outcomes.update(other.outcomes)
        self.sums.update(other.sums)

    def as_data(self) -> Json:
        count = sum(self.outcomes.values())
        rates = {
            f"{word}_rate": round(self.outcomes[outcome] / count, 4) if count else 0.0
            for outcome, word in _WORDS.items()
        }
        currencies = sorted({currency for currency, _ in self.sums})
        return {
            **rates,
            "sums": {
                currency: {str(outcome): self.sums[currency, outcome] for outcome in _WORDS}
                for currency in currencies
            },
        }


_WORDS = {
    Outcome.APPROVED: "approval",
    Outcome.REJECTED: "rejection",
    Outcome.ESCALATED: "escalation",
}


@dataclass(slots=True)
class Tally:
    """The sums of some documents, and the cases among them that change."""

    sides: tuple[Side, ...]
    changed: list[Json] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    count: int = 0


_sides: tuple[Versions | None, ...] = ()


def _prepare(paths: tuple[Path | None, ...]) -> None:
    """In a worker: loads the policies once. None means each document's own, else the built-in."""
    global _sides
    _sides = tuple(None if path is None else chosen_policies(path) for path in paths)
    garbage.look_seldom()


def _play(chunk: list[tuple[int, object]]) -> Tally:
    tally = Tally(sides=tuple(Side() for _ in _sides))
    for number, value in chunk:
        tally.count += 1
        if isinstance(value, Unparsed):
            value = value.parsed(number)
        try:
            document = read_document(number, value)
            decisions = [_under(number, value, document, versions) for versions in _sides]
        except Unreadable as unreadable:
            tally.unreadable.append(unreadable)
            continue
        for side, decision in zip(tally.sides, decisions, strict=True):
            side.add(decision)
        if len(decisions) > 1:
            change = _change(number, decisions[0], decisions[1])
            if change is not None:
                tally.changed.append(change)
    return tally


def _under(
    number: int, value: object, document: Document, versions: Versions | None
) -> ReturnDecisionMade:
    """The decision under one side: its policies, or what the document itself says."""
    own = value if versions is None else None
    policy = policy_of(number, own, document, versions or BUILT_IN_VERSIONS)
    return judgement.judge(as_case(document, policy), counterfactual=False)


def _change(number: int, before: ReturnDecisionMade, after: ReturnDecisionMade) -> Json | None:
    """A case whose outcome or amount changes, with the rule that did it."""
    was, now = _total(before), _total(after)
    if before.decision is after.decision and was == now:
        return None
    return {
        "document": number,
        "return_id": before.return_id,
        "from": str(before.decision),
        "to": str(after.decision),
        "currency": before.currency,
        "total_from": was,
        "total_to": now,
        "because": _because(before, after),
    }


def _total(decision: ReturnDecisionMade) -> int:
    return decision.refund.total if decision.refund is not None else 0


def _because(before: ReturnDecisionMade, after: ReturnDecisionMade) -> str:
    """The findings that one side has and the other has not: what decides first, then rules."""
    for decision, other, word in ((after, before, ""), (before, after, "no longer ")):
        known = {(each.code, each.rule_id) for each in other.findings}
        for each in decision.findings:
            deciding = each.effect in (Effect.BLOCKS, Effect.REQUIRES_REVIEW)
            if deciding and (each.code, each.rule_id) not in known:
                return f"{word}{each.code} by {each.rule_id}"
    fired = [
        {each.rule_id for each in decision.findings if each.code == "rule_fired"}
        for decision in (before, after)
    ]
    rules = sorted(fired[0] ^ fired[1])
    by = f"rules {', '.join(rules)}" if rules else "the defaults"
    return f"{by}: {', '.join(_parts(before, after)) or 'nothing in the amounts'}"


def _parts(before: ReturnDecisionMade, after: ReturnDecisionMade) -> Iterator[str]:
    """The parts of the refund that differ, each with both of its amounts."""
    currency = after.currency or ""
    was, now = before.refund or RefundBreakdown(), after.refund or RefundBreakdown()
    for name, amount in was:
        other = getattr(now, name)
        if amount != other and name != "total":
            shown = name.replace("_", " ")
            yield f"{shown} {Money(amount, currency)} → {Money(other, currency)}"


def _chunks(stream: TextIO) -> Iterator[list[tuple[int, object]]]:
    numbered = documents(stream, parsed=False)
    while chunk := list(islice(numbered, CHUNK_DOCUMENTS)):
        yield chunk


def _tallies(file: Path, paths: tuple[Path | None, ...], workers: int) -> Iterator[Tally]:
    """The tallies of all chunks, in the file's order; a bounded number waits."""
    waiting: deque[Future[Tally]] = deque()
    with (
        opened(file) as stream,
        ProcessPoolExecutor(workers, initializer=_prepare, initargs=(paths,)) as pool,
    ):
        for chunk in _chunks(stream):
            waiting.append(pool.submit(_play, chunk))
            if len(waiting) >= workers * CHUNKS_WAITING_PER_WORKER:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def backtest(
    file: Annotated[Path, typer.Argument(help="the documents of `returns decide`")],
    policy: Annotated[
        Path | None, typer.Option(help="policy A; default: each document's own")
    ] = None,
    against: Annotated[Path | None, typer.Option(help="policy B, to compare with")] = None,
    report: Annotated[Path | None, typer.Option(help="a folder for report.md and plot.png")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64)] = os.cpu_count() or 1,
    as_json: Annotated[bool, typer.Option("--json", help="as data")] = False,
) -> None:
    """Rates, sums per currency, and every case whose outcome changes."""
    paths = (policy,) if against is None else (policy, against)
    try:
        for path in paths:
            chosen_policies(path)
    except PolicyRefused as refused:
        typer.echo("\n".join(refused.lines()), err=True)
        raise typer.Exit(WRONG_USE) from refused
    folder = _made_ready(file, report or Path("backtest"))
    total = Tally(sides=tuple(Side() for _ in paths))
    changes: Counter[str] = Counter()
    with (folder / "changed.jsonl").open("w", encoding="utf-8") as changed:
        for tally in _watched(file, _tallies(file, paths, workers)):
            total.count += tally.count
            for side, part in zip(total.sides, tally.sides, strict=True):
                side.merge(part)
            for each in tally.changed:
                changed.write(json.dumps(each, ensure_ascii=False) + "\n")
                changes[_kind(each)] += 1
            for unreadable in tally.unreadable:
                typer.echo(str(unreadable), err=True)
                total.unreadable = [unreadable]
    summary = _summary(total, changes, paths)
    _write_report(folder, summary, changes)
    if as_json:
        typer.echo(json.dumps(summary | {"changed": _listed(folder)}, ensure_ascii=False))
    else:
        _show(folder, summary)
    if total.unreadable:
        raise typer.Exit(WRONG_USE)


def _made_ready(file: Path, folder: Path) -> Path:
    """The report's folder, made. Exits with one sentence where nothing can be read or written."""
    said = None
    try:
        with opened(file):
            pass
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "changed.jsonl").touch()
    except OSError as error:
        what = f"{error.filename or folder}: {error.strerror or error}"
        said = f"the documents cannot be read, or the report not written: {what}"
    if said is not None:
        typer.echo(said, err=True)
        raise typer.Exit(WRONG_USE)
    return folder


def _kind(change: Json) -> str:
    if change["from"] != change["to"]:
        return f"{change['from']} → {change['to']}"
    return f"{change['from']}, other amount"


def _watched(file: Path, tallies: Iterator[Tally]) -> Iterator[Tally]:
    console = Console(stderr=True)
    with Progress(
        TextColumn(file.name),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("documents", total=None)
        for tally in tallies:
            progress.advance(task, tally.count)
            yield tally


def _summary(total: Tally, changes: Counter[str], paths: tuple[Path | None, ...]) -> Json:
    names = [str(path) if path is not None else "as documented" for path in paths]
    return {
        "documents": total.count,
        "unreadable": total.count - sum(total.sides[0].outcomes.values()),
        "policies": [
            {"policy": name} | side.as_data() for name, side in zip(names, total.sides, strict=True)
        ],
        "changes": dict(sorted(changes.items())),
    }


def _listed(folder: Path) -> list[Json]:
    with (folder / "changed.jsonl").open(encoding="utf-8") as changed:
        return [json.loads(line) for line in islice(changed, CASES_PRINTED_MAX)]


def _lines(summary: Json) -> Iterator[str]:
    yield f"{summary['documents']} documents, {summary['unreadable']} unreadable"
    for side in summary["policies"]:
        yield ""
        yield f"policy {side['policy']}:"
        for word in _WORDS.values():
            yield f"  {word} rate {side[f'{word}_rate']:.2%}"
        for currency, sums in side["sums"].items():
            shown = ", ".join(
                f"{outcome} {Money(amount, currency)}" for outcome, amount in sums.items()
            )
            yield f"  {currency}: {shown}"
    if len(summary["policies"]) > 1:
        yield ""
        yield f"{sum(summary['changes'].values())} cases change:"
        for kind, count in summary["changes"].items():
            yield f"  {count} × {kind}"


def _show(folder: Path, summary: Json) -> None:
    for line in _lines(summary):
        typer.echo(line)
    for each in _listed(folder):
        typer.echo(_told(each))
    typer.echo(f"\nreport: {folder / 'report.md'}")


def _told(change: Json) -> str:
    currency = change["currency"] or ""
    was, now = Money(change["total_from"], currency), Money(change["total_to"], currency)
    return (
        f"  document {change['document']} ({change['return_id']}): {change['from']} {was}"
        f" → {change['to']} {now}, {change['because']}"
    )


def _write_report(folder: Path, summary: Json, changes: Counter[str]) -> None:
    """report.md with the sums, every changed case, and plot.png beside it."""
    plotted = backtest_plot.plot(folder / "plot.png", summary)
    with (folder / "report.md").open("w", encoding="utf-8") as report:
        report.write("# Backtest\n\n```\n" + "\n".join(_lines(summary)) + "\n```\n\n")
        if plotted:
            report.write("![outcomes and money by policy](plot.png)\n\n")
        if changes:
            report.write("## Cases that change\n\n")
            with (folder / "changed.jsonl").open(encoding="utf-8") as changed:
                for line in changed:
                    report.write("- " + _told(json.loads(line)).strip() + "\n")
