"""Step 7: the amount, and the settings of the whole return: the law's floor over the policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from contracts.decisions import DecidedLoyalty, RefundBreakdown, RefundOn, ShipOn
from contracts.money import Money
from contracts.orders import OrderSnapshot
from services.commerce.judgement import clock, floor, merchant
from services.commerce.judgement.case import Case
from services.commerce.judgement.entries import Entry
from services.commerce.judgement.notes import Note, note
from services.commerce.law import periods, zones
from services.commerce.law.protection import Protection
from services.commerce.law.rows import Deadline, Outbound, Withdrawal
from services.commerce.policy import rules
from services.commerce.policy.model import FeeTax, LoyaltyMode, Payer
from services.commerce.quote import calculation, shipping
from services.commerce.quote.calculation import Asked, Calculation, Earlier, Terms

EARLIEST_FIRST = (
    RefundOn.APPROVAL,
    RefundOn.PROOF_OF_SENDING,
    RefundOn.RECEIPT,
    RefundOn.INSPECTION,
)
SHIP_ON = {
    RefundOn.APPROVAL: ShipOn.APPROVAL,
    RefundOn.PROOF_OF_SENDING: ShipOn.PROOF_OF_SENDING,
    RefundOn.RECEIPT: ShipOn.RECEIPT,
    RefundOn.INSPECTION: ShipOn.RECEIPT,
}


class Amount(NamedTuple):
    """What the lines that stand bring together."""

    calculation: Calculation
    """`lines` of the entries that stand, in their order."""
    asked: tuple[Asked, ...]
    terms: Terms
    whole: rules.Whole
    value: int
    """What limits look at: the total, or the lines' value where goods are sent instead."""
    keeps_item: bool
    goes_back: bool
    """Whether anything has to be sent."""
    refund_on: RefundOn


def asked_of(standing: Sequence[Entry], law: Protection) -> tuple[Asked, ...]:
    return tuple(
        Asked(
            line=entry.bought,
            units=entry.units,
            fee_bps=entry.fee_bps,
            fee_tax_in_full=law.fee_tax_in_full or entry.settings.restocking_fee_tax is FeeTax.FULL,
        )
        for entry in standing
        if entry.bought is not None
    )


def _applied(standing: Sequence[Entry]) -> tuple[rules.Applied, ...]:
    """What the policy said of the lines, each answer once."""
    found = [entry.applied for entry in standing if entry.applied is not None]
    return (found[0],) if len(found) == 1 else tuple(dict.fromkeys(found))


def compute(
    case: Case,
    order: OrderSnapshot,
    standing: Sequence[Entry],
    law: Protection,
    earlier: Earlier,
    *,
    frozen: bool,
) -> Amount:
    """The amount of the lines that stand. `frozen`: for its risk a person looks at it."""
    settings = rules.whole(_applied(standing), order.currency)
    asked = asked_of(standing, law)
    sends_goods = case.request.resolution in merchant.IN_GOODS
    digital = all(entry.is_digital for entry in standing)
    terms = _terms(standing, settings)
    result = calculation.calculate(order, asked, terms, earlier)
    value = result.refund.total
    if sends_goods:
        value = sum(line.items + line.tax for line in result.lines)
    limit = settings.keep_item_up_to
    keeps_item = limit is not None and value <= limit and not frozen
    goes_back = not keeps_item and not digital
    fee = _way_back_fee(case, standing, settings, law) if goes_back else 0
    if fee:
        terms = terms._replace(way_back_fee=fee)
        result = calculation.calculate(order, asked, terms, earlier)
        value = value if sends_goods else result.refund.total
    return Amount(
        calculation=_goods_only(result) if sends_goods else result,
        asked=asked,
        terms=terms,
        whole=settings,
        value=value,
        keeps_item=keeps_item,
        goes_back=goes_back,
        refund_on=_refund_on(standing, settings, goes_back=goes_back, frozen=frozen),
    )


def _goods_only(result: Calculation) -> Calculation:
    """Replacement and exchange pay nothing."""
    return Calculation(
        lines=tuple(calculation.NOTHING for _ in result.lines),
        refund=RefundBreakdown(),
        loyalty=DecidedLoyalty(),
        shipping_tax=0,
    )


def _terms(standing: Sequence[Entry], settings: rules.Whole) -> Terms:
    """What applies where nothing has to be sent."""
    points = settings.loyalty
    if points is LoyaltyMode.CASH_EQUIVALENT:
        withdrawn = any(entry.withdrawal is not None for entry in standing)
        if withdrawn or settings.point_value is None:
            points = LoyaltyMode.REVERSE
    return Terms(
        basis=_basis(standing),
        mode=settings.outbound_shipping,
        loyalty=points,
        point_value=settings.point_value,
    )


