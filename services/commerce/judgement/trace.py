"""Step 1: the order, its lines, its units, its owner - and whether the facts agree at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from contracts.decisions import ReturnDecisionMade, Verdict
from contracts.money import EXPONENTS
from contracts.orders import OrderLine, OrderSnapshot
from contracts.requests import RequestLine, VerifiedBy
from services.commerce.judgement.case import Case
from services.commerce.judgement.entries import Entry
from services.commerce.judgement.judged import UNITS_MAX
from services.commerce.judgement.merchant import IN_GOODS
from services.commerce.judgement.notes import Note, note
from services.commerce.quote import units
from services.commerce.quote.calculation import Earlier

VOUCHED_FOR = note("requester_verified", "the frontend vouches for the requester", "trace.owner")
OWNER = note("requester_verified", "the requester owns the order", "trace.owner")


def others(case: Case) -> tuple[ReturnDecisionMade, ...]:
    """The decisions on this order that stand, of other returns: of each the latest sequence."""
    latest: dict[str, ReturnDecisionMade] = {}
    order_id = case.order.order_id if case.order is not None else None
    for decision in case.earlier:
        if decision.return_id == case.request.return_id or decision.order_id != order_id:
            continue
        known = latest.get(decision.return_id)
        if known is None or decision.sequence > known.sequence:
            latest[decision.return_id] = decision
    return tuple(each for each in latest.values() if not _took_what_was_sent(each, case))


def _took_what_was_sent(decision: ReturnDecisionMade, case: Case) -> bool:
    """Whether it is about the replacement that this return was given, not about its own units.

    Once this return is to be paid in money it does: no unit is paid twice.
    """
    if case.replaced_at is None or decision.decided_at < case.replaced_at:
        return False
    if case.request.resolution not in IN_GOODS:
        return False
    standing = own(case)
    mine = _units(standing) if standing is not None else set()
    return bool(mine & _units(decision))


def _units(decision: ReturnDecisionMade) -> set[tuple[str | None, int]]:
    return {(line.line_id, unit) for line in decision.lines for unit in line.units}


def own(case: Case) -> ReturnDecisionMade | None:
    """This return's own decision that stands."""
    mine = [each for each in case.earlier if each.return_id == case.request.return_id]
    return max(mine, key=lambda each: each.sequence, default=None)


def entries(order: OrderSnapshot, asked: tuple[RequestLine, ...], earlier: Earlier) -> list[Entry]:
    """The asked lines with the lowest free units of the order's; what is not free is rejected."""
    used: dict[tuple[str, str], int] = {}
    found: list[Entry] = []
    for line in asked:
        candidates = _candidates(order, line, earlier)
        rest = line.quantity
        for bought in candidates:
            before = used.get((bought.line_id, line.sku), 0)
            ordinals = _free(bought, line.sku, earlier)[before : before + rest]
            if ordinals:
                used[bought.line_id, line.sku] = before + len(ordinals)
                rest -= len(ordinals)
                found.append(
                    Entry(
                        asked=line,
                        quantity=len(ordinals),
                        bought=bought,
                        units=ordinals,
                        reason=line.reason,
                    )
                )
        if not candidates:
            found.append(
                Entry(asked=line, quantity=rest, verdict=Verdict.REVIEW, reason=line.reason)
            )
        elif rest:
            found.append(
                Entry(
                    asked=line,
                    quantity=rest,
                    bought=candidates[0],
                    verdict=Verdict.REJECTED,
                    reason=line.reason,
                )
            )
    return found


def _free(bought: OrderLine, sku: str, earlier: Earlier) -> Sequence[int]:
    """Ordinals of the line that nobody returns and that are this product, maybe as replaced."""
    gone = earlier.taken.get(bought.line_id, frozenset())
    if not earlier.anew:
        return units.free(bought.quantity, gone)
    now = {
        unit: other for (line_id, unit), other in earlier.anew.items() if line_id == bought.line_id
    }
    if sku != bought.sku:
        return sorted(unit for unit, other in now.items() if other == sku and unit not in gone)
    return units.free(bought.quantity, gone | {unit for unit, other in now.items() if other != sku})


def _candidates(order: OrderSnapshot, line: RequestLine, earlier: Earlier) -> list[OrderLine]:
    """The order line that is named, or those with the sku, lowest line_id first."""
    replaced = {line_id for (line_id, _), sku in earlier.anew.items() if sku == line.sku}
    same = [each for each in order.lines if each.sku == line.sku or each.line_id in replaced]
    if line.line_id is not None:
        return [each for each in same if each.line_id == line.line_id]
    return sorted(same, key=lambda each: _natural(each.line_id))


def _natural(line_id: str) -> tuple[tuple[int, int, str], ...]:
    """2 comes before 10."""
    return tuple(
        (0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part)
        for part in re.split(r"(\d+)", line_id)
        if part
    )


