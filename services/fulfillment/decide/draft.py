"""A decision in the making, and the moves of units that all of them share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from contracts.base import Message
from contracts.fulfillment import Disposition, ItemDisposed, ParcelUnmatched, ShippedLine
from contracts.requests import CountedLine
from services.chassis.decision import Deadline, Decision, Effect
from services.fulfillment.model import Goods, ReturnGoods, Unit, UnitState
from services.fulfillment.transitions import IN_HAND, UnitEvent, move

SEND_BY = "send_by"
SCAN_OVERDUE = "scan_overdue"
DISPOSITION = "disposition"
LABEL_EXPIRES = "label_expires"


@dataclass(kw_only=True)
class Draft:
    """Collects what one message brings about; nobody else sees it before it is done."""

    goods: Goods
    now: datetime
    events: list[Message] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    deadlines: list[Deadline] = field(default_factory=list)

    def put(self, changed: ReturnGoods) -> ReturnGoods:
        self.goods = self.goods.put(changed)
        return changed

    def unmatched(
        self, goods: ReturnGoods, occurred_at: datetime, reason: str, tracking: str | None = None
    ) -> None:
        """What the warehouse saw fits no announcement: a person looks."""
        self.events.append(
            ParcelUnmatched(
                return_id=goods.return_id,
                order_id=goods.order_id,
                occurred_at=occurred_at,
                tracking_number=tracking,
                reason=reason,
                test=goods.test,
            )
        )

    def done(self, ignored: str | None = None) -> Decision[Goods]:
        return Decision(
            state=self.goods,
            events=tuple(self.events),
            effects=tuple(self.effects),
            deadlines=tuple(self.deadlines),
            ignored=ignored,
        )


def ignored(goods: Goods, reason: str) -> Decision[Goods]:
    return Decision(state=goods, ignored=reason)


def moved(
    goods: ReturnGoods, units: Iterable[Unit], event: UnitEvent, **changes: object
) -> tuple[ReturnGoods, tuple[Unit, ...]]:
    """The return after the event happened to these units, and the units that it moved."""
    after = {}
    for unit in units:
        state = move(unit.state, event)
        if state is not unit.state:
            after[unit.key] = unit.model_copy(update={"state": state, **changes})
    return goods.with_units(after), tuple(after.values())


def by_line(units: Iterable[Unit]) -> dict[tuple[str, str], tuple[int, ...]]:
    """(line id, SKU) -> ordinals, in the order of lines and ordinals."""
    found: dict[tuple[str, str], list[int]] = {}
    for unit in units:
        found.setdefault((unit.line_id, unit.sku), []).append(unit.ordinal)
    return {line: tuple(sorted(ordinals)) for line, ordinals in sorted(found.items())}


def shipped_lines(units: Iterable[Unit]) -> tuple[ShippedLine, ...]:
    return tuple(
        ShippedLine(line_id=line_id, sku=sku, quantity=len(ordinals), units=ordinals)
        for (line_id, sku), ordinals in by_line(units).items()
    )


def counted_lines(units: Iterable[Unit]) -> tuple[CountedLine, ...]:
    return tuple(
        CountedLine(line_id=line_id, quantity=len(ordinals))
        for (line_id, _), ordinals in by_line(units).items()
    )


def accounted_for(unit: Unit) -> bool:
    """The warehouse has said what became of it; only a person changes that."""
    return unit.state in IN_HAND or unit.state is UnitState.SENT_BACK or unit.grade is not None


def in_hand_elsewhere(goods: Goods, return_id: str) -> set[tuple[str, int, int]]:
    """Things that are in the warehouse through other returns of the order."""
    return {
        unit.thing
        for other in goods.others(return_id)
        for unit in other.units
        if unit.state in IN_HAND
    }


def disposed(
    draft: Draft,
    goods: ReturnGoods,
    line_id: str,
    sku: str,
    ordinals: tuple[int, ...],
    what: Disposition,
) -> None:
    """Say what became of these units of a line."""
    draft.events.append(
        ItemDisposed(
            return_id=goods.return_id,
            order_id=goods.order_id,
            occurred_at=draft.now,
            test=goods.test,
            line_id=line_id,
            sku=sku,
            quantity=len(ordinals),
            units=ordinals,
            disposition=what,
        )
    )
