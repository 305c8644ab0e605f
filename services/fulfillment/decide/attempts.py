"""Intents and their answers: labels and replacements follow one rule.

Whatever is intended has a name and a number of the attempt. An answer counts once, and only while
that very attempt's outcome is open; what comes late, twice, or of an earlier attempt changes
nothing. The outcome of an attempt that may have had its effect is looked up by the name (labels),
or the same call is made again under the same name (stock and shipments, which are idempotent).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar

from services.fulfillment.messages import OfAttempt
from services.fulfillment.model import Goods, ReturnGoods


class Intended(Protocol):
    """A label or a replacement."""

    @property
    def name(self) -> str: ...

    @property
    def attempt(self) -> int: ...

    @property
    def state(self) -> str: ...


T = TypeVar("T", bound=Intended)


def named(every: Iterable[T], name: str) -> T | None:
    return next((each for each in every if each.name == name), None)


def awaited(
    goods: Goods, message: OfAttempt, every: Iterable[T], open_states: Collection[str]
) -> tuple[ReturnGoods, T] | None:
    """The return and what was intended, if the answer is to its open attempt."""
    current = goods.returns.get(message.return_id)
    found = named(every, message.name)
    if current is None or found is None or found.attempt != message.attempt:
        return None
    return (current, found) if found.state in open_states else None
