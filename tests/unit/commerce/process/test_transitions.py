from __future__ import annotations

from itertools import product

import pytest

from services.commerce.model import State
from services.commerce.transitions import IGNORED, IMPOSSIBLE, MOVES, Event, Impossible, move


def test_moves_ignored_and_impossible_partition_state_and_event() -> None:
    parts = [frozenset(MOVES), IGNORED, IMPOSSIBLE]
    assert frozenset().union(*parts) == frozenset(product(State, Event))
    assert sum(len(part) for part in parts) == len(State) * len(Event)


@pytest.mark.parametrize("pair", sorted(IMPOSSIBLE))
def test_the_impossible_is_refused(pair: tuple[State, Event]) -> None:
    with pytest.raises(Impossible):
        move(*pair)


@pytest.mark.parametrize("pair", sorted(product(State, Event)))
def test_everything_else_moves_or_stays(pair: tuple[State, Event]) -> None:
    if pair not in IMPOSSIBLE:
        assert move(*pair) == MOVES.get(pair)


def test_the_moves_are_those_of_the_domain() -> None:
    pairs = {(before, after) for (before, _), after in MOVES.items()}
    s = State
    assert pairs == {
        (s.REQUESTED, s.ASSESSING),
        (s.REQUESTED, s.AWAITING_REVIEW),
        (s.ASSESSING, s.APPROVED),
        (s.ASSESSING, s.REJECTED),
        (s.ASSESSING, s.AWAITING_REVIEW),
        (s.AWAITING_REVIEW, s.APPROVED),
        (s.AWAITING_REVIEW, s.REJECTED),
        (s.AWAITING_REVIEW, s.ASSESSING),
        (s.AWAITING_REVIEW, s.CANCELLED),
        (s.AWAITING_REVIEW, s.AWAITING_REVIEW),
        (s.APPROVED, s.APPROVED),
        (s.APPROVED, s.AWAITING_REVIEW),
        (s.REQUESTED, s.CANCELLED),
        (s.ASSESSING, s.CANCELLED),
        (s.APPROVED, s.CANCELLED),
        (s.APPROVED, s.EXPIRED),
        (s.CANCELLED, s.AWAITING_REVIEW),
        (s.EXPIRED, s.AWAITING_REVIEW),
        (s.REJECTED, s.AWAITING_REVIEW),
    }
