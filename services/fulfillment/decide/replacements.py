"""Replacements: stock is held from the approval on, and leaves when commerce releases it."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.decisions import ReplacementReleased
from contracts.fulfillment import (
    ReplacementFailed,
    ReplacementScheduled,
    ReplacementShipped,
)
from services.chassis.decision import Decision, Effect
from services.fulfillment.decide import disposal
from services.fulfillment.decide.assess import business_days_after
from services.fulfillment.decide.draft import Draft, ignored
from services.fulfillment.messages import (
    OfReplacement,
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
    STOCK_HELD_DAYS_MAX,
    Goods,
    Replacement,
    ReplacementState,
    ReturnGoods,
    Standing,
)


def on_replacement_released(
    goods: Goods, message: ReplacementReleased, *, now: datetime
) -> Decision[Goods]:
    """Hold the stock, then ship. Released again after a failure: tried again."""
    current = goods.returns.get(message.return_id)
    if current is None:
        current = ReturnGoods(
            return_id=message.return_id,
            order_id=goods.order_id,
            test=message.test,
            standing=Standing.APPROVED,
        )
    known = _replacement(current, message.replacement_id)
    if known is not None and known.state is not ReplacementState.FAILED:
        return ignored(goods, "the replacement is on its way already")
    draft = Draft(goods=goods, now=now)
    replacement = Replacement(
        replacement_id=message.replacement_id,
        sku=message.sku,
        quantity=message.quantity,
        attempt=known.attempt + 1 if known else 1,
        ship_by=message.ship_by or business_days_after(now, REPLACEMENT_BUSINESS_DAYS),
    )
    draft.effects.append(
        Effect(
            id=f"reserve:{replacement.replacement_id}:{replacement.attempt}",
            payload=ReserveStock(
                order_id=current.order_id,
                return_id=current.return_id,
                test=current.test,
                replacement_id=replacement.replacement_id,
                attempt=replacement.attempt,
                sku=replacement.sku,
                quantity=replacement.quantity,
                expires_at=now + timedelta(days=STOCK_HELD_DAYS_MAX),
            ),
        )
    )
    current = current.with_replacement(replacement)
    draft.put(disposal.paid(draft, current, current.standing_keys))
    return draft.done()


def on_stock_reserved(goods: Goods, message: StockReserved, *, now: datetime) -> Decision[Goods]:
    found = _open(goods, message, ReplacementState.RESERVING)
    if found is None:
        return ignored(goods, "the replacement does not wait for stock")
    current, replacement = found
    draft = Draft(goods=goods, now=now)
    scheduled = replacement.model_copy(update={"state": ReplacementState.SCHEDULED})
    draft.put(current.with_replacement(scheduled))
    draft.events.append(
        ReplacementScheduled(
            return_id=current.return_id,
            order_id=current.order_id,
            occurred_at=now,
            test=current.test,
            replacement_id=scheduled.replacement_id,
            sku=scheduled.sku,
            quantity=scheduled.quantity,
            ship_by=scheduled.ship_by,
        )
    )
    draft.effects.append(
        Effect(
            id=f"ship:{scheduled.replacement_id}:{scheduled.attempt}",
            payload=ShipReplacement(
                order_id=current.order_id,
                return_id=current.return_id,
                test=current.test,
                replacement_id=scheduled.replacement_id,
                attempt=scheduled.attempt,
                sku=scheduled.sku,
                quantity=scheduled.quantity,
                recipient=goods.order.ship_to if goods.order else None,
            ),
        )
    )
    return draft.done()


def on_stock_refused(goods: Goods, message: StockRefused, *, now: datetime) -> Decision[Goods]:
    found = _open(goods, message, ReplacementState.RESERVING)
    if found is None:
        return ignored(goods, "the replacement does not wait for stock")
    return _failed(goods, *found, reason=message.reason, now=now)


def on_replacement_refused(
    goods: Goods, message: ReplacementRefused, *, now: datetime
) -> Decision[Goods]:
    found = _open(goods, message, ReplacementState.SCHEDULED)
    if found is None:
        return ignored(goods, "the replacement does not wait to be shipped")
    return _failed(goods, *found, reason=message.reason, now=now)


def _failed(
    goods: Goods, current: ReturnGoods, replacement: Replacement, *, reason: str, now: datetime
) -> Decision[Goods]:
    """The customer chooses: refund, or waiting."""
    draft = Draft(goods=goods, now=now)
    draft.put(
        current.with_replacement(replacement.model_copy(update={"state": ReplacementState.FAILED}))
    )
    draft.events.append(
        ReplacementFailed(
            return_id=current.return_id,
            order_id=current.order_id,
            occurred_at=now,
            test=current.test,
            replacement_id=replacement.replacement_id,
            sku=replacement.sku,
            quantity=replacement.quantity,
            reason=reason,
        )
    )
    return draft.done()


def on_replacement_dispatched(
    goods: Goods, message: ReplacementDispatched, *, now: datetime
) -> Decision[Goods]:
    """The replacement left: a parcel of its own, with its own number."""
    found = _open(goods, message, ReplacementState.SCHEDULED)
    if found is None:
        return ignored(goods, "the replacement does not wait to be shipped")
    current, replacement = found
    draft = Draft(goods=goods, now=now)
    shipped = replacement.model_copy(update={"state": ReplacementState.SHIPPED})
    draft.put(current.with_replacement(shipped).sent(message.tracking_number))
    draft.events.append(
        ReplacementShipped(
            return_id=current.return_id,
            order_id=current.order_id,
            occurred_at=message.shipped_at,
            test=current.test,
            replacement_id=replacement.replacement_id,
            sku=replacement.sku,
            quantity=replacement.quantity,
            carrier=message.carrier,
            tracking_number=message.tracking_number,
        )
    )
    return draft.done()


def closed(draft: Draft, goods: ReturnGoods) -> ReturnGoods:
    """Stock that was held for a return that is no more goes back on the shelf."""
    for replacement in goods.replacements:
        if replacement.state is not ReplacementState.RESERVING:
            continue
        draft.effects.append(
            Effect(
                id=f"release:{replacement.replacement_id}:{replacement.attempt}",
                payload=ReleaseStock(
                    order_id=goods.order_id,
                    return_id=goods.return_id,
                    test=goods.test,
                    replacement_id=replacement.replacement_id,
                    attempt=replacement.attempt,
                ),
            )
        )
        goods = goods.with_replacement(
            replacement.model_copy(update={"state": ReplacementState.RELEASED})
        )
    return goods


def _replacement(goods: ReturnGoods | None, replacement_id: str) -> Replacement | None:
    every = goods.replacements if goods else ()
    return next((each for each in every if each.replacement_id == replacement_id), None)


def _open(
    goods: Goods, message: OfReplacement, state: ReplacementState
) -> tuple[ReturnGoods, Replacement] | None:
    current = goods.returns.get(message.return_id)
    replacement = _replacement(current, message.replacement_id)
    if current is None or replacement is None or replacement.attempt != message.attempt:
        return None
    return (current, replacement) if replacement.state is state else None
