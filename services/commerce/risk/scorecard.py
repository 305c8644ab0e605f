"""Named signals times weights, summed to log odds: every part of the probability can be shown.

Weights are data with a version. They were set so that a burst of returns that eats most of what a
customer buys freezes, while many orders, a long relation and bracketing do not (domain tests hold
them there).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from services.commerce.risk.signals import Behaviour

SCORECARD_VERSION = "2026-11"
BIAS = -3.2
"""Log odds of a customer of whom nothing is known: about 4 %."""
DECIMALS = 4
BEHAVIOURS_REMEMBERED_MAX = 4096
"""Most customers behave alike: the same measures give the same score, counted once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """`weight` log odds per `per` of the measure beyond `above`, at most `steps_max` steps."""

    name: str
    measure: Callable[[Behaviour], float]
    """Reads one measure of the behaviour."""
    above: float
    per: float
    steps_max: float
    weight: float
    explanation: str
    """With `{value}`: what was measured."""

    falling: bool = False
    """Counts what the measure is below `above`, instead of beyond it."""

    def steps(self, value: float) -> float:
        distance = self.above - value if self.falling else value - self.above
        return min(distance / self.per, self.steps_max) if distance > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Contribution:
    signal: str
    log_odds: float
    explanation: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    probability: float
    """0..1, four decimals."""
    contributions: tuple[Contribution, ...]
    """Of the signals that spoke, strongest first."""


SIGNALS = (
    Signal(
        name="returns_14_days",
        measure=attrgetter("returns_14_days"),
        above=3,
        per=1,
        steps_max=3,
        weight=1.6,
        explanation="{value:.0f} returns within 14 days",
    ),
    Signal(
        name="returns_30_days",
        measure=attrgetter("returns_30_days"),
        above=4,
        per=1,
        steps_max=6,
        weight=0.6,
        explanation="{value:.0f} returns within 30 days",
    ),
    Signal(
        name="returns_365_days",
        measure=attrgetter("returns_365_days"),
        above=12,
        per=1,
        steps_max=10,
        weight=0.04,
        explanation="{value:.0f} returns within a year",
    ),
    Signal(
        name="return_rate_high",
        measure=attrgetter("return_rate"),
        above=0.4,
        per=0.1,
        steps_max=6,
        weight=0.6,
        explanation="{value:.0%} of the value bought goes back (one return alone counts little)",
    ),
    Signal(
        name="return_rate_low",
        measure=attrgetter("return_rate"),
        falling=True,
        above=0.35,
        per=0.1,
        steps_max=3,
        weight=-1.0,
        explanation="little of the value bought goes back",
    ),
    Signal(
        name="distinct_skus",
        measure=attrgetter("distinct_skus_30_days"),
        above=3,
        per=1,
        steps_max=5,
        weight=0.2,
        explanation="{value:.0f} different products in 30 days",
    ),
    Signal(
        name="new_account",
        measure=attrgetter("new_account_value_ratio"),
        above=1,
        per=1,
        steps_max=2,
        weight=0.5,
        explanation="an account younger than 14 days returns {value:.1f} times its average order",
    ),
    Signal(
        name="confirmed_abuse",
        measure=attrgetter("confirmed_abuse"),
        above=0,
        per=1,
        steps_max=3,
        weight=2.3,
        explanation="abuse was confirmed {value:.0f} times",
    ),
    Signal(
        name="disputes",
        measure=attrgetter("disputes"),
        above=0,
        per=1,
        steps_max=4,
        weight=0.8,
        explanation="{value:.0f} payment disputes",
    ),
    Signal(
        name="linked_accounts",
        measure=attrgetter("linked_accounts"),
        above=1,
        per=1,
        steps_max=4,
        weight=0.7,
        explanation="{value:.0f} other accounts share an address, a phone or a card",
    ),
    Signal(
        name="not_received_claims",
        measure=attrgetter("not_received_claims"),
        above=0,
        per=1,
        steps_max=3,
        weight=1.0,
        explanation='{value:.0f} claims of "not received" against a delivery scan',
    ),
    Signal(
        name="weight_deviation",
        measure=attrgetter("weight_deviation"),
        above=0.15,
        per=0.1,
        steps_max=4,
        weight=0.9,
        explanation="the carton's weight is {value:.0%} off",
    ),
    Signal(
        name="serial_mismatch",
        measure=attrgetter("serial_mismatch"),
        above=0,
        per=1,
        steps_max=1,
        weight=6.0,
        explanation="the serial number is not the one that was sold",
    ),
    Signal(
        name="fault_monoculture",
        measure=attrgetter("unconfirmed_fault_claims"),
        above=2,
        per=1,
        steps_max=4,
        weight=0.6,
        explanation="{value:.0f} returns, nearly all with the same claimed fault",
    ),
    Signal(
        name="tenure",
        measure=attrgetter("tenure_years"),
        above=0,
        per=1,
        steps_max=5,
        weight=-0.4,
        explanation="a customer for {value:.1f} years",
    ),
    Signal(
        name="lifetime_value",
        measure=attrgetter("lifetime_value_ratio"),
        above=2,
        per=4,
        steps_max=2,
        weight=-0.8,
        explanation="has spent {value:.0f} times the value of this return",
    ),
)


AFTER_RECEIPT = frozenset({"weight_deviation", "serial_mismatch"})
"""Signals that only a parcel that arrived can give."""


@lru_cache(maxsize=BEHAVIOURS_REMEMBERED_MAX)
def score(behaviour: Behaviour) -> Score:
    """The probability that a return with this behaviour behind it is abuse, and why."""
    contributions = []
    log_odds = BIAS
    for signal in SIGNALS:
        value = signal.measure(behaviour)
        steps = signal.steps(value)
        if steps:
            part = signal.weight * steps
            log_odds += part
            contributions.append(
                Contribution(signal.name, part, signal.explanation.format(value=value))
            )
    contributions.sort(key=lambda each: (-abs(each.log_odds), each.signal))
    return Score(
        probability=round(1 / (1 + math.exp(-log_odds)), DECIMALS),
        contributions=tuple(contributions),
    )
