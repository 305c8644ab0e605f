"""Which payment gives how much back: the last one captured first, each up to what it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contracts.decisions import Allocation


def allocations(
    total: int, payment_ids: Sequence[str], refundable: Mapping[str, int]
) -> tuple[Allocation, ...]:
    """`total` minor units over the payments in reversed order; less where they cannot give it."""
    rest = total
    parts = []
    for payment_id in reversed(payment_ids):
        amount = min(rest, max(refundable.get(payment_id, 0), 0))
        if amount:
            parts.append(Allocation(payment_id=payment_id, amount=amount))
            rest -= amount
    return tuple(parts)


def next_part(
    total: int, approved: Sequence[Allocation], already: Sequence[Allocation]
) -> tuple[Allocation, ...]:
    """`total` minor units out of approved allocations of which `already` has been released."""
    used: dict[str, int] = {}
    for allocation in already:
        used[allocation.payment_id] = used.get(allocation.payment_id, 0) + allocation.amount
    rest = total
    parts = []
    for allocation in approved:
        left = max(allocation.amount - used.get(allocation.payment_id, 0), 0)
        amount = min(rest, left)
        if amount:
            parts.append(Allocation(payment_id=allocation.payment_id, amount=amount))
            rest -= amount
    return tuple(parts)
