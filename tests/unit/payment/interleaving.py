"""One refund, one processor, and everything that can come between them, from one seed.

The deciders are the real ones; the processor, the executors, time and the crashes are simulated.
Every step draws what happens next: an effect is carried out (and perhaps the process dies at its
worst moment, so that it is carried out again), an outcome is handled, a deadline fires, a webhook
comes late, twice, in the wrong order or never, a dispute opens or closes, a bank changes its mind.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from contracts.assessments import DisputeState
from contracts.base import Message
from contracts.decisions import RefundReleased, RefundVoided
from services.payment import messages
from services.payment.decide import hints, orders, outcome, release, reservation
from services.payment.decide.draft import Facts, MoneyDecision
from services.payment.effects import LOOK_TRUSTED
from services.payment.messages import RefundSubmitted, Result
from services.payment.model import (
    ABSENCE_SECONDS_MIN,
    FAILED_STATES,
    OrderMoney,
    PaymentLook,
    RefundState,
    SeenDispute,
    SeenRefund,
    SeenStatus,
)
from tests.payments import a_decision, a_release, a_void, an_order
from tests.unit.payment.troubled import REFUND_ID, RETURN_ID, Troubled

AMOUNT = 22200
CHAOS_STEPS = 25
HEAL_STEPS_MAX = 400
ENDED = FAILED_STATES | {RefundState.SETTLED}
DECIDERS: dict[type[Message], Any] = {
    RefundReleased: release.released,
    RefundVoided: release.voided,
    messages.RefundSubmitted: outcome.submitted,
    messages.RefundSeen: outcome.seen,
    messages.PaymentSeen: hints.payment_seen,
    messages.PollDue: hints.poll,
    messages.WatchDue: hints.watch,
    messages.WebhookReceived: hints.webhook,
}
RELEASED = a_release(RETURN_ID, REFUND_ID)
VOIDED = a_void(RETURN_ID, REFUND_ID)


@dataclass
class Held:
    """A refund at the processor."""

    reference: str
    status: SeenStatus


@dataclass
class FakeProcessor:
    """Stripe's rules as far as they matter: keys, stored answers, requests that arrive late."""

    random: Random
    refunds: list[Held] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """Key -> what was answered first: a reference, or an error."""
    on_the_way: list[tuple[datetime, str]] = field(default_factory=list)
    dispute: DisputeState = DisputeState.NONE
    events: list[tuple[str, str]] = field(default_factory=list)
    """(reference, status) for webhooks, in the order of what happened."""
    effective_at_most: int = 0

    def effective(self) -> list[Held]:
        return [each for each in self.refunds if each.status is not SeenStatus.FAILED]

    def create(self, key: str) -> Held:
        status = self.random.choice((SeenStatus.PENDING, SeenStatus.SUCCEEDED))
        made = Held(reference=f"re_{len(self.refunds)}", status=status)
        self.refunds.append(made)
        self.answers[key] = made.reference
        self.events.append((made.reference, status))
        self.effective_at_most = max(self.effective_at_most, len(self.effective()))
        return made

    def arrive(self, now: datetime) -> None:
        """Requests whose caller gave up long ago arrive."""
        for due, key in list(self.on_the_way):
            if due <= now:
                self.on_the_way.remove((due, key))
                if key not in self.answers:
                    self.create(key)

    def seen(self) -> tuple[SeenRefund, ...]:
        return tuple(
            SeenRefund(
                reference=each.reference,
                refund_id=REFUND_ID,
                status=each.status,
                amount=AMOUNT,
                currency="USD",
                failure_code="declined" if each.status is SeenStatus.FAILED else None,
            )
            for each in self.refunds
        )

    def look(self, now: datetime) -> PaymentLook:
        disputes: tuple[SeenDispute, ...] = ()
        if self.dispute is not DisputeState.NONE:
            disputes = (
                SeenDispute(dispute_id="dp_1", state=self.dispute, amount=AMOUNT, currency="USD"),
            )
        return PaymentLook(
            payment_id="p1",
            captured=AMOUNT,
            refunds=self.seen(),
            refunds_read=True,
            disputes=disputes,
            as_of=now,
        )

    def drift(self) -> None:
        """Banks take their time, and sometimes change their minds."""
        for each in self.refunds:
            if each.status is SeenStatus.PENDING:
                each.status = self.random.choice((SeenStatus.SUCCEEDED, SeenStatus.FAILED))
                self.events.append((each.reference, each.status))
            elif each.status is SeenStatus.SUCCEEDED and self.random.random() < 0.1:
                each.status = SeenStatus.FAILED
                self.events.append((each.reference, each.status))


