"""What a long run must have reached: a simulation that never gets there shows nothing about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from services.commerce.transitions import MOVES as RETURN_MOVES
from services.payment.transitions import MOVES as REFUND_MOVES
from tests.simulation.faults import CALLS
from tests.simulation.kinds import KINDS

SEEDS_MIN, SEEDS_MIN_RARE = 100, 300
"""A shorter run need not have reached anything, or what is rare."""
RARE = frozenset({
    "kill:payment after_claim", "kill:payment after_submit", "escalated assessment_timeout",
    "refund outcome_unknown absent", "refund outcome_unknown taken",
    "refund outcome_unknown succeeded", "refund tried again after proof of absence",
})  # fmt: skip
"""Two faults have to meet at one refund: any change of the code may move it to another seed."""
SELDOM_BELOW = 4
CHECKPOINTS = {
    "commerce": ("before_commit", "after_commit", "after_publish"),
    "fulfillment": (
        "before_commit", "after_commit", "after_publish", "before_effect", "after_effect",
    ),
    "payment": (
        "before_commit", "after_commit", "after_publish", "before_effect", "after_effect",
        "after_claim", "after_submit",
    ),
    "gateway": ("before_commit", "after_commit", "after_publish"),
}  # fmt: skip
FIRED = (
    *(f"kill:{service} {name}" for service, names in CHECKPOINTS.items() for name in names),
    *(f"call:{name}" for name in CALLS),
    *(f"webhook:{name}" for name in ("lost", "answer lost", "forged", "old")),
    *(f"pause:{name}" for name in ("poll", "claim", "carry out", "settle")),
    "kill_idle", "reset:before_commit", "reset:after_commit", "store_away", "broker_away",
    "partition_away", "duplicate", "rewind", "rebalance", "time", "skew", "uncommitted",
    "answer_lost", "poison",
)  # fmt: skip


def expected(seeds: int) -> list[str]:
    """Everything that so many seeds together must have reached."""
    if seeds < SEEDS_MIN:
        return []
    return [name for name in (*FIRED, *REACHED) if seeds >= SEEDS_MIN_RARE or name not in RARE]


def missing(seen: Counter[str], seeds: int) -> list[str]:
    return [name for name in expected(seeds) if not seen[name]]


def seldom(seen: Counter[str]) -> list[str]:
    """What hardly was reached: told, so that it can be drawn more often."""
    names = (*FIRED, *REACHED)
    return [f"{name} {seen[name]}" for name in names if seen[name] < SELDOM_BELOW]


def also_never(seen: Iterable[str]) -> list[str]:
    """Rows of the tables that nobody asked for and that were not reached: told, not failed."""
    known = set(seen)
    rows = [f"refund {state} {event}" for state, event in REFUND_MOVES]
    return [row for row in rows if row not in known and row not in REACHED]


REACHED = (
    *(f"{kind} ends {status}" for kind, status in {
        "happy": "settled", "rejected_late": "rejected", "never_sent": "expired",
        "cancelled": "cancelled", "declined": "settled", "fails_later": "settled",
        "reviewed_twice": "rejected", "lost_parcel": "settled",
        "exchange": "settled", "replacement": "settled", "sold_out": "settled",
        "sold_out_before": "settled", "waits_for_more": "settled", "bank_transfer": "settled",
        "linked": "settled", "evidence": "settled", "taken_back": "settled",
        "partly_taken_back": "settled", "two_at_once": "settled", "two_in_turn": "settled",
        "contested": "settled", "dispute_won": "settled",
    }.items()),
    "escalated outside_window", "escalated conflicting_evidence", "escalated settlement_failed",
    "escalated inventory_contradiction",
    "escalated order_not_found", "escalated payment_not_refundable", "escalated assessment_timeout",
    "decision approved by agent", "decision approved by human", "decision rejected by human",
    "released by store_credit", "released by bank_transfer",
    "refund none released", "refund reserved submit", "refund submitting taken",
    "refund submitting no_answer", "refund submitting declined", "refund outcome_unknown absent",
    "refund outcome_unknown taken", "refund outcome_unknown succeeded",
    "refund pending_settlement succeeded", "refund settled failed",
    "refund tried again after proof of absence",
)  # fmt: skip
assert set(KINDS) and RETURN_MOVES
