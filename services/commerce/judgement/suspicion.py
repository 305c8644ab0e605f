"""Step 6: risk. Above the threshold a return is frozen for a person; a withdrawal never is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from contracts.decisions import Effect
from contracts.orders import OrderSnapshot
from services.commerce.judgement import serials
from services.commerce.judgement.case import Case, History
from services.commerce.judgement.entries import Entry
from services.commerce.judgement.floor import judged_at
from services.commerce.judgement.notes import Note, note
from services.commerce.quote import units
from services.commerce.risk import scorecard, signals

ELEVATED_FROM = 0.4
NOBODY = History()


def score(case: Case, order: OrderSnapshot | None, found: list[Entry]) -> scorecard.Score:
    """The probability of abuse from the customer's history and this return; tests count nowhere."""
    history = case.history or NOBODY
    lines = case.request.lines
    past = [
        signals.Past(
            at=each.requested_at,
            order_id=each.order_id,
            skus=each.skus,
            value=each.value,
            reason=each.reason,
        )
        for each in history.returns
        if not each.test and each.status not in signals.NOT_RETURNED
    ]
    this = signals.Past(
        at=judged_at(case),
        order_id=case.request.order_id,
        skus=(lines[0].sku,) if len(lines) == 1 else tuple([line.sku for line in lines]),
        value=_value(order, found),
        reason=lines[0].reason,
    )
    return scorecard.score(signals.behaviour(past, this, _known(case, order, history)))


def _value(order: OrderSnapshot | None, found: list[Entry]) -> int:
    if order is None:
        return 0
    inclusive = order.prices_include_tax
    value = 0
    for entry in found:
        if entry.bought is not None and entry.units:
            value += units.worth(entry.bought, entry.units, includes_tax=inclusive).gross
    return value


def _known(case: Case, order: OrderSnapshot | None, history: History) -> signals.Known:
    orders, bought = history.orders.count, history.orders.value
    if case.history is None and order is not None:
        orders, bought = 1, units.order_value(order)
    return signals.Known(
        orders=orders,
        orders_value=bought,
        customer_since=order.buyer.customer_since if order is not None else None,
        lifetime_value=order.buyer.lifetime_value if order is not None else None,
        confirmed_abuse=history.confirmed_abuse,
        disputes=history.disputes,
        linked_accounts=history.linked_accounts,
        not_received_claims=history.not_received_claims,
        weight_deviation_bps=history.weight_deviation_bps,
        serial_mismatch=history.serial_mismatch or serials.is_mismatch(order, case.inspection),
    )


def is_frozen_at(case: Case, probability: float) -> bool:
    return probability >= case.policy.limits.risk_freeze_at


def is_high_risk(case: Case, order: OrderSnapshot) -> bool:
    return order.buyer.country in case.policy.limits.high_risk_countries


def notes(
    case: Case, order: OrderSnapshot, found: list[Entry], score: scorecard.Score
) -> Iterator[Note]:
    yield from _signals(score.contributions)
    shown = f"probability of abuse {score.probability:.2f}"
    if is_frozen_at(case, score.probability):
        yield from _slowed(found, "risk_frozen", shown, "limits.risk_freeze_at")
    elif score.probability >= ELEVATED_FROM:
        yield note("risk_elevated", shown, "risk.elevated")
    if is_high_risk(case, order):
        shown = f"a buyer in {order.buyer.country}"
        yield from _slowed(found, "high_risk_country", shown, "limits.high_risk_countries")


def after_receipt(
    case: Case, order: OrderSnapshot, found: list[Entry], score: scorecard.Score
) -> Iterator[Note]:
    """What only the parcel shows: its weight, a serial number. All else was judged before."""
    told = [each for each in score.contributions if each.signal in scorecard.AFTER_RECEIPT]
    if not told:
        return
    yield from _signals(told)
    if is_frozen_at(case, score.probability):
        shown = f"probability of abuse {score.probability:.2f} with what arrived"
        yield from _slowed(found, "risk_frozen", shown, "limits.risk_freeze_at")


def _signals(contributions: Iterable[scorecard.Contribution]) -> Iterator[Note]:
    for part in contributions:
        yield note(
            "risk_signal",
            f"{part.explanation} ({part.log_odds:+.2f} log odds)",
            f"risk.{part.signal}",
            f"scorecard {scorecard.SCORECARD_VERSION}",
            effect=Effect.OPPOSES if part.log_odds > 0 else Effect.SUPPORTS,
        )


def _slowed(found: list[Entry], code: str, shown: str, rule_id: str) -> Iterator[Note]:
    """A person looks at what is no withdrawal; a withdrawal is flagged, never frozen."""
    withdrawn = _positions(found, withdrawn=True)
    others = _positions(found, withdrawn=False)
    if withdrawn:
        yield note(
            "risk_flagged",
            f"{shown}: a withdrawal is not refused or frozen for it, its refund waits for the"
            " proof of sending",
            rule_id,
            lines=withdrawn if others else (),
        )
    if others or not withdrawn:
        yield note(code, f"{shown}: a person looks", rule_id, lines=others if withdrawn else ())


def _positions(found: list[Entry], *, withdrawn: bool) -> tuple[int, ...]:
    return tuple(
        position
        for position, entry in enumerate(found)
        if entry.stands and (entry.withdrawal is not None) is withdrawn
    )
