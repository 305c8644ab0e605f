"""The status that people see: one pure function of the three axes. The first line that holds wins.

Each line says who has to act and until when at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.decisions import EscalationReason
from contracts.lifecycle import Party, Status
from contracts.money import Money as Amount
from services.commerce import model
from services.commerce.model import Goods, Money, ReplacementState, Return, State


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """`wait` is how long at most from now on, `until` an instant that is fixed already."""

    status: Status
    party: Party = Party.NONE
    wait: timedelta | None = None
    until: datetime | None = None
    explanation: str


WAITS: dict[tuple[Status, Party], timedelta | None] = {
    (Status.SETTLEMENT_FAILED, Party.REVIEWER): model.REVIEW_WAIT,
    (Status.SETTLEMENT_FAILED, Party.CUSTOMER): model.REVIEW_WAIT,
    (Status.REQUESTED, Party.COMMERCE): model.ORDER_WAIT,
    (Status.ASSESSING, Party.COMMERCE): model.ASSESSMENT_WAIT,
    (Status.AWAITING_REVIEW, Party.REVIEWER): model.REVIEW_WAIT,
    (Status.AWAITING_REVIEW, Party.CUSTOMER): model.EVIDENCE_WAIT,
    (Status.REJECTED, Party.NONE): None,
    (Status.CANCELLED, Party.NONE): None,
    (Status.EXPIRED, Party.NONE): None,
    (Status.SETTLED, Party.NONE): None,
    (Status.PENDING_SETTLEMENT, Party.COMMERCE): model.RELEASE_WAIT,
    (Status.PENDING_SETTLEMENT, Party.PAYMENT): model.SETTLEMENT_WAIT,
    (Status.PENDING_SETTLEMENT, Party.FULFILLMENT): model.SETTLEMENT_WAIT,
    (Status.QUALITY_CHECK, Party.FULFILLMENT): model.WAREHOUSE_WAIT,
    (Status.PHYSICALLY_RECEIVED, Party.FULFILLMENT): model.WAREHOUSE_WAIT,
    (Status.IN_TRANSIT, Party.FULFILLMENT): model.TRANSIT_WAIT,
    (Status.AWAITING_PHYSICAL_RECEIPT, Party.FULFILLMENT): model.LABEL_WAIT,
    # Until `send_by`, which the decision names; this is for one that names none.
    (Status.AWAITING_PHYSICAL_RECEIPT, Party.CUSTOMER): timedelta(days=14),
    # The replacement cannot be sent: the customer chooses.
    (Status.PENDING_SETTLEMENT, Party.CUSTOMER): model.CHOICE_WAIT,
    (Status.QUALITY_CHECK, Party.CUSTOMER): model.CHOICE_WAIT,
    (Status.PHYSICALLY_RECEIVED, Party.CUSTOMER): model.CHOICE_WAIT,
    (Status.IN_TRANSIT, Party.CUSTOMER): model.CHOICE_WAIT,
}
"""(status, who acts) -> how long at most. None: it is over."""

FINAL = frozenset({Status.REJECTED, Status.CANCELLED, Status.EXPIRED, Status.SETTLED})


def of(current: Return) -> Standing:
    """The status of a return, from its decision, its goods and its money."""
    for status, holds, party in LINES:
        if holds(current):
            return _standing(current, status, party(current))
    raise AssertionError("the last line always holds")


def _standing(current: Return, status: Status, party: Party) -> Standing:
    until = None
    if (status, party) == (Status.AWAITING_PHYSICAL_RECEIPT, Party.CUSTOMER) and current.terms:
        until = None if _asked_about_replacement(current) else current.terms.send_by
    wait = WAITS[status, party]
    if _asked_about_replacement(current) and party is Party.CUSTOMER:
        wait = model.CHOICE_WAIT
    return Standing(
        status=status,
        party=party,
        wait=wait,
        until=until,
        explanation=current.notice or explain(current, status, party),
    )


def _failed(current: Return) -> bool:
    return (
        current.state in (State.APPROVED, State.AWAITING_REVIEW)
        and any(each.money is Money.FAILED for each in current.unpaid)
        and not current.disputes
    )


def _in(*states: State) -> Callable[[Return], bool]:
    return lambda current: current.state in states


def _settled(current: Return) -> bool:
    return current.goods_done and current.all_settled


def _done(current: Return) -> bool:
    return current.goods_done


def _at(*places: Goods) -> Callable[[Return], bool]:
    return lambda current: any(unit.goods in places for unit in current.units)


def _always(current: Return) -> bool:
    return True


def _is(party: Party) -> Callable[[Return], Party]:
    return lambda current: party


def _who_mends(current: Return) -> Party:
    """The customer while there are alternatives to choose from; after that time, a person."""
    offered = any(each.alternatives for each in current.unpaid)
    shown = current.shown
    given_up = (
        shown is not None
        and shown.status is Status.SETTLEMENT_FAILED
        and shown.party is Party.REVIEWER
    )
    return Party.REVIEWER if given_up or current.chose or not offered else Party.CUSTOMER


def _who_looks(current: Return) -> Party:
    return Party.CUSTOMER if current.asked_customer else Party.REVIEWER


def _who_pays(current: Return) -> Party:
    if _asked_about_replacement(current):
        return Party.CUSTOMER
    if current.exchange is not None:
        released = current.exchange.state is not ReplacementState.NONE
        return Party.FULFILLMENT if released else Party.COMMERCE
    under_way = any(
        each.money in (Money.RELEASED, Money.UNDER_WAY, Money.VOIDING) for each in current.refunds
    )
    return Party.PAYMENT if under_way else Party.COMMERCE


def _asked_about_replacement(current: Return) -> bool:
    return current.exchange is not None and current.exchange.state is ReplacementState.FAILED


def _warehouse(current: Return) -> Party:
    return Party.CUSTOMER if _asked_about_replacement(current) else Party.FULFILLMENT


def _who_sends(current: Return) -> Party:
    terms = current.terms
    waits_for_label = terms is not None and terms.label_provided and not current.labelled
    waits_for_label &= not _asked_about_replacement(current)
    return Party.FULFILLMENT if waits_for_label else Party.CUSTOMER


LINES: tuple[tuple[Status, Callable[[Return], bool], Callable[[Return], Party]], ...] = (
    (Status.SETTLEMENT_FAILED, _failed, _who_mends),
    (Status.REQUESTED, _in(State.REQUESTED), _is(Party.COMMERCE)),
    (Status.ASSESSING, _in(State.ASSESSING), _is(Party.COMMERCE)),
    (Status.AWAITING_REVIEW, _in(State.AWAITING_REVIEW), _who_looks),
    (Status.REJECTED, _in(State.REJECTED), _is(Party.NONE)),
    (Status.CANCELLED, _in(State.CANCELLED), _is(Party.NONE)),
    (Status.EXPIRED, _in(State.EXPIRED), _is(Party.NONE)),
    (Status.SETTLED, _settled, _is(Party.NONE)),
    (Status.PENDING_SETTLEMENT, _done, _who_pays),
    (Status.QUALITY_CHECK, _at(Goods.RECEIVED), _warehouse),
    (Status.PHYSICALLY_RECEIVED, _at(Goods.DELIVERED), _warehouse),
    (Status.IN_TRANSIT, _at(Goods.IN_TRANSIT, Goods.LOST), _warehouse),
    (Status.AWAITING_PHYSICAL_RECEIPT, _always, _who_sends),
)
"""Domain's table of statuses: (status, when, who has to act), the first line that holds wins."""

