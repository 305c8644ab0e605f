"""Points: earned ones go back in proportion to the net refunded, redeemed ones are restored."""

from __future__ import annotations

from contracts.decisions import DecidedLoyalty
from contracts.orders import Loyalty


def _running(points: int, before: int, after: int, whole: int) -> int:
    """Points of the running share after this return, less those of the share before (floor)."""
    if whole <= 0:
        return 0
    after, before = min(after, whole), min(before, whole)
    return max(points * after // whole - points * before // whole, 0)


def earned_share(loyalty: Loyalty, *, before: int, net: int, whole: int) -> int:
    """Earned points that belong to `net` minor units refunded (items - restocking fee)."""
    return _running(loyalty.points_earned, before, before + net, whole)


def redeemed_share(loyalty: Loyalty, *, before: int, items: int, whole: int) -> int:
    """Redeemed points that belong to `items`; the last return takes the remainder."""
    return _running(loyalty.points_redeemed, before, before + items, whole)


NO_POINTS = DecidedLoyalty()
