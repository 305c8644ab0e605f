"""The processor that speaks Stripe's API: Stripe itself, or the sandbox at another address."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import stripe

from services.payment.model import (
    PaymentFacts,
    PaymentLook,
    SeenRefund,
    SeenStatus,
)
from services.payment.processors import errors, measured
from services.payment.processors.breaker import Breaker
from services.payment.processors.limiter import Limiter
from services.payment.processors.port import (
    Listed,
    ProcessorError,
    SeenCharge,
    Submission,
)
from services.payment.processors.proxy import Ways
from services.payment.processors.shapes import Shapes

stripe.enable_telemetry = False
"""Figures about this machine and its requests are nobody's business, and cost CPU each time."""
API_VERSION = "2026-10-28.endive"
"""Pinned: the shapes below are of this version, whatever the account's default."""
CONNECT_SECONDS_MAX = 5.0
READ_SECONDS_MAX = 10.0
CONNECTIONS_MAX = 32
KEEP_SECONDS_MAX = 4.0
"""Shorter than servers keep idle connections: a request on a dying one would have no answer."""
PAGE = 100
REFUND_REASON = "requested_by_customer"
CLOCK_SKEW = timedelta(hours=1)


class Http(stripe.AIOHTTPClient):
    """Stripe's own client over aiohttp, with bounded waits and kept connections.

    Of what the library offers it costs the least CPU: a half of httpx over aiohttp, a third of
    httpx. aiohttp repeats a GET on a connection that turned out dead, never a POST.
    """

    def __init__(self) -> None:
        super().__init__()
        self._made: aiohttp.ClientSession | None = None
        self._ways = Ways()
        self._waits = aiohttp.ClientTimeout(
            connect=CONNECT_SECONDS_MAX,
            sock_connect=CONNECT_SECONDS_MAX,
            sock_read=READ_SECONDS_MAX,
            total=CONNECT_SECONDS_MAX + 2 * READ_SECONDS_MAX,
        )

    async def request_async(
        self, method: str, url: str, headers: Any, post_data: Any = None
    ) -> tuple[bytes, int, Any]:
        way = self._ways.to(url)
        try:
            async with self._kept().request(
                method,
                url,
                headers={**headers, **way.each},
                data=post_data,
                proxy=way.proxy,
                proxy_headers=way.opening,
                timeout=self._waits,
                allow_redirects=False,
            ) as answer:
                return await answer.read(), answer.status, answer.headers
        except (aiohttp.ClientError, OSError) as error:
            self._handle_request_error(error)

    def _kept(self) -> aiohttp.ClientSession:
        """Made inside the event loop that uses it."""
        if self._made is None:
            self._made = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=CONNECTIONS_MAX,
                    keepalive_timeout=KEEP_SECONDS_MAX,
                    ssl=ssl.create_default_context(cafile=stripe.ca_bundle_path),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._made

    async def close_async(self) -> None:
        if self._made is not None:
            await self._made.close()


