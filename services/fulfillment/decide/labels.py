"""Labels: exactly one is bought per need, whatever crashes or times out.

intended -> issued | failed | unknown; unknown is left only by looking the label up at the carrier
by its reference; only a proven absence allows the next attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from contracts.base import TEXT_LENGTH_MAX
from contracts.fulfillment import NOT_VOIDED, ReturnLabelFailed, ReturnLabelIssued
from services.chassis.decision import Deadline, Decision, Effect
from services.fulfillment.decide import attempts, customs
from services.fulfillment.decide.draft import LABEL_EXPIRES, Draft, ignored, moved
from services.fulfillment.messages import (
    AnotherLabelWanted,
    BuyLabel,
    LabelAbsent,
    LabelBought,
    LabelExpires,
    LabelNotVoided,
    LabelOutcomeUnknown,
    LabelRefused,
    LabelVoided,
    LookUpLabel,
    OfAttempt,
    VoidLabel,
)
from services.fulfillment.model import (
    LABEL_ATTEMPTS_MAX,
    LABEL_LOOK_UP_WAIT_SECONDS,
    LABELS_MAX,
    Goods,
    Label,
    LabelState,
    ReturnGoods,
    Scanned,
    Standing,
)
from services.fulfillment.orders import OrderFacts
from services.fulfillment.sites import Sites
from services.fulfillment.transitions import OWED, UnitEvent

OPEN = frozenset({LabelState.INTENDED, LabelState.UNKNOWN})
LIVE = frozenset({*OPEN, LabelState.ISSUED})


def intend(draft: Draft, goods: ReturnGoods, sites: Sites) -> ReturnGoods:
    """A label for what still has to come back, unless one is there or on its way."""
    if any(label.state in LIVE for label in goods.labels):
        return goods
    return _intended(draft, goods, sites)


def _intended(draft: Draft, goods: ReturnGoods, sites: Sites) -> ReturnGoods:
    label = Label(name=f"{goods.return_id}:{len(goods.labels) + 1}")
    draft.effects.append(_purchase(draft, goods, label, sites))
    return goods.with_label(label)


def on_another_wanted(
    goods: Goods, message: AnotherLabelWanted, *, sites: Sites, now: datetime
) -> Decision[Goods]:
    """One more label for one more parcel, one at a time."""
    current = goods.returns.get(message.return_id)
    if current is None or not needed(current) or not current.label_provided:
        return ignored(goods, "no label is provided for this return")
    if not any(unit.state in OWED for unit in current.units):
        return ignored(goods, "nothing has to be sent any more")
    if any(label.state in OPEN for label in current.labels):
        return ignored(goods, "a label is being bought")
    if len(current.labels) >= LABELS_MAX:
        return ignored(goods, f"a return has at most {LABELS_MAX} labels")
    draft = Draft(goods=goods, now=now)
    draft.put(_intended(draft, current, sites))
    return draft.done()


def watch_expiry(draft: Draft, goods: ReturnGoods) -> None:
    """Where the customer may still send when the label has run out: look then."""
    label = goods.label
    if label is None or label.state is not LabelState.ISSUED or label.expires_at is None:
        return
    if not needed(goods) or (goods.send_by is not None and goods.send_by <= label.expires_at):
        return
    draft.deadlines.append(
        Deadline(
            name=LABEL_EXPIRES,
            subject=goods.return_id,
            at=label.expires_at,
            message=LabelExpires(
                order_id=goods.order_id,
                return_id=goods.return_id,
                test=goods.test,
                name=label.name,
                attempt=label.attempt,
            ),
        )
    )


def on_label_expires(
    goods: Goods, message: LabelExpires, *, sites: Sites, now: datetime
) -> Decision[Goods]:
    """The customer gets a new label while the goods are still to be sent."""
    current = goods.returns.get(message.return_id)
    label = attempts.named(current.labels if current else (), message.name)
    if current is None or label is None or label.state is not LabelState.ISSUED:
        return ignored(goods, "the label is not in use")
    if _used(current, label):
        return ignored(goods, "the label was used")
    draft = Draft(goods=goods, now=now)
    current = current.with_label(label.model_copy(update={"state": LabelState.EXPIRED}))
    owed = any(unit.state in OWED for unit in current.units)
    if owed and needed(current) and current.label_provided and len(current.labels) < LABELS_MAX:
        current = intend(draft, current, sites)
    draft.put(current)
    return draft.done()


def _purchase(draft: Draft, goods: ReturnGoods, label: Label, sites: Sites) -> Effect:
    order = draft.goods.order
    recipient = goods.address or sites.address(order.country if order else "")
    return Effect(
        id=f"label:{label.name}:{label.attempt}",
        payload=BuyLabel(
            order_id=goods.order_id,
            return_id=goods.return_id,
            test=goods.test,
            name=label.name,
            attempt=label.attempt,
            sender=order.ship_to if order else None,
            recipient=recipient,
            weight_grams=expected_weight(goods, order),
            customs=customs.items(goods, order, recipient),
            intended_at=draft.now,
        ),
    )


def expected_weight(goods: ReturnGoods, order: OrderFacts | None) -> int | None:
    """Grams of all units of the return together; None where one of them has no weight."""
    if order is None or not goods.units:
        return None
    total = 0
    for unit in goods.units:
        line = order.line(unit.line_id)
        if line is None or line.weight_grams is None:
            return None
        total += line.weight_grams
    return total


def withdraw(draft: Draft, goods: ReturnGoods) -> ReturnGoods:
    """Give labels back that no carrier has scanned. One that is being bought is voided later."""
    for label in goods.labels:
        if label.state is LabelState.ISSUED and not _used(goods, label):
            goods = _void(draft, goods, label)
    return goods


def _void(draft: Draft, goods: ReturnGoods, label: Label) -> ReturnGoods:
    assert label.tracking_number is not None
    draft.effects.append(
        Effect(
            id=f"void:{label.name}",
            payload=VoidLabel(
                order_id=goods.order_id,
                return_id=goods.return_id,
                test=goods.test,
                name=label.name,
                attempt=label.attempt,
                tracking_number=label.tracking_number,
            ),
        )
    )
    return goods.with_label(label.model_copy(update={"state": LabelState.VOIDING}))


def _used(goods: ReturnGoods, label: Label) -> bool:
    """A parcel with this label was seen; one without a number may be it."""
    return any(
        (parcel.opened or parcel.scanned is not Scanned.NOT_YET)
        and parcel.tracking_number in (None, label.tracking_number)
        for parcel in goods.parcels
    )


def on_label_bought(goods: Goods, message: LabelBought, *, now: datetime) -> Decision[Goods]:
    """The label is there: the customer gets it, or it is voided if nobody needs it any more."""
    found = _waiting(goods, message)
    if found is None:
        return ignored(goods, "the label is known")
    current, label = found
    bought = label.model_copy(
        update={
            "state": LabelState.ISSUED,
            "carrier": message.carrier,
            "tracking_number": message.tracking_number,
            "label_url": message.label_url,
            "qr_url": message.qr_url,
            "expires_at": message.expires_at,
        }
    )
    draft = Draft(goods=goods, now=now)
    current = current.with_label(bought)
    if not needed(current):
        draft.put(_void(draft, current, bought))
        return draft.done()
    current, _ = moved(current, current.units, UnitEvent.LABELLED)
    draft.put(current)
    watch_expiry(draft, current)
    draft.events.append(
        ReturnLabelIssued(
            return_id=current.return_id,
            order_id=current.order_id,
            carrier=message.carrier,
            tracking_number=message.tracking_number,
            label_url=message.label_url,
            qr_url=message.qr_url,
            expires_at=message.expires_at,
            test=current.test,
            occurred_at=now,
        )
    )
    return draft.done()


def needed(goods: ReturnGoods) -> bool:
    """Somebody still waits for a label: the return stands and its goods have to come back."""
    return goods.required and goods.standing in (Standing.APPROVED, Standing.ESCALATED)


def on_label_refused(goods: Goods, message: LabelRefused, *, now: datetime) -> Decision[Goods]:
    found = _waiting(goods, message)
    if found is None:
        return ignored(goods, "the label is known")
    return _failed(goods, *found, message.code, message.reason, now)


def _failed(
    goods: Goods, current: ReturnGoods, label: Label, code: str, reason: str, now: datetime
) -> Decision[Goods]:
    draft = Draft(goods=goods, now=now)
    draft.put(current.with_label(label.model_copy(update={"state": LabelState.FAILED})))
    if needed(current):
        draft.events.append(_told(current, code, reason, now))
    return draft.done()


def on_label_outcome_unknown(
    goods: Goods, message: LabelOutcomeUnknown, *, sites: Sites, now: datetime
) -> Decision[Goods]:
    """The carrier may have made a label: look it up, and make no second one before."""
    found = _waiting(goods, message)
    if found is None:
        return ignored(goods, "the label is known")
    current, label = found
    draft = Draft(goods=goods, now=now)
    draft.put(current.with_label(label.model_copy(update={"state": LabelState.UNKNOWN})))
    purchase = _purchase(draft, current, label, sites).payload
    draft.effects.append(
        Effect(
            id=f"label:{label.name}:{label.attempt}:look_up",
            payload=LookUpLabel.model_validate(purchase.model_dump()),
            not_before=now + timedelta(seconds=LABEL_LOOK_UP_WAIT_SECONDS * label.attempt),
        )
    )
    return draft.done()


def on_label_absent(
    goods: Goods, message: LabelAbsent, *, sites: Sites, now: datetime
) -> Decision[Goods]:
    """The attempt bought nothing, that is proven: the next one is safe."""
    found = _waiting(goods, message)
    if found is None:
        return ignored(goods, "the label is known")
    current, label = found
    if label.attempt >= LABEL_ATTEMPTS_MAX or not needed(current):
        reason = f"no label after {label.attempt} attempts"
        return _failed(goods, current, label, "carrier_unavailable", reason, now)
    again = label.model_copy(update={"state": LabelState.INTENDED, "attempt": label.attempt + 1})
    draft = Draft(goods=goods, now=now)
    draft.effects.append(_purchase(draft, current, again, sites))
    draft.put(current.with_label(again))
    return draft.done()


def on_label_voided(goods: Goods, message: LabelVoided, *, now: datetime) -> Decision[Goods]:
    return _void_answered(goods, message, now, {"state": LabelState.VOID})


def on_label_not_voided(goods: Goods, message: LabelNotVoided, *, now: datetime) -> Decision[Goods]:
    """The carrier says that it was used: its scan will tell. Until then the label keeps the
    carrier's words, and the event tells whoever keeps the books of postage."""
    words = f"{message.code}: {message.reason}"
    kept = {"state": LabelState.ISSUED, "not_voided": words}
    return _void_answered(goods, message, now, kept, words)


