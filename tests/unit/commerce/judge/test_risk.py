"""Histories of customers and where they must land: honest ones are never frozen."""

from __future__ import annotations

from typing import Any

import pytest

from services.commerce.risk.scorecard import SIGNALS
from services.commerce.risk.signals import Behaviour
from tests.unit.commerce.judge.documents import (
    NOW,
    codes,
    days,
    german,
    judge,
    line,
    order,
    request,
    text,
    wanted,
)

BANDS = {"calm": (0.0, 0.4), "elevated": (0.4, 0.75), "frozen": (0.75, 1.01)}
"""band -> from, below: probabilities of abuse."""
Json = dict[str, Any]


def past(*ago_days: float, value: int = 9000, reason: str = "changed_mind", **changes: Any) -> Json:
    returns = [
        {
            "requested_at": text(NOW - days(ago)),
            "order_id": f"h{number}",
            "skus": [f"H-{number}"],
            "value": value,
            "status": "settled",
            "reason": reason,
        }
        | changes
        for number, ago in enumerate(ago_days)
    ]
    return {"returns": returns}


def bought(count: int, value: int, **more: int) -> Json:
    return {"orders": {"count": count, "value": value}} | more


def customer(years: float = 0, lifetime: int | None = None) -> Json:
    since = {"customer_since": text(NOW - days(365 * years))} if years else {}
    return since | ({} if lifetime is None else {"lifetime_value": lifetime})


def burst(count: int, within: float) -> list[float]:
    return [1 + index * (within - 1) / max(count - 1, 1) for index in range(count)]


HONEST = {
    "one return of many accounts at one address, a dormitory": (
        past(50),
        bought(4, 40000, linked_accounts=4),
        {},
    ),
    "one dispute that was about something else": (past(90), bought(8, 80000, disputes=1), {}),
    "first order, first return": (past(), bought(1, 9000), {}),
    "one of one, the whole order": (past(), bought(1, 9000), customer(0.1)),
    "two in twelve months": (past(100, 200), bought(6, 60000), {}),
    "three sizes of one order, twice": (
        past(5, 5, 12, 12, order_id="same"),
        bought(5, 90000),
        {},
    ),
    "many rejected requests count as nothing": (
        past(*burst(9, 29), status="rejected"),
        bought(3, 30000),
        {},
    ),
    "test returns count nowhere": (past(*burst(9, 29), test=True), bought(3, 30000), {}),
    "returns of two years ago": (past(*range(400, 700, 20)), bought(4, 40000), {}),
    "three faults of many orders": (
        past(40, 90, 140, reason="defective"),
        bought(25, 250000),
        {},
    ),
}
HEAVY = {
    "a return every month out of forty orders": (
        past(*range(30, 360, 30)),
        bought(40, 400000),
        {},
    ),
    "a bracketing shopper of twenty orders": (
        past(*range(20, 360, 24), value=15000),
        bought(20, 500000),
        customer(2, 900000),
    ),
    "five parcels back after the sales, sixty orders a year": (
        past(*burst(4, 13)),
        bought(60, 600000),
        customer(3, 1500000),
    ),
    "five in two weeks, a customer for six years": (
        past(*burst(4, 13)),
        bought(30, 300000),
        customer(6, 900000),
    ),
    "half of everything goes back, slowly": (
        past(*range(25, 350, 30), value=10000),
        bought(24, 240000),
        {},
    ),
    "ten years and ten returns a year": (
        past(*range(15, 350, 35)),
        bought(22, 220000),
        customer(10, 2000000),
    ),
    "a wardrobe bought and mostly sent back, four years": (
        past(2, 9, 16, 23, value=12000),
        bought(18, 260000),
        customer(4, 700000),
    ),
    "keeps one of five, a hundred and twenty orders a year": (
        past(*burst(7, 29)),
        bought(120, 1200000),
        customer(2, 2400000),
    ),
    "seven parcels back in a month of eighty orders": (
        past(*burst(7, 28)),
        bought(80, 800000),
        customer(3, 2000000),
    ),
    "two dear machines of twenty orders": (
        past(20, 50, value=90000),
        bought(20, 600000),
        customer(1, 600000),
    ),
    "a family of three accounts, thirty orders": (
        past(*range(20, 340, 40)),
        bought(30, 300000, linked_accounts=2),
        customer(5, 1200000),
    ),
    "two wrong sizes a month, all year, fifty orders": (
        past(*range(12, 360, 15), value=8000, reason="wrong_size"),
        bought(50, 500000),
        customer(2, 900000),
    ),
}
"""Honest customers who buy much and send much back: costly is not dishonest."""
DOUBTFUL = {
    "four parcels back in two weeks of four orders": (past(*burst(3, 12)), bought(4, 40000), {}),
    "a light carton of an unknown customer": (
        past(20),
        bought(3, 27000, weight_deviation_bps=4500),
        {},
    ),
}
ABUSE = {
    "five in thirteen days of six orders": (past(*burst(4, 13)), bought(6, 60000), {}),
    "ten in thirty days of twelve orders": (past(*burst(9, 29)), bought(12, 120000), {}),
    "abuse confirmed twice": (past(60), bought(3, 30000, confirmed_abuse=2), {}),
    "everything goes back within a week": (past(*burst(6, 7)), bought(7, 63000), {}),
    "a ring of accounts with disputes": (
        past(3, 6, 9),
        bought(4, 36000, linked_accounts=5, disputes=2),
        {},
    ),
    "another serial number came back": (past(), bought(3, 30000, serial_mismatch=True), {}),
    "never received, again and again, and disputes": (
        past(10, 20),
        bought(4, 36000, not_received_claims=3, disputes=3),
        {},
    ),
    "the same fault claimed in each of eight returns": (
        past(*burst(7, 60), reason="defective"),
        bought(8, 72000),
        {},
    ),
    "confirmed abuse and a burst, in spite of tenure": (
        past(*burst(8, 14)),
        bought(9, 81000, confirmed_abuse=2),
        customer(3, 100000),
    ),
    "a brick in the box of a new account": (
        past(2, 4),
        bought(3, 20000, weight_deviation_bps=9000),
        customer(0.02),
    ),
}


