"""One decision while it is made: the return, its papers, and what follows from them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.base import Message
from contracts.decisions import (
    CloseOutcome,
    EscalationReason,
    Outcome,
    ReturnClosed,
    ReturnDecisionMade,
)
from contracts.lifecycle import Party, ReturnStatusChanged
from contracts.orders import OrderSnapshot
from contracts.requests import Requester, ReturnRequest, VerifiedBy
from services.chassis.decision import Deadline, Decision, Effect
from services.commerce import judgement, messages, status
from services.commerce.decide import anew, terms
from services.commerce.judgement import Case, History, Precedent, clock
from services.commerce.judgement.clock import Running
from services.commerce.model import (
    CLOSED,
    HERE,
    REVIEW_WAIT,
    SENTENCE_LENGTH_MAX,
    Refund,
    Return,
    Shown,
)
from services.commerce.papers import Dossier, Facts, Order, Paper, oldest_facts
from services.commerce.policy.model import Policy
from services.commerce.transitions import Event, move

NAMESPACE = uuid.UUID("0b9b9c37-9c4b-5f6e-8a5d-0c3f4a1d2e77")
WAIT = "wait"
FACTS = "facts"
EVENT_OF = {
    Outcome.APPROVED: Event.APPROVE,
    Outcome.REJECTED: Event.REJECT,
    Outcome.ESCALATED: Event.ESCALATE,
}


def _undisputed(made: ReturnDecisionMade) -> Mapping[str, tuple[int, ...]] | None:
    if made.decision is not Outcome.ESCALATED or made.release is None:
        return None
    return {each.line_id: each.units for each in made.release.lines}


def derived(*parts: object) -> str:
    """An id that a retry gives again: from the business alone."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(str(part) for part in parts)))


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Everything that a decision may look at beside the return itself."""

    now: datetime
    policy: Callable[[datetime], Policy]
    """The policy in force at an instant."""
    order: Order | None = None
    others: tuple[Dossier, ...] = ()
    """Other returns of the same order."""
    history: Callable[[Return, OrderSnapshot], History | None] = lambda current, order: None
    precedents: Callable[[Return, EscalationReason], tuple[Precedent, ...]] = (
        lambda current, reason: ()
    )
    """What people decided in cases like this one."""
    notify: bool = False
    """Whether e-mail can be sent."""


@dataclass(kw_only=True)
class Draft:
    """Mutable while one message is handled; `decision` freezes it."""

    desk: Desk
    current: Return
    began: Return
    """The return before this message."""
    request_paper: Paper[ReturnRequest]
    facts_paper: Paper[Facts]
    standing_paper: Paper[ReturnDecisionMade] | None = None
    made: list[ReturnDecisionMade] = field(default_factory=list)
    events: list[Message] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    deadlines: dict[str, Deadline] = field(default_factory=dict)
    ignored: str | None = None

    @classmethod
    def of(cls, dossier: Dossier, desk: Desk) -> Draft:
        return cls(
            desk=desk,
            current=dossier.current,
            began=dossier.current,
            request_paper=dossier.request,
            facts_paper=dossier.facts,
            standing_paper=dossier.standing,
            made=list(dossier.made),
        )

    @property
    def now(self) -> datetime:
        return self.desk.now

    @property
    def request(self) -> ReturnRequest:
        return self.request_paper.read()

    @property
    def facts(self) -> Facts:
        return self.facts_paper.read()

    @facts.setter
    def facts(self, changed: Facts) -> None:
        self.facts_paper = Paper.of(changed)
        self.change(facts_as_of=oldest_facts(changed))

    @property
    def standing(self) -> ReturnDecisionMade | None:
        return self.standing_paper.read() if self.standing_paper is not None else None

    @property
    def order(self) -> OrderSnapshot | None:
        return self.desk.order.snapshot if self.desk.order is not None else None

    @property
    def policy(self) -> Policy:
        order = self.order
        return self.desk.policy(order.placed_at if order is not None else self.now)

    def change(self, **changes: object) -> None:
        self.current = self.current.but(**changes)

    def decision(self) -> Decision[Dossier]:
        due = self.refund_due()
        if due != self.current.refund_due:
            self.change(refund_due=due)
        return Decision(
            state=Dossier(
                self.current,
                self.request_paper,
                self.facts_paper,
                self.standing_paper,
                tuple(self.made),
            ),
            events=tuple(self.events),
            effects=tuple(self.effects),
            deadlines=tuple(self.deadlines.values()),
            ignored=self.ignored,
        )

    def standing_context(self) -> dict[str, object]:
        """What was told to the reviewer beside the reason, kept when the case is told again."""
        standing = self.standing
        if standing is None or standing.escalation is None:
            return {}
        return {k: v for k, v in standing.escalation.context.items() if k != "customer_words"}

    # The axes.

    def move(self, event: Event) -> bool:
        """Move on the decision axis; False where the event is ignored in this state."""
        state = move(self.current.state, event)
        if state is None:
            self.ignored = f"{event} while {self.current.state}"
            return False
        self.change(state=state)
        return True

    def show(self, *, anew: bool = False) -> None:
        """Publish the status if it changed (`anew`: also if not), and watch over its wait."""
        standing, shown = status.of(self.current), self.current.shown
        same = shown is not None and (shown.status, shown.party) == (
            standing.status,
            standing.party,
        )
        until = standing.until or (self.now + standing.wait if standing.wait else None)
        if standing.until is not None and standing.until <= self.now:
            # What should have come by then has come in part: a day more, then a person.
            until = self.now + REVIEW_WAIT
        if same and not anew and not self.current.notice:
            assert shown is not None
            if standing.until not in (None, shown.until) and until == standing.until:
                self.change(shown=shown.model_copy(update={"until": until}))
                self._watch(shown.number, until)
            return
        if same and not anew and shown is not None:
            until = shown.until
        number = shown.number + 1 if shown is not None else 1
        self.events.append(
            ReturnStatusChanged(
                return_id=self.current.return_id,
                order_id=self.current.order_key_named,
                number=number,
                status=standing.status,
                previous=shown.status if shown is not None else None,
                waiting_on=standing.party,
                until=until,
                explanation=standing.explanation,
                refund_due=None if self.current.over else self.refund_due(),
                changed_at=self.now,
            )
        )
        self.change(
            notice=None,
            shown=Shown(
                number=number,
                status=standing.status,
                party=standing.party,
                until=until,
                explanation=standing.explanation,
            ),
        )
        self._watch(number, until)
        if standing.party is Party.REVIEWER and not same:
            self.notify("waits for a person")

    def notify(self, what: str) -> None:
        """E-mail to the policy's escalation address, where e-mail can be sent."""
        current, shown = self.current, self.current.shown
        if not self.desk.notify or shown is None:
            return
        mail = messages.NotifyReviewers(
            return_id=current.return_id,
            to=self.policy.escalation.email,
            subject=f"Return {current.return_id} {what}",
            text=f"Return {current.return_id}: {shown.status}, {current.escalation or what}."
            f" {clock.told(self.refund_due(), self.now)}".rstrip(),
        )
        id_ = f"notify:{current.return_id}:{shown.number}:{what}"
        self.effects.append(Effect(id=id_, payload=mail))

    def _watch(self, number: int, until: datetime | None, *, again: bool = False) -> None:
        message = messages.WaitOver(return_id=self.current.return_id, number=number, again=again)
        if until is None:
            self.set_deadline(WAIT, None, None)
        else:
            self.set_deadline(WAIT, until, message)

    def watch_again(self, wait: timedelta) -> None:
        """The wait ran out; whoever owns it may be about to say so."""
        shown = self.current.shown
        assert shown is not None
        self._watch(shown.number, self.now + wait, again=True)

    def wait_longer(self, wait: timedelta) -> None:
        """The same status, more time: told again with its new end."""
        shown = self.current.shown
        assert shown is not None
        self.show(anew=True)
        longer = self.current.shown
        assert longer is not None
        until = self.now + wait
        told = self.events[-1]
        assert isinstance(told, ReturnStatusChanged)
        self.events[-1] = told.model_copy(update={"until": until})
        self.change(shown=longer.model_copy(update={"until": until, "overdue": shown.overdue}))
        self._watch(longer.number, until)

    def set_deadline(self, name: str, at: datetime | None, message: Message | None) -> None:
        self.deadlines[name] = Deadline(
            name=name, subject=self.current.return_id, at=at, message=message
        )

    # Judging.

    def case(self, **more: object) -> Case:
        """Everything that judging this return looks at, as it stands now."""
        order, facts, current = self.order, self.facts, self.current
        fields: dict[str, object] = {
            "now": self.now,
            "order": order,
            "request": self._request_as_proven(),
            "returnability": facts.returnability,
            "refundability": facts.refundability,
            "history": None if order is None else self.desk.history(current, order),
            "earlier": self._earlier(),
            "replaced": anew.replaced(self.desk.others),
            "replaced_at": current.exchange.shipped_at if current.exchange else None,
            "policy": self.policy,
            "sequence": current.sequence + 1,
            "timed_out": current.timed_out,
            "counted": self._counted(),
            "inspection": facts.inspection,
            "released": current.released_units,
            "released_amount": current.released_amount,
            "taken_back": not current.live_amount,
            "live": None if current.live_amount == current.released_amount else current.live,
            "linked": current.proven,
            "sent_at": current.sent_at,
            "received_at": current.received_at,
        }
        return Case.model_validate(fields | more)

    def _request_as_proven(self) -> ReturnRequest:
        """A claim that matched the order's number and e-mail has proven whose order it is."""
        request, asks = self.request, self.request.requester
        matched = self.current.claim is not None and self.current.order_id is not None
        if matched and asks is not None and asks.verified_by is VerifiedBy.NONE:
            proof = VerifiedBy.ORDER_NUMBER_AND_EMAIL
            known = Requester(customer_id=asks.customer_id, verified_by=proof)
            return request.model_copy(update={"requester": known})
        return request

    def _earlier(self) -> tuple[ReturnDecisionMade, ...]:
        others = [
            other.standing.read()
            for other in self.desk.others
            if other.standing is not None
            and other.current.state not in CLOSED
            and other.current.outcome in (Outcome.APPROVED, Outcome.ESCALATED)
            and other.return_id != self.current.return_id
        ]
        return tuple(others) if self.standing is None else (*others, self.standing)

    def _counted(self) -> Mapping[str, int]:
        return Counter(unit.line_id for unit in self.current.units if unit.goods in HERE)

    def decided(self, made: ReturnDecisionMade) -> None:
        """Publish a decision and take it as the one that stands."""
        if made.escalation is not None:
            alike = self.desk.precedents(self.current, made.escalation.reason)
            made = judgement.with_precedents(made, alike)
        if not self.move(EVENT_OF[made.decision]):
            return
        self.made.append(made)
        self.standing_paper = Paper.of(made)
        self.events.append(made)
        escalation, asked_because = made.escalation, self.current.escalation
        self.change(
            sequence=made.sequence,
            outcome=made.decision,
            missing=(),
            escalation=escalation.reason if escalation is not None else None,
            case_sha256=escalation.case.case_sha256 if escalation is not None else None,
            because=judgement.customer_sentence(made)[:SENTENCE_LENGTH_MAX],
            asked_customer=False,
            refund_due=made.refund_due,
            clock=self._clock(made),
            undisputed=_undisputed(made),
        )
        if made.decision is Outcome.APPROVED:
            self.current = terms.taken(self.current, made, asked_because)
        elif made.decision is Outcome.REJECTED:
            self.close(CloseOutcome.REJECTED)

    def refund_due(self) -> datetime | None:
        """The statutory date; counted anew only after something that it depends on."""
        now, before = self.current, self.began
        moved = (now.sent_at, now.received_at) != (before.sent_at, before.received_at)
        same = now.clock is before.clock and not moved
        return now.refund_due if same else now.refund_due_now()

    def _notice(self) -> datetime:
        """When the customer said so: the earlier of what the request names and now."""
        return min(self.current.requested_at, self.now)

    def _clock(self, made: ReturnDecisionMade) -> Running | None:
        if self.order is None or made.decision is Outcome.REJECTED:
            return None
        return clock.running(self.order, made, self._notice())

    def close(self, outcome: CloseOutcome) -> None:
        """Tell fulfillment and payment that nothing more will come of it."""
        self.events.append(
            ReturnClosed(
                return_id=self.current.return_id,
                order_id=self.current.order_key_named,
                outcome=outcome,
                sequence=self.current.sequence or None,
                test=self.current.test,
            )
        )

    def escalate(
        self,
        reason: EscalationReason,
        context: Mapping[str, object] | None = None,
        *,
        anew: bool = False,
    ) -> None:
        """Publish the return as a case for a person; amounts stay as they stand. Without a decision
        so far, or with `anew`, what is known is judged first."""
        case, standing = self.case(), self.standing
        if standing is None or anew:
            standing = judgement.judge(case, counterfactual=False)
        made = judgement.escalate(case, standing, reason, context=context)
        self.decided(made.model_copy(update={"sequence": self.current.sequence + 1}))

    def refund_changed(self, changed: Refund) -> None:
        self.current = self.current.with_refund(changed)
