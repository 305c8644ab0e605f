"""Customers, shops, carriers, warehouses and reviewers: each return's story, step by step.

A story is a generator. It yields what it waits for or what it calls; the world decides when.
People see what the services publish, as soon as it is on the bus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from contracts.base import Message
from contracts.decisions import Outcome, ReturnDecisionMade, Verdict
from contracts.lifecycle import Party, ReturnStatusChanged, Status
from services.commerce.status import CHOOSE

Json = dict[str, Any]
FINAL = frozenset({Status.REJECTED, Status.CANCELLED, Status.EXPIRED, Status.SETTLED})


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request to the gateway, repeated with the same key until it is answered for good.

    `unless`: it is pointless by now, and is not made (again).
    """

    method: str
    path: str
    body: Json
    key: str
    unless: Callable[[], bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Until `holds`, or until `at`."""

    holds: Callable[[], bool] | None = None
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Do:
    """Something at the processor, the carrier or in the shop: it happens at once."""

    what: str
    act: Callable[[], None]


Step = Call | Wait | Do
Story = Iterator[Step]


@dataclass(kw_only=True)
class Seen:
    """What the people of one return have seen of it."""

    return_id: str
    status: Status | None = None
    party: Party | None = None
    number: int = 0
    replacement_failed: bool = False
    """The customer was asked to choose a refund or to wait."""
    decision: ReturnDecisionMade | None = None
    approved_units: int = 0
    """By the last approval, whatever has become of it since."""
    heard: set[str] = field(default_factory=set)
    """Kinds of messages about this return."""
    statuses: set[Status] = field(default_factory=set)

    def hear(self, message: Message) -> None:
        self.heard.add(type(message).__name__)
        if isinstance(message, ReturnStatusChanged) and message.number > self.number:
            self.number, self.status, self.party = (
                message.number,
                message.status,
                message.waiting_on,
            )
            self.statuses.add(message.status)
            self.replacement_failed = message.explanation == CHOOSE
        if isinstance(message, ReturnDecisionMade) and (
            self.decision is None or message.sequence > self.decision.sequence
        ):
            self.decision = message
            if message.decision is Outcome.APPROVED:
                approved = [line for line in message.lines if line.verdict is Verdict.APPROVED]
                self.approved_units = sum(len(line.units) for line in approved)

    @property
    def final(self) -> bool:
        return self.status in FINAL

    @property
    def sequence(self) -> int:
        return self.decision.sequence if self.decision is not None else 0

    @property
    def case(self) -> str | None:
        """The case that waits for a person."""
        made = self.decision
        if made is None or made.decision is not Outcome.ESCALATED or made.escalation is None:
            return None
        return made.escalation.case.case_sha256

    @property
    def under_review(self) -> bool:
        waits = self.status in (Status.AWAITING_REVIEW, Status.SETTLEMENT_FAILED)
        return waits and self.party is Party.REVIEWER and self.case is not None


@dataclass
class Actor:
    """A story in progress."""

    name: str
    story: Story
    return_id: str
    step: Step | None = None
    tries: int = 0
    not_before: datetime | None = None
    done: bool = False

    def __post_init__(self) -> None:
        self.go_on()

    def go_on(self) -> None:
        self.tries, self.not_before = 0, None
        self.step = next(self.story, None)
        self.done = self.step is None

    def ready(self, now: datetime) -> bool:
        if self.done or (self.not_before is not None and now < self.not_before):
            return False
        if isinstance(self.step, Wait):
            due = self.step.at is not None and now >= self.step.at
            return due or (self.step.holds is not None and self.step.holds())
        return True

    def wakes_at(self, now: datetime) -> datetime | None:
        """The instant at which it may be ready for another reason than news."""
        if self.done:
            return None
        if self.not_before is not None and self.not_before > now:
            return self.not_before
        return self.step.at if isinstance(self.step, Wait) else None


def later(now: Callable[[], datetime], **wait: float) -> Wait:
    return Wait(at=now() + timedelta(**wait))
