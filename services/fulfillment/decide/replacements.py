"""Replacements: stock is held from the approval on, and leaves when commerce releases it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from contracts.decisions import DecidedReplacement, ReplacementReleased
from contracts.fulfillment import (
    ReplacementFailed,
    ReplacementScheduled,
    ReplacementShipped,
)
from services.chassis.decision import Decision, Effect
from services.fulfillment.decide import attempts, disposal
from services.fulfillment.decide.assess import business_days_after
from services.fulfillment.decide.draft import Draft, ignored
from services.fulfillment.messages import (
    OfAttempt,
    ReleaseStock,
    ReplacementDispatched,
    ReplacementRefused,
    ReserveStock,
    ShipReplacement,
    StockRefused,
    StockReserved,
)
from services.fulfillment.model import (
    REPLACEMENT_BUSINESS_DAYS,
    SEND_WITHIN_DAYS,
    STOCK_HELD_DAYS_MAX,
    Goods,
    Replacement,
    ReplacementState,
    ReturnGoods,
    Standing,
)

HOLDS = frozenset({ReplacementState.RESERVING, ReplacementState.HELD})
GONE = frozenset({ReplacementState.FAILED, ReplacementState.RELEASED})


def hold(draft: Draft, goods: ReturnGoods, wanted: DecidedReplacement | None) -> ReturnGoods:
    """Hold the stock that an approval promises; give back what it does not promise any more."""
    for known in goods.replacements:
        if known.state in HOLDS and not known.released and not _is(known, wanted):
            goods = _given_back(draft, goods, known)
    live = any(_is(each, wanted) and each.state not in GONE for each in goods.replacements)
    if wanted is None or live:
        return goods
    return _reserve(draft, goods, _new(goods, wanted.sku, wanted.quantity, draft.now))


def _is(known: Replacement, wanted: DecidedReplacement | ReplacementReleased | None) -> bool:
    return wanted is not None and (known.sku, known.quantity) == (wanted.sku, wanted.quantity)


def _new(goods: ReturnGoods, sku: str, quantity: int, now: datetime) -> Replacement:
    """Held a while longer than the goods that it replaces may take to come back."""
    last_day = goods.send_by or now + timedelta(days=SEND_WITHIN_DAYS)
    return Replacement(
        name=f"stock:{goods.return_id}:{len(goods.replacements) + 1}",
        sku=sku,
        quantity=quantity,
        held_until=max(now, last_day) + timedelta(days=STOCK_HELD_DAYS_MAX),
    )


def _reserve(draft: Draft, goods: ReturnGoods, wanted: Replacement) -> ReturnGoods:
    draft.effects.append(
        Effect(
            id=f"reserve:{wanted.name}:{wanted.attempt}",
            payload=ReserveStock(
                **_attempt(goods, wanted),
                sku=wanted.sku,
                quantity=wanted.quantity,
                expires_at=wanted.held_until,
            ),
        )
    )
    return goods.with_replacement(wanted)


def _attempt(goods: ReturnGoods, replacement: Replacement) -> dict[str, Any]:
    return {
        "order_id": goods.order_id,
        "return_id": goods.return_id,
        "test": goods.test,
        "name": replacement.name,
        "attempt": replacement.attempt,
    }


def on_replacement_released(
    goods: Goods, message: ReplacementReleased, *, now: datetime
) -> Decision[Goods]:
    """Ship what is held, else hold it first. Released again after a failure: tried again."""
    current = goods.returns.get(message.return_id) or ReturnGoods(
        return_id=message.return_id,
        order_id=goods.order_id,
        test=message.test,
        standing=Standing.APPROVED,
    )
    known = _released_as(current, message.replacement_id)
    if known is not None and known.state is not ReplacementState.FAILED:
        return ignored(goods, "the replacement is on its way already")
    draft = Draft(goods=goods, now=now)
    chosen = known or _held_for(current, message)
    chosen = chosen or _new(current, message.sku, message.quantity, now)
    released = chosen.model_copy(
        update={
            "replacement_id": message.replacement_id,
            "ship_by": message.ship_by or business_days_after(now, REPLACEMENT_BUSINESS_DAYS),
        }
    )
    draft.put(disposal.paid(draft, current, current.standing_keys))
    current = draft.goods.returns[current.return_id]
    draft.put(_shipped_or_reserved(draft, current, released))
    return draft.done()


def _shipped_or_reserved(draft: Draft, current: ReturnGoods, released: Replacement) -> ReturnGoods:
    if released.state is ReplacementState.HELD and draft.now < released.held_until:
        return _ship(draft, current, released)
    fresh = attempts.named(current.replacements, released.name) is None
    if fresh:
        return _reserve(draft, current, released)
    if released.state is ReplacementState.RESERVING:
        return current.with_replacement(released)
    again = {
        "state": ReplacementState.RESERVING,
        "attempt": released.attempt + 1,
        "held_until": draft.now + timedelta(days=STOCK_HELD_DAYS_MAX),
    }
    return _reserve(draft, current, released.model_copy(update=again))


def _released_as(goods: ReturnGoods, replacement_id: str) -> Replacement | None:
    every = goods.replacements
    return next((each for each in every if each.replacement_id == replacement_id), None)


def _held_for(goods: ReturnGoods, message: ReplacementReleased) -> Replacement | None:
    """What the approval held for it, unless that failed for good."""
    return next(
        (
            each
            for each in goods.replacements
            if not each.released
            and each.state is not ReplacementState.RELEASED
            and _is(each, message)
        ),
        None,
    )


def on_stock_reserved(goods: Goods, message: StockReserved, *, now: datetime) -> Decision[Goods]:
    """Held until commerce releases it, or shipped where it already has."""
    found = _awaited(goods, message, ReplacementState.RESERVING)
    if found is None:
        return ignored(goods, "the replacement does not wait for stock")
    current, replacement = found
    draft = Draft(goods=goods, now=now)
    if replacement.released:
        draft.put(_ship(draft, current, replacement))
    else:
        held = replacement.model_copy(update={"state": ReplacementState.HELD})
        draft.put(current.with_replacement(held))
    return draft.done()


def _ship(draft: Draft, current: ReturnGoods, held: Replacement) -> ReturnGoods:
    assert held.replacement_id is not None
    scheduled = held.model_copy(update={"state": ReplacementState.SCHEDULED})
    draft.events.append(
        ReplacementScheduled(**_told(current, scheduled, draft.now), ship_by=scheduled.ship_by)
    )
    draft.effects.append(
        Effect(
            id=f"ship:{scheduled.name}:{scheduled.attempt}",
            payload=ShipReplacement(
                **_attempt(current, scheduled),
                replacement_id=held.replacement_id,
                sku=scheduled.sku,
                quantity=scheduled.quantity,
                recipient=draft.goods.order.ship_to if draft.goods.order else None,
            ),
        )
    )
    return current.with_replacement(scheduled)


def _told(goods: ReturnGoods, replacement: Replacement, at: datetime) -> dict[str, Any]:
    """What every event about a replacement says; one that is not released has only our name."""
    return {
        "return_id": goods.return_id,
        "order_id": goods.order_id,
        "occurred_at": at,
        "test": goods.test,
        "replacement_id": replacement.replacement_id or replacement.name,
        "sku": replacement.sku,
        "quantity": replacement.quantity,
    }


def on_stock_refused(goods: Goods, message: StockRefused, *, now: datetime) -> Decision[Goods]:
    found = _awaited(goods, message, ReplacementState.RESERVING)
    if found is None:
        return ignored(goods, "the replacement does not wait for stock")
    return _failed(goods, *found, reason=message.reason, now=now)


def on_replacement_refused(
    goods: Goods, message: ReplacementRefused, *, now: datetime
) -> Decision[Goods]:
    found = _awaited(goods, message, ReplacementState.SCHEDULED)
    if found is None:
        return ignored(goods, "the replacement does not wait to be shipped")
    return _failed(goods, *found, reason=message.reason, now=now)


def _failed(
    goods: Goods, current: ReturnGoods, replacement: Replacement, *, reason: str, now: datetime
) -> Decision[Goods]:
    """The customer chooses: refund, or waiting."""
    draft = Draft(goods=goods, now=now)
    failed = replacement.model_copy(update={"state": ReplacementState.FAILED})
    draft.put(current.with_replacement(failed))
    draft.events.append(ReplacementFailed(**_told(current, failed, now), reason=reason))
    return draft.done()


def on_replacement_dispatched(
    goods: Goods, message: ReplacementDispatched, *, now: datetime
) -> Decision[Goods]:
    """The replacement left: a parcel of its own, with its own number."""
    found = _awaited(goods, message, ReplacementState.SCHEDULED)
    if found is None:
        return ignored(goods, "the replacement does not wait to be shipped")
    current, replacement = found
    draft = Draft(goods=goods, now=now)
    shipped = replacement.model_copy(
        update={
            "state": ReplacementState.SHIPPED,
            "shipped_at": message.shipped_at,
            "tracking_number": message.tracking_number,
            "units": current.replaceable(replacement),
        }
    )
    draft.put(current.with_replacement(shipped).sent(message.tracking_number))
    draft.events.append(
        ReplacementShipped(
            **_told(current, shipped, message.shipped_at),
            carrier=message.carrier,
            tracking_number=message.tracking_number,
        )
    )
    return draft.done()


def closed(draft: Draft, goods: ReturnGoods) -> ReturnGoods:
    """Stock that was held for a return that is no more goes back on the shelf."""
    for replacement in goods.replacements:
        if replacement.state in HOLDS:
            goods = _given_back(draft, goods, replacement)
    return goods


def _given_back(draft: Draft, goods: ReturnGoods, replacement: Replacement) -> ReturnGoods:
    draft.effects.append(
        Effect(
            id=f"release:{replacement.name}:{replacement.attempt}",
            payload=ReleaseStock(**_attempt(goods, replacement)),
        )
    )
    return goods.with_replacement(
        replacement.model_copy(update={"state": ReplacementState.RELEASED})
    )


def _awaited(
    goods: Goods, message: OfAttempt, state: ReplacementState
) -> tuple[ReturnGoods, Replacement] | None:
    current = goods.returns.get(message.return_id)
    every = current.replacements if current else ()
    return attempts.awaited(goods, message, every, (state,))
