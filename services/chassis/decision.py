"""What a pure `decide` returns: the new state, and what has to follow from it. No I/O here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from contracts.base import Message

State = TypeVar("State")


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """An intent to act on the outside world, stored now and carried out after the commit.

    `id` is derived from the business, so that the same intent is recorded once.
    `payload` is handed to the executor registered for its type; the answer is a message to self.
    """

    id: str
    payload: Message
    not_before: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadline:
    """A message to self at an instant. (name, subject) is unique: setting it again moves it.

    `message` None cancels. State decides, when it fires, whether it still matters.
    """

    name: str
    subject: str
    at: datetime | None = None
    message: Message | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision(Generic[State]):
    state: State
    events: tuple[Message, ...] = ()
    effects: tuple[Effect, ...] = ()
    deadlines: tuple[Deadline, ...] = ()
    ignored: str | None = None
    """Why the message changed nothing; counted by this reason."""
