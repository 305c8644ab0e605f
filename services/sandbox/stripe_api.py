"""The part of Stripe's HTTP API that the project uses: forms in, Stripe's JSON and errors out."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from services.sandbox.behaviours import BEHAVIOURS, Trouble
from services.sandbox.book import Book, Json
from services.sandbox.processor import Processor, Refused

TIMEOUT_HOLD_SECONDS = 30.0
LIST_LIMIT_DEFAULT = 10
LIST_LIMIT_MAX = 100
RETRY_AFTER_SECONDS = 1
FAILED: Json = {"error": {"type": "api_error", "message": "An unexpected error occurred."}}

Call = Callable[[Json], Json]


def form(pairs: list[tuple[str, str]]) -> Json:
    """Stripe's bracketed form fields as nested dictionaries: ``metadata[refund_id]=…``."""
    made: Json = {}
    for name, value in pairs:
        steps = name.replace("]", "").split("[")
        place = made
        for step in steps[:-1]:
            inner = place.setdefault(step, {})
            place = inner if isinstance(inner, dict) else {}
        if steps[-1] == "":
            continue
        if name.endswith("[]") or steps[-1].isdigit():
            place[steps[-1]] = value
        else:
            place[steps[-1]] = value
    return made


def integer(parameters: Json, name: str) -> int | None:
    """Raises Refused when it is no integer."""
    text = parameters.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except (TypeError, ValueError):
        raise Refused(
            400, "invalid_request_error", f"Invalid integer: {text}",
            code="parameter_invalid_integer", param=name,
        ) from None  # fmt: skip


def required(parameters: Json, name: str) -> str:
    value = parameters.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(
            400, "invalid_request_error", f"Missing required param: {name}.",
            code="parameter_missing", param=name,
        )  # fmt: skip
    return value


