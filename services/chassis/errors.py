"""Errors say who acts next. A business "no" is not an error but an event."""

from __future__ import annotations


class Fault(Exception):
    """Base of the chassis's errors."""


class Transient(Fault):
    """The world is unwell: wait and try again, keeping the order."""


class Conflict(Fault):
    """Somebody else was faster: load again and decide again."""


class Poison(Fault):
    """This record can never succeed: quarantine it, a person looks."""


class InvariantBroken(Fault):
    """What must always hold does not: quarantine the record, raise the alarm."""
