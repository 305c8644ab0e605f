"""The store: orders, returns, units and parcels, read and written set-wise for a whole batch.

Every row belongs to one order, and the order's key is locked before anything is read: within an
order there is no concurrency. Units are rows of their own so that the database itself keeps
their counts right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from contracts.base import Message
from contracts.warehouse import WarehouseEvent
from services.chassis.errors import Conflict
from services.chassis.work import AnyConnection, IdentityMap, Received, UnitOfWork
from services.fulfillment.model import Goods, ReturnGoods, Standing, Unit
from services.fulfillment.orders import OrderFacts

# Read before the lock is held, so only a hint: `load` checks it under the lock.
FIND_ORDERS = """
SELECT return_id AS known, order_id FROM returns WHERE return_id = ANY($1::text[])
UNION ALL
SELECT tracking_number, order_id FROM parcels WHERE tracking_number = ANY($2::text[])
"""

# Under the locks: nobody changes an order meanwhile.
LOAD_ORDERS = "SELECT document FROM orders WHERE order_id = ANY($1::text[])"

# One row per return of the locked orders, its units aggregated in the order of their ordinals.
# A return found by its own id alone belongs to an order that is not locked: see `load`.
LOAD_RETURNS = """
SELECT r.order_id, r.document, (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'line_id', u.line_id, 'sku', u.sku, 'ordinal', u.ordinal, 'sold', u.sold,
        'life', coalesce(u.replacement, 1),
        'state', u.state, 'grade', u.grade, 'defect_confirmed', u.defect_confirmed,
        'graded_sequence', u.graded_sequence, 'paid', u.paid
    ) ORDER BY u.line_id, u.ordinal), '[]') FROM units u WHERE u.return_id = r.return_id
) AS units
FROM returns r
WHERE r.order_id = ANY($1::text[]) OR r.return_id = ANY($1::text[])
"""

# Under the orders' locks. An older snapshot never replaces a newer one, whoever writes it; a
# tracking number stays with the return that it was first seen with.
SAVE_GOODS = """
WITH saved_orders AS (
    INSERT INTO orders (order_id, version, document)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::jsonb[])
    ON CONFLICT (order_id) DO UPDATE SET version = EXCLUDED.version, document = EXCLUDED.document
    WHERE orders.version < EXCLUDED.version
), saved_returns AS (
    INSERT INTO returns (return_id, order_id, standing, document)
    SELECT * FROM unnest($4::text[], $5::text[], $6::text[], $7::jsonb[])
    ON CONFLICT (return_id) DO UPDATE
    SET standing = EXCLUDED.standing, document = EXCLUDED.document
)
INSERT INTO parcels (tracking_number, return_id, order_id)
SELECT * FROM unnest($8::text[], $9::text[], $10::text[])
ON CONFLICT (tracking_number) DO NOTHING
"""

# Only units that changed. That one thing is in hand once is checked at the end of the
# transaction, so that a unit may pass from one return to another within it.
SAVE_UNITS = """
WITH moves AS (
    INSERT INTO unit_history (return_id, line_id, ordinal, at, state)
    SELECT * FROM unnest($12::text[], $13::text[], $14::integer[], $15::timestamptz[], $16::text[])
)
INSERT INTO units (return_id, line_id, ordinal, order_id, sku, sold, state, grade,
                   defect_confirmed, graded_sequence, paid, replacement)
SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::integer[],
                     $7::text[], $8::text[], $9::boolean[], $10::integer[], $11::boolean[],
                     $17::integer[])
ON CONFLICT (return_id, line_id, ordinal) DO UPDATE SET
    state = EXCLUDED.state, grade = EXCLUDED.grade,
    defect_confirmed = EXCLUDED.defect_confirmed,
    graded_sequence = EXCLUDED.graded_sequence, paid = EXCLUDED.paid