def _basis(standing: Sequence[Entry]) -> shipping.Basis:
    """Of fault and withdrawal together the better one, where every line is at fault."""
    withdrawn = [entry.withdrawal for entry in standing if entry.withdrawal is not None]
    if not withdrawn:
        at_fault = all(entry.fault for entry in standing)
        return shipping.Basis.FAULT if at_fault else shipping.Basis.POLICY
    if any(row.outbound is Outbound.ALL for row in withdrawn):
        return shipping.Basis.LAW_ALL
    if all(entry.fault for entry in standing):
        return shipping.Basis.FAULT
    limited = any(row.outbound is Outbound.CHEAPEST_OFFERED for row in withdrawn)
    if limited and all(entry.withdrawal is not None or entry.fault for entry in standing):
        return shipping.Basis.WITHDRAWAL
    return shipping.Basis.POLICY


def _way_back_fee(
    case: Case, standing: Sequence[Entry], settings: rules.Whole, law: Protection
) -> int:
    """Once per return, where the customer pays and a label is provided.

    Never for the merchant's fault, nor from a consumer who was not told, nor where the law puts
    the way back on the merchant.
    """
    facts = case.returnability
    if settings.return_shipping is Payer.MERCHANT or facts is None or not facts.label.provided:
        return 0
    if all(entry.fault for entry in standing) or not law.informed:
        return 0
    rows = [entry.withdrawal for entry in standing if entry.withdrawal is not None]
    if any(not row.consumer_pays_way_back for row in rows):
        return 0
    return settings.return_shipping_fee


def _refund_on(
    standing: Sequence[Entry], settings: rules.Whole, *, goes_back: bool, frozen: bool
) -> RefundOn:
    """The policy's, or earlier by law; a withdrawal at risk waits for the proof of sending."""
    if not goes_back:
        return RefundOn.APPROVAL
    at = settings.refund_on
    rows = [entry.withdrawal for entry in standing if entry.withdrawal is not None]
    if any(row.pays_on_proof_of_sending for row in rows):
        at = min(at, RefundOn.PROOF_OF_SENDING, key=EARLIEST_FIRST.index)
    if frozen and rows:
        at = max(at, RefundOn.PROOF_OF_SENDING, key=EARLIEST_FIRST.index)
    return at


def send_by(
    case: Case, standing: Sequence[Entry], settings: rules.Whole, law: Protection
) -> datetime:
    """The end of a day: so long after the approval, and for a withdrawal no less than by law."""
    last = zones.days_after(law.place.date_of(case.now), settings.send_within_days)
    if any(entry.withdrawal is not None for entry in standing):
        by_law = floor.send_back_by(law, floor.judged_at(case))
        last = max(last, by_law or last)
    return law.place.end_of(last)


def refund_due(
    case: Case,
    order: OrderSnapshot,
    standing: Sequence[Entry],
    law: Protection,
    *,
    goes_back: bool,
    approved: bool,
) -> datetime | None:
    """The statutory clock: by when the refund must have been made; None: none runs."""
    deadline: Deadline | None = None
    rows: list[Withdrawal] = [entry.withdrawal for entry in standing if entry.withdrawal]
    received = case.received_at
    if received is None and case.inspection is not None:
        received = case.inspection.occurred_at
    if rows:
        deadline = rows[0].refund
    elif any(entry.conformity is not None for entry in standing):
        deadline = law.conformity.refund if law.conformity is not None else None
    elif _credits_a_card(case, order, law) and (received is not None or not goes_back):
        deadline = clock.CARD_CREDIT_WITHIN
    if deadline is None:
        return None
    return periods.refund_due(
        deadline,
        law.place.country,
        law.place.region,
        notice=floor.judged_at(case),
        agreed=case.now if approved else None,
        sent=case.sent_at,
        received=received,
        goods_go_back=goes_back,
    )


def _credits_a_card(case: Case, order: OrderSnapshot, law: Protection) -> bool:
    return clock.credits_a_card(order, law.place.country, merchant.method_of(case))


def notes(case: Case, order: OrderSnapshot, amount: Amount) -> Iterator[Note]:
    total = amount.calculation.refund.total
    shown = Money(total, order.currency)
    if case.request.resolution not in merchant.IN_GOODS:
        yield note("amount_calculated", f"the refund is {shown}", "quote")
        asked = case.request.requested_amount
        if asked is not None and asked != total:
            yield note(
                "requested_amount_differs",
                f"{Money(asked, order.currency)} were asked for; the calculation stands",
                "quote.requested_amount",
            )
    limit = case.policy.limits.auto_approve_up_to.get(order.currency)
    if limit is not None and amount.value > limit:
        yield note(
            "amount_over_limit",
            f"{Money(amount.value, order.currency)} are more than"
            f" {Money(limit, order.currency)}, the most that is approved without a person",
            "limits.auto_approve_up_to",
        )
