"""What fulfillment says of the goods, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from contracts.decisions import (
    CloseOutcome,
    EscalationReason,
    LegalBasis,
    Outcome,
    RefundOn,
)
from contracts.fulfillment import (
    NOT_VOIDED,
    InspectedLine,
    ParcelUnmatched,
    ReceivedLine,
    ReplacementFailed,
    ReplacementScheduled,
    ReplacementShipped,
    ReturnDelivered,
    ReturnInspected,
    ReturnLabelFailed,
    ReturnLabelIssued,
    ReturnLost,
    ReturnNotSent,
    ReturnReceived,
    ReturnSentBack,
    ReturnShipped,
    ShippedLine,
)
from contracts.money import round_half_up
from contracts.requests import CountedLine
from services.commerce import judgement
from services.commerce.decide import release
from services.commerce.decide.draft import Draft
from services.commerce.model import (
    AT_HOME,
    CLOSED,
    HERE,
    Goods,
    ReplacementState,
    Return,
    State,
    Unit,
    chosen,
)
from services.commerce.transitions import Event

BPS_MAX = 10_000
Line = ShippedLine | ReceivedLine | InspectedLine


def label_issued(draft: Draft, message: ReturnLabelIssued) -> None:
    draft.change(labelled=True)
    draft.show()


def label_failed(draft: Draft, message: ReturnLabelFailed) -> None:
    if draft.current.state is not State.APPROVED or message.code == NOT_VOIDED:
        draft.ignored = "no label is waited for"
        return
    failed = {"code": message.code, "reason": message.reason}
    draft.escalate(EscalationReason.INVENTORY_CONTRADICTION, {"label": failed})
    draft.show()


def shipped(draft: Draft, message: ReturnShipped) -> None:
    """Proof of sending."""
    known = draft.current.moved
    draft.change(sent_at=draft.current.sent_at or message.occurred_at)
    if _over(draft, "a carrier has scanned a parcel of this return", known=known):
        return
    put(draft, _named(draft.current, message.lines, AT_HOME), Goods.IN_TRANSIT)
    draft.show()
    release.carry_out(draft)


def delivered(draft: Draft, message: ReturnDelivered) -> None:
    current = draft.current
    draft.change(
        sent_at=current.sent_at or message.occurred_at,
        delivered_at=current.delivered_at or message.occurred_at,
    )
    if _over(draft, "a parcel of this return was delivered", known=current.moved):
        return
    on_its_way = (*AT_HOME, Goods.IN_TRANSIT, Goods.LOST)
    put(draft, _named(draft.current, message.lines, on_its_way), Goods.DELIVERED)
    draft.show()
    release.carry_out(draft)


def received(draft: Draft, message: ReturnReceived) -> None:
    """Counted in. What its parcel should have held and did not is outstanding."""
    known = draft.current.moved
    draft.change(weight_deviation_bps=_deviation(message))
    _arrived(draft, message.occurred_at)
    if _over(draft, "the warehouse has counted goods of this return", known=known):
        return
    waiting = (*AT_HOME, Goods.IN_TRANSIT, Goods.LOST, Goods.DELIVERED)
    units = _named(draft.current, message.lines, waiting)
    _count_in(draft, units)
    missing = draft.current.units_at(Goods.IN_TRANSIT, Goods.DELIVERED)
    put(draft, missing, Goods.OUTSTANDING)
    if draft.current.escalation is EscalationReason.INVENTORY_CONTRADICTION:
        _told_again(draft)
    _weighed(draft)
    draft.show()
    release.carry_out(draft)


def _weighed(draft: Draft) -> None:
    """Where money moves on receipt nobody will look into the carton before it does."""
    current, terms = draft.current, draft.current.terms
    if current.state is not State.APPROVED or terms is None or not current.weight_deviation_bps:
        return
    if terms.refund_on is not RefundOn.RECEIPT or current.exchange is not None:
        return
    if judgement.is_suspected_by_its_parcel(draft.case()):
        draft.escalate(EscalationReason.FRAUD_SUSPECTED)


def _arrived(draft: Draft, at: datetime) -> None:
    current = draft.current
    draft.change(
        sent_at=current.sent_at or at,
        delivered_at=current.delivered_at or at,
        received_at=current.received_at or at,
    )


def _count_in(draft: Draft, units: Sequence[Unit]) -> None:
    """A receipt without a scan was delivered, too: both steps are told."""
    unseen = [unit for unit in units if unit.goods is not Goods.DELIVERED]
    if unseen:
        put(draft, unseen, Goods.DELIVERED)
        draft.show()
    keys = {unit.key for unit in units}
    put(draft, [unit for unit in draft.current.units if unit.key in keys], Goods.RECEIVED)


def inspected(draft: Draft, message: ReturnInspected) -> None:
    """The warehouse has looked: judged again, unless it was paid for already and is well."""
    known = draft.current.moved
    _arrived(draft, message.occurred_at)
    if _over(draft, "the warehouse has inspected goods of this return", known=known):
        return
    current = draft.current
    every = tuple(place for place in Goods if place not in (Goods.NOT_REQUIRED, Goods.CLOSED))
    units = _named(current, message.lines, every)
    uncounted = [unit for unit in units if unit.goods not in HERE]
    if uncounted:
        _count_in(draft, uncounted)
        draft.show()
    keys = {unit.key for unit in units}
    put(draft, [unit for unit in draft.current.units if unit.key in keys], Goods.INSPECTED)
    _keep(draft, message, units)
    _judge_again(draft, units)
    draft.show()
    release.carry_out(draft)


def _judge_again(draft: Draft, units: Sequence[Unit]) -> None:
    current, inspection = draft.current, draft.facts.inspection
    if inspection is None:
        return
    if current.state is State.AWAITING_REVIEW:
        _told_again(draft)
        return
    if current.state is not State.APPROVED or not units:
        return
    made = judgement.judge(draft.case())
    paid = _paid(current, units)
    if not paid or made.decision is Outcome.ESCALATED:
        draft.decided(made)


def _told_again(draft: Draft) -> None:
    """What the reviewer has to know has changed: the case is published again."""
    current = draft.current
    if current.state is State.AWAITING_REVIEW and current.escalation is not None:
        draft.escalate(current.escalation, draft.standing_context())


def _paid(current: Return, units: Iterable[Unit]) -> bool:
    """Whether everything was released already that an inspection could decide about."""
    if current.exchange is not None:
        return current.exchange.state is not ReplacementState.NONE
    total = current.terms.total if current.terms is not None else 0
    return total == 0 or {unit.key for unit in units} <= current.released_keys


def _keep(draft: Draft, message: ReturnInspected, units: Sequence[Unit]) -> None:
    """All inspections as one: of each unit the latest one counts."""
    known = draft.facts.inspection
    new = {unit.key for unit in units}
    lines: list[InspectedLine] = []
    for line in known.lines if known is not None else ():
        left = tuple(unit for unit in line.units if (line.line_id, unit) not in new)
        if left:
            lines.append(line.model_copy(update={"units": left, "quantity": len(left)}))
    free = chosen(tuple(units))
    for line in message.lines:
        mine = line.units or free.get(line.line_id, ())[: line.quantity]
        mine = tuple(unit for unit in mine if unit in free.get(line.line_id, ()))
        if mine:
            rest = tuple(each for each in free[line.line_id] if each not in mine)
            free[line.line_id] = rest
            lines.append(line.model_copy(update={"units": mine, "quantity": len(mine)}))
    if lines:
        merged = message.model_copy(update={"lines": tuple(lines)})
        draft.facts = draft.facts.model_copy(update={"inspection": merged})


def not_sent(draft: Draft, message: ReturnNotSent) -> None:
    """The last day passed. Only a return of which nothing came and nothing was paid expires."""
    unsent = _counted(draft.current, message.lines, AT_HOME)
    put(draft, unsent, Goods.NEVER_SENT)
    current = draft.current
    if current.state is not State.APPROVED or not unsent:
        draft.ignored = "nothing is waited for"
        return
    terms, keys = current.terms, {unit.key for unit in unsent}
    assert terms is not None
    everything = len(unsent) == len(current.units)
    if keys & current.released_keys or (everything and current.anything_released):
        paid = {"never_sent": {line: list(units) for line, units in chosen(unsent).items()}}
        draft.escalate(EscalationReason.INVENTORY_CONTRADICTION, paid)
    elif not everything:
        standing = draft.standing
        assert standing is not None
        draft.decided(judgement.without(draft.case(), standing, chosen(unsent)))
    elif terms.legal_basis is LegalBasis.STATUTORY_WITHDRAWAL:
        draft.escalate(EscalationReason.POLICY_GAP, {"never_sent": True})
    elif draft.move(Event.EXPIRE):
        draft.close(CloseOutcome.EXPIRED)
    draft.show()
    release.carry_out(draft)


def lost(draft: Draft, message: ReturnLost) -> None:
    """Claimed at the carrier, and a person decides what becomes of the customer's money."""
    current = draft.current
    gone = _counted(current, message.lines, (Goods.IN_TRANSIT,))
    put(draft, gone or current.units_at(Goods.IN_TRANSIT), Goods.LOST)
    if current.state in CLOSED or current.state in (State.REQUESTED, State.ASSESSING):
        draft.ignored = "nothing is waited for"
        return
    parcel = {"tracking_number": message.tracking_number, "reason": message.reason}
    draft.escalate(EscalationReason.INVENTORY_CONTRADICTION, {"lost": parcel})
    draft.show()


