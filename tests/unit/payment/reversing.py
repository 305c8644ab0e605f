"""A settled refund, reversals of it, and everything that can come between, from one seed.

Deciders and the charging executor are the real ones; the processor, time and crashes are simulated.
A reversal is a new charge, or a debit of the store credit that the refund was paid with. Requests
get lost or arrive late, answers too; the process dies before and after a charge; executors stand
still while their lease runs out; hours pass; the same release comes again; the customer spends
store credit meanwhile; the bank takes back the refund that is being reversed.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from contracts.decisions import ReversalReleased
from contracts.payment import (
    LoyaltyReversed,
    ReversalRefused,
    ReversalSettled,
    TaxReversalRecorded,
)
from services.chassis.service import Again
from services.payment import messages
from services.payment.charging import RETRY, Charging
from services.payment.decide import credit, orders, outcome, release, reservation, reversal
from services.payment.decide.draft import Facts, MoneyDecision
from services.payment.decide.rows import STORE_CREDIT
from services.payment.messages import (
    DebitKind,
    DebitStoreCredit,
    RefundSubmitted,
    Result,
    ReversalCharged,
)
from services.payment.model import (
    OrderMoney,
    PaymentFacts,
    PaymentLook,
    RefundState,
    ReversalState,
    SeenRefund,
    SeenStatus,
)
from services.payment.processors.port import (
    ProcessorError,
    SeenCharge,
    Submission,
    Trouble,
    Verdict,
)
from tests.payments import a_decision, a_release, a_reversal, an_order
from tests.unit.payment.troubled import REFUND_ID, RETURN_ID, Troubled

KEY_KEPT = timedelta(hours=24)
PAID, TAX, POINTS_REVERSED, POINTS_RESTORED = 22200, 1200, 200, 50
AMOUNTS = (1, 5000, 11100, 20000, 22200)
CHAOS_STEPS = 30
HEAL_STEPS_MAX = 400
PAUSES = (0, 0, 1, 1, 5, 14, 16, 40)
HOURS = (1, 7, 19, 21)


@dataclass
class Made:
    """A charge at the processor."""

    reference: str
    reversal_id: str
    amount: int
    status: SeenStatus


@dataclass
class FakeProcessor:
    """Charges once per key for as long as it keeps the key."""

    world: World
    charges: list[Made] = field(default_factory=list)
    answers: dict[str, tuple[datetime, Made | None]] = field(default_factory=dict)
    """Key -> when it was first used, and what was made; None: a stored 500."""
    on_the_way: list[tuple[datetime, Submission]] = field(default_factory=list)

    def of(self, payment: PaymentFacts, *, test: bool) -> FakeProcessor:
        return self

    async def find_charge(
        self, payment: PaymentFacts, reversal_id: str, since: datetime
    ) -> SeenCharge | None:
        found = [each for each in self.charges if each.reversal_id == reversal_id]
        found.sort(key=lambda each: each.status is SeenStatus.FAILED)
        return _seen(found[0]) if found else None

    async def charge(self, submission: Submission) -> SeenCharge:
        wanted = self.world.order.reversals[submission.metadata["reversal_id"]]
        assert wanted.unwanted_at is None, "charged for a refund that had come to nothing"
        fate = "ok" if self.world.calm else self.world.fate()
        match fate:
            case "busy":
                raise _trouble(Verdict.NOT_SENT)
            case "declined":
                raise _trouble(Verdict.REFUSED)
            case "lost":
                raise _trouble(Verdict.UNKNOWN)
            case "late":
                wait = self.world.random.uniform(0, RETRY.total_seconds() - 0.1)
                due = self.world.at + timedelta(seconds=wait)
                self.on_the_way.append((due, submission))
                raise _trouble(Verdict.UNKNOWN)
            case "stored_500" if self._kept(submission.key) is None:
                self.answers[submission.key] = (self.world.at, None)
                raise _trouble(Verdict.UNKNOWN)
        made = self.carry_out(submission)
        if made is None or fate == "after":
            raise _trouble(Verdict.UNKNOWN)
        return _seen(made)

    def carry_out(self, submission: Submission) -> Made | None:
        """The answer of the key, if it is still kept; a new charge otherwise."""
        kept = self._kept(submission.key)
        if kept is not None:
            return kept[1]
        made = Made(
            reference=f"pi_{len(self.charges)}",
            reversal_id=submission.metadata["reversal_id"],
            amount=submission.amount,
            status=self.world.random.choice((SeenStatus.PENDING, SeenStatus.SUCCEEDED)),
        )
        self.charges.append(made)
        self.answers[submission.key] = (self.world.at, made)
        return made

    def _kept(self, key: str) -> tuple[datetime, Made | None] | None:
        kept = self.answers.get(key)
        return kept if kept is not None and self.world.at - kept[0] < KEY_KEPT else None

    def arrive(self) -> None:
        """Requests whose caller gave up arrive."""
        for each in [each for each in self.on_the_way if each[0] <= self.world.at]:
            self.on_the_way.remove(each)
            self.carry_out(each[1])

    def drift(self) -> None:
        """Bank debits come to their end."""
        for each in self.charges:
            if each.status is SeenStatus.PENDING:
                each.status = self.world.random.choice((SeenStatus.SUCCEEDED, SeenStatus.FAILED))

    def effective(self, reversal_id: str) -> list[Made]:
        return [
            each
            for each in self.charges
            if each.reversal_id == reversal_id and each.status is not SeenStatus.FAILED
        ]


class World(Troubled):
    deaths = 0.3

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.processor = FakeProcessor(self)
        self.charging = Charging(self.processor, self, self.unwanted_since)  # type: ignore[arg-type]
        self.by_credit = self.random.random() < 0.4
        """Whether the refund was paid as store credit."""
        self.notes: dict[str, int] = {}
        self.credit = 0
        self.releases: list[ReversalReleased] = []
        order = orders.know(None, an_order(), self.facts())
        self.order: OrderMoney = order.state
        self.keep(order)
        method = "store_credit" if self.by_credit else "original_payment_method"
        decision = a_decision(RETURN_ID, method=method)
        self.keep(reservation.decided(self.order, decision, self.facts()))
        refund = a_release(RETURN_ID, REFUND_ID, method=method)
        self.keep(release.released(self.order, refund, self.facts()))
        self.keep(outcome.submitted(self.order, self.settled(), self.facts()))
        assert self.order.refunds[REFUND_ID].state is RefundState.SETTLED

    def now(self) -> datetime:
        return self.at

    async def unwanted_since(self, order_id: str, reversal_id: str) -> datetime | None:
        return self.order.reversals[reversal_id].unwanted_at

    def facts(self) -> Facts:
        return Facts(now=self.at, last_notes=dict(self.notes), credit=self.credit)

    def settled(self) -> RefundSubmitted:
        seen = SeenRefund(
            reference="re_1",
            refund_id=REFUND_ID,
            status=SeenStatus.SUCCEEDED,
            amount=PAID,
            currency="USD",
        )
        return RefundSubmitted(
            order_id="order-1",
            refund_id=REFUND_ID,
            attempt=1,
            tries=1,
            result=Result.CLEARED if self.by_credit else Result.SEEN,
            seen=None if self.by_credit else seen,
            looks=(PaymentLook(payment_id="p1", captured=PAID, as_of=self.at),),
        )

    def keep(self, decision: MoneyDecision) -> None:
        """What a transaction stores. Raises AssertionError where the ledger's CHECK would."""
        self.order = decision.state
        self.events.extend(decision.events)
        for note in decision.notes:
            self.notes[note.series] = note.ordinal
        held = [each for each in decision.postings if each.book == STORE_CREDIT]
        self.credit += sum(each.change for each in held)
        assert self.credit >= 0, "store credit is overdrawn"
        self.intend(
            each for each in decision.effects if isinstance(each.payload, messages.ChargeReversal)
        )

    def fate(self) -> str:
        if self.random.random() > self.trouble:
            return "ok"
        return self.random.choice(("busy", "declined", "lost", "late", "after", "stored_500"))

    def step(self) -> None:
        self.at += timedelta(seconds=self.random.choice(PAUSES))
        if self.random.random() < 0.05:
            self.at += timedelta(hours=self.random.choice(HOURS))
        self.processor.arrive()
        self.random.choice(
            (
                self.release,
                self.carry_out,
                self.carry_out,
                self.carry_out,
                self.deliver_outcome,
                self.deliver_outcome,
                self.meddle,
            )
        )()

    def release(self) -> None:
        """Another reversal, or one of the past once more."""
        if self.releases and self.random.random() < 0.4:
            wanted = self.random.choice(self.releases)
        else:
            number, amount = len(self.releases), self.random.choice(AMOUNTS)
            consent = self.random.random() < 0.9
            wanted = a_reversal(
                RETURN_ID, f"rv-{number}", amount=amount, consent=consent, payment_id="p1"
            )
            self.releases.append(wanted)
        self.keep(reversal.released(self.order, wanted, self.facts()))

    def execute(self, payload: Any) -> ReversalCharged | Again:
        made: ReversalCharged | Again = _run(self.charging.reverse(payload))
        return made

    def handle(self, message: ReversalCharged) -> None:
        self.keep(reversal.charged(self.order, message, self.facts()))

    def meddle(self) -> None:
        draw = self.random.random()
        if draw < 0.5:
            self.processor.drift()
        elif draw < 0.8:
            self.spend()
        elif draw < 0.9:
            self.fail_the_refund()

    def spend(self) -> None:
        amount = min(self.credit, self.random.choice(AMOUNTS))
        if amount == 0:
            return
        wish = DebitStoreCredit(
            debit_id=f"d-{self.random.random()}",
            customer_id=self.order.customer_id,
            kind=DebitKind.REDEEMED,
            amount=amount,
            currency="USD",
            order_id="order-2",
        )
        self.credit -= credit.debit(wish, self.credit).amount

    def fail_the_refund(self) -> None:
        """The bank could not deliver what had settled."""
        if self.by_credit:
            return
        seen = self.settled().seen
        assert seen is not None
        failed = seen.model_copy(update={"status": SeenStatus.FAILED, "failure_code": "declined"})
        found = messages.RefundSeen(
            order_id="order-1", refund_id=REFUND_ID, seen=failed, looked_at=self.at
        )
        self.keep(outcome.seen(self.order, found, self.facts()))

    def heal(self) -> None:
        """The world is well again: every reversal must end by itself."""
        self.calm = True
        for _ in range(HEAL_STEPS_MAX):
            self.at += timedelta(minutes=5)
            self.processor.arrive()
            self.processor.drift()
            while any(at <= self.at for at, *_ in self.effects):
                self.carry_out()
            while self.outcomes:
                self.deliver_outcome()
            if not self.effects:
                return
        raise AssertionError(f"{self.effects} after {HEAL_STEPS_MAX} steps")


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")


