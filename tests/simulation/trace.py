"""What happened, line by line: for people to read, and as one hash to compare runs by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from contracts.base import Message
from contracts.decisions import ReturnDecisionMade
from contracts.lifecycle import ReturnStatusChanged
from services.chassis.records import Record


@dataclass
class Trace:
    """`lines` are kept; `hash` covers every one of them."""

    lines: list[str] = field(default_factory=list)
    _at: datetime | None = None
    _told: str = ""

    def add(self, step: int, at: datetime, who: str, what: str) -> None:
        if at is not self._at:  # time stands still for most steps, and is dear to tell
            self._at, self._told = at, f"{at:%m-%d %H:%M:%S.%f}"
        self.lines.append(f"{step:4} {self._told} {who:<14} {what}")

    @property
    def hash(self) -> str:
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]


def told(body: Message) -> str:
    """What a message says, for the trace."""
    name = type(body).__name__
    if isinstance(body, ReturnStatusChanged):
        return f"{name} {body.number} {body.status} waits on {body.waiting_on} until {body.until}"
    if isinstance(body, ReturnDecisionMade):
        reason = body.escalation.reason if body.escalation is not None else ""
        total = body.refund.total if body.refund is not None else ""
        return f"{name} {body.sequence} {body.decision} {reason} {total} by {body.decided_by.kind}"
    shown = {
        field: getattr(body, field)
        for field in ("refund_id", "amount", "method", "state", "failure_code", "outcome", "grade")
        if getattr(body, field, None) is not None
    }
    return " ".join([name, *(f"{field}={value}" for field, value in shown.items())])


def short(record: Record) -> str:
    names = dict(record.headers)
    kind = names.get("ce_type", b"?").decode(errors="replace").removeprefix("returns.")
    return f"{kind}@{record.topic}:{record.partition}:{record.offset}"
