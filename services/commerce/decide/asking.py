"""Facts are asked for, answered, and judged once all are in or their time is over."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.assessments import (
    AssessedLine,
    AssessmentRequested,
    DisputeState,
    Purpose,
    RefundabilityAssessed,
    ReturnabilityAssessed,
)
from contracts.decisions import (
    EscalationReason,
    Outcome,
    ReturnDecisionMade,
)
from contracts.orders import OrderLine, OrderSnapshot
from contracts.requests import Method, RequestLine
from services.commerce import judgement, messages
from services.commerce.decide import anew, people, promises, release
from services.commerce.decide.draft import FACTS, Draft
from services.commerce.model import ASSESSMENT_WAIT, Asked, State
from services.commerce.transitions import Event

RETURNABILITY = "returnability"
REFUNDABILITY = "refundability"
PURPOSES = {Asked.JUDGE: Purpose.INITIAL, Asked.RELEASE: Purpose.REFRESH}


def order_found(draft: Draft) -> None:
    """Its order is known: ask what fulfillment and payment know."""
    order = draft.order
    assert order is not None
    if not draft.move(Event.ORDER_FOUND):
        return
    know(draft, order)
    draft.change(timed_out=())
    draft.show()
    ask(draft, Asked.JUDGE)


def know(draft: Draft, order: OrderSnapshot) -> None:
    """Which order a return is about, whose, and what of it."""
    request = draft.request
    sent = anew.in_place(draft.desk.others)
    lines = [line for asked in request.lines for line in matching(order, asked, sent)]
    draft.change(
        order_id=order.order_id,
        order_key=order.order_id,
        customer_id=order.buyer.customer_id,
        skus=tuple(dict.fromkeys(line.sku for line in request.lines)),
        reason=str(request.lines[0].reason),
        value=sum(worth(line, quantity) for line, quantity in lines),
    )


def ask(draft: Draft, why: Asked) -> None:
    """Ask for all facts anew. A return none of whose lines exists has nothing to ask about."""
    order, current, request = draft.order, draft.current, draft.request
    assert order is not None
    sent = anew.in_place(draft.desk.others)
    lines = tuple(
        AssessedLine(
            line_id=line.line_id,
            sku=anew.product(line, asked, sent),
            quantity=quantity,
            reason=asked.reason,
            condition=asked.condition,
        )
        for asked in request.lines
        for line, quantity in matching(order, asked, sent)
    )
    if not lines:
        judge(draft)
        return
    place = order.ship_to
    draft.change(
        round=current.round + 1,
        missing=(RETURNABILITY, REFUNDABILITY),
        asked_for=why,
        contradicted=False,
    )
    draft.events.append(
        AssessmentRequested(
            return_id=current.return_id,
            order_id=order.order_id,
            order_version=order.version,
            round=draft.current.round,
            lines=lines,
            resolution=request.resolution,
            replacement_sku=request.replacement_sku,
            country=place.country if place is not None else order.buyer.country,
            region=place.region if place is not None else order.buyer.region,
            purpose=PURPOSES[why],
            test=current.test,
            requested_at=draft.now,
        )
    )
    if why is Asked.RELEASE:
        overdue = messages.FactsOverdue(return_id=current.return_id, round=draft.current.round)
        draft.set_deadline(FACTS, draft.now + ASSESSMENT_WAIT, overdue)


def matching(
    order: OrderSnapshot, asked: RequestLine, sent: anew.InPlace
) -> Iterator[tuple[OrderLine, int]]:
    """(order line, quantity) that a line of the request may be about."""
    rest = asked.quantity
    for line in order.lines:
        if rest > 0 and anew.is_named(line, asked, sent):
            part = min(rest, line.quantity)
            rest -= part
            yield line, part


def worth(line: OrderLine, quantity: int) -> int:
    """Goods in minor units after discount, a share of the line by quantity."""
    whole = line.unit_price * line.quantity - line.discount_total
    return whole * quantity // line.quantity


def returnability_assessed(draft: Draft, message: ReturnabilityAssessed) -> None:
    if not _awaited(draft, RETURNABILITY, message.round):
        return
    known = draft.facts.returnability
    before = {each.code for each in known.contradictions} if known is not None else set()
    draft.change(contradicted=any(each.code not in before for each in message.contradictions))
    draft.facts = draft.facts.model_copy(update={"returnability": message})
    _answered(draft, RETURNABILITY)


def refundability_assessed(draft: Draft, message: RefundabilityAssessed) -> None:
    if not _awaited(draft, REFUNDABILITY, message.round):
        return
    draft.facts = draft.facts.model_copy(update={"refundability": message})
    _answered(draft, REFUNDABILITY)


def _awaited(draft: Draft, what: str, round_: int) -> bool:
    current = draft.current
    if round_ != current.round:
        draft.ignored = "answer to another round"
    elif what not in current.missing:
        draft.ignored = "answer was not awaited"
    else:
        return True
    return False


def _answered(draft: Draft, what: str) -> None:
    draft.change(missing=tuple(each for each in draft.current.missing if each != what))
    if draft.current.missing:
        return
    if draft.current.asked_for is Asked.JUDGE:
        if draft.current.state is State.ASSESSING:
            judge(draft)
        return
    draft.set_deadline(FACTS, None, None)
    if draft.current.state is State.APPROVED:
        _refreshed(draft)
    elif _turned(draft) is None:
        release.carry_out(draft)


def judge(draft: Draft) -> None:
    """Decide, and carry out what needs no waiting."""
    draft.decided(_judged(draft))
    draft.show()
    early = draft.current.early_review
    draft.change(early_review=None)
    if early is not None and draft.current.outcome is Outcome.ESCALATED:
        people.review(draft, early)
    release.carry_out(draft)


def _judged(draft: Draft) -> ReturnDecisionMade:
    """The decision; where a quote had promised something else, it says what and why."""
    made = judgement.judge(draft.case())
    difference = promises.difference(draft.current.promise, made)
    if difference is None:
        return made
    return judgement.judge(draft.case(extra_findings=(difference,)))


def out_of_time(draft: Draft) -> None:
    """Judge with what is known, and say what is not."""
    draft.change(timed_out=draft.current.missing, missing=())
    judge(draft)


def facts_overdue(draft: Draft, message: messages.FactsOverdue) -> None:
    """Nothing is paid on facts that are too old and that nobody confirms."""
    current = draft.current
    if message.round != current.round or not current.missing or current.state is not State.APPROVED:
        draft.ignored = "answered in time"
        return
    draft.change(timed_out=current.missing, missing=())
    draft.escalate(EscalationReason.ASSESSMENT_TIMEOUT)
    draft.show()


def _refreshed(draft: Draft) -> None:
    """Facts are fresh again: go on, or ask a person where they have turned against it."""
    reason = _turned(draft)
    if reason is None:
        release.carry_out(draft)
    else:
        draft.escalate(reason, release.alternatives(draft))
    draft.show()


def _turned(draft: Draft) -> EscalationReason | None:
    if draft.current.contradicted:
        return EscalationReason.INVENTORY_CONTRADICTION
    money, terms, standing = draft.facts.refundability, draft.current.terms, draft.standing
    assert terms is not None and standing is not None
    if money is None or draft.current.exchange is not None:
        return None
    owed = terms.total - draft.current.live_amount
    payments = {each.payment_id: each for each in money.payments}
    used = [payments.get(each.payment_id) for each in standing.settlement.allocations]
    if any(each is not None and each.dispute is DisputeState.OPEN for each in used):
        return EscalationReason.PAYMENT_NOT_REFUNDABLE
    refundable = sum(max(each.refundable, 0) for each in used if each is not None)
    if terms.method is Method.ORIGINAL_PAYMENT_METHOD and refundable < owed:
        return EscalationReason.PAYMENT_NOT_REFUNDABLE
    return None
