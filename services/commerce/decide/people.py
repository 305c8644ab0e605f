"""What customers, reviewers and merchants say, and what follows from it."""

from __future__ import annotations

from contracts.decisions import (
    CloseOutcome,
    EscalationReason,
    Outcome,
    ReturnDecisionMade,
    ReversalReleased,
)
from contracts.money import Money as Amount
from contracts.requests import (
    CancelReturn,
    ChosenMethod,
    EvidenceAdded,
    EvidencePurpose,
    Method,
    RequestedSettlement,
    Resolution,
    ReversalRequested,
    SettlementChosen,
)
from contracts.reviews import ReviewDecided, ReviewDecision
from services.commerce import judgement
from services.commerce.decide import asking, goods, money, release
from services.commerce.decide.draft import Draft, derived
from services.commerce.judgement import NotAllowed
from services.commerce.model import (
    AT_HOME,
    CHOICE_WAIT,
    Goods,
    Refund,
    ReplacementState,
    Return,
    Reversal,
    State,
    Verdict,
)
from services.commerce.papers import Paper, with_evidence
from services.commerce.policy.model import Reversal as ReversalPolicy
from services.commerce.transitions import Event

PERSONS_METHODS = frozenset({Method.BANK_TRANSFER, Method.NEW_METHOD})
OTHER_METHOD_NEEDED = frozenset(
    {EscalationReason.PAYMENT_NOT_REFUNDABLE, EscalationReason.SETTLEMENT_FAILED}
)
UNSENT = frozenset({ReplacementState.FAILED, ReplacementState.WAITING})
UNDECIDED = frozenset({State.REQUESTED, State.ASSESSING})


def tell(draft: Draft, notice: str) -> None:
    """Say why something was not done: the status as it is, with this sentence."""
    draft.change(notice=notice)
    draft.show()


def cancel(draft: Draft, message: CancelReturn) -> None:
    current = draft.current
    if current.closed:
        tell(draft, f"The return is {current.state} already.")
    elif current.moved:
        tell(draft, "The return cannot be cancelled any more: the parcel is on its way.")
    elif current.anything_released:
        tell(draft, "The return cannot be cancelled any more: it is being paid or replaced.")
    elif draft.move(Event.CANCEL):
        draft.change(missing=(), asked_customer=False)
        draft.close(CloseOutcome.CANCELLED)
        draft.show()


def evidence(draft: Draft, message: EvidenceAdded) -> None:
    """More to look at: a case that is looked at is published again with it."""
    before = draft.request
    after = with_evidence(before, message.evidence)
    if len(after.evidence) == len(before.evidence):
        draft.ignored = "evidence is known"
        return
    draft.request_paper = Paper.of(after)
    current = draft.current
    proof = any(each.purpose is EvidencePurpose.PROOF_OF_SENDING for each in message.evidence)
    if current.state is State.AWAITING_REVIEW and current.escalation is not None:
        draft.change(asked_customer=False)
        draft.escalate(current.escalation, draft.standing_context())
        draft.show()
        release.carry_out(draft)
    elif current.state is State.APPROVED and proof and not current.moved:
        draft.escalate(EscalationReason.POLICY_GAP, {"proof_of_sending": "a customer's document"})
        draft.show()


def review(draft: Draft, message: ReviewDecided) -> None:
    """A person decides on exactly the case that stands."""
    current, standing = draft.current, draft.standing
    if current.state in UNDECIDED and message.case_sha256 is None:
        draft.change(early_review=message)
        return
    if current.state is not State.AWAITING_REVIEW or standing is None:
        draft.ignored = "not under review"
        return
    if message.case_sha256 is not None and message.case_sha256 != current.case_sha256:
        draft.decided(judgement.stale(draft.case(), standing))
    elif message.decision is ReviewDecision.REQUEST_EVIDENCE:
        draft.change(asked_customer=True)
    elif message.decision is ReviewDecision.LINK_ORDER:
        _link(draft, message, standing)
    else:
        _verdict(draft, message, standing)
    draft.show()
    release.carry_out(draft)


def _link(draft: Draft, message: ReviewDecided, standing: ReturnDecisionMade) -> None:
    """Linking an order proves ownership; the return is judged anew against it."""
    order = draft.order
    if order is None or order.order_id != message.linked_order_id or draft.current.terms:
        draft.decided(judgement.stale(draft.case(), standing))
        draft.change(notice="The order that was to be linked is not known.")
        return
    draft.change(proven=True)
    asking.order_found(draft)


def _verdict(draft: Draft, message: ReviewDecided, standing: ReturnDecisionMade) -> None:
    settlement, current = message.settlement, draft.current
    another = settlement is not None and current.terms is not None
    if another and settlement is not None and settlement.method is not current.terms_method:
        money.void_open(draft, "a person chose another way to pay")
    for_money = _replaces_goods(current, message)
    made = judgement.review(draft.case(), standing, message, for_money=for_money)
    if isinstance(made, NotAllowed):
        draft.decided(made.decision)
        return
    if for_money and settlement is not None:
        _ask_for_money(draft, settlement.method)
    suspected = current.escalation is EscalationReason.FRAUD_SUSPECTED
    draft.change(verdict=_as_verdict(standing, message, made))
    draft.decided(made)
    if message.decision is ReviewDecision.REJECT:
        draft.change(abuse=suspected)
    if made.decision is Outcome.APPROVED:
        _as_approved(draft, message)


def _replaces_goods(current: Return, message: ReviewDecided) -> bool:
    """Whether a person pays units whose replacement could not be sent."""
    exchange = current.exchange
    pays = message.settlement is not None and message.decision is not ReviewDecision.REJECT
    return pays and exchange is not None and exchange.state in UNSENT


