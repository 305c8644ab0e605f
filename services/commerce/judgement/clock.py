"""The statutory clock of a return: by when its refund must have been made.

A decision names the date as far as it can be known then. Where it runs from the goods or the proof
of sending, it starts or moves when they come, without a new decision.
"""

from __future__ import annotations

from datetime import datetime

from contracts.base import CountryCode, Flag, Instant, Part
from contracts.decisions import LegalBasis, ReturnDecisionMade
from contracts.orders import OrderSnapshot, PaymentMethod
from contracts.requests import Method
from services.commerce.law import periods
from services.commerce.law.protection import CARD_CREDIT, place_of, withdrawal_in
from services.commerce.law.rows import Clock, Deadline

CARD_CREDIT_WITHIN = Deadline(days=7, clock=Clock.AGREEMENT, working_days=True)
"""Row US-FCBA-CREDIT: from the acceptance of the return."""


class Running(Part):
    """What a clock depends on that may still move. Days are calendar days unless `working`."""

    country: CountryCode
    region: str | None = None
    days: int
    clock: Clock
    working: Flag = False
    notice: Instant
    goods_go_back: Flag = True
    accepted_on_receipt: Flag = False
    """A card is credited from the acceptance of the goods."""


def credits_a_card(order: OrderSnapshot, country: str, method: Method) -> bool:
    """Whether row US-FCBA-CREDIT holds."""
    return (
        country in CARD_CREDIT.countries
        and method is Method.ORIGINAL_PAYMENT_METHOD
        and any(payment.method is PaymentMethod.CARD for payment in order.payments)
    )


def running(order: OrderSnapshot, made: ReturnDecisionMade, notice: datetime) -> Running | None:
    """The clock of an approval where it may still start or move; None: its date is final."""
    place = place_of(order)
    accepted = False
    if made.replacement is not None:
        return None
    if made.legal_basis is LegalBasis.STATUTORY_WITHDRAWAL:
        row = withdrawal_in(place.country)
        deadline = row.refund if row is not None else None
    elif made.refund_due is None and credits_a_card(order, place.country, made.settlement.method):
        deadline, accepted = CARD_CREDIT_WITHIN, True
    else:
        deadline = None
    if deadline is None or (deadline.clock is Clock.AGREEMENT and not accepted):
        return None
    return Running(
        country=place.country,
        region=place.region,
        days=deadline.days,
        clock=deadline.clock,
        working=deadline.working_days,
        notice=notice,
        goods_go_back=made.return_.required,
        accepted_on_receipt=accepted,
    )


def due(
    clock: Running, *, sent: datetime | None = None, received: datetime | None = None
) -> datetime | None:
    """The end of the last day on which the refund is in time, UTC; None: it does not run yet."""
    return periods.refund_due(
        Deadline(days=clock.days, clock=clock.clock, working_days=clock.working),
        clock.country,
        clock.region,
        notice=clock.notice,
        agreed=received if clock.accepted_on_receipt else None,
        sent=sent,
        received=received,
        goods_go_back=clock.goods_go_back,
    )


def told(due_at: datetime | None, now: datetime) -> str:
    """The clock in words for people who work with it; empty where none runs."""
    if due_at is None:
        return ""
    day = due_at.isoformat().replace("+00:00", "Z")
    left = (due_at - now).days
    if due_at < now:
        return f"By law the refund was due by {day}: it is overdue."
    return f"By law the refund is due by {day} ({left} whole days left)."
