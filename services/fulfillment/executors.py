"""Carries out fulfillment's intents: labels at a carrier, stock and shipments at the warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from contracts.base import Message
from services.chassis import telemetry
from services.chassis.clock import Clock
from services.chassis.errors import Transient
from services.chassis.service import Executor
from services.fulfillment import messages
from services.fulfillment.carriers.port import (
    Carrier,
    CarrierLabel,
    CarrierRefused,
    CarrierUnclear,
)
from services.fulfillment.messages import (
    BuyLabel,
    LabelAbsent,
    LabelBought,
    LabelNotVoided,
    LabelOutcomeUnknown,
    LabelRefused,
    LabelVoided,
    LookUpLabel,
    OfReturn,
    VoidLabel,
)
from services.fulfillment.warehouse import Warehouse

FRESH = timedelta(seconds=10)
"""Less than an effect's lease. An older intent may have been carried out by a process that died
before it could say so, and carriers forget idempotency keys: it is looked up first."""


class Labels:
    """Buys labels at `carrier`; test returns always use the sandbox, whatever is configured."""

    def __init__(self, carrier: Carrier, sandbox: Carrier, clock: Clock) -> None:
        self._carrier = carrier
        self._sandbox = sandbox
        self._clock = clock

    def _for(self, wish: OfReturn) -> Carrier:
        return self._sandbox if wish.test else self._carrier

    async def buy(self, wish: BuyLabel) -> Message:
        carrier = self._for(wish)
        try:
            stale = self._clock.now() - wish.intended_at > FRESH
            label = await carrier.find(wish) if stale else None
            label = label or await carrier.buy(wish)
        except CarrierRefused as no:
            return LabelRefused(
                order_id=wish.order_id,
                return_id=wish.return_id,
                test=wish.test,
                name=wish.name,
                attempt=wish.attempt,
                code=no.code,
                reason=no.reason or no.code,
            )
        except CarrierUnclear as error:
            return _unknown(wish, str(error))
        return _bought(wish, label)

    async def look_up(self, wish: LookUpLabel) -> Message:
        try:
            label = await self._for(wish).find(wish)
        except (CarrierUnclear, CarrierRefused) as error:
            raise Transient(str(error)) from error
        if label is not None:
            return _bought(wish, label)
        return LabelAbsent(
            order_id=wish.order_id,
            return_id=wish.return_id,
            test=wish.test,
            name=wish.name,
            attempt=wish.attempt,
        )

    async def void(self, wish: VoidLabel) -> Message:
        same = wish.model_dump(include={"order_id", "return_id", "test", "name", "attempt"})
        try:
            await self._for(wish).void(wish)
        except CarrierRefused as no:
            telemetry.log.warning("label_not_voided", label=wish.name, code=no.code)
            return LabelNotVoided(**same, code=no.code, reason=no.reason or no.code)
        except CarrierUnclear as error:
            raise Transient(str(error)) from error
        return LabelVoided(**same)


def _unknown(wish: BuyLabel, reason: str) -> LabelOutcomeUnknown:
    return LabelOutcomeUnknown(
        order_id=wish.order_id,
        return_id=wish.return_id,
        test=wish.test,
        name=wish.name,
        attempt=wish.attempt,
        reason=reason,
    )


def _bought(wish: BuyLabel, label: CarrierLabel) -> LabelBought:
    return LabelBought(
        order_id=wish.order_id,
        return_id=wish.return_id,
        test=wish.test,
        name=wish.name,
        attempt=wish.attempt,
        carrier=label.carrier,
        tracking_number=label.tracking_number,
        label_url=label.label_url,
        qr_url=label.qr_url,
        expires_at=label.expires_at,
    )


def all_executors(labels: Labels, warehouse: Warehouse) -> Mapping[type[Message], Executor]:
    """Intent -> who carries it out."""
    return {
        messages.BuyLabel: labels.buy,
        messages.LookUpLabel: labels.look_up,
        messages.VoidLabel: labels.void,
        messages.CheckStock: warehouse.check_stock,
        messages.ReserveStock: warehouse.reserve,
        messages.ReleaseStock: warehouse.release,
        messages.ShipReplacement: warehouse.ship,
        messages.SendBack: warehouse.send_back,
        messages.Restock: warehouse.restock,
    }
