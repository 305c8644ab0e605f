"""Whatever is said to a return, in whatever order, and how often: what must always hold, holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.assessments import AssessmentRequested
from contracts.base import Message
from contracts.decisions import Outcome, RefundReleased, RefundVoided, ReturnDecisionMade
from contracts.fulfillment import ParcelUnmatched, ReturnLabelFailed, ReturnLost, ReturnNotSent
from contracts.lifecycle import ReturnStatusChanged
from contracts.payment import DisputeOutcome, FailedState, RefundReservationRefused
from contracts.quarantine import RecordQuarantined
from contracts.requests import CancelReturn, ChosenMethod, CountedLine, Method
from contracts.reviews import ReviewDecision, ReviewedSettlement
from contracts.warehouse import Grade
from services.commerce import status
from services.commerce.model import Money
from services.commerce.policy.model import Limits, Policy, Settings
from services.commerce.transitions import Impossible
from tests.unit.commerce.process import examples
from tests.unit.commerce.process.play import Play
from tests.unit.commerce.process.test_money import chosen, disputed, review, voided
from tests.unit.commerce.process.test_people import evidence

STEPS_MIN = 15
STEPS_MAX = 40
Step = Callable[[Play], list[Message]]
UNITS = ((1,), (2,), (1, 2), ())


def _of(play: Play) -> dict[str, object]:
    return {"return_id": examples.RETURN_ID, "occurred_at": play.now}


def _reviewed(decision: ReviewDecision, **more: object) -> Step:
    def step(play: Play) -> list[Message]:
        made = play.all(ReturnDecisionMade)
        escalated = bool(made) and made[-1].escalation is not None
        return [review(play, decision, **more)] if escalated else []

    return step


def _released(step: Callable[[RefundReleased], Message]) -> Step:
    return lambda play: [step(each) for each in play.all(RefundReleased)[-1:]]


def _first_released(step: Callable[[RefundReleased], Message]) -> Step:
    return lambda play: [step(each) for each in play.all(RefundReleased)[:1]]


def _voided(play: Play) -> list[Message]:
    taken = {each.refund_id for each in play.all(RefundVoided)}
    return [voided(each) for each in play.all(RefundReleased) if each.refund_id in taken]


def _reserved(play: Play) -> list[Message]:
    made = play.all(ReturnDecisionMade)
    return [examples.reserved(each) for each in made if each.decision is Outcome.APPROVED][-1:]


def _refused(play: Play) -> list[Message]:
    return [
        RefundReservationRefused(**each.model_dump(), code="not_refundable")
        for each in _reserved(play)
    ]


def _assessed(play: Play) -> list[Message]:
    asked = play.all(AssessmentRequested)[-1:]
    return [answer(each) for each in asked for answer in (examples.returnable, examples.refundable)]


STEPS: dict[str, Step] = {
    "assessed": _assessed,
    "reserved": _reserved,
    "refused": _refused,
    "label": lambda play: [examples.labelled(play.now)],
    "no label": lambda play: [ReturnLabelFailed(**_of(play), code="x", reason="x")],
    "lost": lambda play: [ReturnLost(**_of(play))],
    "surplus": lambda play: [ParcelUnmatched(**_of(play), reason="a brick")],
    "settled": _released(examples.settled),
    "first settled": _first_released(examples.settled),
    "refund refused": _released(examples.failed),
    "failed": _released(lambda each: examples.failed(each, FailedState.SETTLEMENT_FAILED)),
    "voided": _voided,
    "dispute": lambda play: [disputed(play)],
    "won": lambda play: [disputed(play, DisputeOutcome.WON)],
    "lost dispute": lambda play: [disputed(play, DisputeOutcome.LOST)],
    "approve": _reviewed(ReviewDecision.APPROVE),
    "store credit": _reviewed(
        ReviewDecision.APPROVE, settlement=ReviewedSettlement(method=Method.STORE_CREDIT)
    ),
    "adjust": _reviewed(ReviewDecision.ADJUST, amount=5000),
    "reject": _reviewed(ReviewDecision.REJECT),
    "ask": _reviewed(ReviewDecision.REQUEST_EVIDENCE),
    "stale": _reviewed(ReviewDecision.APPROVE, case_sha256="0" * 64),
    "evidence": lambda play: [evidence(play, f"e{len(play.heard)}")],
    "cancel": lambda play: [CancelReturn(return_id=examples.RETURN_ID, requested_at=play.now)],
    "bank": lambda play: [chosen(play, ChosenMethod.BANK_TRANSFER)],
    "credit": lambda play: [chosen(play, ChosenMethod.STORE_CREDIT)],
    "order": lambda play: [examples.order(quantity=2, version=2)],
    "quarantine": lambda play: [
        RecordQuarantined(
            service="x",
            topic="y",
            partition=0,
            offset=0,
            return_id=examples.RETURN_ID,
            reason="z",
        )
    ],
    "time": lambda play: [],
    **{f"shipped {u}": (lambda play, u=u: [examples.shipped(u, play.now)]) for u in UNITS},
    **{f"delivered {u}": (lambda play, u=u: [examples.delivered(u, play.now)]) for u in UNITS},
    **{f"received {u}": (lambda play, u=u: [examples.received(u, play.now)]) for u in UNITS},
    **{
        f"inspected {u} {grade}": (lambda play, u=u, g=grade: [examples.inspected(u, g, play.now)])
        for u in UNITS[:3]
        for grade in (Grade.AS_NEW, Grade.DAMAGED)
    },
    **{
        f"not sent {n}": (
            lambda play, n=n: [
                ReturnNotSent(**_of(play), lines=(CountedLine(line_id="1", quantity=n),))
            ]
        )
        for n in (1, 2)
    },
}


LIKELY = {
    "reserved": 12,
    "approve": 5,
    "settled": 4,
    "refund refused": 4,
    "store credit": 4,
    "credit": 3,
    "voided": 3,
    "lost dispute": 3,
    "dispute": 3,
    "received (1, 2)": 4,
    "received (1,)": 3,
    "inspected (1,) as_new": 3,
    "inspected (1, 2) as_new": 4,
    "evidence": 2,
}
"""What leads far has to happen often: how many times as likely as the rest."""
NAMES = [name for name in sorted(STEPS) for _ in range(LIKELY.get(name, 1))]
assert set(LIKELY) <= set(STEPS)


def check(play: Play) -> None:
    """What must hold after every message."""
    current, shown = play.current, play.current.shown
    assert shown is not None
    standing = status.of(current)
    assert (shown.status, shown.party) == (standing.status, standing.party)
    assert (shown.until is None) is (shown.status in status.FINAL)
    changes = play.all(ReturnStatusChanged)
    assert [each.number for each in changes] == list(range(1, len(changes) + 1))
    made = [each.sequence for each in play.all(ReturnDecisionMade)]
    assert made == list(range(1, len(made) + 1))
    released = play.all(RefundReleased)
    assert len({each.refund_id for each in released}) == len(released)
    replaced = [each.replaces_refund_id for each in released if each.replaces_refund_id]
    assert len(set(replaced)) == len(replaced)
    if current.terms is not None:
        assert current.live_amount <= current.terms.total
        paid = sum(each.amount for each in current.refunds if each.money is Money.SETTLED)
        assert paid <= current.terms.total
    units = [unit.key for unit in current.units]
    assert len(set(units)) == len(units)


@given(
    names=st.lists(st.sampled_from(NAMES), min_size=STEPS_MIN, max_size=STEPS_MAX),
    refund_on=st.sampled_from(["approval", "proof_of_sending", "receipt", "inspection"]),
    limit=st.sampled_from([1, 10**9]),
)
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
def test_what_must_always_hold_holds_whatever_happens(
    names: list[str], refund_on: str, limit: int
) -> None:
    policy = Policy(
        policy="t",
        version="1",
        defaults=Settings.model_validate({"refund_on": refund_on}),
        limits=Limits(auto_approve_up_to={"USD": limit}),
    )
    play = Play(order=examples.order(quantity=2), policy=policy)
    play.ask(examples.request(quantity=2))
    for name in ("assessed", "reserved", "label", *names):
        for message in STEPS[name](play):
            with suppress(Impossible):  # set aside by the chassis; a person looks
                play.say(message)
            check(play)
        if name == "time":
            play.wait_over()
            check(play)
