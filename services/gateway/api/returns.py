"""Calls of frontends: ask for a return, look at it, follow it, change one's mind."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from sse_starlette import EventSourceResponse

from contracts import requests
from contracts.base import Identifier, write
from contracts.lifecycle import Status
from contracts.requests import QuoteRequest, ReturnRequest
from contracts.reviews import ReviewDecided, ReviewDecision
from services.chassis import ids
from services.chassis.http import Problem
from services.chassis.outbox import OutboxRow
from services.gateway import allowed, asking, bodies, intake, page
from services.gateway import answer as shown
from services.gateway import gateway as door
from services.gateway.api import examples

router = APIRouter(prefix="/returns", tags=["returns"])

PAGE_RETURNS_MAX = 200
PAGE_RETURNS_DEFAULT = 50
PING_SECONDS = 15
EVENT_NUMBER_DIGITS_MAX = 9

Writer = Annotated[str, Depends(door.holding("returns:write"))]
Reader = Annotated[str, Depends(door.holding("returns:read"))]
ASK = examples.answers(examples.ASKED, 401, 403, 404, 409, 413, 415, 422, 503)


@router.post(
    "",
    status_code=202,
    summary="Ask for a return",
    responses=examples.answers(examples.ASKED, 401, 403, 409, 413, 415, 422, 503),
    openapi_extra=examples.body(bodies.Return, examples.REQUEST)
    | examples.headers("Idempotency-Key"),
)
async def post_return(request: Request, caller: Writer) -> Response:
    """202 means durable. The same Idempotency-Key (else `return_id`) with the same body has the
    same answer; with another body 409.
    """
    gateway = door.of(request)
    body = await intake.body(request, bodies.Return)
    key = intake.idempotency_key(request)
    minted = ids.derived(door.NAME, "return", caller, key) if key else ids.new()
    wanted = bodies.completed(body, ReturnRequest, return_id=minted, requested_at=gateway.now())
    accepted = await gateway.store.accept(
        wanted,
        _outgoing(request, caller, wanted),
        caller=caller,
        key=key or wanted.return_id,
        body_sha256=hashlib.sha256(write(body)).hexdigest(),
    )
    if accepted.return_id is None:
        raise Problem(409, accepted.conflict or "")
    return asking.accepted(request, accepted.return_id, Status.REQUESTED)


def _outgoing(request: Request, caller: str, wanted: ReturnRequest) -> list[OutboxRow]:
    """The request, and the merchant's own decision where the key may review."""
    gateway = door.of(request)
    messages: list[ReturnRequest | ReviewDecided] = [wanted]
    merchant = wanted.merchant_decision
    may_review = gateway.keys.configured and gateway.keys.has(request, "reviews:write")
    if merchant is not None and may_review:
        messages.append(_merchant_review(wanted, merchant, caller))
    key = wanted.order_id or wanted.return_id
    return [
        gateway.row(
            request,
            message,
            key=key,
            ce_id=ids.derived(door.NAME, type(message).__name__, wanted.return_id),
        )
        for message in messages
    ]


def _merchant_review(
    wanted: ReturnRequest, merchant: requests.MerchantDecision, caller: str
) -> ReviewDecided:
    return ReviewDecided(
        return_id=wanted.return_id,
        order_id=wanted.order_id,
        decision=ReviewDecision.APPROVE if merchant.approved else ReviewDecision.REJECT,
        reason=merchant.note or f"decided by {merchant.decided_by} with the request",
        reviewer=caller,
        decided_at=wanted.requested_at,
    )


@router.post(
    "/quote",
    summary="What a return would bring; commits nothing",
    responses=examples.answers({200: examples.QUOTE}, 401, 403, 413, 415, 422, 503),
    openapi_extra=examples.body(QuoteRequest, examples.QUOTE_REQUEST),
)
async def post_quote(
    request: Request,
    caller: Annotated[str, Depends(door.holding("returns:write", "returns:read"))],
) -> Response:
    body = await intake.body(request, QuoteRequest)
    headers = {"content-type": "application/json"}
    if (key := request.headers.get("authorization")) is not None:
        headers["authorization"] = key  # commerce knows the same keys
    try:
        answer = await door.of(request).commerce.post(
            "/quotes", content=write(body), headers=headers
        )
    except httpx.HTTPError as error:
        raise Problem(503, "the commerce agent does not answer: try again") from error
    if answer.status_code >= 500:
        raise Problem(503, "the commerce agent cannot quote now: try again")
    return Response(
        answer.content,
        status_code=answer.status_code,
        media_type=answer.headers.get("content-type", "application/json"),
    )


@router.get(
    "/{return_id}",
    summary="A return as it stands",
    responses=examples.answers({200: shown.ReturnAnswer}, 401, 403, 404, 503),
)
async def get_return(request: Request, return_id: str, caller: Reader) -> Response:
    view = await door.of(request).known(return_id)
    return _json(shown.answer(view))


