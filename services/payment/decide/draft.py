"""What a decision is made of, and how one is put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.base import Message
from contracts.decisions import Allocation
from contracts.payment import (
    FailedState,
    RefundFailed,
    RefundMessage,
    RefundOutcomeUnknown,
    RefundPending,
    RefundSettled,
)
from contracts.requests import Method
from services.chassis.decision import Deadline, Decision, Effect
from services.payment import messages
from services.payment.decide.rows import CreditNote, Posting, RefundMove, StoreCredit
from services.payment.model import (
    ACCOUNT_OF,
    ALTERNATIVES,
    FAILED_STATES,
    POLL_SECONDS,
    Account,
    OrderMoney,
    PaymentFacts,
    Refund,
    RefundState,
)
from services.payment.transitions import Event, Impossible, move

POLL = "poll"


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a decision may know beside the order. Times are UTC."""

    now: datetime
    cause: str = ""
    """`ce_id` of the message that all this goes back to."""
    last_notes: Mapping[str, int] = field(default_factory=dict)
    """Series of credit notes -> the last number used."""
    points: int = 0
    """The customer's points, as our ledger knows them."""
    credit: int = 0
    """The customer's store credit in the order's currency, minor units."""
    test_credit: int = 0
    """The same in the book of test returns."""
    credit_days: int | None = None
    """How long store credit can be spent; None: for ever."""

    def credit_in(self, *, test: bool) -> int:
        return self.test_credit if test else self.credit


@dataclass(frozen=True, kw_only=True, slots=True)
class MoneyDecision(Decision[OrderMoney]):
    postings: tuple[Posting, ...] = ()
    notes: tuple[CreditNote, ...] = ()
    credits: tuple[StoreCredit, ...] = ()
    released: tuple[Refund, ...] = ()
    """New refunds: their intents are written once and never change."""
    moves: tuple[RefundMove, ...] = ()
    points: int = 0
    """Change of the customer's points."""


