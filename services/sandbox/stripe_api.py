"""The part of Stripe's HTTP API that the project uses: forms in, Stripe's JSON and errors out."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response

from services.sandbox import forms
from services.sandbox.behaviours import Behaviour, Trouble
from services.sandbox.book import Book
from services.sandbox.pages import Json, Pages
from services.sandbox.processor import Processor
from services.sandbox.refusal import INVALID, Refused, invalid
from services.sandbox.stripe_objects import API_VERSION

TIMEOUT_HOLD_SECONDS = 30.0
LOOK_SECONDS = 0.1
RETRY_AFTER_SECONDS = 1
KEY_LENGTH_MAX = 255
FAILED: Json = {"error": {"type": "api_error", "message": "An unexpected error occurred."}}
TOO_MANY: Json = {"error": {"type": INVALID, "code": "rate_limit", "message": "Too many requests."}}
OTHER_PARAMETERS = (
    "Keys for idempotent requests can only be used with the same parameters they were first used"
    " with. Try using a key other than '{}' if you meant to execute a different request."
)
IN_PROGRESS = (
    "There is currently another in-progress request using this idempotency key (that probably"
    " means you submitted twice, and the other request is still going through): {}."
)
KEPT_STATUS = (200, 402, 500)
"""Answers of calls that were carried out. What was refused before leaves its key free."""
REFUND_PARAMETERS = frozenset(
    "amount charge currency customer expand instructions_email metadata origin payment_intent"
    " reason refund_application_fee reverse_transfer".split()
)
REASONS = ("duplicate", "fraudulent", "requested_by_customer")
LISTS = {
    "refunds": ("refund", frozenset({"charge", "payment_intent"})),
    "disputes": ("dispute", frozenset({"charge", "payment_intent"})),
    "balance_transactions": ("balance_transaction", frozenset({"source"})),
    "payment_intents": ("payment_intent", frozenset({"customer"})),
}
"""Path of a list -> kind of its objects, and its own filters."""
PAGING = frozenset({"created", "ending_before", "expand", "limit", "starting_after"})
FORM: Json = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "properties": {
        name: {"type": "string"} for name in ("payment_intent", "amount", "currency", "reason")
    },
}
CALL: Json = {
    "responses": {
        status: {"description": meaning, "content": {"application/json": {}}}
        for status, meaning in {
            400: "Stripe's error object: the parameters are wrong",
            402: "Stripe's error object: declined",
            404: "Stripe's error object: nothing has that id",
            409: "Stripe's error object: the key is in use",
            429: "Stripe's error object: too many requests, on request",
            500: "Stripe's error object, on request",
            504: "No answer, on request",
        }.items()
    }
}
POST: Json = CALL | {
    "methods": ["POST"],
    "openapi_extra": {
        "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": FORM}}}
    },
}
"""Documentation of a call; every call answers with Stripe's JSON."""
OBJECTS = {"refunds": "refund", "payment_intents": "payment_intent", "charges": "charge"}
"""Path -> kind of object that is read by id."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: Json
    headers: dict[str, str] = field(default_factory=dict)
    hold: bool = False
    """The caller gets no answer until it gives up."""
    late_seconds: float = 0.0


Call = Callable[[Pages, Json], Answer]


class StripeApi:
    def __init__(self, book: Book, wake: Callable[[], None]) -> None:
        self._book = book
        self._wake = wake
        self._in_progress: set[str] = set()
        self.router = APIRouter(prefix="/v1", tags=["stripe"])
        add = self.router.add_api_route
        add("/refunds", self.create_refund, **POST)
        add("/refunds/{id_}/cancel", self.cancel_refund, **POST)
        add("/payment_intents", self.create_payment, **POST)
        for path in LISTS:
            add(f"/{path}", self._lister(path), methods=["GET"], **CALL)
        for path in OBJECTS:
            add(f"/{path}/{{id_:path}}", self._reader(path), methods=["GET"], **CALL)
        methods = ["GET", "POST", "DELETE"]
        add("/{path:path}", self.unknown, methods=methods, include_in_schema=False)

    async def create_refund(self, request: Request) -> Response:
        return await self._carry_out(request, self._refund)

    async def cancel_refund(self, id_: str, request: Request) -> Response:
        def cancel(pages: Pages, given: Json) -> Answer:
            return Answer(status=200, body=Processor(pages).cancel(id_))

        return await self._carry_out(request, cancel)

    async def create_payment(self, request: Request) -> Response:
        def create(pages: Pages, given: Json) -> Answer:
            amount = forms.integer(given, "amount")
            if amount is None or amount <= 0:
                code = "parameter_invalid_integer"
                raise invalid("Invalid positive integer", code, param="amount")
            currency, metadata = forms.required(given, "currency"), forms.metadata(given)
            processor = Processor(pages)
            behaviour = processor.behaviour(str(metadata.get("reference")))
            trouble = self._trouble(pages, behaviour, f"charge:{metadata.get('reversal_id')}")
            if isinstance(trouble, Answer):
                return trouble
            method = str(given.get("payment_method", ""))
            made = processor.charge_customer(amount, currency, metadata, method, behaviour)
            made = forms.expanded(pages, made, forms.expansions(given))
            if trouble is Trouble.ERROR_AFTER:
                return Answer(status=500, body=FAILED)
            return Answer(status=200, body=made, hold=trouble is Trouble.TIMEOUT_AFTER)

        return await self._carry_out(request, create)

    def _refund(self, pages: Pages, given: Json) -> Answer:
        forms.only(given, REFUND_PARAMETERS)
        processor = Processor(pages)
        metadata, amount = forms.metadata(given), forms.integer(given, "amount")
        reason, expand = given.get("reason"), forms.expansions(given)
        if reason not in (None, *REASONS):
            raise invalid(f"Invalid reason: must be one of {', '.join(REASONS)}", param="reason")
        reference = self._reference(processor, given)
        amount = processor.refundable(reference, amount)
        behaviour = processor.behaviour(reference)
        subject = f"refund:{reference}:{metadata.get('refund_id')}"
        trouble = self._trouble(pages, behaviour, subject)
        if isinstance(trouble, Answer):
            return trouble
        made = processor.create_refund(reference, amount, metadata, reason)
        made = forms.expanded(pages, made, expand)
        if trouble is Trouble.ERROR_AFTER:
            return Answer(status=500, body=FAILED)
        return Answer(
            status=200,
            body=made,
            hold=trouble is Trouble.TIMEOUT_AFTER,
            late_seconds=behaviour.answer_after_seconds,
        )

    def _trouble(self, pages: Pages, behaviour: Behaviour, subject: str) -> Answer | Trouble:
        """What goes wrong this time: an answer that ends the call, or trouble after it."""
        calls = pages.count(subject)
        if calls <= behaviour.too_many_times:
            wait = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return Answer(status=429, body=TOO_MANY, headers=wait)
        if calls > 1:
            return Trouble.NONE
        if behaviour.trouble is Trouble.TIMEOUT_BEFORE:
            return Answer(status=504, body=FAILED, hold=True)
        if behaviour.trouble is Trouble.ERROR_BEFORE:
            return Answer(status=500, body=FAILED)
        return behaviour.trouble

    def _reference(self, processor: Processor, given: Json) -> str:
        if "payment_intent" in given:
            return str(processor.payment(forms.required(given, "payment_intent"))["id"])
        if "charge" in given:
            return str(processor.charge(forms.required(given, "charge"))["payment_intent"])
        raise invalid(
            "One of the following params should be provided for this request: payment_intent or"
            " charge.",
            "parameter_missing",
        )

    async def _carry_out(self, request: Request, call: Call) -> Response:
        """One call that changes something, once per idempotency key, durable when answered."""
        key = request.headers.get("idempotency-key")
        body = await request.body()
        if key and key in self._in_progress:
            return _response(409, _error("idempotency_error", IN_PROGRESS.format(key)))
        if key:
            self._in_progress.add(key)
        try:
            answer = await self._book.write(
                lambda pages: self._once(pages, request.url.path, key, body, call)
            )
            self._wake()
            if answer.late_seconds:
                await asyncio.sleep(answer.late_seconds)
        finally:
            self._in_progress.discard(key or "")
        if answer.hold:
            await _hold(request)
        headers = {"Idempotency-Key": key} if key else {}
        return _response(answer.status, answer.body, **headers, **answer.headers)

    def _once(
        self,
        pages: Pages,
        path: str,
        key: str | None,
        body: bytes,
        call: Call,
    ) -> Answer:
        """The stored answer of the key, or what `call` answers now, and that is stored."""
        digest = ""
        try:
            given = forms.parameters(body)
            if key is not None:
                if len(key) > KEY_LENGTH_MAX:
                    raise invalid(f"An idempotency key has at most {KEY_LENGTH_MAX} characters.")
                digest = forms.digest(path, given)
                if (known := pages.answer(key)) is not None:
                    return _replayed(key, digest, *known)
            with pages.all_or_nothing():
                answer = call(pages, given)
        except Refused as refused:
            answer = Answer(status=refused.status, body=refused.body())
        if key is not None and answer.status in KEPT_STATUS:
            pages.keep_answer(key, digest, answer.status, answer.body)
        return answer

    def _lister(self, path: str) -> Callable[..., Any]:
        kind, filters = LISTS[path]

        async def lists(request: Request) -> Response:
            def read(given: Json) -> Json:
                forms.only(given, filters | PAGING)
                return forms.listed(self._book.pages, kind, f"/v1/{path}", given)

            return _read(request, read)

        return lists

    def _reader(self, path: str) -> Callable[..., Any]:
        kind = OBJECTS[path]

        async def reads(id_: str, request: Request) -> Response:
            def read(given: Json) -> Json:
                pages = self._book.pages
                found = getattr(Processor(pages), {"payment_intent": "payment"}.get(kind, kind))
                return forms.expanded(pages, found(id_), forms.expansions(given))

            return _read(request, read)

        return reads

    async def unknown(self, request: Request) -> Response:
        """Stripe's answer for an address it doesn't have."""
        where = f"{request.method}: {request.url.path}"
        return _response(404, _error(INVALID, f"Unrecognized request URL ({where})."))


def _replayed(key: str, digest: str, asked: str, status: int, body: Json) -> Answer:
    if asked != digest:
        return Answer(status=400, body=_error("idempotency_error", OTHER_PARAMETERS.format(key)))
    return Answer(status=status, body=body, headers={"Idempotent-Replayed": "true"})


def _read(request: Request, read: Callable[[Json], Json]) -> Response:
    try:
        return _response(200, read(forms.parameters(request.url.query)))
    except Refused as refused:
        return _response(refused.status, refused.body())


async def _hold(request: Request) -> None:
    """Keep silent until the caller gives up."""
    for _ in range(int(TIMEOUT_HOLD_SECONDS / LOOK_SECONDS)):
        if await request.is_disconnected():
            return
        await asyncio.sleep(LOOK_SECONDS)


def _error(type_: str, message: str) -> Json:
    return {"error": {"type": type_, "message": message}}


def _response(status: int, body: Json, **headers: str) -> Response:
    return Response(
        json.dumps(body).encode(),
        status_code=status,
        media_type="application/json",
        headers={
            "Request-Id": f"req_{secrets.token_hex(8)}",
            "Stripe-Version": API_VERSION,
            **headers,
        },
    )
