"""The money axis: its three tables partition state x event, and say what domain and law say."""

from __future__ import annotations

from itertools import product

import pytest

from services.payment.model import ACCOUNT_OF, FAILED_STATES, UNFINISHED, RefundState
from services.payment.transitions import IGNORED, IMPOSSIBLE, MOVES, Event, Impossible, move

EVERYTHING = set(product(RefundState, Event))


def test_moves_ignored_and_impossible_partition_state_and_event() -> None:
    moves, ignored, impossible = set(MOVES), set(IGNORED), set(IMPOSSIBLE)
    assert moves | ignored | impossible == EVERYTHING
    assert len(moves) + len(ignored) + len(impossible) == len(EVERYTHING)


@pytest.mark.parametrize(("state", "event"), sorted(EVERYTHING))
def test_move_answers_as_the_tables_say(state: RefundState, event: Event) -> None:
    if (state, event) in IMPOSSIBLE:
        with pytest.raises(Impossible):
            move(state, event)
    else:
        assert move(state, event) == MOVES.get((state, event))


def test_every_state_can_be_reached() -> None:
    reached = {RefundState.NONE}
    for _ in RefundState:
        reached |= {after for (before, _), after in MOVES.items() if before in reached}
    assert reached == set(RefundState)


def test_nothing_leaves_a_failed_state() -> None:
    assert not [before for before, _ in MOVES if before in FAILED_STATES]


def test_money_that_may_be_out_is_given_free_only_by_proof() -> None:
    proofs = {Event.DECLINED, Event.FAILED, Event.ABSENT, Event.GIVEN_UP}
    out = {
        RefundState.SUBMITTING,
        RefundState.OUTCOME_UNKNOWN,
        RefundState.PENDING_SETTLEMENT,
        RefundState.SETTLED,
    }
    free = FAILED_STATES | {RefundState.RESERVED}
    for (before, event), after in MOVES.items():
        if before in out and after in free:
            assert event in proofs | {Event.HOLD}, (before, event, after)


def test_an_unknown_outcome_never_leads_straight_to_another_submission() -> None:
    assert (RefundState.OUTCOME_UNKNOWN, Event.SUBMIT) in IMPOSSIBLE


def test_every_state_but_none_has_its_account() -> None:
    assert set(ACCOUNT_OF) == set(RefundState) - {RefundState.NONE}


def test_every_waiting_state_is_polled_or_has_an_effect_under_way() -> None:
    ended = FAILED_STATES | {RefundState.SETTLED, RefundState.NONE}
    assert set(RefundState) - ended == UNFINISHED | {RefundState.SUBMITTING}