def probability(history: Json, orders: Json, buyer: Json, **document: Any) -> float:
    return judge(
        order=order(line(9000), buyer=buyer), history=history | orders, **document
    ).fraud_probability


TABLE = [
    *((name, each, "calm") for name, each in HONEST.items()),
    *((name, each, "calm") for name, each in HEAVY.items()),
    *((name, each, "elevated") for name, each in DOUBTFUL.items()),
    *((name, each, "frozen") for name, each in ABUSE.items()),
]


@pytest.mark.parametrize(("name", "customer_", "band"), TABLE, ids=[each[0] for each in TABLE])
def test_each_history_lands_in_its_band(
    name: str, customer_: tuple[Json, Json, Json], band: str
) -> None:
    history, orders, buyer = customer_
    decision = judge(order=order(line(9000), buyer=buyer), history=history | orders)
    least, below = BANDS[band]
    assert least <= decision.fraud_probability < below, (name, decision.fraud_probability)
    assert (decision.decision == "escalated") is (band == "frozen")
    assert ("risk_frozen" in codes(decision)) is (band == "frozen")
    assert ("risk_elevated" in codes(decision)) is (band == "elevated")
    if band == "frozen":
        assert decision.escalation.context["pattern"]


def test_there_are_enough_histories_and_ten_of_honest_heavy_shoppers() -> None:
    assert len(TABLE) >= 25 and len(HEAVY) >= 10


def test_the_golden_bands_hold() -> None:
    assert probability(past(*burst(4, 13)), bought(6, 60000), {}) >= 0.75
    assert probability(past(*burst(9, 29)), bought(12, 120000), {}) >= 0.90
    for first, second in ((100, 200), (20, 40), (3, 9)):
        assert probability(past(first, second), bought(6, 60000), {}) <= 0.10


def test_risk_never_freezes_a_withdrawal_in_any_history() -> None:
    for history, orders, buyer in ABUSE.values():
        decision = judge(order=german(line(9000), buyer=buyer), history=history | orders)
        assert decision.decision == "approved" and "risk_flagged" in codes(decision)
        assert decision.refund_on == "proof_of_sending"


def test_every_contribution_is_a_finding_and_together_they_are_the_probability() -> None:
    decision = judge(order=order(line(9000)), history=past(*burst(4, 13)) | bought(6, 60000))
    signals = {each.rule_id for each in decision.findings if each.code == "risk_signal"}
    assert signals == {
        "risk.returns_14_days",
        "risk.returns_30_days",
        "risk.return_rate_high",
        "risk.distinct_skus",
    }
    assert all(each.weight == 0 for each in decision.findings if each.code == "risk_signal")


def test_a_signal_adds_nothing_to_a_customer_of_whom_nothing_is_known() -> None:
    unknown = Behaviour()
    speaking = [each.name for each in SIGNALS if each.steps(each.measure(unknown))]
    assert speaking == ["return_rate_low"]


def test_bracketing_raises_no_suspicion() -> None:
    sizes = [wanted(str(number)) for number in range(1, 6)]
    many = order(*[line(9000, str(number)) for number in range(1, 7)])
    one = judge(order=many, request=request(sizes[0])).fraud_probability
    five = judge(order=many, request=request(*sizes)).fraud_probability
    assert five <= 0.10 and one <= 0.10
