"""New charges of reversals: our book against the processor's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from contracts.base import Part
from services.payment.audit.difference import Difference, Kind
from services.payment.model import Reversal, ReversalState, SeenStatus
from services.payment.processors.port import SeenCharge

CHARGING_MAX = timedelta(days=1)
"""So long an unfinished charge is nothing strange: its key is tried for 20 h."""
ACTIONS = {
    Kind.MISSING_HERE: "a customer was charged for nothing that we know of: give the money back",
    Kind.MISSING_THERE: "ask the processor; the customer may not have been charged",
    Kind.AMOUNT: "stop, ask the processor, correct with a new entry",
    Kind.CURRENCY: "stop, ask the processor, correct with a new entry",
    Kind.STATE: "a person compares both and gives back what was charged too much",
    Kind.DUPLICATE: "give the second charge back at once",
}
FOR_NOTHING = "the refund that it took back has failed: give the charge back, or pay another way"


class Ours(Part):
    order_id: str
    currency: str
    reversal: Reversal
    paid: int
    """By refunds of its return, minor units."""
    taken: int
    """By reversals of its return."""


def ours(row: Any) -> Ours:
    """A row of store.REVERSALS."""
    return Ours(
        order_id=row["order_id"],
        currency=row["currency"],
        reversal=Reversal.model_validate_json(row["reversal"]),
        paid=row["paid"],
        taken=row["taken"],
    )


def compare(
    here: Sequence[Ours],
    there: Sequence[SeenCharge],
    processor: str,
    *,
    since: datetime,
    now: datetime,
) -> list[Difference]:
    """Every difference between our reversals by charge and new charges since an instant."""
    found: list[Difference] = []
    by_id = {each.reversal.reversal_id: each for each in here}
    effective: dict[str, SeenCharge] = {}
    for charge in there:
        if charge.status is SeenStatus.FAILED:
            continue
        own = by_id.get(charge.reversal_id)
        if charge.reversal_id in effective:
            found.append(_difference(Kind.DUPLICATE, processor, own, charge))
            continue
        effective[charge.reversal_id] = charge
        found += [_difference(kind, processor, own, charge) for kind in _kinds(own, charge, now)]
    found += [
        _difference(Kind.MISSING_THERE, processor, each, None)
        for each in here
        if each.reversal.state is ReversalState.SETTLED
        and each.reversal.processor == processor
        and (each.reversal.asked_at or since) >= since
        and each.reversal.reversal_id not in effective
    ]
    return found


def _kinds(own: Ours | None, charge: SeenCharge, now: datetime) -> list[Kind]:
    if own is None:
        return [Kind.MISSING_HERE]
    if own.currency != charge.currency:
        return [Kind.CURRENCY]
    if own.reversal.amount != charge.amount:
        return [Kind.AMOUNT]
    young = own.reversal.asked_at is not None and now - own.reversal.asked_at < CHARGING_MAX
    agrees = {
        ReversalState.SETTLED: charge.status is SeenStatus.SUCCEEDED,
        ReversalState.CHARGING: charge.status is SeenStatus.PENDING or young,
        ReversalState.REFUSED: False,
    }
    return [] if agrees[own.reversal.state] and not _for_nothing(own) else [Kind.STATE]


def _for_nothing(own: Ours) -> bool:
    """More was taken back than the customer has got: a refund failed after it was reversed."""
    return own.reversal.state is ReversalState.SETTLED and own.taken > own.paid


def _difference(
    kind: Kind, processor: str, own: Ours | None, charge: SeenCharge | None
) -> Difference:
    return Difference(
        kind=kind,
        processor=processor,
        reversal_id=charge.reversal_id if own is None and charge else _id(own),
        order_id=own.order_id if own is not None else None,
        reference=charge.reference if charge is not None else None,
        ours=_text(own.reversal.state, own.reversal.amount, own.currency) if own else "nothing",
        theirs=_text(charge.status, charge.amount, charge.currency) if charge else "nothing",
        action=FOR_NOTHING if own is not None and _for_nothing(own) else ACTIONS[kind],
    )


def _id(own: Ours | None) -> str | None:
    return own.reversal.reversal_id if own is not None else None


def _text(state: str, amount: int, currency: str) -> str:
    return f"{state}: {amount} {currency}"
