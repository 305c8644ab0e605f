"""Carries out payment's intents at the processors. Each can be repeated after a crash."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from contracts.assessments import DisputeState
from contracts.base import Message
from services.chassis import telemetry
from services.chassis.checkpoint import checkpoint
from services.chassis.clock import Clock
from services.chassis.errors import Transient
from services.chassis.service import Again, Executor
from services.payment import gauges, messages, store
from services.payment.audit import reconcile
from services.payment.charging import Charging
from services.payment.claims import Claims
from services.payment.messages import RefundSubmitted, Result, SubmitRefund
from services.payment.model import (
    PROCESSOR_METHOD,
    PaymentFacts,
    PaymentLook,
    SeenStatus,
)
from services.payment.processors.breaker import CircuitOpen
from services.payment.processors.choice import Processors
from services.payment.processors.port import ProcessorError, Submission, Verdict

LOOK_TRUSTED = timedelta(seconds=30)
"""A process that stood still so long since it looked for disputes submits nothing."""
LOST = "a dispute was lost: the bank has already taken the money back"


class Effects:
    """Executors; `pool` is the service's own store."""

    def __init__(self, processors: Processors, pool: Any, clock: Clock) -> None:
        self._processors = processors
        self._pool = pool
        self._clock = clock
        self._claims = Claims(pool, clock)
        self._charging = Charging(processors, clock, partial(store.unwanted_since, pool))

    def executors(self) -> dict[type[Message], Executor]:
        return {
            messages.AssessPayments: self._patient(self.assess),
            messages.SubmitRefund: self._patient(self.submit),
            messages.CancelRefund: self._patient(self.cancel),
            messages.LookUpRefund: self._patient(self.look_up),
            messages.LookAtPayment: self._patient(self.look_at),
            messages.ChargeReversal: self._patient(self._charging.reverse),
            messages.Reconcile: self._patient(self.reconcile),
        }

    def _patient(self, executor: Executor) -> Executor:
        """A processor that is left alone, or fails to answer a question, is asked again later."""

        async def patient(payload: Any) -> Message | Again:
            try:
                return await executor(payload)
            except CircuitOpen as error:
                return Again(at=error.until, reason=str(error))
            except ProcessorError as error:
                seconds = error.trouble.retry_seconds
                if seconds is None:
                    raise Transient(str(error)) from error
                return Again(at=self._clock.now() + timedelta(seconds=seconds), reason=str(error))

        return patient

    async def assess(self, intent: messages.AssessPayments) -> messages.PaymentsLooked:
        as_of = self._clock.now()
        looks = [await self._look(payment, test=intent.test) for payment in intent.payments]
        return messages.PaymentsLooked(
            order_id=intent.order_id,
            return_id=intent.return_id,
            order_version=intent.order_version,
            round=intent.round,
            looks=tuple(looks),
            as_of=as_of,
            test=intent.test,
        )

    async def _look(
        self, payment: PaymentFacts, *, test: bool, with_refunds: bool = False
    ) -> PaymentLook:
        now = self._clock.now()
        try:
            processor = self._processors.of(payment, test=test)
        except ProcessorError as error:
            return PaymentLook(
                payment_id=payment.payment_id, refusal=error.trouble.explanation, as_of=now
            )
        return await processor.look(payment, now=now, with_refunds=with_refunds)

    async def submit(self, intent: SubmitRefund) -> RefundSubmitted:
        """Look, claim this try, then hold, pay or submit. A claimed try is never done again.

        Whoever finds the claim taken died, or lost its lease, in between: nobody knows what became
        of it, so it is looked up. Whoever stood still since it looked gives the try back unused.
        """
        began_at = self._clock.now()
        looks = tuple(
            [
                await self._look(payment, test=intent.test, with_refunds=intent.attempt > 1)
                for payment in intent.payments
            ]
        )
        there = looks[0].refund(intent.refund_id)
        if intent.method is PROCESSOR_METHOD and there is not None:
            return _result(intent, Result.SEEN, looks, seen=there)
        if not await self._claims.take(intent):
            return _result(intent, Result.NO_ANSWER, looks, explanation="interrupted")
        checkpoint("after_claim")
        if self._clock.now() - began_at > LOOK_TRUSTED:
            return _result(intent, Result.NOT_SENT, explanation="stood still")
        disputes = {each.state for look in looks for each in look.disputes}
        if DisputeState.OPEN in disputes:
            return _result(intent, Result.HELD, looks)
        if intent.method is not PROCESSOR_METHOD:
            return _result(intent, Result.CLEARED, looks)
        if DisputeState.LOST in disputes:
            return _result(intent, Result.DECLINED, looks, code="dispute_lost", explanation=LOST)
        return await self._submit_claimed(intent, looks)

    async def _submit_claimed(
        self, intent: SubmitRefund, looks: tuple[PaymentLook, ...]
    ) -> RefundSubmitted:
        payment = intent.payments[0]
        try:
            processor = self._processors.of(payment, test=intent.test)
            seen = await processor.submit(_submission(intent))
        except CircuitOpen as error:
            return _result(intent, Result.NOT_SENT, looks, explanation=str(error))
        except ProcessorError as error:
            checkpoint("after_submit")
            return await self._failed(intent, looks, error)
        checkpoint("after_submit")
        return _result(intent, Result.SEEN, looks, seen=seen)

    async def _failed(
        self, intent: SubmitRefund, looks: tuple[PaymentLook, ...], error: ProcessorError
    ) -> RefundSubmitted:
        trouble = error.trouble
        result = {
            Verdict.NOT_SENT: Result.NOT_SENT,
            Verdict.UNKNOWN: Result.NO_ANSWER,
        }.get(trouble.verdict, Result.DECLINED)
        seen = None
        if result is Result.DECLINED:
            # A "no" is believed when nothing of this refund is there: an earlier attempt might.
            looks = (await self._look(intent.payments[0], test=intent.test, with_refunds=True),)
            seen = looks[0].refund(intent.refund_id)
            if seen is not None and seen.status is not SeenStatus.FAILED:
                result = Result.SEEN
            elif trouble.verdict is Verdict.DISPUTED and any(
                each.state is DisputeState.OPEN for each in looks[0].disputes
            ):
                result = Result.HELD
        return RefundSubmitted(
            order_id=intent.order_id,
            refund_id=intent.refund_id,
            attempt=intent.attempt,
            tries=intent.tries,
            result=result,
            seen=seen if result is Result.SEEN else None,
            looks=looks,
            code=trouble.code[:200],
            explanation=trouble.explanation,
            retryable=trouble.retryable,
            retry_seconds=trouble.retry_seconds,
        )

    async def cancel(self, intent: messages.CancelRefund) -> messages.RefundSeen:
        """What has become of it counts, not the answer: it may have been paid meanwhile."""
        processor = self._processors.of(intent.payment, test=intent.test)
        try:
            await processor.cancel(intent.processor_reference)
        except ProcessorError as error:
            if error.trouble.verdict is not Verdict.REFUSED:
                raise
        looked_at = self._clock.now()
        seen = await processor.find(intent.payment, intent.refund_id, intent.processor_reference)
        return messages.RefundSeen(
            order_id=intent.order_id, refund_id=intent.refund_id, seen=seen, looked_at=looked_at
        )

    async def look_up(self, intent: messages.LookUpRefund) -> messages.RefundSeen:
        looked_at = self._clock.now()
        processor = self._processors.of(intent.payment, test=intent.test)
        seen = await processor.find(intent.payment, intent.refund_id, intent.processor_reference)
        return messages.RefundSeen(
            order_id=intent.order_id, refund_id=intent.refund_id, seen=seen, looked_at=looked_at
        )

    async def look_at(self, intent: messages.LookAtPayment) -> messages.PaymentSeen:
        look = await self._look(intent.payment, test=intent.test, with_refunds=True)
        return messages.PaymentSeen(order_id=intent.order_id, look=look, test=intent.test)

    async def reconcile(self, intent: messages.Reconcile) -> messages.Reconciled:
        now = self._clock.now()
        report = await reconcile.reconcile(
            self._pool,
            self._processors,
            intent.since,
            now,
            charges_since=max(intent.since, now - timedelta(days=reconcile.SINCE_DAYS)),
        )
        gauges.tell(report)
        for each in report.differences:
            telemetry.log.error(
                "books_differ",
                kind=each.kind,
                processor=each.processor,
                refund_id=each.refund_id,
                reference=each.reference,
            )
        return messages.Reconciled(
            doubts=reconcile.doubts(report), kinds=tuple(each.kind for each in report.differences)
        )


def _submission(intent: SubmitRefund) -> Submission:
    return Submission(
        payment=intent.payments[0],
        amount=intent.amount,
        currency=intent.currency,
        key=intent.key,
        metadata={
            "refund_id": intent.refund_id,
            "return_id": intent.return_id,
            "order_id": intent.order_id,
            "attempt": str(intent.attempt),
        },
    )


def _result(
    intent: SubmitRefund,
    result: Result,
    looks: tuple[PaymentLook, ...] = (),
    **more: Any,
) -> RefundSubmitted:
    return RefundSubmitted(
        order_id=intent.order_id,
        refund_id=intent.refund_id,
        attempt=intent.attempt,
        tries=intent.tries,
        result=result,
        looks=looks,
        **more,
    )