@router.get(
    "/{return_id}/page",
    response_class=HTMLResponse,
    summary="A return as a page for its customer: label, tracking, what happens next",
    responses=examples.answers({}, 401, 403, 404, 503)
    | {200: {"description": "HTML without scripts", "content": {"text/html": {}}}},
)
async def get_page(request: Request, return_id: str, caller: Reader) -> Response:
    """A frontend fetches it with its own key and hands it to the customer whom it has logged in."""
    view = await door.of(request).known(return_id)
    headers = {"Content-Security-Policy": page.POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(page.page(shown.answer(view)), headers=headers)


def _json(answer: shown.ReturnAnswer | shown.Page) -> Response:
    return Response(write(answer), media_type="application/json")


@router.get(
    "",
    summary="Returns, newest first",
    responses=examples.answers({200: shown.Page}, 401, 403, 422, 503),
)
async def get_returns(
    request: Request,
    caller: Reader,
    status: Status | None = None,
    order_id: Identifier | None = None,
    customer_id: Identifier | None = None,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_RETURNS_MAX)] = PAGE_RETURNS_DEFAULT,
) -> Response:
    """Send `next_cursor` back as `cursor`, with the same filters, for the page after this one."""
    if status is Status.UNKNOWN:
        raise intake.invalid([("status", intake.NOT_KNOWN)])
    filters: dict[str, Any] = {
        "before": _position(cursor) if cursor is not None else None,
        "status": status,
        "order_id": order_id,
        "customer_id": customer_id,
    }
    views, more = await door.of(request).store.page(filters, limit)
    return _json(
        shown.Page(
            items=tuple(shown.answer(view) for view in views),
            next_cursor=_cursor(more) if more is not None else None,
        )
    )


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"seq:{position}".encode()).decode().rstrip("=")


def _position(cursor: str) -> int:
    """Raises Problem 422 for what is no cursor of ours."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        prefix, _, position = text.partition(":")
        if prefix != "seq" or not position.isascii() or not position.isdigit():
            raise ValueError
        return min(int(position), 2**63 - 1)
    except (ValueError, binascii.Error):
        raise intake.invalid([("cursor", "is no cursor of this service")]) from None


@router.get(
    "/{return_id}/events",
    response_class=EventSourceResponse,
    summary="Follow a return: server-sent events of ReturnStatusChanged",
    responses=examples.answers({}, 401, 403, 404, 503)
    | {200: {"description": "`id` is the change's `number`", "content": {"text/event-stream": {}}}},
    openapi_extra=examples.headers("Last-Event-ID"),
)
async def get_events(request: Request, return_id: str, caller: Reader) -> Response:
    """All changes after `Last-Event-ID` (else from the first), then each one as it happens."""
    gateway = door.of(request)
    view = await gateway.known(return_id)
    last = request.headers.get("last-event-id", "")
    known = last.isascii() and last.isdigit() and len(last) <= EVENT_NUMBER_DIGITS_MAX
    if gateway.streams.full:
        raise Problem(503, "too many streams are open: try again")
    after = int(last) if known else 0

    async def events() -> AsyncIterator[dict[str, str]]:
        async for change in gateway.streams.follow(view.return_id, after):
            yield {
                "id": str(change.number),
                "event": "ReturnStatusChanged",
                "data": write(change).decode(),
            }

    return EventSourceResponse(events(), ping=PING_SECONDS)


@router.post(
    "/{return_id}/cancel",
    status_code=202,
    summary="Take a return back",
    responses=ASK,
    openapi_extra=examples.body(bodies.Cancel, examples.CANCEL),
)
async def post_cancel(request: Request, return_id: str, caller: Writer) -> Response:
    """Possible until a carrier has scanned the parcel and nothing is released."""
    view = await door.of(request).known(return_id)
    body = await intake.body(request, bodies.Cancel)
    now = door.of(request).now()
    message = asking.completed(view, body, requests.CancelReturn, requested_at=now)
    await asking.ask(request, caller, message, refusal=allowed.why_not_cancel(view))
    return asking.answer(request, view)


@router.post(
    "/{return_id}/evidence",
    status_code=202,
    summary="Add pictures, documents or words",
    responses=ASK,
    openapi_extra=examples.body(bodies.Evidence, examples.EVIDENCE),
)
async def post_evidence(request: Request, return_id: str, caller: Writer) -> Response:
    view = await door.of(request).known(return_id)
    body = await intake.body(request, bodies.Evidence)
    now = door.of(request).now()
    message = asking.completed(view, body, requests.EvidenceAdded, added_at=now)
    await asking.ask(request, caller, message, refusal=allowed.why_no_evidence(view))
    return asking.answer(request, view)


@router.post(
    "/{return_id}/settlement",
    status_code=202,
    summary="Choose another way to be paid, or to wait",
    responses=ASK,
    openapi_extra=examples.body(bodies.Settlement, examples.SETTLEMENT),
)
async def post_settlement(request: Request, return_id: str, caller: Writer) -> Response:
    """The customer's consent, where the original payment method cannot take the refund."""
    view = await door.of(request).known(return_id)
    body = await intake.body(request, bodies.Settlement)
    now = door.of(request).now()
    message = asking.completed(view, body, requests.SettlementChosen, consent_at=now)
    refusal = allowed.why_no_settlement(view, message.method)
    await asking.ask(request, caller, message, refusal=refusal)
    return asking.answer(request, view)


@router.post(
    "/{return_id}/reversal",
    status_code=202,
    summary="Take money back that was paid",
    responses=ASK,
    openapi_extra=examples.body(bodies.Reversal, examples.REVERSAL),
)
async def post_reversal(request: Request, return_id: str, caller: Writer) -> Response:
    """Only where the policy allows it; commerce answers with a status change."""
    view = await door.of(request).known(return_id)
    body = await intake.body(request, bodies.Reversal)
    now = door.of(request).now()
    message = asking.completed(view, body, requests.ReversalRequested, requested_at=now)
    await asking.ask(request, caller, message, refusal=allowed.why_no_reversal(view))
    return asking.answer(request, view)
