"""What fulfillment needs of a carrier, whoever it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.fulfillment.messages import BuyLabel, VoidLabel


@dataclass(frozen=True, kw_only=True, slots=True)
class CarrierLabel:
    carrier: str
    tracking_number: str
    label_url: str
    qr_url: str | None
    expires_at: datetime


class CarrierRefused(Exception):
    """The carrier says no, and will say no again: certainly no label was made."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class CarrierUnclear(Exception):
    """The carrier may or may not have done it: look it up before anything else."""


class Carrier(Protocol):
    """Raises `Transient` where certainly nothing was done and trying again may help."""

    async def buy(self, wish: BuyLabel) -> CarrierLabel:
        """Buy a label, once per `name` and attempt. CarrierRefused, CarrierUnclear."""
        ...

    async def find(self, wish: BuyLabel) -> CarrierLabel | None:
        """The label bought for this `name`; None proves that there is none."""
        ...

    async def void(self, wish: VoidLabel) -> None:
        """Give a label back; doing it twice is doing it once. Raises CarrierRefused when used."""
        ...

    async def close(self) -> None:
        """Ends its connections; it is not used after that."""
        ...
