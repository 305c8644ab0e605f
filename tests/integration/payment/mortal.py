"""The payment service as a process of its own that dies by SIGKILL at one named place.

`python -m tests.integration.payment.mortal PLACE MESSAGE NOTES NAME…`: at PLACE (a checkpoint;
empty: nowhere), where it handles a MESSAGE (empty: any) about one of the NAMEs (refunds and
reversals) for the first time. Who stood there is noted in the file NOTES before the process dies.

Where each NAME has a task of its own, those that arrive stay at the place, as if their time had
stopped, until the last one is there: one death meets all of them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from services.chassis import checkpoint, effects, runtime
from services.payment.api import routes
from services.payment.app import build
from services.payment.processors import stripe_client

Locals = dict[str, Any]

HANDLED_AT: dict[str, Callable[[Locals], Any]] = {
    "before_effect": lambda at: at["row"],
    "after_claim": lambda at: at["intent"],
    "after_submit": lambda at: at["intent"],
    "after_charge": lambda at: at["intent"],
    "after_effect": lambda at: at["row"],
    "before_commit": lambda at: at["batch"].items,
    "after_commit": lambda at: at["batch"].items,
    "after_publish": lambda at: at["rows"],
}
"""Place -> what the function that stands there works on."""
TASK_EACH = frozenset({"before_effect", "after_claim", "after_submit", "after_charge"})
READ_SECONDS_MAX = 2.0
GATHER_SECONDS = 1.5 + READ_SECONDS_MAX


class Stopped(BaseException):
    """Nothing that the service does handles it: its task ends where it stands."""


class Death:
    def __init__(self, place: str, message: str, notes: Path, names: list[str]) -> None:
        self._place = place
        self._message = message
        self._notes = notes
        self._missing = set(names) - set(notes.read_text().split())

    def at(self, name: str) -> None:
        """What the service calls at every named place."""
        if name != self._place:
            return
        handled = repr(HANDLED_AT[name](sys._getframe(2).f_locals))
        here = {each for each in self._missing if each in handled}
        if not here or self._message not in handled:
            return
        with self._notes.open("a") as notes:
            notes.write("".join(f"{each}\n" for each in sorted(here)))
        self._missing -= here
        if name in TASK_EACH and self._missing:
            raise Stopped(name)
        os.kill(os.getpid(), signal.SIGKILL)


def be_impatient() -> None:
    """What is waited for in full be short, and all outcomes come together into one transaction."""
    stripe_client.READ_SECONDS_MAX = READ_SECONDS_MAX
    effects.LEASE = timedelta(seconds=4)
    effects.RENEW_SECONDS = 1.0


def main(place: str, message: str, notes: str, *names: str) -> None:
    be_impatient()
    if place:
        checkpoint.reached = Death(place, message, Path(notes), list(names)).at
    if message == "RefundSubmitted" or place == "after_publish":
        effects.BUSY_EFFECTS_MIN = 0
        effects.GATHER_SECONDS = GATHER_SECONDS
    runtime.run("payment", build, routes)


if __name__ == "__main__":
    main(*sys.argv[1:])