def _seen(made: Made) -> SeenCharge:
    return SeenCharge(
        reference=made.reference,
        reversal_id=made.reversal_id,
        order_id="order-1",
        status=made.status,
        amount=made.amount,
        currency="USD",
    )


def _trouble(verdict: Verdict) -> ProcessorError:
    return ProcessorError(Trouble(verdict=verdict, code="declined", explanation="simulated"))


def run(seed: int) -> World:
    """One interleaving, to its end. Raises AssertionError where money went wrong."""
    world = World(seed)
    for _ in range(CHAOS_STEPS):
        world.step()
    world.heal()
    taken = 0
    for id_, each in world.order.reversals.items():
        charged = world.processor.effective(id_)
        told = [e for e in world.events if type(e) is ReversalSettled and e.reversal_id == id_]
        refused = [e for e in world.events if type(e) is ReversalRefused and e.reversal_id == id_]
        assert each.state is not ReversalState.CHARGING, f"{id_} never ends"
        is_settled = each.state is ReversalState.SETTLED
        assert (len(told), len(refused)) == ((1, 0) if is_settled else (0, 1)), id_
        by_charge = is_settled and each.method == reversal.CHARGE
        assert len(charged) == (1 if by_charge else 0), f"{id_} is {each.state}: {charged}"
        assert all(made.amount == each.amount for made in charged)
        taken += each.amount if is_settled else 0
    assert taken <= PAID, "more was taken back than was paid"
    _check_legs(world, taken)
    return world


def _check_legs(world: World, taken: int) -> None:
    """Tax and points stand for what the customer has kept."""
    tax = sum(each.tax for each in world.events if type(each) is TaxReversalRecorded)
    points = [each for each in world.events if type(each) is LoyaltyReversed]
    found = (
        tax,
        sum(each.points_reversed for each in points),
        sum(each.points_restored for each in points),
    )
    if world.order.refunds[REFUND_ID].state is RefundState.SETTLED:
        legs = (TAX, POINTS_REVERSED, POINTS_RESTORED)
        assert found == tuple(leg - leg * taken // PAID for leg in legs), (found, taken)
    else:
        assert found == (0, 0, 0), found
