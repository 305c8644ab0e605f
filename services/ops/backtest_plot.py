"""The picture of a backtest: how outcomes shift, and how the money does in each currency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contracts.money import EXPONENTS

OUTCOMES = {"approval_rate": "approved", "rejection_rate": "rejected", "escalation_rate": "person"}
COLOURS = ("#4c78a8", "#f2a65a")
CURRENCIES_SHOWN_MAX = 6
"""Amounts of two currencies share no axis; more of them find no room."""
Json = dict[str, Any]


def plot(file: Path, summary: Json) -> bool:
    """Writes the picture; False where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    sides = summary["policies"]
    names = [
        f"{letter}: {Path(side['policy']).stem}" for letter, side in zip("AB", sides, strict=False)
    ]
    shown = sorted({each for side in sides for each in side["sums"]})[:CURRENCIES_SHOWN_MAX]
    figure, axes = pyplot.subplots(
        1,
        1 + len(shown),
        figsize=(5 + 2.1 * len(shown), 4),
        width_ratios=[2.4, *(1 for _ in shown)],
        layout="constrained",
    )
    rates, *money = axes if shown else [axes]
    _bars(
        rates,
        list(OUTCOMES.values()),
        [[100 * side[key] for key in OUTCOMES] for side in sides],
        "{:.1f} %",
    )
    rates.set_title("What becomes of the cases")
    for axis, currency in zip(money, shown, strict=True):
        unit = 10 ** EXPONENTS.get(currency, 2)
        approved = [side["sums"].get(currency, {}).get("approved", 0) / unit for side in sides]
        _bars(axis, [""], [[amount] for amount in approved], "{:,.0f}")
        axis.set_title(f"approved, {currency}")
    figure.legend(handles=list(rates.containers), labels=names, loc="outside lower center", ncols=2)
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
    return True


def _bars(axis: Any, labels: list[str], rows: list[list[float]], written: str) -> None:
    """Bars side by side, one colour for each policy, each with its number above it."""
    width = 0.8 / len(rows)
    for position, heights in enumerate(rows):
        places = [place + (position - (len(rows) - 1) / 2) * width for place in range(len(labels))]
        bars = axis.bar(places, heights, width * 0.94, color=COLOURS[position])
        axis.bar_label(bars, [written.format(each) for each in heights], padding=2, fontsize=8)
    axis.set_xticks(range(len(labels)), labels)
    axis.set_yticks([])
    axis.margins(y=0.15)
    axis.spines[["top", "right", "left"]].set_visible(False)
