"""The goods axis: one machine per unit, as a table.

Scans, receipts and inspections come in any order, late and twice, so each of them moves a unit
forward only: whatever the order in which they arrive, the unit ends in the same state.
"""

from __future__ import annotations

from enum import StrEnum

from services.fulfillment.model import UnitState

S = UnitState


class Impossible(Exception):
    """What cannot happen did: the record is set aside and the alarm raised."""


class UnitEvent(StrEnum):
    AUTHORISED = "authorised"
    EXEMPTED = "exempted"
    """The customer may keep it."""
    WITHDRAWN = "withdrawn"
    """The return was closed, or a later decision leaves this unit out."""
    LABELLED = "labelled"
    ACCEPTED = "accepted"
    """A carrier has it."""
    DELIVERED = "delivered"
    COUNTED = "counted"
    NOT_IN_PARCEL = "not_in_parcel"
    GRADED = "graded"
    GRADED_WRONG_ITEM = "graded_wrong_item"
    GRADED_MISSING = "graded_missing"
    SCAN_OVERDUE = "scan_overdue"
    SEND_BY_PASSED = "send_by_passed"
    RESTOCKED = "restocked"
    REFURBISHED = "refurbished"
    LIQUIDATED = "liquidated"
    RECYCLED = "recycled"
    DISPOSED = "disposed"
    SENT_BACK = "sent_back"


E = UnitEvent

AT_HOME = (S.NONE, S.AUTHORISED, S.LABEL_ISSUED, S.SHORT_SHIPPED, S.NEVER_SENT, S.NOT_REQUIRED)
"""Where the customer has the thing, as far as we know."""
UNTIL_COUNTED = (*AT_HOME, S.IN_TRANSIT, S.DELIVERED, S.LOST)
TAKEN_OVER = frozenset({S.RESTOCKED, S.REFURBISH, S.LIQUIDATED, S.RECYCLED, S.DISPOSED})
"""What became the merchant's own again."""
IN_HAND = frozenset({S.RECEIVED, S.INSPECTED, *TAKEN_OVER})
"""Where the thing itself is, or was, in the warehouse: only once at a time (a constraint)."""
ON_THE_WAY = frozenset({S.IN_TRANSIT, S.DELIVERED})
OWED = frozenset({S.AUTHORISED, S.LABEL_ISSUED, S.SHORT_SHIPPED})
"""What the customer still has to send."""


def _row(event: UnitEvent, *states: UnitState, to: UnitState) -> dict[
    tuple[UnitState, UnitEvent], UnitState
]:  # fmt: skip
    return {(state, event): to for state in states}


MOVES: dict[tuple[UnitState, UnitEvent], UnitState] = {
    **_row(E.AUTHORISED, S.NONE, S.NEVER_SENT, S.NOT_REQUIRED, to=S.AUTHORISED),
    **_row(
        E.EXEMPTED,
        S.NONE, S.AUTHORISED, S.LABEL_ISSUED, S.SHORT_SHIPPED, S.NEVER_SENT,
        to=S.NOT_REQUIRED,
    ),
    **_row(
        E.WITHDRAWN, S.AUTHORISED, S.LABEL_ISSUED, S.SHORT_SHIPPED, S.NOT_REQUIRED, to=S.NONE
    ),
    **_row(E.LABELLED, S.AUTHORISED, to=S.LABEL_ISSUED),
    **_row(E.ACCEPTED, *AT_HOME, S.LOST, to=S.IN_TRANSIT),
    **_row(E.DELIVERED, *AT_HOME, S.IN_TRANSIT, S.LOST, to=S.DELIVERED),
    **_row(E.COUNTED, *UNTIL_COUNTED, to=S.RECEIVED),
    **_row(
        E.NOT_IN_PARCEL,
        S.AUTHORISED, S.LABEL_ISSUED, S.IN_TRANSIT, S.DELIVERED,
        to=S.SHORT_SHIPPED,
    ),
    **_row(E.GRADED, *UNTIL_COUNTED, S.RECEIVED, to=S.INSPECTED),
    **_row(E.GRADED_WRONG_ITEM, *UNTIL_COUNTED, S.RECEIVED, to=S.WRONG_ITEM),
    **_row(E.GRADED_MISSING, *UNTIL_COUNTED, S.RECEIVED, to=S.SHORT_SHIPPED),
    **_row(E.SCAN_OVERDUE, S.IN_TRANSIT, to=S.LOST),
    **_row(E.SEND_BY_PASSED, *sorted(OWED), to=S.NEVER_SENT),
    **_row(E.RESTOCKED, S.INSPECTED, to=S.RESTOCKED),
    **_row(E.REFURBISHED, S.INSPECTED, to=S.REFURBISH),
    **_row(E.LIQUIDATED, S.INSPECTED, to=S.LIQUIDATED),
    **_row(E.RECYCLED, S.INSPECTED, to=S.RECYCLED),
    **_row(E.DISPOSED, S.INSPECTED, to=S.DISPOSED),
    **_row(E.SENT_BACK, S.RECEIVED, S.INSPECTED, S.WRONG_ITEM, to=S.SENT_BACK),
}  # fmt: skip