class World(Troubled):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.processor = FakeProcessor(self.random)
        self.deadlines: dict[tuple[str, str], tuple[datetime, Any]] = {}
        self.claims: set[tuple[int, int]] = set()
        self.standing_still: list[tuple[datetime, messages.SubmitRefund, PaymentLook]] = []
        self.accounts: dict[str, int] = {}
        order = orders.know(None, an_order(), Facts(now=self.at))
        self.order: OrderMoney = order.state
        self.keep(order)
        self.keep(reservation.decided(self.order, a_decision(RETURN_ID), Facts(now=self.at)))
        self.handle(RELEASED)

    @property
    def state(self) -> RefundState:
        return self.order.refunds[REFUND_ID].state

    def handle(self, message: Message) -> None:
        decide = DECIDERS[type(message)]
        self.keep(decide(self.order, message, Facts(now=self.at)))

    def keep(self, decision: MoneyDecision) -> None:
        """What a transaction stores."""
        self.order = decision.state
        self.events.extend(decision.events)
        self.intend(decision.effects)
        for deadline in decision.deadlines:
            self.deadlines.pop((deadline.name, deadline.subject), None)
            if deadline.message is not None and deadline.at is not None:
                self.deadlines[deadline.name, deadline.subject] = (deadline.at, deadline.message)
        for posting in decision.postings:
            if posting.book == "payment":
                self._post(posting.source, -posting.amount)
                self._post(posting.target, posting.amount)
        self.check_ledger()

    def _post(self, account: str, amount: int) -> None:
        self.accounts[str(account)] = self.accounts.get(str(account), 0) + amount

    def check_ledger(self) -> None:
        captured = -self.accounts.get("customer", 0)
        used = [self.accounts.get(a, 0) for a in ("reserved", "pending", "settled", "unknown")]
        assert min(used) >= 0, self.accounts
        assert sum(used) <= captured, self.accounts
        committed = self.order.committed("p1", test=False)
        assert sum(used) == committed, (self.accounts, committed)

    def step(self) -> None:
        self.at += timedelta(milliseconds=self.random.choice((0, 10, 300, 1000, 3000)))
        self.processor.arrive(self.at)
        self.random.choice(
            (
                self.carry_out,
                self.carry_out,
                self.carry_out,
                self.deliver_outcome,
                self.deliver_outcome,
                self.fire,
                self.fire,
                self.webhook,
                self.webhook,
                self.meddle,
                self.go_on,
            )
        )()

    def execute(self, payload: Any) -> Message | None:
        """What an executor does; None: the process died in the middle."""
        match payload:
            case messages.SubmitRefund():
                return self.submit(payload)
            case messages.CancelRefund():
                return self.cancel(payload)
            case messages.LookUpRefund():
                found = self.processor.look(self.at).refund(REFUND_ID)
                if payload.processor_reference is not None:
                    found = next(
                        each
                        for each in self.processor.seen()
                        if each.reference == payload.processor_reference
                    )
                return messages.RefundSeen(
                    order_id="order-1", refund_id=REFUND_ID, seen=found, looked_at=self.at
                )
            case messages.LookAtPayment():
                look = self.processor.look(self.at)
                return messages.PaymentSeen(order_id="order-1", look=look, test=False)
        raise AssertionError(payload)

    def cancel(self, intent: messages.CancelRefund) -> messages.RefundSeen:
        """Taken back if it is still pending; what it is now counts."""
        for each in self.processor.refunds:
            if each.reference == intent.processor_reference and each.status is SeenStatus.PENDING:
                each.status = SeenStatus.FAILED
                self.processor.events.append((each.reference, each.status))
        seen = next(
            each for each in self.processor.seen() if each.reference == intent.processor_reference
        )
        return messages.RefundSeen(
            order_id="order-1", refund_id=REFUND_ID, seen=seen, looked_at=self.at
        )

    def submit(self, intent: messages.SubmitRefund) -> RefundSubmitted | None:
        """Look, then claim and submit: perhaps much later, when the lease is long lost."""
        look = self.processor.look(self.at)
        there = look.refund(REFUND_ID)
        if there is not None:
            return self.result(intent, Result.SEEN, look, seen=there)
        if not self.calm and self.random.random() < 0.3 * self.trouble:
            self.standing_still.append((self.at, intent, look))
            return None
        return self.claim(self.at, intent, look)

    def claim(
        self, began_at: datetime, intent: messages.SubmitRefund, look: PaymentLook
    ) -> RefundSubmitted | None:
        if (intent.attempt, intent.tries) in self.claims:
            return self.result(intent, Result.NO_ANSWER, look)
        self.claims.add((intent.attempt, intent.tries))
        if self.dies():
            return None
        if self.at - began_at > LOOK_TRUSTED:
            return self.result(intent, Result.NOT_SENT, look)
        states = {each.state for each in look.disputes}
        if DisputeState.OPEN in states:
            return self.result(intent, Result.HELD, look)
        if DisputeState.LOST in states:
            return self.result(intent, Result.DECLINED, look, code="dispute_lost")
        return self.request(intent, look)

    def go_on(self) -> None:
        """An executor that stood still goes on. Its answer is heard only if it has the lease."""
        if self.standing_still:
            began_at, intent, look = self.standing_still.pop(0)
            self.claim(began_at, intent, look)

    def request(self, intent: messages.SubmitRefund, look: PaymentLook) -> RefundSubmitted:
        processor, key = self.processor, intent.key
        if key in processor.answers:
            return self.replay(intent, look)
        fate = "ok"
        if not self.calm and self.random.random() < self.trouble:
            fate = self.random.choice(
                ("declined", "lost", "late", "after", "stored_500", "busy", "unreachable")
            )
        match fate:
            case "busy" | "unreachable":
                return self.result(intent, Result.NOT_SENT, look, retry_seconds=1)
            case "declined":
                return self.result(intent, Result.DECLINED, look, code="declined")
            case "stored_500":
                processor.answers[key] = "error"
                return self.result(intent, Result.NO_ANSWER, look)
            case "late":
                wait = timedelta(seconds=self.random.uniform(0, ABSENCE_SECONDS_MIN - 0.1))
                processor.on_the_way.append((self.at + wait, key))
                return self.result(intent, Result.NO_ANSWER, look)
            case "lost":
                return self.result(intent, Result.NO_ANSWER, look)
            case "after":
                processor.create(key)
                return self.result(intent, Result.NO_ANSWER, look)
        processor.create(key)
        return self.result(intent, Result.SEEN, look, seen=self.processor.seen()[-1])

    def replay(self, intent: messages.SubmitRefund, look: PaymentLook) -> RefundSubmitted:
        answer = self.processor.answers[intent.key]
        if answer == "error":
            return self.result(intent, Result.NO_ANSWER, look)
        seen = next(each for each in self.processor.seen() if each.reference == answer)
        return self.result(intent, Result.SEEN, look, seen=seen)

    def result(
        self, intent: messages.SubmitRefund, result: Result, look: PaymentLook, **more: Any
    ) -> RefundSubmitted:
        return RefundSubmitted(
            order_id="order-1",
            refund_id=REFUND_ID,
            attempt=intent.attempt,
            tries=intent.tries,
            result=result,
            looks=(look,),
            **more,
        )

    def fire(self) -> None:
        due = [key for key, (at, _) in self.deadlines.items() if at <= self.at]
        if due:
            _, message = self.deadlines.pop(self.random.choice(due))
            self.handle(message)

    def webhook(self) -> None:
        """Any event of the past, once more, late, or not at all."""
        if not self.processor.events or self.random.random() < 0.3:
            return
        reference, status = self.random.choice(self.processor.events)
        self.handle(
            messages.WebhookReceived(
                event_id=f"evt_{self.random.random()}",
                event_type="refund.updated",
                body_sha256="",
                object_id=reference,
                object_type="refund",
                order_id="order-1",
                refund_id=REFUND_ID,
                payment_reference="pi_order-1",
                status=status,
            )
        )

    def meddle(self) -> None:
        draw = self.random.random()
        if draw < 0.4:
            self.processor.drift()
        elif draw < 0.55 and self.processor.dispute is DisputeState.NONE:
            self.processor.dispute = DisputeState.OPEN
        elif draw < 0.75 and self.processor.dispute is DisputeState.OPEN:
            self.processor.dispute = self.random.choice((DisputeState.WON, DisputeState.LOST))
        elif draw < 0.8:
            self.handle(VOIDED)
        elif draw < 0.9:
            self.handle(RELEASED)

    def heal(self) -> None:
        """The world is well again: everything that waits must end by itself."""
        self.calm = True
        if self.processor.dispute is DisputeState.OPEN:
            self.processor.dispute = DisputeState.WON
        for _ in range(HEAL_STEPS_MAX):
            self.at += timedelta(seconds=2)
            self.processor.arrive(self.at)
            self.processor.drift()
            while any(each[0] <= self.at for each in self.effects):
                self.carry_out()
            self.go_on()
            while self.outcomes:
                self.deliver_outcome()
            while any(at <= self.at for at, _ in self.deadlines.values()):
                self.fire()
            if self.at_rest():
                return
        raise AssertionError(f"still {self.state} after {HEAL_STEPS_MAX} steps")

    def at_rest(self) -> bool:
        if self.effects or self.outcomes or self.standing_still:
            return False
        if self.processor.dispute is DisputeState.LOST and self.order.refunds[REFUND_ID].held:
            return True  # commerce takes it back
        waiting = [name for name, _ in self.deadlines if name == "poll"]
        return self.state in ENDED and not waiting


def run(seed: int) -> World:
    """One interleaving, to its end. Raises AssertionError where money went wrong."""
    world = World(seed)
    for _ in range(CHAOS_STEPS):
        world.step()
    world.heal()
    effective = world.processor.effective()
    assert world.processor.effective_at_most <= 1, "two refunds of one release were effective"
    if world.state is RefundState.SETTLED:
        # A bank may have failed it since the last look: that is the webhook's, and the nightly
        # reconciliation's, to find.
        assert len(world.processor.refunds) >= 1, "settled here, unknown there"
    else:
        assert not effective, f"{world.state} here, effective there"
    return world