def line_notes(found: list[Entry]) -> Iterator[Note]:
    for position, entry in enumerate(found):
        if entry.bought is None:
            wanted = entry.asked.line_id or entry.asked.sku
            yield note(
                "line_unknown",
                f"the order has no line {wanted} with the product {entry.asked.sku}",
                "trace.lines",
                line=position,
            )
        elif entry.verdict is Verdict.REJECTED:
            yield note(
                "already_returned",
                f"{entry.quantity} of {entry.name} are not free: already returned, in return,"
                f" or never bought (the order has {entry.bought.quantity})",
                "trace.units",
                line=position,
            )


def size_notes(standing: list[Entry]) -> Iterator[Note]:
    """Whether the units can be named one by one."""
    asked = sum(len(entry.units) for entry in standing)
    if asked > UNITS_MAX:
        yield note(
            "too_many_units",
            f"{asked} units are more than the {UNITS_MAX} that one return carries: it has to be"
            " asked for in parts",
            "trace.units",
        )


def owner_notes(case: Case, order: OrderSnapshot) -> Iterator[Note]:
    """Whether the one who asks owns the order: the customer's id, or another proof of it."""
    requester = case.request.requester
    if case.linked:
        yield note("requester_verified", "a reviewer linked the order", "trace.owner")
        return
    if requester is None:
        yield VOUCHED_FOR
        return
    if requester.customer_id is not None and requester.customer_id != order.buyer.customer_id:
        yield note(
            "requester_is_another",
            "another customer asks for this order; that is never taken as proof",
            "trace.owner",
        )
    elif requester.customer_id is None and requester.verified_by in (
        VerifiedBy.NONE,
        VerifiedBy.UNKNOWN,
    ):
        yield note(
            "requester_unverified", "nothing shows that the requester owns the order", "trace.owner"
        )
    else:
        yield OWNER


def fact_notes(case: Case, order: OrderSnapshot) -> Iterator[Note]:
    """Facts that cannot all be true, and currencies that nobody can count in."""
    if order.currency not in EXPONENTS:
        yield note(
            "currency_unknown", f"{order.currency} is no currency of ISO 4217", "trace.currency"
        )
    asked = case.request.currency
    if asked is not None and asked != order.currency:
        yield note(
            "currency_differs",
            f"the request speaks of {asked}, the order was paid in {order.currency}",
            "trace.currency",
        )
    for contradiction in _contradictions(case, order):
        yield note("order_contradicts_itself", contradiction, "trace.facts")


def _contradictions(case: Case, order: OrderSnapshot) -> Iterator[str]:
    named = case.request.order_id
    if named is not None and named != order.order_id and not case.linked:
        yield f"the request names order {named}, this is {order.order_id}"
    if order.placed_at > case.now:
        yield "the order was placed in the future"
    if case.request.requested_at < order.placed_at:
        yield "the return was asked for before the order was placed"
    for delivery in order.deliveries:
        shipped, delivered = delivery.shipped_at, delivery.delivered_at
        name = f"parcel {delivery.delivery_id}"
        if delivered is not None and delivered < order.placed_at:
            yield f"{name} was delivered before the order was placed"
        if shipped is not None and shipped < order.placed_at:
            yield f"{name} was shipped before the order was placed"
        if shipped is not None and delivered is not None and delivered < shipped:
            yield f"{name} was delivered before it was shipped"
        if delivered is not None and delivered > case.now:
            yield f"{name} was delivered in the future"
    for line in case.returnability.lines if case.returnability is not None else ():
        if line.delivered_at is not None:
            yield from _bad_delivery(case, order, line.line_id, line.delivered_at)
    yield from _bad_quantities(order)
    yield from _bad_amounts(order)


def _bad_delivery(
    case: Case, order: OrderSnapshot, line_id: str, delivered: datetime
) -> Iterator[str]:
    """A delivery that only fulfillment knows of."""
    if delivered < order.placed_at:
        yield f"fulfillment says line {line_id} was delivered before the order was placed"
    if delivered > case.now:
        yield f"fulfillment says line {line_id} was delivered in the future"


def _bad_quantities(order: OrderSnapshot) -> Iterator[str]:
    bought = {line.line_id: line.quantity for line in order.lines}
    delivered: dict[str, int] = {}
    for delivery in order.deliveries:
        for part in delivery.lines:
            delivered[part.line_id] = delivered.get(part.line_id, 0) + part.quantity
    for line_id, quantity in delivered.items():
        if line_id not in bought:
            yield f"line {line_id} was delivered but not bought"
        elif quantity > bought[line_id]:
            yield f"{quantity} of line {line_id} were delivered, {bought[line_id]} bought"


def _bad_amounts(order: OrderSnapshot) -> Iterator[str]:
    way_out = order.shipping
    largest = max(way_out.paid, way_out.tax_total)
    for line in order.lines:
        price = line.quantity * line.unit_price
        largest = max(largest, price, line.tax_total)
        if line.discount_total > price:
            yield f"the discount of line {line.line_id} is larger than its price"
        if order.prices_include_tax and line.tax_total > max(price - line.discount_total, 0):
            yield f"the tax of line {line.line_id} is larger than the price that contains it"
    if largest > units.AMOUNT_MAX:
        yield "an amount is too large to be believed"
    if order.prices_include_tax and way_out.tax_total > way_out.paid:
        yield "the tax of shipping is larger than the price that contains it"