@dataclass(kw_only=True)
class Draft:
    """A decision in the making. It never leaves the function that began it."""

    order: OrderMoney
    facts: Facts
    events: list[Message] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    deadlines: dict[tuple[str, str], Deadline] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    notes: list[CreditNote] = field(default_factory=list)
    credits: list[StoreCredit] = field(default_factory=list)
    released: list[Refund] = field(default_factory=list)
    moves: list[RefundMove] = field(default_factory=list)
    points: int = 0
    ignored: str | None = None

    @property
    def now(self) -> datetime:
        return self.facts.now

    def decision(self) -> MoneyDecision:
        """The finished decision. What was ignored and changed nothing else is counted."""
        acted = self.events or self.effects or self.postings or self.deadlines
        return MoneyDecision(
            state=self.order,
            events=tuple(self.events),
            effects=tuple(self.effects),
            deadlines=tuple(self.deadlines.values()),
            ignored=None if acted else self.ignored,
            postings=tuple(self.postings),
            notes=tuple(self.notes),
            credits=tuple(self.credits),
            released=tuple(self.released),
            moves=tuple(self.moves),
            points=self.points,
        )

    def deadline(self, deadline: Deadline) -> None:
        self.deadlines[deadline.name, deadline.subject] = deadline

    def post(
        self,
        payment_id: str,
        source: Account,
        target: Account,
        amount: int,
        *,
        test: bool,
        return_id: str | None = None,
        refund_id: str | None = None,
    ) -> None:
        """Move money within a payment's book. Nothing moves for 0."""
        if amount == 0:
            return
        if amount < 0:
            raise Impossible(f"a posting of {amount} from {source} to {target}")
        self.postings.append(
            Posting(
                book="payment",
                holder=payment_id,
                source=source,
                target=target,
                amount=amount,
                unit=self.order.currency,
                return_id=return_id,
                refund_id=refund_id,
                test=test,
            )
        )

    def advance(self, refund: Refund, event: Event, detail: str = "", **changes: object) -> Refund:
        """Move a refund along the table, and its money with it. Raises Impossible.

        The same refund comes back where the event is late or a duplicate.
        """
        state = move(refund.state, event)
        if state is None:
            self.ignored = f"{event} while {refund.state}"
            return refund
        moved = refund.model_copy(update={"polls": 0, **changes, "state": state})
        if refund.state is not RefundState.NONE:
            self._move_money(refund, moved)
        self.moves.append(
            RefundMove(
                refund_id=moved.refund_id,
                event=event,
                state=state,
                attempt=moved.attempt,
                key=moved.key,
                processor_reference=moved.processor_reference,
                detail=detail,
            )
        )
        self.order = self.order.with_refund(moved)
        if moved.state in FAILED_STATES:
            self.give_back(moved)
        return moved

    def _move_money(self, before: Refund, after: Refund) -> None:
        source, target = ACCOUNT_OF[before.state], ACCOUNT_OF[after.state]
        if source is target:
            return
        for part in after.sources:
            self.post(
                part.payment_id,
                source,
                target,
                part.amount,
                test=after.test,
                return_id=after.return_id,
                refund_id=after.refund_id,
            )

    def give_back(self, refund: Refund) -> None:
        """A refund that came to nothing is reserved for its return again, not released."""
        money = self.order.returns[refund.return_id]
        reserve = dict(money.reserve)
        for part in refund.sources:
            reserve[part.payment_id] = reserve.get(part.payment_id, 0) + part.amount
        self.order = self.order.with_return(money.model_copy(update={"reserve": reserve}))

    def keep(self, refund: Refund) -> Refund:
        """Store a refund whose state did not change."""
        self.order = self.order.with_refund(refund)
        return refund

    def payments_of(self, refund: Refund) -> tuple[PaymentFacts, ...]:
        """The payments that a refund counts against. Raises Impossible for an unknown one."""
        found = []
        for source in refund.sources:
            payment = self.order.payment(source.payment_id)
            if payment is None:
                raise Impossible(f"the order has no payment {source.payment_id}")
            found.append(payment)
        return tuple(found)

    def submit(self, refund: Refund, *, not_before: datetime | None = None) -> None:
        """Intend to hand a refund over under its present key."""
        payload = messages.SubmitRefund(
            order_id=self.order.order_id,
            return_id=refund.return_id,
            refund_id=refund.refund_id,
            method=refund.method,
            attempt=refund.attempt,
            tries=refund.tries,
            key=refund.key,
            payments=self.payments_of(refund),
            amount=refund.amount,
            currency=refund.currency,
            test=refund.test,
        )
        id_ = f"submit:{refund.refund_id}:{refund.attempt}:{refund.tries}"
        self.effects.append(Effect(id=id_, payload=payload, not_before=not_before))

    def look_up(self, refund: Refund, *, poll: bool = False) -> Refund:
        """Intend to ask the processor what became of a refund.

        A poll that finds the last one still waiting adds nothing; news always asks again, for a
        look-up under way may have read before it.
        """
        payload = messages.LookUpRefund(
            order_id=self.order.order_id,
            refund_id=refund.refund_id,
            payment=self.payments_of(refund)[0],
            processor_reference=refund.processor_reference,
            test=refund.test,
        )
        id_ = f"look:{refund.refund_id}:{'poll' if poll else refund.looks}"
        self.effects.append(Effect(id=id_, payload=payload))
        return self.keep(refund.model_copy(update={"looks": refund.looks + 1}))

    def cancel(self, refund: Refund, reference: str) -> None:
        """Intend to take back at the processor what is still pending there."""
        payload = messages.CancelRefund(
            order_id=self.order.order_id,
            refund_id=refund.refund_id,
            payment=self.payments_of(refund)[0],
            processor_reference=reference,
            test=refund.test,
        )
        self.effects.append(Effect(id=f"cancel:{refund.refund_id}", payload=payload))

    def look_at(self, payment: PaymentFacts, *, test: bool, why: str) -> None:
        """Intend to read disputes and refunds of a payment."""
        payload = messages.LookAtPayment(order_id=self.order.order_id, payment=payment, test=test)
        self.effects.append(Effect(id=f"payment:{self.order.order_id}:{why}", payload=payload))

    def poll_later(self, refund: Refund) -> Refund:
        """Make sure that somebody asks again, whatever becomes of webhooks."""
        seconds = POLL_SECONDS[min(refund.polls, len(POLL_SECONDS) - 1)]
        due = messages.PollDue(order_id=self.order.order_id, refund_id=refund.refund_id)
        at = self.now + timedelta(seconds=seconds)
        self.deadline(Deadline(name=POLL, subject=refund.refund_id, at=at, message=due))
        return self.keep(refund.model_copy(update={"polls": refund.polls + 1}))

    def stop_polling(self, refund: Refund) -> None:
        self.deadline(Deadline(name=POLL, subject=refund.refund_id))

    def tell_pending(self, refund: Refund) -> None:
        self.events.append(RefundPending(**self._of(refund)))

    def tell_unknown(self, refund: Refund) -> None:
        self.events.append(RefundOutcomeUnknown(**self._of(refund), reason=refund.reason))

    def tell_settled(
        self,
        refund: Refund,
        *,
        arn: str | None = None,
        settlement_currency: str | None = None,
        settlement_amount: int | None = None,
    ) -> None:
        self.events.append(
            RefundSettled(
                **self._of(refund),
                arn=arn,
                settlement_currency=settlement_currency,
                settlement_amount=settlement_amount,
            )
        )

    def tell_failed(self, refund: Refund, *, code: str, text: str, retryable: bool) -> None:
        self.events.append(
            RefundFailed(
                **self._of(refund),
                state=FailedState(refund.state.value),
                failure_code=code or "unknown",
                failure_message=text,
                retryable=retryable,
                alternatives=alternatives_to(refund.method),
            )
        )

    def _of(self, refund: Refund) -> dict[str, object]:
        """The fields that every message about a refund has."""
        fields: dict[str, object] = {
            name: getattr(refund, name)
            for name in (
                "return_id",
                "refund_id",
                "payment_id",
                "method",
                "amount",
                "currency",
                "attempt",
                "processor_reference",
                "test",
            )
        }
        fields |= {
            "order_id": self.order.order_id,
            "idempotency_key": refund.key,
            "occurred_at": self.now,
        }
        assert fields.keys() <= RefundMessage.model_fields.keys()
        return fields


def alternatives_to(method: Method) -> tuple[Method, ...]:
    """The methods that remain when one has failed."""
    return tuple(each for each in ALTERNATIVES if each is not method)


def spread(
    amount: int, reserve: Mapping[str, int], order: Iterable[str]
) -> tuple[Allocation, ...] | None:
    """`amount` taken from reserves in this order of payments; None when they do not suffice."""
    parts = []
    for payment_id in order:
        part = min(amount, reserve.get(payment_id, 0))
        if part > 0:
            parts.append(Allocation(payment_id=payment_id, amount=part))
            amount -= part
    return tuple(parts) if amount == 0 else None
