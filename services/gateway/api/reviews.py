"""Calls of the merchant's reviewers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from contracts.reviews import ReviewDecided, ReviewDecision
from services.gateway import allowed, asking, bodies, intake
from services.gateway import gateway as door
from services.gateway.api import examples

router = APIRouter(prefix="/returns", tags=["reviews"])

NEEDS = {
    ReviewDecision.ADJUST: ("amount", "an adjustment names the amount"),
    ReviewDecision.LINK_ORDER: ("linked_order_id", "linking names the order"),
}


@router.post(
    "/{return_id}/review",
    status_code=202,
    summary="Decide a case that waits for a person",
    responses=examples.answers(examples.ASKED, 401, 403, 404, 409, 413, 415, 422, 503),
    openapi_extra=examples.body(bodies.Review, examples.REVIEW),
)
async def post_review(
    request: Request,
    return_id: str,
    caller: Annotated[str, Depends(door.holding("reviews:write"))],
) -> Response:
    """Bound to the case that the reviewer saw: repeat its `case_sha256`.

    With keys configured the reviewer is the key's owner, whatever the body says.
    """
    gateway = door.of(request)
    view = await gateway.known(return_id)
    body = await intake.body(request, bodies.Review)
    named = None if caller == door.LOCAL else caller
    review = asking.completed(view, body, ReviewDecided, reviewer=named, decided_at=gateway.now())
    if named is not None:
        review = review.model_copy(update={"reviewer": named})
    _insist(review)
    await asking.ask(
        request, caller, review, refusal=allowed.why_no_review(view, review.case_sha256)
    )
    return asking.answer(request, view)


def _insist(review: ReviewDecided) -> None:
    """What a decision by a person needs beyond the message's own shape."""
    missing = []
    if review.case_sha256 is None:
        missing.append(("case_sha256", "repeat the hash of the case that was looked at"))
    field, message = NEEDS.get(review.decision, ("decision", ""))
    if getattr(review, field) is None:
        missing.append((field, message))
    if missing:
        raise intake.invalid(missing)
