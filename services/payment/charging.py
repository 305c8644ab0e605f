"""A reversal's new charge: looked up before every try, so that nobody is charged twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from services.chassis.checkpoint import checkpoint
from services.chassis.clock import Clock
from services.chassis.service import Again
from services.payment.messages import ChargeReversal, ReversalCharged
from services.payment.model import KEY_TRUSTED_HOURS_MAX, SeenStatus
from services.payment.processors.choice import Processors
from services.payment.processors.port import (
    Processor,
    ProcessorError,
    SeenCharge,
    Submission,
    Verdict,
)

RETRY = timedelta(seconds=15)
"""Longer than a request that nobody waits for any more can still be on its way."""
WAIT_MAX = timedelta(hours=1)
"""Between two looks at a bank debit that takes its days."""
LOOK_TRUSTED = timedelta(seconds=30)
UNWANTED_PROOF = timedelta(minutes=1)
"""Longer than LOOK_TRUSTED and a request together: what began before has ended by then."""
UnwantedSince = Callable[[str, str], Awaitable[datetime | None]]
"""(order, reversal) -> when the refund that it was to take back came to nothing."""


class Charging:
    def __init__(self, processors: Processors, clock: Clock, unwanted_since: UnwantedSince) -> None:
        self._processors = processors
        self._unwanted_since = unwanted_since
        self._clock = clock

    async def reverse(self, intent: ChargeReversal) -> ReversalCharged | Again:
        """Charge once: what may have been done is looked up by its metadata before any try.

        One key for ever, and none after 20 h, when the processor may forget it: by then all
        requests have ended, so that nothing found is the proof that nothing was charged.
        """
        processor = self._processors.of(intent.payment, test=intent.test)
        looked_at = self._clock.now()
        found = await processor.find_charge(intent.payment, intent.reversal_id, intent.asked_at)
        if found is not None:
            return self._seen(intent, found)
        unwanted = await self._unwanted_since(intent.order_id, intent.reversal_id)
        if unwanted is not None:
            return _withdrawn(intent, looked_at, unwanted + UNWANTED_PROOF)
        age = self._clock.now() - intent.asked_at
        if age >= timedelta(hours=KEY_TRUSTED_HOURS_MAX) + RETRY:
            text = f"nothing was charged within {KEY_TRUSTED_HOURS_MAX} hours"
            return _refused(intent, "not_charged", text)
        if age >= timedelta(hours=KEY_TRUSTED_HOURS_MAX):
            return Again(at=self._clock.now() + RETRY, reason="the last try may be on its way")
        if self._clock.now() - looked_at > LOOK_TRUSTED:
            return Again(at=self._clock.now(), reason="stood still")
        return await self._charge(processor, intent)

    async def _charge(
        self, processor: Processor, intent: ChargeReversal
    ) -> ReversalCharged | Again:
        try:
            made = await processor.charge(_submission(intent))
        except ProcessorError as error:
            checkpoint("after_charge")
            trouble = error.trouble
            if trouble.verdict in (Verdict.UNKNOWN, Verdict.NOT_SENT):
                wait = max(RETRY, timedelta(seconds=trouble.retry_seconds or 0))
                return Again(at=self._clock.now() + wait, reason=str(error))
            return _refused(intent, trouble.code, trouble.explanation)
        checkpoint("after_charge")
        return self._seen(intent, made)

    def _seen(self, intent: ChargeReversal, charge: SeenCharge) -> ReversalCharged | Again:
        match charge.status:
            case SeenStatus.SUCCEEDED:
                return ReversalCharged(
                    order_id=intent.order_id,
                    reversal_id=intent.reversal_id,
                    settled=True,
                    reference=charge.reference,
                )
            case SeenStatus.PENDING:
                now = self._clock.now()
                wait = min(max(RETRY, (now - intent.asked_at) // 10), WAIT_MAX)
                return Again(at=now + wait, reason=charge.explanation)
        return _refused(intent, "charge_incomplete", charge.explanation)


def _withdrawn(
    intent: ChargeReversal, looked_at: datetime, proven_from: datetime
) -> ReversalCharged | Again:
    """Nothing was found, and nothing may be charged any more."""
    if looked_at < proven_from:
        return Again(at=proven_from, reason="the last try may be on its way")
    text = "the refund came back, so that there is nothing to take back"
    return _refused(intent, "refund_failed", text)


def _refused(intent: ChargeReversal, code: str, explanation: str) -> ReversalCharged:
    return ReversalCharged(
        order_id=intent.order_id,
        reversal_id=intent.reversal_id,
        settled=False,
        code=code,
        explanation=explanation,
    )


def _submission(intent: ChargeReversal) -> Submission:
    return Submission(
        payment=intent.payment,
        amount=intent.amount,
        currency=intent.currency,
        key=f"reversal:{intent.reversal_id}:1",
        metadata={
            "reversal_id": intent.reversal_id,
            "return_id": intent.return_id,
            "order_id": intent.order_id,
        },
    )