TEXTS: dict[tuple[Status, Party], str] = {
    (Status.SETTLEMENT_FAILED, Party.CUSTOMER): (
        "Your refund of {amount} could not be paid out; please choose another way to receive it."
    ),
    (Status.SETTLEMENT_FAILED, Party.REVIEWER): (
        "Your refund of {amount} could not be paid out; our team is sorting it out."
    ),
    (Status.REQUESTED, Party.COMMERCE): "We have received your return request.",
    (Status.ASSESSING, Party.COMMERCE): "We are checking your order and the return conditions.",
    (Status.AWAITING_REVIEW, Party.REVIEWER): "A member of our team is looking at your return.",
    (Status.AWAITING_REVIEW, Party.CUSTOMER): (
        "Please send us the evidence that we asked you for, so that we can decide."
    ),
    (Status.REJECTED, Party.NONE): "Your return was declined.",
    (Status.CANCELLED, Party.NONE): "Your return was cancelled.",
    (Status.EXPIRED, Party.NONE): "Your return expired because the goods were not sent in time.",
    (Status.SETTLED, Party.NONE): "Your refund of {amount} is complete.",
    (Status.PENDING_SETTLEMENT, Party.COMMERCE): "We are preparing your refund of {amount}.",
    (Status.PENDING_SETTLEMENT, Party.PAYMENT): "Your refund of {amount} is on its way.",
    (Status.PENDING_SETTLEMENT, Party.FULFILLMENT): "Your replacement is being sent.",
    (Status.QUALITY_CHECK, Party.FULFILLMENT): (
        "Your return has arrived and been counted; we are inspecting it."
    ),
    (Status.PHYSICALLY_RECEIVED, Party.FULFILLMENT): (
        "Your return has arrived at our warehouse and will be counted."
    ),
    (Status.IN_TRANSIT, Party.FULFILLMENT): "Your return is on its way to us.",
    (Status.AWAITING_PHYSICAL_RECEIPT, Party.FULFILLMENT): (
        "Your return is approved; we are preparing your return label."
    ),
    (Status.AWAITING_PHYSICAL_RECEIPT, Party.CUSTOMER): "Your return is approved; {sending}.",
}
CHOOSE = (
    "Your replacement cannot be sent at the moment; please choose a refund, or that you will wait."
)
NO_ORDER = "We could not find your order yet; a member of our team is looking for it."
REPLACED = "Your replacement was sent; the return is complete."
NOTHING_DUE = "Your return is complete."


def explain(current: Return, status: Status, party: Party) -> str:
    """One sentence that a customer can read."""
    if party is Party.CUSTOMER and _asked_about_replacement(current):
        return CHOOSE
    looked_for = current.escalation is EscalationReason.ORDER_NOT_FOUND
    if status is Status.AWAITING_REVIEW and party is Party.REVIEWER and looked_for:
        return NO_ORDER
    if status is Status.REJECTED and current.because:
        return current.because
    if status is Status.SETTLED and current.terms is not None:
        if current.exchange is not None:
            return REPLACED
        if current.terms.total == 0:
            return NOTHING_DUE
    return TEXTS[status, party].format(amount=_amount(current), sending=_sending(current))


def _amount(current: Return) -> str:
    terms = current.terms
    return str(Amount(terms.total, terms.currency)) if terms is not None else "the agreed amount"


def _sending(current: Return) -> str:
    terms = current.terms
    what = "please send the goods back"
    if current.units_at(Goods.OUTSTANDING):
        what = "please send us what is still missing"
    if terms is None or terms.send_by is None:
        return what
    return f"{what} by {terms.send_by:%d %B %Y}"
