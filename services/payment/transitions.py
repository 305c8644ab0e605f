"""The money axis as a table: what may happen to a refund in each state, and what that leads to.

MOVES, IGNORED and IMPOSSIBLE partition state x event; a test proves it.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import product

from services.payment.model import RefundState

NONE = RefundState.NONE
RESERVED = RefundState.RESERVED
SUBMITTING = RefundState.SUBMITTING
PENDING = RefundState.PENDING_SETTLEMENT
SETTLED = RefundState.SETTLED
OUTCOME_UNKNOWN = RefundState.OUTCOME_UNKNOWN
REFUSED = RefundState.REFUSED
SETTLEMENT_FAILED = RefundState.SETTLEMENT_FAILED
VOIDED = RefundState.VOIDED


class Event(StrEnum):
    RELEASED = "released"
    """Commerce released it."""
    SUBMIT = "submit"
    """It is about to be handed to the processor."""
    HOLD = "hold"
    """A dispute was seen right before the submission: nothing was submitted."""
    TAKEN = "taken"
    """The processor has it and it is under way."""
    SUCCEEDED = "succeeded"
    """The money left, or our own ledger paid it."""
    REFERENCED = "referenced"
    """A person paid it and named the reference."""
    DECLINED = "declined"
    """The processor said no; nothing was done."""
    FAILED = "failed"
    """The processor had it and it failed or was cancelled: the money is back."""
    NO_ANSWER = "no_answer"
    """A time-out, a 5xx or a crash: nobody knows."""
    ABSENT = "absent"
    """A look-up proved that the processor has nothing of it."""
    GIVEN_UP = "given_up"
    """Absence proven, and no attempt is left."""
    VOID = "void"
    """Commerce takes the release back."""


class Impossible(ValueError):
    """What can never happen did: a person has to look."""


MOVES: dict[tuple[RefundState, Event], RefundState] = {
    (NONE, Event.RELEASED): RESERVED,
    (RESERVED, Event.SUBMIT): SUBMITTING,
    (RESERVED, Event.REFERENCED): SETTLED,
    (RESERVED, Event.VOID): VOIDED,
    # What the processor shows wins, also where an earlier attempt turns up late.
    (RESERVED, Event.TAKEN): PENDING,
    (RESERVED, Event.SUCCEEDED): SETTLED,
    (SUBMITTING, Event.HOLD): RESERVED,
    (SUBMITTING, Event.TAKEN): PENDING,
    (SUBMITTING, Event.SUCCEEDED): SETTLED,
    (SUBMITTING, Event.DECLINED): REFUSED,
    (SUBMITTING, Event.FAILED): REFUSED,
    (SUBMITTING, Event.GIVEN_UP): REFUSED,
    (SUBMITTING, Event.NO_ANSWER): OUTCOME_UNKNOWN,
    (OUTCOME_UNKNOWN, Event.TAKEN): PENDING,
    (OUTCOME_UNKNOWN, Event.SUCCEEDED): SETTLED,
    (OUTCOME_UNKNOWN, Event.DECLINED): REFUSED,
    (OUTCOME_UNKNOWN, Event.FAILED): SETTLEMENT_FAILED,
    (OUTCOME_UNKNOWN, Event.ABSENT): RESERVED,
    (OUTCOME_UNKNOWN, Event.GIVEN_UP): REFUSED,
    (PENDING, Event.SUCCEEDED): SETTLED,
    (PENDING, Event.FAILED): SETTLEMENT_FAILED,
    (SETTLED, Event.FAILED): SETTLEMENT_FAILED,
}

KNOWN = (
    RESERVED,
    SUBMITTING,
    PENDING,
    SETTLED,
    OUTCOME_UNKNOWN,
    REFUSED,
    SETTLEMENT_FAILED,
    VOIDED,
)
_OVER = (REFUSED, SETTLEMENT_FAILED, VOIDED)

IGNORED: frozenset[tuple[RefundState, Event]] = frozenset(
    {
        # The same release again.
        *product(KNOWN, (Event.RELEASED,)),
        # An answer or a look-up that others overtook.
        *product((RESERVED, OUTCOME_UNKNOWN, PENDING, SETTLED, *_OVER), (Event.HOLD,)),
        *product((RESERVED, OUTCOME_UNKNOWN, PENDING, SETTLED, *_OVER), (Event.NO_ANSWER,)),
        *product((RESERVED, SUBMITTING, PENDING, SETTLED, *_OVER), (Event.ABSENT,)),
        *product((PENDING, SETTLED, SETTLEMENT_FAILED), (Event.TAKEN,)),
        *product((SETTLED, SETTLEMENT_FAILED), (Event.SUCCEEDED,)),
        *product((RESERVED, *_OVER), (Event.FAILED,)),
        *product((RESERVED, *_OVER), (Event.DECLINED,)),
        (SETTLED, Event.REFERENCED),
        # Taking back what is under way is remembered, what has ended cannot be taken back.
        *product((SUBMITTING, OUTCOME_UNKNOWN, PENDING, SETTLED, *_OVER), (Event.VOID,)),
    }
)

IMPOSSIBLE: frozenset[tuple[RefundState, Event]] = frozenset(
    {
        # Nothing can happen to a refund that nobody released.
        *((NONE, event) for event in Event if event is not Event.RELEASED),
        # Money moved for a refund that we took for refused or voided: never paper over it.
        *product((REFUSED, VOIDED), (Event.TAKEN, Event.SUCCEEDED)),
        # Only what is reserved is submitted.
        *product((SUBMITTING, PENDING, SETTLED, OUTCOME_UNKNOWN, *_OVER), (Event.SUBMIT,)),
        # The processor has it: it cannot say that nothing was done.
        *product((PENDING, SETTLED), (Event.DECLINED,)),
        # A person pays only what waits for a person.
        *product((SUBMITTING, OUTCOME_UNKNOWN, PENDING, *_OVER), (Event.REFERENCED,)),
        *product((RESERVED, PENDING, SETTLED, *_OVER), (Event.GIVEN_UP,)),
    }
)


def move(state: RefundState, event: Event) -> RefundState | None:
    """The next state; None where the event is late or a duplicate. Raises Impossible."""
    if (state, event) in IGNORED:
        return None
    try:
        return MOVES[state, event]
    except KeyError:
        raise Impossible(f"a refund that is {state} cannot meet '{event}'") from None