"""

# What was shipped in place of units: the only things of a later life that exist. Written for
# every return at hand, because the release before wrote none.
SAVE_REPLACED = """
INSERT INTO replaced_units (order_id, line_id, ordinal, life, return_id, sku)
SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::text[], $6::text[])
ON CONFLICT (order_id, line_id, ordinal, life) DO NOTHING
"""

# In the order in which we learned of it; rows are never changed.
UNIT_HISTORY = """
SELECT line_id, ordinal, at, state FROM unit_history WHERE return_id = $1 ORDER BY seq
"""


@dataclass(frozen=True, slots=True)
class Move:
    """One unit came into a state."""

    return_id: str
    unit: Unit
    at: datetime


@dataclass(kw_only=True)
class FulfillmentWork(UnitOfWork):
    """The goods of every order that a batch touches."""

    orders: IdentityMap[OrderFacts] = field(
        default_factory=lambda: IdentityMap(lambda order: order.order_id)
    )
    returns: IdentityMap[ReturnGoods] = field(
        default_factory=lambda: IdentityMap(lambda goods: goods.return_id)
    )
    _by_order: dict[str, dict[str, None]] = field(default_factory=dict)
    _by_tracking: dict[str, str] = field(default_factory=dict)
    _stored_units: dict[str, tuple[Unit, ...]] = field(default_factory=dict)
    _moves: list[Move] = field(default_factory=list)

    def goods(self, order_id: str) -> Goods:
        """Everything known of one order, whether or not there is anything."""
        return Goods(
            order_id=order_id,
            order=self.orders.get(order_id),
            returns={id_: self.returns[id_] for id_ in self._by_order.get(order_id, {})},
        )

    def put_goods(self, before: Goods, after: Goods) -> None:
        """Remember every return that a decision changed."""
        for id_, changed in after.returns.items():
            known = before.returns.get(id_)
            if known is not changed:
                self.returns.put(changed)
                self._index(changed)
                self._remember_moves(known, changed)

    def _remember_moves(self, before: ReturnGoods | None, after: ReturnGoods) -> None:
        if before is not None and before.units is after.units:
            return
        at = getattr(self.message.body, "occurred_at", None) or self.now
        states = {unit.key: unit.state for unit in before.units} if before is not None else {}
        self._moves += [
            Move(after.return_id, unit, at)
            for unit in after.units
            if states.get(unit.key) is not unit.state
        ]

    def return_of(self, event: WarehouseEvent) -> ReturnGoods | None:
        """The return that an event names, else the one that its tracking number belongs to."""
        named = self.returns.get(event.return_id)
        if named is not None or event.tracking_number is None:
            return named
        return self.returns.get(self._by_tracking.get(event.tracking_number))

    def awaited_by(self, order_id: str | None) -> str | None:
        """The order's return whose goods are to come; with several of them the latest id."""
        returns = (self.returns[id_] for id_ in self._by_order.get(order_id or "", {}))
        waiting = [
            each.return_id
            for each in returns
            if each.standing is Standing.APPROVED and each.required
        ]
        return max(waiting, default=None)

    def _index(self, goods: ReturnGoods) -> None:
        self._by_order.setdefault(goods.order_id, {})[goods.return_id] = None
        for number in _tracking_numbers(goods):
            self._by_tracking.setdefault(number, goods.return_id)

    async def keys(
        self, connection: AnyConnection, messages: Sequence[Received]
    ) -> list[tuple[str, ...]]:
        bodies = [message.body for message in messages]
        named = _values(bodies, "return_id")
        numbers = _values(bodies, "tracking_number")
        found: dict[str, set[str]] = {}
        if named or numbers:
            for row in await connection.fetch(FIND_ORDERS, named, numbers):
                found.setdefault(row["known"], set()).add(row["order_id"])
        return [_keys(body, found) for body in bodies]

    async def load(
        self, connection: AnyConnection, keys: Sequence[str], messages: Sequence[Received]
    ) -> None:
        locked = set(keys)
        for row in await connection.fetch(LOAD_ORDERS, keys):
            self.orders.load([OrderFacts.model_validate_json(row["document"])])
        for row in await connection.fetch(LOAD_RETURNS, keys):
            if row["order_id"] not in locked:
                raise Conflict("a return became known while its order was not locked")
            goods = read_return(row["document"], row["units"])
            self._stored_units[goods.return_id] = goods.units
            self.returns.load([goods])
            self._index(goods)

    async def save(self, connection: AnyConnection) -> None:
        orders, returns = self.orders.changed(), self.returns.changed()
        if orders or returns:
            parcels = [(n, goods) for goods in returns for n in _tracking_numbers(goods)]
            await connection.execute(
                SAVE_GOODS,
                [order.order_id for order in orders],
                [order.version for order in orders],
                [order.model_dump_json() for order in orders],
                [goods.return_id for goods in returns],
                [goods.order_id for goods in returns],
                [goods.standing for goods in returns],
                [
                    goods.model_dump_json(exclude={"units"}, exclude_defaults=True)
                    for goods in returns
                ],
                [number for number, _ in parcels],
                [goods.return_id for _, goods in parcels],
                [goods.order_id for _, goods in parcels],
            )
        units = [pair for goods in returns for pair in self._changed_units(goods)]
        if units:
            replacements = [unit.life if unit.life > 1 else None for _, unit in units]
            columns = (*_unit_columns(units), *_move_columns(self._moves), replacements)
            await connection.execute(SAVE_UNITS, *columns)
        replaced = [row for goods in self.returns if goods.replacements for row in _replaced(goods)]
        if replaced:
            await connection.execute(SAVE_REPLACED, *map(list, zip(*replaced, strict=True)))

    def _changed_units(self, goods: ReturnGoods) -> list[tuple[ReturnGoods, Unit]]:
        stored = {unit.key: unit for unit in self._stored_units.get(goods.return_id, ())}
        return [(goods, unit) for unit in goods.units if stored.get(unit.key) != unit]


