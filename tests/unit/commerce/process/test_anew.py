"""A returned replacement is a return like any other; the first return refunded nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from contracts.assessments import AssessmentRequested, LineReturnability, SentInPlace
from contracts.decisions import (
    EscalationReason,
    Outcome,
    RefundReleased,
    ReplacementReleased,
    ReturnDecisionMade,
    Verdict,
)
from contracts.fulfillment import ReplacementShipped
from services.commerce import judgement
from services.commerce.decide.draft import Draft
from services.commerce.papers import Dossier, Facts, Paper
from tests.unit.commerce.process import examples
from tests.unit.commerce.process.play import Play

SECOND, THIRD = (f"00000000-0000-0000-0000-{number:012}" for number in (2, 3))


def replaced(quantity: int = 1, *, ask_for: str | None = None, back: bool = True) -> Dossier:
    """A return whose unit came back (or not yet) and whose replacement was shipped."""
    wish = {"replacement_sku": ask_for} if ask_for else {}
    resolution = "exchange" if ask_for else "replacement"
    order = examples.order(quantity=quantity)
    if ask_for:
        other = order.lines[0].model_copy(update={"line_id": "2", "sku": ask_for, "quantity": 1})
        order = order.model_copy(update={"lines": (*order.lines, other)})
    play = Play(order=order)
    play.ask(examples.request(resolution=resolution, reason="defective", **wish)).assessed()
    play.say(examples.labelled(), examples.shipped(), examples.received())
    if back:
        play.say(examples.inspected(defect_confirmed=True))
    released = play.last(ReplacementReleased)
    return play.say(
        ReplacementShipped(
            return_id=released.return_id,
            occurred_at=play.now,
            replacement_id=released.replacement_id,
            sku=released.sku,
            quantity=released.quantity,
        )
    ).dossier


def again(*others: Dossier, quantity: int = 1, now: datetime | None = None, **request: Any) -> Play:
    play = Play(order=examples.order(quantity=quantity), others=others)
    play.now = now or play.now
    return play.ask(examples.request(return_id=SECOND, now=play.now, **request))


def units_of(play: Play) -> dict[str | None, tuple[int, ...]]:
    made = play.made.lines
    return {line.line_id: line.units for line in made if line.verdict is Verdict.APPROVED}


def test_a_replacement_that_comes_back_is_approved_and_refunded_once() -> None:
    first = replaced()
    play = again(first).assessed()
    assert play.made.decision is Outcome.APPROVED
    assert units_of(play) == {"1": (1,)}
    assert play.made.refund is not None and play.made.refund.total == 22200
    assert "replacement_returned" in {each.code for each in play.made.findings}
    third = Play(others=(first, play.dossier)).ask(examples.request(return_id=THIRD)).assessed()
    assert third.made.decision is Outcome.REJECTED
    assert third.all(RefundReleased) == []


def test_while_nobody_has_seen_what_was_replaced_a_person_looks_at_the_replacement() -> None:
    first = replaced(back=False)
    second = again(first).assessed()
    assert second.made.escalation is not None
    assert second.made.escalation.reason is EscalationReason.INVENTORY_CONTRADICTION
    assert "replaced_goods_unseen" in {each.code for each in second.made.findings}
    # The first return goes on as if the second one did not exist.
    play = Play(others=(second.dossier,))
    play.dossier = first
    play.say(examples.inspected(defect_confirmed=True))
    assert play.current.over


def test_a_replaced_unit_is_kept_so_that_shipping_is_not_refunded_for_the_rest() -> None:
    play = again(replaced(quantity=2), quantity=2).assessed()
    assert units_of(play) == {"1": (1,)}
    assert play.made.refund is not None and play.made.refund.shipping == 0


def test_a_replacement_that_is_replaced_can_come_back_too() -> None:
    second = again(replaced(), resolution="replacement", reason="defective").assessed()
    assert second.made.decision is Outcome.APPROVED
    assert second.made.replacement is not None and second.made.replacement.quantity == 1


def test_the_window_runs_from_the_replacements_delivery() -> None:
    """Thirty-eight days after the first delivery, which alone would be too late."""
    first = replaced()
    asked_at = examples.NOW + timedelta(days=28)
    for delivered, decision in ((26, Outcome.APPROVED), (None, Outcome.APPROVED)):
        play = again(first, now=asked_at)
        sent = SentInPlace(
            quantity=1,
            sku="JACKET-M",
            shipped_at=examples.NOW,
            delivered_at=None if delivered is None else asked_at - timedelta(days=delivered),
        )
        line = LineReturnability(line_id="1", returnable=True, replacements=(sent,))
        asked = play.last(AssessmentRequested)
        play.say(examples.returnable(asked, lines=(line,)), examples.refundable(asked))
        assert play.made.decision is decision
    late = again(now=asked_at).assessed()
    assert late.made.decision is Outcome.ESCALATED


def test_a_quote_goes_by_when_the_replacement_was_shipped() -> None:
    asked_at = examples.NOW + timedelta(days=28)
    play = again(replaced(), now=asked_at)
    assert "outside_window" not in {each.code for each in quoted(play).findings}


def quoted(play: Play) -> ReturnDecisionMade:
    """As `POST /quotes` judges: without anybody's facts."""
    dossier = Dossier(play.dossier.current, play.dossier.request, Paper.of(Facts()))
    return judgement.judge(Draft.of(dossier, play.desk).case(), counterfactual=False)


def test_what_was_sent_in_exchange_comes_back_under_its_own_name() -> None:
    first = replaced(ask_for="JACKET-L")
    for line_id in ("1", None):
        line = {"line_id": line_id, "sku": "JACKET-L", "quantity": 1, "reason": "wrong_size"}
        play = again(first, lines=[line | {"condition": "unopened"}])
        assert play.last(AssessmentRequested).lines[0].sku == "JACKET-L"
        play.assessed()
        assert play.made.decision is Outcome.APPROVED
        assert units_of(play) == {"1": (1,)}
    sold = again(first).assessed()
    assert sold.made.decision is Outcome.REJECTED
