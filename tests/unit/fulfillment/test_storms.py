"""Whatever arrives, in whatever order: the counts add up, and the end is the same."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.base import Message
from contracts.fulfillment import ItemDisposed, ReturnInspected, ReturnReceived
from contracts.warehouse import WarehouseEvent
from services.fulfillment.decide.draft import accounted_for
from services.fulfillment.messages import (
    BuyLabel,
    GoodsDispatchedBack,
    LabelRefused,
    OfAttempt,
    ReplacementDispatched,
    ReplacementRefused,
    ReserveStock,
    SendBack,
    SendBackRefused,
    ShipReplacement,
    StockReserved,
)
from services.fulfillment.model import LabelState, UnitState
from services.fulfillment.transitions import IN_HAND, TAKEN_OVER
from tests.unit.fulfillment.desk import Desk, bought
from tests.unit.fulfillment.examples import (
    JACKET,
    NOW,
    A,
    B,
    an_order,
    asked,
    closed,
    decided,
    inspected,
    received,
    refunded,
    replacement_released,
    return_id,
    scanned,
)

SOLD = 4
GRADES = ("as_new", "opened", "worn", "damaged")
UNKNOWN = return_id("nobody")


def assert_counts_add_up(desk: Desk) -> None:
    in_hand: Counter[tuple[str, int, int]] = Counter()
    sent_in_place = sum(len(goods.replaced) for goods in desk.work.returns)
    for goods in desk.work.returns:
        for count in goods.counts:
            units = [unit for unit in goods.units if unit.sku == count.sku]
            assert count.assigned == sum(accounted_for(unit) for unit in units)
            assert 0 <= count.assigned + count.back <= count.reported
            assert sum(item.quantity for item in count.loose) <= count.unassigned
        keys = [unit.key for unit in goods.units]
        assert len(keys) == len(set(keys))
        assert all(1 <= unit.ordinal <= unit.sold for unit in goods.units)
        assert all((unit.state is UnitState.INSPECTED) <= (unit.grade is not None)
                   for unit in goods.units)  # fmt: skip
        in_hand.update(unit.thing for unit in goods.units if unit.state in IN_HAND)
        assert len(goods.replaced) <= sum(each.quantity for each in goods.replacements)
        live = [
            x
            for x in goods.labels
            if x.state in (LabelState.INTENDED, LabelState.UNKNOWN, LabelState.ISSUED)
        ]
        assert len(live) <= 1
    assert all(times == 1 for times in in_hand.values())
    sold = max((unit.sold for goods in desk.work.returns for unit in goods.units), default=0)
    assert in_hand.total() <= sold + sent_in_place


def assert_told_once(desk: Desk) -> None:
    for events in (desk.events(ReturnReceived), desk.events(ReturnInspected)):
        told: Counter[tuple[str | None, str, int]] = Counter()
        for event in events:
            for line in event.lines:
                told.update((event.return_id, line.line_id, unit) for unit in line.units)
        assert all(times == 1 for times in told.values())
    disposed = Counter(
        (event.return_id, event.line_id, unit)
        for event in desk.events(ItemDisposed)
        for unit in event.units
    )
    assert all(times == 1 for times in disposed.values())


def _same(wish: OfAttempt) -> dict[str, Any]:
    return wish.model_dump(include={"order_id", "return_id", "name", "attempt"})


class RandomEvents(RuleBasedStateMachine):
    """Two returns of one order, and everything that can happen to them."""

    @initialize()
    def ordered(self) -> None:
        self.desk = Desk(an_order(SOLD))
        self.sequence = {A: 0, B: 0}
        self.events = 0
        self.counted = 0
        self.sent_back: set[str] = set()

    def fresh(self) -> str:
        self.events += 1
        return f"event-{self.events}"

    @rule(id_=st.sampled_from((A, B)), quantity=st.integers(1, 3))
    def ask(self, id_: str, quantity: int) -> None:
        self.desk.send(asked(id_, quantity))

    @rule(
        id_=st.sampled_from((A, B)),
        units=st.sets(st.integers(1, SOLD), min_size=1),
        decision=st.sampled_from(("approved", "approved", "approved", "rejected", "escalated")),
        required=st.booleans(),
        label=st.booleans(),
    )
    def decide(self, id_: str, units: set[int], decision: str, required: bool, label: bool) -> None:
        self.sequence[id_] += 1
        self.desk.send(
            decided(
                id_,
                *sorted(units),
                sequence=self.sequence[id_],
                decision=decision,
                required=required,
                label=label,
            )
        )

    @rule(id_=st.sampled_from((A, B)))
    def close(self, id_: str) -> None:
        self.desk.send(closed(id_))

    @precondition(lambda self: self.desk.intents(BuyLabel))
    @rule(data=st.data(), refuse=st.booleans())
    def carrier_answers(self, data: st.DataObject, refuse: bool) -> None:
        wish = data.draw(st.sampled_from(self.desk.intents(BuyLabel)))
        if refuse:
            same = wish.model_dump(include={"order_id", "return_id", "name", "attempt"})
            self.desk.send(LabelRefused(**same, code="no", reason="no"))
        else:
            self.desk.send(bought(wish, f"T-{wish.name}"))

    @rule(
        id_=st.sampled_from((A, B, UNKNOWN)),
        scan=st.sampled_from(("accepted", "in_transit", "delivered", "lost_in_space")),
        tracking=st.sampled_from((None, "OWN-1", "OWN-2")),
    )
    def scan(self, id_: str, scan: str, tracking: str | None) -> None:
        self.desk.send(scanned(scan, id_=id_, tracking=tracking, event=self.fresh()))

    @rule(
        id_=st.sampled_from((A, B, UNKNOWN)),
        quantity=st.integers(0, 3),
        sku=st.sampled_from((JACKET, JACKET, JACKET, "BRICK")),
        twice=st.booleans(),
    )
    def receive(self, id_: str, quantity: int, sku: str, twice: bool) -> None:
        event = received(quantity, id_=id_, sku=sku, event=self.fresh())
        self.desk.send(*([event] * (1 + twice)))

    @rule(
        id_=st.sampled_from((A, B, UNKNOWN)),
        quantity=st.integers(1, 3),
        grade=st.sampled_from((*GRADES, "wrong_item", "missing", "mouldy")),
        sku=st.sampled_from((JACKET, JACKET, JACKET, "BRICK")),
    )
    def inspect(self, id_: str, quantity: int, grade: str, sku: str) -> None:
        self.desk.send(inspected(quantity, grade, id_=id_, sku=sku, event=self.fresh()))

    @precondition(lambda self: self.desk.intents(SendBack))
    @rule(data=st.data(), refuse=st.booleans())
    def warehouse_answers(self, data: st.DataObject, refuse: bool) -> None:
        wish = data.draw(st.sampled_from(self.desk.intents(SendBack)))
        same = wish.model_dump(include={"order_id", "return_id", "shipment_id"})
        if refuse or wish.shipment_id in self.sent_back:
            self.desk.send(SendBackRefused(**same, code="no", reason="no"))
            return
        self.sent_back.add(wish.shipment_id)
        sent = GoodsDispatchedBack(
            **same, tracking_number=f"BACK-{wish.shipment_id}", lines=wish.lines, shipped_at=NOW
        )
        self.desk.send(sent)

    @precondition(lambda self: self.desk.work.returns.get(A) or self.desk.work.returns.get(B))
    @rule(id_=st.sampled_from((A, B)), quantity=st.integers(1, 2), refuse=st.booleans())
    def replace(self, id_: str, quantity: int, refuse: bool) -> None:
        self.desk.send(
            replacement_released(id_, sku=JACKET, quantity=quantity, replacement_id=f"for-{id_}")
        )
        for wish in self.desk.intents(ReserveStock):
            self.desk.send(StockReserved(**_same(wish)))
        for ship in self.desk.intents(ShipReplacement):
            if refuse:
                self.desk.send(ReplacementRefused(**_same(ship), code="no", reason="no"))
                continue
            sent = ReplacementDispatched(
                **_same(ship), tracking_number=f"OUT-{ship.name}", shipped_at=self.desk.work.now
            )
            self.desk.send(sent)

    @rule(id_=st.sampled_from((A, B)), unit=st.integers(1, SOLD))
    def pay(self, id_: str, unit: int) -> None:
        self.desk.send(refunded(id_, unit))

    @rule(days=st.integers(1, 30))
    def time_passes(self, days: int) -> None:
        self.desk.at(self.desk.work.now + timedelta(days=days))
        self.desk.due()

    @invariant()
    def counts_add_up(self) -> None:
        assert_counts_add_up(self.desk)

    @invariant()
    def everything_is_told_once(self) -> None:
        assert_told_once(self.desk)

    @invariant()
    def what_was_taken_over_was_paid(self) -> None:
        for goods in self.desk.work.returns:
            for unit in goods.units:
                if unit.state in TAKEN_OVER:
                    assert unit.paid


TestRandomEvents = RandomEvents.TestCase
TestRandomEvents.settings = settings(max_examples=80, stateful_step_count=35, deadline=None)


def a_life(quantity: int, short: int, grades: list[str]) -> list[WarehouseEvent]:
    """The parcels' life of one return with `quantity` units, `short` of which never came."""
    came = quantity - short
    life: list[WarehouseEvent] = [
        scanned("accepted", tracking="T1", event="s1"),
        scanned("in_transit", tracking="T1", event="s2"),
        scanned("delivered", tracking="T1", event="s3"),
        received(came, tracking="T1", event="r"),
    ]
    for number in range(came):
        grade = grades[number % len(grades)]
        life.append(inspected(1, grade, event=f"i{number}"))
    return life


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    quantity=st.integers(1, 5),
    short=st.integers(0, 2),
    grades=st.lists(st.sampled_from(GRADES), min_size=1, max_size=3),
    seed=st.integers(0, 2**32),
    decided_last=st.booleans(),
)
def test_a_storm_ends_like_the_ordered_run(
    quantity: int, short: int, grades: list[str], seed: int, decided_last: bool
) -> None:
    chance = Random(seed)
    short = min(short, quantity)
    units = tuple(range(1, quantity + 1))
    opening: list[Message] = [an_order(quantity), asked(quantity=quantity), decided(A, *units)]
    life = a_life(quantity, short, grades)
    calm = Desk(*opening)
    calm.buys_label("T1")
    calm.send(*life)

    storm: list[Message] = [*life, *(chance.choice(life) for _ in life)]
    strangers = [
        event.model_copy(update={"return_id": UNKNOWN, "tracking_number": "T404",
                                 "event_id": f"stranger-{number}"})
        for number, event in enumerate(chance.choices(life, k=max(1, len(storm) * 3 // 7)))
    ]  # fmt: skip
    storm += strangers
    chance.shuffle(storm)
    wild = Desk()
    if decided_last:
        chance.shuffle(opening)
        middle = chance.randrange(len(storm))
        wild.send(*storm[:middle], *opening, *storm[middle:])
    else:
        wild.send(*opening)
        wild.buys_label("T1")
        wild.send(*storm)
    for desk in (calm, wild):
        assert_counts_add_up(desk)
        assert_told_once(desk)
    end = Counter((unit.state, unit.grade) for unit in calm.goods().units)
    assert Counter((unit.state, unit.grade) for unit in wild.goods().units) == end
    assert len(wild.waiting) == len(strangers)
