"""Refunds that the processor never took, however often it was asked, and what was paid instead.

Faults may come so thick that all attempts at a refund are proven absent. Then the customer is asked
how else to be paid (`attempts_exhausted`), which without faults nobody is: the one thing about the
end of a return that faults may change, and only for exactly that refund's amount.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.decisions import RefundReleased
from contracts.payment import RefundFailed
from contracts.requests import Method
from services.payment.model import REFUND_ATTEMPTS_MAX
from tests.simulation.orders import Json

EXHAUSTED = "attempts_exhausted"
PLACE = {
    Method.STORE_CREDIT: "credited",
    Method.BANK_TRANSFER: "transferred",
    Method.NEW_METHOD: "transferred",
}
"""Another way to be paid -> where the end of a return counts it."""


@dataclass
class Instead:
    """Told of refunds that failed and that were released, in the order in which that was said."""

    _exhausted: dict[str, RefundFailed] = field(default_factory=dict)
    _paid: dict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))

    def failed(self, body: RefundFailed, attempts: int) -> None:
        """`attempts`: of this refund, that its store says were submitted."""
        tried = min(body.attempt, attempts) >= REFUND_ATTEMPTS_MAX
        if tried and body.failure_code == EXHAUSTED and body.retryable:
            self._exhausted[body.refund_id] = body

    def released(self, body: RefundReleased) -> None:
        """Notes a release that pays, another way, what an exhausted refund was to pay."""
        never_taken = self._exhausted.get(body.replaces_refund_id or "")
        place = PLACE.get(body.method)
        if never_taken is None or place is None or body.amount != never_taken.amount:
            return
        self._paid[body.return_id].append(
            {"payment_id": never_taken.payment_id, "amount": body.amount, "place": place}
        )

    def of(self, return_id: str, payment_ids: Sequence[str]) -> list[Json]:
        """What was paid instead: `payment`, the place of its payment among `payment_ids`;
        `amount`, minor units; `place`, where the end of the return counts it."""
        return [
            {
                "payment": payment_ids.index(each["payment_id"]),
                "amount": each["amount"],
                "place": each["place"],
            }
            for each in self._paid[return_id]
        ]


def alike(found: Sequence[Json], calm: Sequence[Json], *, sort: bool) -> bool:
    """Whether the returns of an order ended as without faults, to the unit.

    What was paid `instead` counts as paid the way it was meant, where they differ otherwise.
    `sort`: the returns raced, and whoever came first is told first.
    """
    as_they_are = _ends(found, sort, put_back=False)
    as_was_meant = _ends(found, sort, put_back=True)
    return _ends(calm, sort, put_back=False) in (as_they_are, as_was_meant)


def _ends(ends: Sequence[Json], sort: bool, *, put_back: bool) -> list[Json]:
    found = [_end(end, put_back=put_back) for end in ends]
    return sorted(found, key=lambda each: json.dumps(each, sort_keys=True)) if sort else found


def _end(end: Json, *, put_back: bool) -> Json:
    found = {**end, "paid": list(end["paid"])}
    for each in found.pop("instead") if put_back else ():
        found["paid"][each["payment"]] += each["amount"]
        found[each["place"]] -= each["amount"]
    found.pop("instead", None)
    return found