class StripeProcessor:
    """`max_network_retries` is 0: every repetition is ours, with a key and a look-up of its own."""

    def __init__(
        self,
        *,
        name: str,
        key: str,
        base: str | None,
        breaker: Breaker,
        limiter: Limiter | None = None,
        charges: tuple[str, ...] = (),
        account: str | None = None,
    ) -> None:
        """`charges`: how references begin that name a charge instead of a payment intent."""
        self.name = name
        self._charges = charges
        self._shapes = Shapes(stripes_units=name == "stripe")
        self._breaker = breaker
        self._limiter = limiter or Limiter(name)
        self._http = Http()
        self._client = stripe.StripeClient(
            key,
            http_client=self._http,
            max_network_retries=0,
            stripe_version=API_VERSION,
            stripe_account=account,
            base_addresses={"api": base.rstrip("/")} if base else {},
        )

    async def close(self) -> None:
        await self._http.close_async()

    async def _ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> dict[str, Any]:
        """One request; its answer as plain data. Raises ProcessorError and CircuitOpen.

        The answer as it came: the library would wrap each object in it, which costs more than all
        the rest of the request.
        """
        options = {"idempotency_key": key} if key is not None else {}
        await self._limiter.turn(method, path)
        async with self._breaker.guarded():
            try:
                with measured.request(self.name, method, path):
                    answer: Any = await self._client.raw_request_async(
                        method, path, **(parameters or {}), **options
                    )
            except stripe.StripeError as error:
                raise ProcessorError(errors.trouble(error)) from error
        data: dict[str, Any] = answer.data
        return data

    async def look(
        self, payment: PaymentFacts, *, now: datetime, with_refunds: bool = False
    ) -> PaymentLook:
        try:
            charge = await self._charge(payment.reference)
        except ProcessorError as error:
            if error.trouble.code == "resource_missing":
                return PaymentLook(payment_id=payment.payment_id, known=False, as_of=now)
            raise
        if charge is None:
            refusal = "nothing was captured of this payment"
            return PaymentLook(payment_id=payment.payment_id, refusal=refusal, as_of=now)
        disputes, refunds = [], []
        if charge.get("disputed"):
            disputes = await self._pages("/v1/disputes", self._by(payment.reference))
        if with_refunds or charge.get("amount_refunded", 1):
            refunds = await self._refunds(payment.reference)
        return PaymentLook(
            payment_id=payment.payment_id,
            captured=self._shapes.captured(charge),
            refunds=tuple(self._shapes.refund(each) for each in refunds),
            refunds_read=True,
            disputes=tuple(self._shapes.dispute(each) for each in disputes),
            as_of=now,
        )

    def _by(self, reference: str) -> dict[str, Any]:
        """Stripe's filter for what belongs to a payment."""
        name = "charge" if reference.startswith(self._charges) else "payment_intent"
        return {name: reference}

    async def _charge(self, reference: str) -> dict[str, Any] | None:
        """The charge that holds the money, of a payment intent or by its own id."""
        if reference.startswith(self._charges):
            return await self._ask("get", _path("charges", reference))
        intent = await self._ask(
            "get", _path("payment_intents", reference), {"expand": ["latest_charge"]}
        )
        charge = intent.get("latest_charge")
        if isinstance(charge, str):
            return await self._ask("get", _path("charges", charge))
        return charge

    async def _refunds(self, reference: str) -> list[dict[str, Any]]:
        return await self._pages("/v1/refunds", self._by(reference))

    async def _pages(self, path: str, where: dict[str, Any]) -> list[dict[str, Any]]:
        """Every object of a list, page after page."""
        return [each async for each in self._each(path, where)]

    async def _each(self, path: str, where: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        page = {**where, "limit": PAGE}
        while True:
            answer = await self._ask("get", path, page)
            for each in answer["data"]:
                yield each
            if not answer.get("has_more") or not answer["data"]:
                return
            page["starting_after"] = answer["data"][-1]["id"]

    async def submit(self, submission: Submission) -> SeenRefund:
        answer = await self._ask(
            "post",
            "/v1/refunds",
            {
                **self._by(submission.payment.reference),
                "amount": self._shapes.amount(submission.amount, submission.currency),
                "reason": REFUND_REASON,
                "metadata": submission.metadata,
                "expand": ["balance_transaction"],
            },
            key=submission.key,
        )
        return self._shapes.refund(answer)

    async def find(
        self, payment: PaymentFacts, refund_id: str, reference: str | None = None
    ) -> SeenRefund | None:
        try:
            if reference is not None:
                expand = {"expand": ["balance_transaction"]}
                return self._shapes.refund(
                    await self._ask("get", _path("refunds", reference), expand)
                )
            refunds = await self._refunds(payment.reference)
        except ProcessorError as error:
            if error.trouble.code == "resource_missing":
                return None
            raise
        look = PaymentLook(
            payment_id=payment.payment_id,
            refunds=tuple(self._shapes.refund(each) for each in refunds),
            as_of=datetime.min.replace(tzinfo=UTC),
        )
        return look.refund(refund_id)

    async def cancel(self, reference: str) -> SeenRefund:
        path = f"{_path('refunds', reference)}/cancel"
        return self._shapes.refund(await self._ask("post", path, key=f"cancel:{reference}"))

    async def charge(self, submission: Submission) -> SeenCharge:
        amount = self._shapes.amount(submission.amount, submission.currency)
        original = await self._source(submission.payment.reference)
        parameters: dict[str, Any] = {
            "amount": amount,
            "currency": submission.currency.lower(),
            "confirm": True,
            "off_session": True,
            "metadata": {**submission.metadata, "reference": submission.payment.reference},
        }
        parameters |= {
            name: original[name] for name in ("customer", "payment_method") if original.get(name)
        }
        answer = await self._ask("post", "/v1/payment_intents", parameters, key=submission.key)
        return self._shapes.charge(answer)

    async def _source(self, reference: str) -> dict[str, Any]:
        """Who paid, and with what: of a payment intent, or of a charge where one is named."""
        kind = "charges" if reference.startswith(self._charges) else "payment_intents"
        return await self._ask("get", _path(kind, reference))

    async def find_charge(
        self, payment: PaymentFacts, reversal_id: str, since: datetime
    ) -> SeenCharge | None:
        # By list, not by search: Stripe's search lags behind by up to a minute.
        where: dict[str, Any] = {"created": {"gte": int((since - CLOCK_SKEW).timestamp())}}
        customer = (await self._source(payment.reference)).get("customer")
        if customer:
            where["customer"] = customer
        wanted = {"reversal_id": reversal_id, "reference": payment.reference}
        found = [
            self._shapes.charge(each)
            async for each in self._each("/v1/payment_intents", where)
            if wanted.items() <= (each.get("metadata") or {}).items()
        ]
        found.sort(key=lambda each: each.status is SeenStatus.FAILED)
        return found[0] if found else None

    async def charges_since(self, since: datetime) -> AsyncIterator[SeenCharge]:
        where = {"created": {"gte": int(since.timestamp())}}
        async for each in self._each("/v1/payment_intents", where):
            if (each.get("metadata") or {}).get("reversal_id"):
                yield self._shapes.charge(each)

    async def refunds_between(self, begin: datetime, end: datetime) -> AsyncIterator[Listed]:
        where = {"created": {"gte": int(begin.timestamp()), "lt": int(end.timestamp())}}
        async for each in self._each("/v1/refunds", where):
            yield Listed(
                refund=self._shapes.refund(each),
                payment_reference=each.get("payment_intent") or each.get("charge") or "",
                created_at=datetime.fromtimestamp(each["created"], tz=UTC),
            )


def _path(kind: str, id_: str) -> str:
    """An order's references are not ours: whatever is in them stays one step of the path."""
    return f"/v1/{kind}/{quote_plus(id_)}"