def read_return(document: str, units: str) -> ReturnGoods:
    """The two texts as one JSON object; a document is never empty, it names its return."""
    return ReturnGoods.model_validate_json(f'{document[:-1]}, "units": {units}}}')


def _tracking_numbers(goods: ReturnGoods) -> list[str]:
    numbers = [label.tracking_number for label in goods.labels]
    numbers += [parcel.tracking_number for parcel in goods.parcels]
    numbers += [parcel.tracking_number for parcel in goods.outbound]
    return sorted({number for number in numbers if number is not None})


def _values(bodies: Sequence[Message], name: str) -> list[str]:
    return sorted({value for body in bodies if (value := getattr(body, name, None)) is not None})


def _keys(body: Message, found: dict[str, set[str]]) -> tuple[str, ...]:
    """What the message names, and the orders that these names are known to belong to."""
    names = {getattr(body, name, None) for name in ("order_id", "return_id", "tracking_number")}
    keys = {name for name in names if name is not None}
    return tuple(sorted(keys.union(*(found.get(name, set()) for name in keys))))


def _replaced(goods: ReturnGoods) -> list[tuple[str, str, int, int, str, str]]:
    """(order, line, ordinal, life, return, SKU) of what was sent in place of this return's units"""
    sent = goods.replaced
    return [
        (goods.order_id, *unit.key, unit.life + 1, goods.return_id, sent[unit.key].sku)
        for unit in goods.units
        if unit.key in sent
    ]


def _unit_columns(units: Sequence[tuple[ReturnGoods, Unit]]) -> tuple[list[Any], ...]:
    return (
        [goods.return_id for goods, _ in units],
        [unit.line_id for _, unit in units],
        [unit.ordinal for _, unit in units],
        [goods.order_id for goods, _ in units],
        [unit.sku for _, unit in units],
        [unit.sold for _, unit in units],
        [unit.state for _, unit in units],
        [unit.grade for _, unit in units],
        [unit.defect_confirmed for _, unit in units],
        [unit.graded_sequence for _, unit in units],
        [unit.paid for _, unit in units],
    )


def _move_columns(moves: Sequence[Move]) -> tuple[list[Any], ...]:
    return (
        [move.return_id for move in moves],
        [move.unit.line_id for move in moves],
        [move.unit.ordinal for move in moves],
        [move.at for move in moves],
        [move.unit.state for move in moves],
    )


History = dict[tuple[str, int], list[tuple[datetime, str]]]
"""(line id, ordinal) -> (when, state) as they followed each other"""


async def find_history(pool: Any, return_id: str) -> History:
    """Every move of the return's units, for reading."""
    found: History = {}
    for row in await pool.fetch(UNIT_HISTORY, return_id):
        moves = found.setdefault((row["line_id"], row["ordinal"]), [])
        moves.append((row["at"], row["state"]))
    return found


async def find_return(pool: Any, return_id: str) -> ReturnGoods | None:
    """One return's goods as they are stored now, for reading."""
    rows = await pool.fetch(LOAD_RETURNS, [return_id])
    found = (read_return(row["document"], row["units"]) for row in rows)
    return next((goods for goods in found if goods.return_id == return_id), None)