def _as_verdict(
    standing: ReturnDecisionMade, message: ReviewDecided, made: ReturnDecisionMade
) -> Verdict | None:
    """What is told of it beside the next case like it."""
    if standing.escalation is None or made.currency is None:
        return None
    return Verdict(
        sequence=made.sequence,
        asked_because=standing.escalation.reason,
        decided=message.decision,
        calculated=standing.refund.total if standing.refund is not None else 0,
        paid=made.refund.total if made.refund is not None else 0,
        currency=made.currency,
        decided_at=message.decided_at,
    )


def _as_approved(draft: Draft, message: ReviewDecided) -> None:
    terms = draft.current.terms
    assert terms is not None
    reference = message.settlement.reference if message.settlement is not None else None
    draft.change(chose=None, terms=terms.model_copy(update={"reference": reference}))
    shown = any(each.purpose is EvidencePurpose.PROOF_OF_SENDING for each in draft.request.evidence)
    if shown and draft.current.sent_at is None:
        # A customer's document proves the sending once a person has accepted it.
        draft.change(sent_at=message.decided_at)
        goods.put(draft, draft.current.units_at(*AT_HOME), Goods.IN_TRANSIT)


def settlement_chosen(draft: Draft, message: SettlementChosen) -> None:
    current = draft.current
    exchange = current.exchange
    waits = exchange is not None and exchange.state is ReplacementState.FAILED
    if waits and current.state is State.APPROVED:
        _instead_of_replacement(draft, message)
    elif current.state is not State.AWAITING_REVIEW or not _may_choose(draft):
        tell(draft, "There is no other way to pay to be chosen for this return now.")
    elif message.method in (ChosenMethod.WAIT, ChosenMethod.UNKNOWN):
        tell(draft, "There is no replacement to wait for.")
    else:
        _pay_by(draft, Method(message.method.value))


def _may_choose(draft: Draft) -> bool:
    current = draft.current
    return current.terms is not None and current.escalation in OTHER_METHOD_NEEDED


def _pay_by(draft: Draft, method: Method) -> None:
    """A new approved sequence; what is still open of the old one is taken back first."""
    standing = draft.standing
    assert standing is not None
    if method in PERSONS_METHODS:
        draft.change(chose=method, asked_customer=False)
        wanted = {**draft.standing_context(), "chosen": str(method)}
        assert draft.current.escalation is not None
        draft.escalate(draft.current.escalation, wanted)
        draft.show()
        return
    if money.held(draft.current.refunds):
        money.void_open(draft, "the customer chose another way to pay")
    draft.decided(judgement.settle_by(draft.case(), standing, method))
    draft.show()
    release.carry_out(draft)


def _ask_for_money(draft: Draft, method: Method) -> None:
    """From now on this is a return for money: whatever is judged later is judged so."""
    changed = draft.request.model_copy(
        update={
            "resolution": Resolution.REFUND,
            "settlement": RequestedSettlement(method=method),
            "replacement_sku": None,
        }
    )
    draft.request_paper = Paper.of(changed)


def _instead_of_replacement(draft: Draft, message: SettlementChosen) -> None:
    exchange = draft.current.exchange
    assert exchange is not None
    if message.method is ChosenMethod.WAIT:
        waiting = exchange.model_copy(update={"state": ReplacementState.WAITING, "waited": True})
        draft.change(exchange=waiting)
        draft.show(anew=True)
        draft.watch_again(CHOICE_WAIT)
        return
    method = Method(message.method.value)
    _ask_for_money(draft, method)
    standing = draft.standing
    assert standing is not None
    draft.decided(judgement.settle_by(draft.case(), standing, method))
    draft.show()
    release.carry_out(draft)


def reversal(draft: Draft, message: ReversalRequested) -> None:
    """Money that was paid is taken back only by policy and consent."""
    current = draft.current
    why = _why_no_reversal(draft, message)
    if why is not None:
        tell(draft, why)
        return
    assert current.terms is not None and current.order_id is not None
    number = len(current.reversals) + 1
    reversal_id = derived("reversal", current.return_id, number)
    paid = [each for each in current.refunds if each.money == "settled"]
    draft.events.append(
        ReversalReleased(
            return_id=current.return_id,
            order_id=current.order_id,
            reversal_id=reversal_id,
            payment_id=_payment(paid),
            amount=message.amount,
            currency=current.terms.currency,
            consent=message.consent,
            test=current.test,
        )
    )
    made = Reversal(reversal_id=reversal_id, amount=message.amount)
    draft.change(reversals=(*current.reversals, made))
    agreed = Amount(message.amount, current.terms.currency)
    tell(draft, f"{agreed} of your refund are being taken back, as you agreed.")


def _payment(paid: list[Refund]) -> str | None:
    return next((each.payment_id for each in paid if each.payment_id is not None), None)


def _why_no_reversal(draft: Draft, message: ReversalRequested) -> str | None:
    current = draft.current
    if draft.policy.limits.reversal_after_settlement is ReversalPolicy.NOT_ALLOWED:
        return "A refund that was paid is not taken back under our return policy."
    if message.consent is None:
        return "A refund that was paid is only taken back with your consent."
    paid = sum(each.amount for each in current.refunds if each.money == "settled")
    taken = sum(each.amount for each in current.reversals if each.settled is not False)
    if message.amount <= 0 or message.amount > paid - taken or current.terms is None:
        return "No more can be taken back than was paid for this return."
    return None