DISPOSALS = frozenset(
    {E.RESTOCKED, E.REFURBISHED, E.LIQUIDATED, E.RECYCLED, E.DISPOSED, E.SENT_BACK}
)
DISPOSED_OF = frozenset({*TAKEN_OVER, S.SENT_BACK})

IMPOSSIBLE: frozenset[tuple[UnitState, UnitEvent]] = frozenset(
    (state, event)
    for event in DISPOSALS
    for state in UnitState
    if (state, event) not in MOVES and state not in DISPOSED_OF
)
"""Nobody disposes of what is not there: our own fault, never a message's."""

_GONE = (*sorted(IN_HAND), S.SENT_BACK, S.WRONG_ITEM)
"""Seen in the warehouse: no carrier and no customer moves it any more."""

IGNORED: frozenset[tuple[UnitState, UnitEvent]] = frozenset(
    {
        *((state, E.AUTHORISED) for state in
          (S.AUTHORISED, S.LABEL_ISSUED, S.SHORT_SHIPPED, S.IN_TRANSIT, S.DELIVERED, S.LOST,
           *_GONE)),
        *((state, E.EXEMPTED) for state in
          (S.IN_TRANSIT, S.DELIVERED, S.LOST, S.NOT_REQUIRED, *_GONE)),
        *((state, E.WITHDRAWN) for state in
          (S.NONE, S.IN_TRANSIT, S.DELIVERED, S.LOST, S.NEVER_SENT, *_GONE)),
        *((state, E.LABELLED) for state in UnitState if state is not S.AUTHORISED),
        *((state, E.ACCEPTED) for state in (S.IN_TRANSIT, S.DELIVERED, *_GONE)),
        *((state, E.DELIVERED) for state in (S.DELIVERED, *_GONE)),
        *((state, E.COUNTED) for state in _GONE),
        *((state, E.NOT_IN_PARCEL) for state in
          (S.NONE, S.LOST, S.SHORT_SHIPPED, S.NEVER_SENT, S.NOT_REQUIRED, *_GONE)),
        *((state, event) for event in (E.GRADED, E.GRADED_WRONG_ITEM, E.GRADED_MISSING)
          for state in _GONE if state is not S.RECEIVED),
        *((state, E.SCAN_OVERDUE) for state in UnitState if state is not S.IN_TRANSIT),
        *((state, E.SEND_BY_PASSED) for state in UnitState if state not in OWED),
        *((state, event) for event in DISPOSALS for state in sorted(DISPOSED_OF)),
    }
)  # fmt: skip
"""Late, repeated, or overtaken: it changes nothing."""


def move(state: UnitState, event: UnitEvent) -> UnitState:
    """The state after the event; the same one where it is ignored. Raises Impossible."""
    to = MOVES.get((state, event))
    if to is not None:
        return to
    if (state, event) in IMPOSSIBLE:
        raise Impossible(f"a unit that is {state} cannot be {event}")
    return state
