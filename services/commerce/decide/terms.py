"""What an approval leaves to be carried out: its terms, its units where they are, its exchange."""

from __future__ import annotations

from contracts.decisions import DeciderKind, EscalationReason, ReturnDecisionMade, Verdict
from services.commerce.model import HERE, Exchange, Goods, Return, Terms, Unit

CLOSING = frozenset(
    {
        EscalationReason.CONFLICTING_EVIDENCE,
        EscalationReason.INVENTORY_CONTRADICTION,
        EscalationReason.ASSESSMENT_TIMEOUT,
        EscalationReason.POLICY_GAP,
    }
)
"""Asked for these reasons after an approval, a person's yes closes the goods that are meant."""


def taken(
    current: Return,
    made: ReturnDecisionMade,
    asked_because: EscalationReason | None,
) -> Return:
    """The return with a new approval's terms. `asked_because`: why a person was asked before."""
    by_person = made.decided_by.kind is DeciderKind.HUMAN
    closing = by_person and asked_because in CLOSING and current.terms is not None
    return current.but(
        terms=_terms(made),
        units=_units(current, made, closing=closing),
        exchange=_exchange(current, made),
    )


def _terms(made: ReturnDecisionMade) -> Terms:
    assert made.refund is not None and made.currency is not None
    release = made.release
    return Terms(
        sequence=made.sequence,
        currency=made.currency,
        total=made.refund.total,
        method=made.settlement.method,
        refund_on=made.refund_on,
        label_provided=made.return_.label_provided,
        send_by=made.return_.send_by,
        legal_basis=made.legal_basis,
        payable=None if release is None else {each.line_id: each.units for each in release.lines},
    )


def _units(current: Return, made: ReturnDecisionMade, *, closing: bool) -> tuple[Unit, ...]:
    """The approved units where they are; new ones where a parcel was seen before."""
    known = {unit.key: unit for unit in current.units}
    units = []
    for line in made.lines:
        if line.verdict is not Verdict.APPROVED or line.line_id is None:
            continue
        for ordinal in line.units:
            unit = known.get((line.line_id, ordinal)) or Unit(
                line_id=line.line_id, ordinal=ordinal, goods=_first_place(current)
            )
            units.append(_as_decided(unit, made, closing=closing))
    return tuple(sorted(units, key=lambda unit: unit.key))


def _first_place(current: Return) -> Goods:
    if current.delivered_at is not None:
        return Goods.DELIVERED
    return Goods.IN_TRANSIT if current.sent_at is not None else Goods.AUTHORISED


def _as_decided(unit: Unit, made: ReturnDecisionMade, *, closing: bool) -> Unit:
    """What a person approves after it went wrong needs no more looking at."""
    if not made.return_.required and unit.goods not in HERE:
        return unit.model_copy(update={"goods": Goods.NOT_REQUIRED})
    if closing and unit.goods in (Goods.LOST, Goods.NEVER_SENT, *HERE):
        return unit.model_copy(update={"goods": Goods.CLOSED})
    return unit


def _exchange(current: Return, made: ReturnDecisionMade) -> Exchange | None:
    given, known = made.replacement, current.exchange
    if given is None:
        return None
    exchange = Exchange(
        sku=given.sku,
        quantity=given.quantity,
        ship_on=given.ship_on,
        ship_by=given.ship_by,
    )
    if known is None:
        return exchange
    kept = {"state": known.state, "waited": known.waited, "shipped_at": known.shipped_at}
    return exchange.model_copy(update=kept)