def unmatched(draft: Draft, message: ParcelUnmatched) -> None:
    """Goods that nobody expected: a person, also where the return is over."""
    reason = message.reason or "goods that do not match this return"
    _arrived(draft, message.occurred_at)
    if _over(draft, reason, known=False):
        return
    if draft.current.state in (State.REQUESTED, State.ASSESSING):
        draft.ignored = "seen before a decision"
        return
    surplus = {"tracking_number": message.tracking_number, "reason": reason}
    draft.escalate(EscalationReason.INVENTORY_CONTRADICTION, {"unmatched": surplus})
    draft.show()


def sent_back(draft: Draft, message: ReturnSentBack) -> None:
    draft.change(notice="The goods are on their way back to you.")
    draft.show()


def replacement_scheduled(draft: Draft, message: ReplacementScheduled) -> None:
    exchange = draft.current.exchange
    if exchange is not None and message.ship_by is not None:
        changed = exchange.model_copy(update={"ship_by": message.ship_by})
        draft.change(exchange=changed)


def replacement_shipped(draft: Draft, message: ReplacementShipped) -> None:
    exchange = draft.current.exchange
    if exchange is None:
        draft.ignored = "no replacement is waited for"
        return
    shipped_ = exchange.model_copy(
        update={"state": ReplacementState.SHIPPED, "shipped_at": message.occurred_at}
    )
    draft.change(exchange=shipped_)
    draft.show()


