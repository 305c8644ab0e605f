"""The real handlers without store or broker: messages in, messages out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeVar

from contracts.base import Message
from contracts.envelope import Envelope
from services.chassis.work import Received
from services.fulfillment import messages
from services.fulfillment.handlers import all_handlers
from services.fulfillment.model import ReturnGoods, UnitState
from services.fulfillment.sites import Sites
from services.fulfillment.store import FulfillmentWork
from tests.unit.fulfillment.examples import NOW, A

M = TypeVar("M", bound=Message)


class Desk:
    def __init__(self, *first: Message) -> None:
        self.work = FulfillmentWork(now=NOW)
        self.handlers = all_handlers(Sites())
        self.waiting: list[Message] = []
        self._performed = 0
        self.send(*first)

    def send(self, *bodies: Message) -> None:
        for body in bodies:
            if self._handled(body):
                self._take_up()
            else:
                self.waiting.append(body)

    def _take_up(self) -> None:
        progress = True
        while progress:
            progress = False
            for body in tuple(self.waiting):
                if self._handled(body):
                    self.waiting.remove(body)
                    progress = True

    def _handled(self, body: Message) -> bool:
        envelope = Envelope(id="e", source="/tests", time=self.work.now)
        self.work.message = Received(body=body, envelope=envelope, topic="tests")
        parked = len(self.work.parked)
        self.handlers[type(body)](self.work, body)
        return len(self.work.parked) == parked

    def give_up_waiting(self) -> None:
        """The patience of everything parked is over."""
        self.work.last_chance = True
        waiting, self.waiting = self.waiting, []
        for body in waiting:
            assert self._handled(body)
        self.work.last_chance = False

    def at(self, instant: datetime | timedelta) -> None:
        self.work.now = NOW + instant if isinstance(instant, timedelta) else instant

    def due(self) -> None:
        """Fire every deadline that is due now."""
        for key, (deadline, _) in tuple(self.work.deadlines.items()):
            if deadline.at is not None and deadline.at <= self.work.now:
                del self.work.deadlines[key]
                if deadline.message is not None:
                    self.send(deadline.message)

    def intents(self, kind: type[M]) -> list[M]:
        return [e.payload for e, _ in self.work.effects if type(e.payload) is kind]

    def events(self, kind: type[M]) -> list[M]:
        return [p.body for p in self.work.published if isinstance(p.body, kind)]

    def names(self) -> list[str]:
        return [type(p.body).__name__ for p in self.work.published]

    def forget_events(self) -> None:
        self.work.published.clear()

    def buys_label(self, tracking: str = "T1", **changes: Any) -> None:
        """The carrier answers the last purchase."""
        wish = self.intents(messages.BuyLabel)[-1]
        self.send(bought(wish, tracking))

    def goods(self, id_: str = A) -> ReturnGoods:
        return self.work.returns[id_]

    def states(self, id_: str = A) -> list[UnitState]:
        return [unit.state for unit in self.goods(id_).units]


def bought(wish: messages.BuyLabel, tracking: str = "T1") -> messages.LabelBought:
    return messages.LabelBought(
        order_id=wish.order_id,
        return_id=wish.return_id,
        name=wish.name,
        attempt=wish.attempt,
        carrier="sandbox",
        tracking_number=tracking,
        label_url=f"http://carrier.example/{tracking}.pdf",
        expires_at=NOW + timedelta(days=30),
    )
