"""Whatever comes between us and the processor: never two effective refunds, never a lost one.

The same for reversals of a settled refund: never two charges, never more than was paid.

``INTERLEAVINGS=20000`` plays as many; a failure names the SEED that plays it again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.payment import charging
from services.payment.decide import outcome, reversal
from services.payment.model import RefundState, ReversalState
from services.payment.processors.port import Verdict
from tests.unit.payment import interleaving, reversing

INTERLEAVINGS = int(os.environ.get("INTERLEAVINGS", "1000"))
FIRST_SEED = int(os.environ.get("SEED", "0"))
MUTANT_SEEDS_MAX = 3000


def test_no_interleaving_pays_twice_or_loses_a_refund() -> None:
    ends: Counter[RefundState] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + INTERLEAVINGS):
        try:
            ends[interleaving.run(seed).state] += 1
        except Exception as error:
            again = f"replay it with SEED={seed} INTERLEAVINGS=1"
            raise AssertionError(f"{again}: {error!r}") from error
    if INTERLEAVINGS >= 1000:
        interesting = set(RefundState) - {RefundState.NONE, RefundState.SUBMITTING}
        interesting -= {RefundState.PENDING_SETTLEMENT, RefundState.OUTCOME_UNKNOWN}
        missing = {state for state in interesting if ends[state] == 0}
        assert not missing, f"no interleaving ended in {missing}"


def test_no_interleaving_charges_a_reversal_twice_or_takes_back_too_much() -> None:
    ends: Counter[tuple[ReversalState, str]] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + INTERLEAVINGS):
        try:
            world = reversing.run(seed)
        except Exception as error:
            again = f"replay it with SEED={seed} INTERLEAVINGS=1"
            raise AssertionError(f"{again}: {error!r}") from error
        ends.update((each.state, each.method) for each in world.order.reversals.values())
    if INTERLEAVINGS >= 1000:
        assert set(ends) == {
            (ReversalState.SETTLED, reversal.CHARGE),
            (ReversalState.SETTLED, "store_credit"),
            (ReversalState.REFUSED, reversal.CHARGE),
        }


def believes_absence_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "_too_early", lambda refund, message: False)


def takes_a_time_out_for_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "_lose_sight", lambda draft, refund, reason: _decline(draft))


def _decline(draft: Any) -> None:
    refund = draft.order.refunds[interleaving.REFUND_ID]
    moved = draft.advance(refund, outcome.Event.DECLINED)
    draft.tell_failed(moved, code="timeout", text="", retryable=True)


def tries_again_without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "_lose_sight", lambda draft, refund, reason: _again(draft))


def _again(draft: Any) -> None:
    refund = draft.order.refunds[interleaving.REFUND_ID]
    changed = refund.model_copy(update={"attempt": refund.attempt + 1, "tries": 1})
    draft.submit(draft.keep(changed))


def forgets_to_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome.Draft, "poll_later", lambda draft, refund: refund)


def submits_what_another_has_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(set[tuple[int, int]]):
        def __contains__(self, item: object) -> bool:
            return False

    begin = interleaving.World.__init__

    def forgetful(world: interleaving.World, seed: int) -> None:
        begin(world, seed)
        world.claims = Forgetful()

    def keyless(world: interleaving.World, intent: Any, look: Any) -> Any:
        world.processor.answers.pop(intent.key, None)  # and the processor forgot the key
        return request(world, intent, look)

    request = interleaving.World.request
    monkeypatch.setattr(interleaving.World, "__init__", forgetful)
    monkeypatch.setattr(interleaving.World, "request", keyless)


@pytest.mark.parametrize(
    "mutant",
    [
        believes_absence_at_once,
        takes_a_time_out_for_a_no,
        tries_again_without_looking,
        forgets_to_poll,
        submits_what_another_has_claimed,
    ],
    ids=lambda mutant: mutant.__name__,
)
def test_the_check_notices_a_service_that(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    for seed in range(MUTANT_SEEDS_MAX):
        try:
            interleaving.run(seed)
        except Exception:
            return
    raise AssertionError("nothing was noticed")


def charges_again_at_once_under_a_new_key(monkeypatch: pytest.MonkeyPatch) -> None:
    submission, keys = charging._submission, iter(range(10**6))
    monkeypatch.setattr(charging, "RETRY", timedelta(0))
    monkeypatch.setattr(
        charging, "_submission", lambda intent: replace(submission(intent), key=f"k{next(keys)}")
    )


def takes_a_charge_without_an_answer_for_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        reversing, "_trouble", lambda verdict: _trouble(Verdict.REFUSED, of=verdict)
    )


def _trouble(verdict: Verdict, *, of: Verdict) -> Exception:
    trouble = reversing.Trouble(verdict=verdict, code=of, explanation="")
    return reversing.ProcessorError(trouble)


def forgets_what_other_reversals_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reversal, "_taken", lambda order, return_id: 0)


@pytest.mark.parametrize(
    "mutant",
    [
        charges_again_at_once_under_a_new_key,
        takes_a_charge_without_an_answer_for_refused,
        forgets_what_other_reversals_take,
    ],
    ids=lambda mutant: mutant.__name__,
)
def test_the_check_of_reversals_notices_a_service_that(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    for seed in range(MUTANT_SEEDS_MAX):
        try:
            reversing.run(seed)
        except Exception:
            return
    raise AssertionError("nothing was noticed")
