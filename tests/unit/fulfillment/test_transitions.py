"""The goods axis is a table without holes."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from services.fulfillment.model import UnitState
from services.fulfillment.transitions import (
    AT_HOME,
    IGNORED,
    IMPOSSIBLE,
    IN_HAND,
    MOVES,
    OWED,
    Impossible,
    UnitEvent,
    move,
)


def test_moves_ignored_and_impossible_partition_state_by_event() -> None:
    everything = set(product(UnitState, UnitEvent))
    assert set(MOVES) | IGNORED | IMPOSSIBLE == everything
    assert not set(MOVES) & IGNORED
    assert not set(MOVES) & IMPOSSIBLE
    assert not IGNORED & IMPOSSIBLE


def test_every_move_leads_somewhere_else() -> None:
    assert all(before is not after for (before, event), after in MOVES.items()
               if event is not UnitEvent.GRADED_MISSING)  # fmt: skip


def test_every_state_but_the_first_is_reached() -> None:
    assert set(MOVES.values()) == set(UnitState)


def test_a_unit_in_the_warehouse_is_moved_by_no_carrier() -> None:
    for state, event in product(IN_HAND, (UnitEvent.ACCEPTED, UnitEvent.DELIVERED)):
        assert move(state, event) is state


def test_what_is_not_there_cannot_be_disposed_of() -> None:
    for state in AT_HOME:
        with pytest.raises(Impossible):
            move(state, UnitEvent.RESTOCKED)


@pytest.mark.parametrize("start", sorted(OWED))
def test_scans_a_receipt_and_an_inspection_end_alike_in_every_order(start: UnitState) -> None:
    seen = (UnitEvent.ACCEPTED, UnitEvent.DELIVERED, UnitEvent.COUNTED, UnitEvent.GRADED)
    for order in permutations(seen):
        state = start
        for event in (*order, *order):
            state = move(state, event)
        assert state is UnitState.INSPECTED
