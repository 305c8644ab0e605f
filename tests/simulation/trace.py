"""What happened, line by line: for people to read, and as one hash to compare runs by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Trace:
    """`lines` are kept; `hash` covers every one of them."""

    lines: list[str] = field(default_factory=list)

    def add(self, step: int, at: datetime, who: str, what: str) -> None:
        self.lines.append(f"{step:4} {at:%m-%d %H:%M:%S.%f} {who:<14} {what}")

    @property
    def hash(self) -> str:
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]
