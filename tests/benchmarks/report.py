"""The table that a run prints, and the files that it leaves in `results/`."""

from __future__ import annotations

import json
import platform
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import psutil
from rich.console import Console
from rich.table import Table

from tests.benchmarks.usage import Usage
from tests.benchmarks.w1 import Measured

RESULTS = Path(__file__).parent / "results"
MILLISECONDS = 1000


@dataclass(frozen=True, kw_only=True)
class Report:
    broker: str
    ready_seconds: float
    at_once: int
    """Returns under way at a time under full load."""
    idle: Measured
    busy: Measured
    steady: Measured
    """Half as many per second as under full load."""
    usage: Usage
    bare_per_second: float
    paid_wrong: int
    """Payments whose refunds in the processor's book are not one, of the right amount."""

    @property
    def holds(self) -> bool:
        return not (self.paid_wrong or self.busy.wrong or self.idle.wrong or self.steady.wrong)

    def figures(self) -> dict[str, Any]:
        returns = len(self.busy.settled_at)
        messages = self.usage.messages / returns if returns else 0
        ceiling = self.bare_per_second / messages if messages else 0
        return {
            "broker": self.broker,
            "cores": psutil.cpu_count(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "ready after s": round(self.ready_seconds, 1),
            "returns": returns,
            "under way at a time": self.at_once,
            "completed returns/s": round(self.busy.per_second, 1),
            "bare pipeline messages/s": round(self.bare_per_second),
            "bare pipeline, as many messages, returns/s": round(ceiling, 1),
            "share of the bare pipeline %": round(100 * self.busy.per_second / ceiling, 1)
            if ceiling
            else None,
            "request to decision, idle p50 ms": quantile(self.idle.decided_after, 50),
            "request to decision, idle p99 ms": quantile(self.idle.decided_after, 99),
            "request to decision, full load p50 ms": quantile(self.busy.decided_after, 50),
            "request to decision, full load p99 ms": quantile(self.busy.decided_after, 99),
            "request to decision, half load p50 ms": quantile(self.steady.decided_after, 50),
            "request to decision, half load p99 ms": quantile(self.steady.decided_after, 99),
            "messages per return": round(messages, 1),
            "Kafka bytes per return": self._each(self.usage.message_bytes),
            "commits per return": self._shared(self.usage.commits),
            "WAL bytes per return": self._each(self.usage.wal_bytes),
            "SQL round trips per return": self._shared(sum(self.usage.round_trips.values())),
            "checker": "holds" if self.holds else "FAILED",
        } | {
            f"CPU-ms per return, {name}": round(MILLISECONDS * seconds / returns, 2)
            for name, seconds in sorted(self.usage.cpu_seconds.items())
            if returns
        } | {
            f"SQL round trips per return, {name}": self._shared(trips)
            for name, trips in sorted(self.usage.round_trips.items())
        } | {
            f"messages per batch, {name}": round(self.usage.handled[name] / batches, 1)
            for name, batches in sorted(self.usage.batches.items())
            if batches
        } | {
            f"resident MiB, {name}": round(size)
            for name, size in sorted(self.usage.resident_mib.items())
        }  # fmt: skip

    def _shared(self, total: float) -> float:
        return round(total / len(self.busy.settled_at), 1) if self.busy.settled_at else 0.0

    def _each(self, total: int) -> int:
        return round(total / len(self.busy.settled_at)) if self.busy.settled_at else 0


def quantile(seconds: list[float], percent: int) -> float | None:
    """In milliseconds."""
    if len(seconds) < 2:
        return None
    found = statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]
    return round(found * MILLISECONDS, 1)


def show(report: Report, console: Console) -> None:
    table = Table(title="W1: returns that go well", show_header=False)
    for name, value in report.figures().items():
        table.add_row(name, str(value))
    console.print(table)
    for sentence in (*report.idle.wrong, *report.busy.wrong, *report.steady.wrong)[:10]:
        console.print(f"wrong: {sentence}", soft_wrap=True)


def save(report: Report, name: str) -> Path:
    """Write `name`.json, .md and .png. The path of the table."""
    RESULTS.mkdir(exist_ok=True)
    figures = report.figures()
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
    rows = "".join(f"| {key} | {value} |\n" for key, value in figures.items())
    table = RESULTS / f"{name}.md"
    table.write_text(f"# W1\n\n| measure | value |\n|---|---|\n{rows}")
    _plot(report, RESULTS / f"{name}.png")
    return table


def _plot(report: Report, file: Path) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    done = sorted(report.busy.settled_at)
    left.plot(done, range(1, len(done) + 1))
    left.set_xlabel("seconds")
    left.set_ylabel("completed returns")
    left.set_title(f"{report.busy.per_second:.0f} completed returns/s")
    for label, measured in (
        ("idle", report.idle),
        ("half load", report.steady),
        ("full load", report.busy),
    ):
        latencies = sorted(seconds * MILLISECONDS for seconds in measured.decided_after)
        shares = [100 * (rank + 1) / len(latencies) for rank in range(len(latencies))]
        right.plot(latencies, shares, label=label)
    right.set_xscale("log")
    right.set_xlabel("request to decision, ms")
    right.set_ylabel("% of returns")
    right.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
