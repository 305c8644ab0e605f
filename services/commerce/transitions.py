"""The decision axis as a table: what may happen to a return in each state, and where it leads.

MOVES, IGNORED and IMPOSSIBLE partition state x event; a test proves it.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import product

from services.commerce.model import State

REQUESTED = State.REQUESTED
ASSESSING = State.ASSESSING
APPROVED = State.APPROVED
REJECTED = State.REJECTED
AWAITING_REVIEW = State.AWAITING_REVIEW
CANCELLED = State.CANCELLED
EXPIRED = State.EXPIRED


class Event(StrEnum):
    ORDER_FOUND = "order_found"
    """Its order is known: facts are asked for. Also when a person links one."""
    APPROVE = "approve"
    """The agent or a person approves."""
    REJECT = "reject"
    """The agent or a person rejects."""
    ESCALATE = "escalate"
    """A person has to look, for a reason that is not a parcel."""
    PARCEL = "parcel"
    """A carrier or the warehouse has it."""
    CANCEL = "cancel"
    """The customer takes the request back, nothing was scanned or released."""
    EXPIRE = "expire"
    """It was never sent, and nothing was released."""


MOVES: dict[tuple[State, Event], State] = {
    (REQUESTED, Event.ORDER_FOUND): ASSESSING,
    (REQUESTED, Event.ESCALATE): AWAITING_REVIEW,
    (REQUESTED, Event.CANCEL): CANCELLED,
    (ASSESSING, Event.APPROVE): APPROVED,
    (ASSESSING, Event.REJECT): REJECTED,
    (ASSESSING, Event.ESCALATE): AWAITING_REVIEW,
    (ASSESSING, Event.CANCEL): CANCELLED,
    (APPROVED, Event.APPROVE): APPROVED,
    (APPROVED, Event.ESCALATE): AWAITING_REVIEW,
    (APPROVED, Event.CANCEL): CANCELLED,
    (APPROVED, Event.EXPIRE): EXPIRED,
    (AWAITING_REVIEW, Event.ORDER_FOUND): ASSESSING,
    (AWAITING_REVIEW, Event.APPROVE): APPROVED,
    (AWAITING_REVIEW, Event.REJECT): REJECTED,
    # The case is published again: new evidence, a stale review, one more reason.
    (AWAITING_REVIEW, Event.ESCALATE): AWAITING_REVIEW,
    (AWAITING_REVIEW, Event.CANCEL): CANCELLED,
    (REJECTED, Event.PARCEL): AWAITING_REVIEW,
    (CANCELLED, Event.PARCEL): AWAITING_REVIEW,
    (EXPIRED, Event.PARCEL): AWAITING_REVIEW,
}

IGNORED: frozenset[tuple[State, Event]] = frozenset(
    {
        # Asked already, or judged already.
        (ASSESSING, Event.ORDER_FOUND),
        (APPROVED, Event.ORDER_FOUND),
        # Late: it is over.
        *product((REJECTED, CANCELLED, EXPIRED), (Event.ORDER_FOUND, Event.ESCALATE)),
        *product((REJECTED, CANCELLED, EXPIRED), (Event.CANCEL, Event.EXPIRE)),
        # The goods are on their way as they should be, or before anybody decided.
        *product((REQUESTED, ASSESSING, APPROVED, AWAITING_REVIEW), (Event.PARCEL,)),
        # Nobody waits for the parcel of what is not approved.
        *product((REQUESTED, ASSESSING, AWAITING_REVIEW), (Event.EXPIRE,)),
    }
)

IMPOSSIBLE: frozenset[tuple[State, Event]] = frozenset(
    {
        # Nothing is decided without an order, or after the end.
        *product((REQUESTED, REJECTED, CANCELLED, EXPIRED), (Event.APPROVE, Event.REJECT)),
        # What was promised is only taken back by a person, who has to be asked first.
        (APPROVED, Event.REJECT),
    }
)


class Impossible(ValueError):
    """What can never happen did: a person has to look."""


def move(state: State, event: Event) -> State | None:
    """Where an event leads; None where it is ignored. Raises Impossible."""
    if (state, event) in IMPOSSIBLE:
        raise Impossible(f"{event} while {state}")
    return MOVES.get((state, event))


assert set(MOVES) | IGNORED | IMPOSSIBLE == set(product(State, Event))