def replacement_failed(draft: Draft, message: ReplacementFailed) -> None:
    """The customer chooses a refund, or waits; who has waited before is a person's case."""
    exchange = draft.current.exchange
    if exchange is None or draft.current.state is not State.APPROVED:
        draft.ignored = "no replacement is waited for"
        return
    failed = exchange.model_copy(update={"state": ReplacementState.FAILED})
    draft.change(exchange=failed)
    if exchange.waited:
        draft.escalate(EscalationReason.POLICY_GAP, {"replacement": message.reason})
    draft.show()


def _over(draft: Draft, what: str, *, known: bool) -> bool:
    """A parcel of a return that is over: a person decides what becomes of it.

    `known`: somebody who knew of the parcel has ended the return; that is not asked again.
    """
    if draft.current.state not in CLOSED:
        return False
    if known:
        draft.ignored = "the parcel was known when the return ended"
        return True
    over = str(draft.current.state)
    draft.move(Event.PARCEL)
    draft.escalate(EscalationReason.INVENTORY_CONTRADICTION, {"arrived_after": over, "what": what})
    draft.show()
    return True


def put(draft: Draft, units: Iterable[Unit], place: Goods) -> None:
    keys = {unit.key for unit in units}
    if keys:
        draft.change(
            units=tuple(
                unit.model_copy(update={"goods": place}) if unit.key in keys else unit
                for unit in draft.current.units
            )
        )


def _named(current: Return, lines: Iterable[Line], places: Iterable[Goods]) -> list[Unit]:
    """The units that lines name, by ordinal or by number; only where they may be now."""
    free = {unit.key: unit for unit in current.units if unit.goods in tuple(places)}
    found: list[Unit] = []
    for line in lines:
        ordinals = line.units
        if not ordinals:
            mine = sorted(key[1] for key in free if key[0] == line.line_id)
            ordinals = tuple(mine[: line.quantity])
        for ordinal in ordinals:
            unit = free.pop((line.line_id, ordinal), None)
            if unit is not None:
                found.append(unit)
    return found


def _counted(
    current: Return, lines: Iterable[CountedLine], places: Iterable[Goods]
) -> tuple[Unit, ...]:
    """So many units of each line, the highest ordinals first: the lowest are paid first."""
    found: list[Unit] = []
    for line in lines:
        mine = [
            unit
            for unit in current.units
            if unit.line_id == line.line_id and unit.goods in tuple(places)
        ]
        found.extend(sorted(mine, key=lambda unit: -unit.ordinal)[: line.quantity])
    return tuple(sorted(found, key=lambda unit: unit.key))


def _deviation(message: ReturnReceived) -> int:
    """How far the carton's weight is from the expected one, in basis points."""
    expected, found = message.expected_weight_grams, message.carton_weight_grams
    if not expected or found is None:
        return 0
    return min(round_half_up(abs(found - expected) * BPS_MAX, expected), BPS_MAX)