class StripeApi:
    def __init__(self, book: Book, wake: Callable[[], None]) -> None:
        self.book = book
        self.processor = Processor(book)
        self._wake = wake
        self.router = APIRouter(prefix="/v1")
        add = self.router.add_api_route
        add("/refunds", self.create_refund, methods=["POST"])
        add("/refunds", self.list_refunds, methods=["GET"])
        add("/refunds/{id_}", self.get_refund, methods=["GET"])
        add("/refunds/{id_}/cancel", self.cancel_refund, methods=["POST"])
        add("/payment_intents", self.create_payment, methods=["POST"])
        add("/payment_intents/{id_}", self.get_payment, methods=["GET"])
        add("/charges/{id_}", self.get_charge, methods=["GET"])
        add("/disputes", self.list_disputes, methods=["GET"])
        add("/balance_transactions", self.list_transactions, methods=["GET"])

    async def create_refund(self, request: Request) -> JSONResponse:
        parameters = form(parse_qsl((await request.body()).decode("utf-8", "replace"), True))
        metadata = parameters.get("metadata") or {}
        try:
            reference = self._reference(parameters)
            behaviour = self.processor.behaviour(reference)
        except Refused:
            behaviour = BEHAVIOURS["ok"]
            reference = ""
        subject = f"refund:{reference}:{metadata.get('refund_id', '')}"
        first = self._first_attempt(request, subject)
        if behaviour.too_many_times and self.book.count(f"429:{subject}") <= (
            behaviour.too_many_times
        ):
            return self._answer(
                429,
                {
                    "error": {
                        "type": "invalid_request_error",
                        "code": "rate_limit",
                        "message": "Too many requests.",
                    }
                },
                **{"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        trouble = behaviour.trouble if first else Trouble.NONE
        if trouble is Trouble.TIMEOUT_BEFORE:
            await self._hold(request)
            return self._answer(504, FAILED)
        if trouble is Trouble.ERROR_BEFORE:
            return self._stored(request, parameters, lambda _: FAILED, status=500)

        def create(given: Json) -> Json:
            return self.processor.create_refund(
                self._reference(given), integer(given, "amount"), dict(metadata)
            )

        response = self._stored(
            request, parameters, create, status=500 if trouble is Trouble.ERROR_AFTER else None
        )
        self._wake()
        if trouble is Trouble.TIMEOUT_AFTER:
            await self._hold(request)
        if behaviour.answer_after_seconds:
            await asyncio.sleep(behaviour.answer_after_seconds)
        return response

    def _first_attempt(self, request: Request, subject: str) -> bool:
        key = request.headers.get("idempotency-key")
        return self.book.answer(key or "") is None and self.book.count(subject) == 1

    def _reference(self, parameters: Json) -> str:
        if "payment_intent" in parameters:
            reference = required(parameters, "payment_intent")
            self.processor.payment(reference)
            return reference
        return str(self.processor.charge(required(parameters, "charge"))["payment_intent"])

    async def list_refunds(self, request: Request) -> JSONResponse:
        return self._list(request, "refund", "/v1/refunds")

    async def list_disputes(self, request: Request) -> JSONResponse:
        return self._list(request, "dispute", "/v1/disputes")

    async def list_transactions(self, request: Request) -> JSONResponse:
        return self._list(request, "balance_transaction", "/v1/balance_transactions")

    async def get_refund(self, id_: str) -> JSONResponse:
        return self._read(lambda: self.processor.refund(id_))

    async def get_charge(self, id_: str) -> JSONResponse:
        return self._read(lambda: self.processor.charge(id_))

    async def get_payment(self, id_: str, request: Request) -> JSONResponse:
        def read() -> Json:
            payment = dict(self.processor.payment(id_))
            if any("latest_charge" in value for value in request.query_params.values()):
                payment["latest_charge"] = self.processor.charge(payment["latest_charge"])
            return payment

        return self._read(read)

    async def cancel_refund(self, id_: str, request: Request) -> JSONResponse:
        response = self._stored(request, {"id": id_}, lambda _: self.processor.cancel(id_))
        self._wake()
        return response

    async def create_payment(self, request: Request) -> JSONResponse:
        parameters = form(parse_qsl((await request.body()).decode("utf-8", "replace"), True))

        def create(given: Json) -> Json:
            amount = integer(given, "amount")
            if not amount or amount < 0:
                raise Refused(
                    400, "invalid_request_error", "Invalid positive integer",
                    code="parameter_invalid_integer", param="amount",
                )  # fmt: skip
            currency = required(given, "currency")
            return self.processor.charge_customer(amount, currency, given.get("metadata") or {})

        return self._stored(request, parameters, create)

    def _stored(
        self, request: Request, parameters: Json, call: Call, *, status: int | None = None
    ) -> JSONResponse:
        """Run `call` once per idempotency key: the first answer is kept, also a 500.

        `status` 500 answers with an error whatever `call` did. Validation errors are not kept.
        """
        key = request.headers.get("idempotency-key")
        digest = hashlib.sha256(
            repr((request.url.path, sorted(_flat(parameters)))).encode()
        ).hexdigest()
        with self.book.transaction():
            kept = self.book.answer(key) if key else None
            if kept is not None:
                asked, code, body = kept
                if asked != digest:
                    return self._answer(
                        400,
                        {
                            "error": {
                                "type": "idempotency_error",
                                "message": "Keys for idempotent requests can only be used with"
                                " the same parameters they were first used with.",
                            }
                        },
                    )
                return self._answer(code, body, **{"Idempotent-Replayed": "true"})
            try:
                body, code = call(parameters), 200
            except Refused as refused:
                body, code = {"error": refused.error}, refused.status
            if status is not None and code == 200:
                body, code = FAILED, status
            if key and code in (200, 402, 500):
                self.book.keep_answer(key, digest, code, body)
        headers = {"Idempotency-Key": key} if key else {}
        return self._answer(code, body, **headers)

    def _read(self, read: Callable[[], Json]) -> JSONResponse:
        try:
            return self._answer(200, read())
        except Refused as refused:
            return self._answer(refused.status, {"error": refused.error})

    def _list(self, request: Request, kind: str, url: str) -> JSONResponse:
        query = form(list(request.query_params.multi_items()))
        try:
            limit = min(max(integer(query, "limit") or LIST_LIMIT_DEFAULT, 1), LIST_LIMIT_MAX)
            parent = query.get("payment_intent")
            found = [
                each for each in self.book.of(kind, parent)
                if query.get("charge") in (None, each.get("charge"))
                and query.get("source") in (None, each.get("source"))
                and _created_within(each, query.get("created"))
            ]  # fmt: skip
            ids = [each["id"] for each in found]
            if "starting_after" in query:
                found = found[self._place(ids, kind, query["starting_after"]) + 1 :]
            elif "ending_before" in query:
                place = self._place(ids, kind, query["ending_before"])
                found = found[max(place - limit, 0) : place]
        except Refused as refused:
            return self._answer(refused.status, {"error": refused.error})
        page = found[:limit]
        return self._answer(
            200,
            {"object": "list", "url": url, "has_more": len(found) > limit, "data": page},
        )

    def _place(self, ids: list[str], kind: str, id_: str) -> int:
        if id_ not in ids:
            raise Refused(
                400, "invalid_request_error", f"No such {kind}: '{id_}'",
                code="resource_missing", param="starting_after",
            )  # fmt: skip
        return ids.index(id_)

    async def _hold(self, request: Request) -> None:
        """Keep silent until the caller gives up."""
        for _ in range(int(TIMEOUT_HOLD_SECONDS * 10)):
            if await request.is_disconnected():
                return
            await asyncio.sleep(0.1)

    def _answer(self, status: int, body: Json, **headers: str) -> JSONResponse:
        return JSONResponse(
            body,
            status_code=status,
            headers={"Request-Id": f"req_{secrets.token_hex(8)}", **headers},
        )


def _flat(parameters: Json, path: str = "") -> list[str]:
    flat: list[str] = []
    for name, value in parameters.items():
        if isinstance(value, dict):
            flat += _flat(value, f"{path}{name}.")
        else:
            flat.append(f"{path}{name}={value}")
    return flat


def _created_within(thing: Json, limits: Any) -> bool:
    """Stripe's ``created[gte]`` and its kin."""
    if not isinstance(limits, dict):
        return limits is None or str(thing["created"]) == str(limits)
    tests = {
        "gte": lambda at, bound: at >= bound,
        "gt": lambda at, bound: at > bound,
        "lte": lambda at, bound: at <= bound,
        "lt": lambda at, bound: at < bound,
    }
    return all(
        tests[name](thing["created"], int(bound))
        for name, bound in limits.items()
        if name in tests and str(bound).isdigit()
    )
