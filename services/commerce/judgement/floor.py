"""Step 2: what the law gives this buyer, before any policy is read. A policy can only add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime

from contracts.orders import OrderSnapshot
from services.commerce.judgement.case import Case
from services.commerce.judgement.entries import Entry
from services.commerce.judgement.notes import Note, note
from services.commerce.law import periods, protection, zones
from services.commerce.law.protection import Protection
from services.commerce.law.provisions import ROWS


def judged_at(case: Case) -> datetime:
    """Windows are judged at the earlier of the request and now: a statement sent is in time."""
    return min(case.request.requested_at, case.now)


def delivered_by_line(case: Case) -> dict[str, datetime]:
    """Delivery dates that fulfillment knows, by line_id."""
    if case.returnability is None:
        return {}
    return {
        line.line_id: line.delivered_at
        for line in case.returnability.lines
        if line.delivered_at is not None
    }


def apply(case: Case, order: OrderSnapshot, found: list[Entry], law: Protection) -> list[Entry]:
    """The lines with the rows that protect them: as a withdrawal, for a fault, or not at all."""
    delivered = _delivered_lines(order, delivered_by_line(case))
    return [_protected(case, entry, law, delivered) for entry in found]


def _protected(
    case: Case, entry: Entry, law: Protection, delivered: Mapping[str, datetime]
) -> Entry:
    if entry.bought is None or not entry.stands:
        return entry
    is_delivered = entry.bought.line_id in delivered
    excluded = protection.exclusion(law, entry.bought, entry.condition, is_delivered=is_delivered)
    right = None
    if law.withdrawal is not None and excluded is None:
        until = last_day(entry, law)
        if until is None or law.judged_on <= until:
            right = law.withdrawal
    withdrawn = right is not None and (not entry.fault or case.request.statutory_withdrawal)
    conformity = None
    if entry.fault and law.conformity is not None and law.conformity.refund_at_once:
        first = delivered.get(entry.bought.line_id)
        if first is None or _within(law, first):
            conformity = law.conformity
    return entry._replace(
        excluded=excluded,
        right=right,
        withdrawal=right if withdrawn else None,
        conformity=conformity,
    )


def last_day(entry: Entry, law: Protection) -> date | None:
    """The last day of the line's withdrawal period; None: it has no end yet."""
    return law.digital_until if entry.is_digital else law.goods_until


def conformity_until(law: Protection, delivered: datetime) -> date | None:
    """The last day on which a fault is the seller's business; None: no row, or no limit."""
    if law.conformity is None or law.conformity.days is None:
        return None
    return zones.days_after(law.place.date_of(delivered), law.conformity.days)


def _within(law: Protection, delivered: datetime) -> bool:
    until = conformity_until(law, delivered)
    return until is None or law.judged_on <= until


def _delivered_lines(order: OrderSnapshot, known: Mapping[str, datetime]) -> dict[str, datetime]:
    """line_id -> when its last parcel arrived; fulfillment's date where it has one."""
    found: dict[str, datetime] = {}
    for delivery in order.deliveries:
        if delivery.delivered_at is None:
            continue
        for line in delivery.lines:
            before = found.get(line.line_id)
            found[line.line_id] = max(before or delivery.delivered_at, delivery.delivered_at)
    return found | dict(known)


def notes(case: Case, found: list[Entry], law: Protection) -> Iterator[Note]:
    """What the law gives or ends, line by line, with the row and its source."""
    place = law.place.country
    if not law.known:
        yield note(
            "law_unknown",
            f"no statutory row covers {place}: the merchant's policy alone is applied",
            "law.unknown",
        )
    right = law.right
    for position, entry in enumerate(found):
        if not entry.stands:
            continue
        if entry.withdrawal is not None and right is not None:
            yield note(
                "statutory_withdrawal",
                f"a withdrawal in its period, {_until(entry, law)}",
                right.id,
                right.citation,
                line=position,
            )
        elif entry.fault:
            row = law.conformity
            yield note(
                "lack_of_conformity",
                f"a fault is claimed ({entry.reason}): the merchant answers for it",
                "law.fault" if row is None else row.id,
                None if row is None else row.citation,
                line=position,
            )
        elif law.withdrawal is not None and right is not None:
            yield _no_withdrawal(entry, law, position)


def _no_withdrawal(entry: Entry, law: Protection, position: int) -> Note:
    right = law.right
    assert right is not None
    if entry.excluded is not None:
        european = law.withdrawal is not None and law.withdrawal.id == "EU-WD-GOODS"
        row = ROWS["EU-ART16"] if european else right
        return note(
            "withdrawal_excluded",
            f"no right of withdrawal for what is {entry.excluded}".replace("_", " "),
            row.id,
            row.citation,
            line=position,
        )
    return note(
        "withdrawal_period_over",
        f"the right of withdrawal has ended, {_until(entry, law)}",
        right.id,
        right.citation,
        line=position,
    )


def _until(entry: Entry, law: Protection) -> str:
    until = last_day(entry, law)
    return "which has no end yet" if until is None else f"until {until.isoformat()}"


def send_back_by(law: Protection, notice: datetime) -> date | None:
    """The last day that the law gives to send the goods back after a withdrawal."""
    if law.withdrawal is None:
        return None
    return periods.send_back_by(law.place.date_of(notice), law.withdrawal, law.place.country)
