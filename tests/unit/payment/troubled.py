"""What the simulated worlds of refunds and of reversals share: effects, answers and deaths."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from contracts.base import Message
from services.chassis.decision import Effect
from services.chassis.service import Again

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=15)
RETURN_ID = "11111111-1111-4111-8111-111111111111"
REFUND_ID = "refund-1"


class Troubled:
    """A world from one seed, more or less ill, until it is calm."""

    deaths = 0.2
    """The share of its trouble that kills whoever carries out an effect."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.trouble = self.random.random()
        """How ill this world is."""
        self.at = START
        self.calm = False
        self.effects: list[tuple[datetime, str, Any]] = []
        """(due, id, payload)"""
        self.outcomes: list[Any] = []
        self.events: list[Message] = []

    def dies(self) -> bool:
        return not self.calm and self.random.random() < self.deaths * self.trouble

    def intend(self, effects: Iterable[Effect]) -> None:
        """The same intent recorded twice is one intent."""
        known = {id_ for _, id_, _ in self.effects}
        for effect in effects:
            if effect.id not in known:
                self.effects.append((effect.not_before or self.at, effect.id, effect.payload))

    def carry_out(self) -> None:
        """One effect that is due, by somebody who may die before or after it."""
        due = [each for each in self.effects if each[0] <= self.at]
        if not due:
            return
        chosen = self.random.choice(due)
        self.effects.remove(chosen)
        _, id_, payload = chosen
        made = None if self.dies() else self.execute(payload)
        if made is None or self.dies():
            # Whoever carried it out is gone, with its answer; the lease brings it back.
            self.effects.append((self.at + LEASE, id_, payload))
        elif isinstance(made, Again):
            self.effects.append((max(made.at, self.at), id_, payload))
        else:
            self.outcomes.append(made)

    def deliver_outcome(self) -> None:
        """Any answer that nobody has heard yet."""
        if self.outcomes:
            self.handle(self.outcomes.pop(self.random.randrange(len(self.outcomes))))

    def execute(self, payload: Any) -> Message | Again | None:
        """What an executor does; None: the process died in the middle."""
        raise NotImplementedError

    def handle(self, message: Any) -> None:
        """What a transaction makes of a message to self."""
        raise NotImplementedError
