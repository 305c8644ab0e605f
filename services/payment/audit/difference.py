"""How two books can differ, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

from contracts.base import Part


class Kind(StrEnum):
    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    AMOUNT = "amount"
    CURRENCY = "currency"
    STATE = "state"
    DUPLICATE = "duplicate"


ACTIONS = {
    Kind.MISSING_HERE: "made outside this system: find out who made it; it lowers what is left",
    Kind.MISSING_THERE: "look it up at the processor; if it is truly absent, release it anew",
    Kind.AMOUNT: "stop, ask the processor, correct with a new entry",
    Kind.CURRENCY: "stop, ask the processor, correct with a new entry",
    Kind.STATE: "look it up again; the processor's state will be taken over",
    Kind.DUPLICATE: "recover the second one from the customer or the processor at once",
}


class Difference(Part):
    kind: Kind
    processor: str
    refund_id: str | None = None
    reversal_id: str | None = None
    order_id: str | None = None
    reference: str | None = None
    ours: str
    theirs: str
    action: str
