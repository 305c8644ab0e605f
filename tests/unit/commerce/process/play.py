"""Plays one return through the pure process: no store, no broker, the other services by script."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from contracts.assessments import AssessmentRequested
from contracts.base import Message
from contracts.decisions import RefundReleased, ReturnDecisionMade
from contracts.lifecycle import ReturnStatusChanged
from contracts.orders import OrderSnapshot
from contracts.requests import ReturnRequest
from services.chassis.decision import Deadline, Decision, Effect
from services.commerce import messages
from services.commerce.decide import intake, table
from services.commerce.decide.draft import WAIT, Desk
from services.commerce.judgement import History
from services.commerce.model import Return
from services.commerce.papers import Dossier, Order
from services.commerce.policy.model import Policy
from services.commerce.promise import Promise
from tests.unit.commerce.process import examples

Kind = TypeVar("Kind", bound=Message)


@dataclass(kw_only=True)
class Play:
    """`say` a message, look at `heard` and at `current`."""

    order: OrderSnapshot | None = field(default_factory=examples.order)
    policy: Policy = field(default_factory=lambda: Policy(policy="test", version="1"))
    others: tuple[Dossier, ...] = ()
    now: datetime = examples.NOW
    promise: Promise | None = None
    mail: bool = False
    history: History | None = None
    dossier: Dossier = field(init=False)
    heard: list[Message] = field(default_factory=list)
    mails: list[Effect] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    deadlines: dict[str, Deadline] = field(default_factory=dict)

    @property
    def current(self) -> Return:
        return self.dossier.current

    @property
    def desk(self) -> Desk:
        return Desk(
            now=self.now,
            policy=lambda at: self.policy,
            order=Order.of(self.order) if self.order is not None else None,
            others=self.others,
            history=lambda current, order: self._history(current),
            notify=self.mail,
        )

    def _history(self, current: Return) -> History | None:
        """The customer's, with what the store adds of this return."""
        if self.history is None:
            return None
        bps = current.weight_deviation_bps
        return self.history.model_copy(update={"weight_deviation_bps": bps})

    def ask(self, request: ReturnRequest | None = None) -> Play:
        asked = request or examples.request(now=self.now)
        return self._took(intake.requested(asked, self.desk, self.promise))

    def say(self, *said: Message) -> Play:
        for message in said:
            self._took(table.decide(self.dossier, message, self.desk))
        return self

    def _took(self, decision: Decision[Dossier]) -> Play:
        self.dossier = decision.state
        self.heard.extend(decision.events)
        self.mails.extend(decision.effects)
        if decision.ignored is not None:
            self.ignored.append(decision.ignored)
        for each in decision.deadlines:
            self.deadlines[each.name] = each
        return self

    def wait_over(self) -> Play:
        """Time passes until the wait of the status is over, and the grace after it."""
        number = self.status.number
        while (due := self.deadlines[WAIT]).message is not None and due.at is not None:
            message = due.message
            assert isinstance(message, messages.WaitOver)
            if message.number != number:
                break
            self.now = max(self.now, due.at)
            self.say(message)
            if self.deadlines[WAIT] is due:
                break
        return self

    def all(self, kind: type[Kind]) -> list[Kind]:
        return [each for each in self.heard if isinstance(each, kind)]

    def last(self, kind: type[Kind]) -> Kind:
        return self.all(kind)[-1]

    @property
    def statuses(self) -> list[str]:
        return [str(each.status) for each in self.all(ReturnStatusChanged)]

    @property
    def status(self) -> ReturnStatusChanged:
        return self.last(ReturnStatusChanged)

    @property
    def made(self) -> ReturnDecisionMade:
        return self.last(ReturnDecisionMade)

    @property
    def released(self) -> RefundReleased:
        return self.last(RefundReleased)

    def assessed(self, **payment: Any) -> Play:
        """Both answers to the last question."""
        asked = self.last(AssessmentRequested)
        return self.say(examples.returnable(asked), examples.refundable(asked, **payment))

    def reserve(self) -> Play:
        return self.say(examples.reserved(self.made))

    def approved(self, **request: Any) -> Play:
        """Asked for, assessed, approved, reserved, labelled."""
        self.ask(examples.request(now=self.now, **request)).assessed().reserve()
        return self.say(examples.labelled(self.now))

    def sent_back(self, *units: int) -> Play:
        """Scanned, delivered and counted."""
        every = units or (1,)
        return self.say(
            examples.shipped(every, self.now),
            examples.delivered(every, self.now),
            examples.received(every, self.now),
        )

    def later(self, wait: timedelta) -> Play:
        self.now += wait
        return self