def _void_answered(
    goods: Goods,
    message: OfAttempt,
    now: datetime,
    kept: Mapping[str, object],
    refused: str | None = None,
) -> Decision[Goods]:
    """What the label is now; `refused`: the carrier's words where it does not take it back."""
    current = goods.returns.get(message.return_id)
    label = attempts.named(current.labels if current else (), message.name)
    if current is None or label is None or label.state is not LabelState.VOIDING:
        return ignored(goods, "the label is not being voided")
    draft = Draft(goods=goods, now=now)
    draft.put(current.with_label(label.model_copy(update=kept)))
    if refused is not None:
        why = f"label {label.tracking_number} was not taken back: {refused}"
        draft.events.append(_told(current, NOT_VOIDED, why[:TEXT_LENGTH_MAX], now))
    return draft.done()


def _told(current: ReturnGoods, code: str, reason: str, now: datetime) -> ReturnLabelFailed:
    return ReturnLabelFailed(
        return_id=current.return_id,
        order_id=current.order_id,
        occurred_at=now,
        test=current.test,
        code=code,
        reason=reason,
    )


def _waiting(goods: Goods, message: OfAttempt) -> tuple[ReturnGoods, Label] | None:
    """The return and its label, if this very attempt's outcome is still open."""
    current = goods.returns.get(message.return_id)
    return attempts.awaited(goods, message, current.labels if current else (), OPEN)
