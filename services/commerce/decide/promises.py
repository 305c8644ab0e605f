"""What was quoted against what is decided: every difference, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from contracts.decisions import Effect, Finding, Outcome, RefundBreakdown, ReturnDecisionMade
from contracts.money import Money
from contracts.quotes import Quote
from services.commerce.judgement.notes import finding
from services.commerce.promise import Promise

DECIDING = frozenset({Effect.OPPOSES, Effect.REQUIRES_REVIEW, Effect.BLOCKS})
OUTCOMES = {
    Outcome.APPROVED: "approved",
    Outcome.REJECTED: "rejected",
    Outcome.ESCALATED: "for a person",
}
NAMES = {
    "items": "goods",
    "tax": "tax",
    "shipping": "shipping",
    "restocking_fee": "restocking fee",
    "return_shipping_fee": "fee for the way back",
    "loyalty_deduction": "deduction for points",
}
WHEN = {
    "approval": "at once",
    "proof_of_sending": "on proof of sending",
    "receipt": "on receipt",
    "inspection": "after the inspection",
}
REASONS_TOLD_MAX = 5


def of_quote(quote: Quote, acknowledged_at: datetime) -> Promise:
    """The part of a quote that a later decision is compared with."""
    return Promise(
        quote_id=quote.quote_id,
        amount=quote.refund.total,
        currency=quote.currency,
        valid_until=quote.valid_until,
        acknowledged_at=acknowledged_at,
        outcome=quote.decision,
        parts={name: amount for name, amount in quote.refund if amount and name in NAMES},
        refund_on=quote.refund_on,
        units=sum(line.quantity for line in quote.lines),
        against=tuple(dict.fromkeys(_against(quote.findings))),
    )


def _against(findings: tuple[Finding, ...]) -> Iterator[str]:
    return (
        each.code for each in findings if each.effect in DECIDING and each.code != "risk_signal"
    )


def difference(promise: Promise | None, made: ReturnDecisionMade) -> Finding | None:
    """What a decision gives otherwise than its quote, in one finding; None: it keeps the quote.

    A quote that had expired is named as such: it bound nobody any more.
    """
    if promise is None or promise.amount is None:
        return None
    said = [*_outcome(promise, made), *_money(promise, made), *_time(promise, made)]
    if not said:
        return None
    said += _reasons(promise, made)
    expired = ""
    if promise.valid_until is not None and promise.valid_until < made.decided_at:
        expired = f", which had expired at {promise.valid_until.isoformat()}"
    return finding(
        "quote_differs", f"unlike quote {promise.quote_id}{expired}: {'; '.join(said)}", "quote"
    )


def _outcome(promise: Promise, made: ReturnDecisionMade) -> Iterator[str]:
    units = sum(line.quantity for line in made.lines)
    if promise.units not in (None, units):
        yield f"a quantity of {promise.units} was quoted, this is {units}"
    if promise.outcome is not None and promise.outcome is not made.decision:
        was, now = (OUTCOMES.get(each, each) for each in (promise.outcome, made.decision))
        yield f"it was quoted as {was} and is {now}"


def _money(promise: Promise, made: ReturnDecisionMade) -> Iterator[str]:
    refund = made.refund or RefundBreakdown()
    now, was = made.currency or "", promise.currency or made.currency or ""
    assert promise.amount is not None
    if (promise.amount, was) == (refund.total, now):
        return
    yield f"{Money(promise.amount, was)} were quoted, {Money(refund.total, now)} are calculated"
    for name, shown in NAMES.items():
        before, after = promise.parts.get(name, 0), getattr(refund, name)
        if promise.parts and before != after:
            yield f"{shown} {Money(after, now)} instead of {Money(before, was)}"


def _time(promise: Promise, made: ReturnDecisionMade) -> Iterator[str]:
    if promise.refund_on is not None and made.refund_on not in (None, promise.refund_on):
        was, now = (WHEN.get(str(each), str(each)) for each in (promise.refund_on, made.refund_on))
        yield f"it is paid {now} instead of {was}"


def _reasons(promise: Promise, made: ReturnDecisionMade) -> Iterator[str]:
    """The findings that one of both had and the other had not, which is why they differ."""
    found = dict.fromkeys(_against(made.findings))
    new = [each for each in found if each not in promise.against][:REASONS_TOLD_MAX]
    gone = [each for each in promise.against if each not in found][:REASONS_TOLD_MAX]
    words = {
        each.code: each.explanation for each in reversed(made.findings) if each.effect in DECIDING
    }
    if new:
        yield f"new since then: {'; '.join(f'{words[code]} ({code})' for code in new)}"
    if gone:
        yield f"no longer so: {', '.join(each.replace('_', ' ') for each in gone)}"
