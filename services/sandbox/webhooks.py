"""Sends the processor's signed events, and does what was put off: settle, fail."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import groupby
from operator import itemgetter
from urllib.parse import urlsplit

from services.chassis import telemetry
from services.chassis.wake import Wake
from services.sandbox.book import Book
from services.sandbox.pages import Json, Pages
from services.sandbox.processor import Processor

EventRow = tuple[int, str, int, str]
"""seq, subject, tries, body"""

PATH = "/webhooks/stripe"
CONNECTIONS_MAX = 8
ROUND_EVENTS_MAX = 100
SEND_SECONDS_MAX = 10.0
IDLE_SECONDS_MAX = 5.0
BACKOFF_SECONDS = 0.25
BACKOFF_SECONDS_MAX = 20.0
OUTAGE_SECONDS_MAX = 5.0
GIVEN_UP_AFTER_SECONDS = 3 * 24 * 3600
"""As Stripe does: https://docs.stripe.com/webhooks#retries"""

LATER: dict[str, Callable[[Processor, str], None]] = {
    "settle": Processor.settle,
    "fail": Processor.fail,
    "charge": Processor.charged,
}


def signature(payload: bytes, secret: str, at: int) -> str:
    """The value of ``Stripe-Signature`` for a payload."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + payload, hashlib.sha256)
    return f"t={at},v1={digest.hexdigest()}"


def backoff(tries: int) -> float:
    """Seconds until the next try."""
    return min(BACKOFF_SECONDS * float(2 ** min(tries, 10)), BACKOFF_SECONDS_MAX)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of one event."""

    row: EventRow
    arrived: bool
    reached: bool = True
    """False where nobody listens at the address."""


class Courier:
    """Carries events to one address, on as many connections as it has threads."""

    def __init__(self, url: str, secret: str) -> None:
        self._address = urlsplit(url)
        self._secret = secret
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(CONNECTIONS_MAX, thread_name_prefix="courier")

    async def carry(self, rows: list[EventRow]) -> list[Delivery]:
        """Events of one subject one after the other, subjects beside each other."""
        loop = asyncio.get_running_loop()
        by_subject = groupby(sorted(rows, key=itemgetter(1)), itemgetter(1))
        carried = await asyncio.gather(
            *(
                loop.run_in_executor(self._threads, self._carry, list(together))
                for _, together in by_subject
            )
        )
        return [delivery for group in carried for delivery in group]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _carry(self, rows: list[EventRow]) -> list[Delivery]:
        return [self._deliver(row) for row in rows]

    def _deliver(self, row: EventRow) -> Delivery:
        try:
            return Delivery(row=row, arrived=200 <= self._post(row[3].encode()) < 300)
        except ConnectionRefusedError:
            return Delivery(row=row, arrived=False, reached=False)
        except (OSError, HTTPException):
            return Delivery(row=row, arrived=False)

    def _post(self, payload: bytes) -> int:
        """The answer's status. A kept connection may have died: then a new one is tried."""
        kept: HTTPConnection | None = getattr(self._own, "connection", None)
        if kept is not None:
            with suppress(ConnectionError, HTTPException):
                return self._exchange(kept, payload)
        made = HTTPSConnection if self._address.scheme == "https" else HTTPConnection
        self._own.connection = made(self._address.netloc, timeout=SEND_SECONDS_MAX)
        return self._exchange(self._own.connection, payload)

    def _exchange(self, connection: HTTPConnection, payload: bytes) -> int:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(payload, self._secret, int(time.time())),
        }
        try:
            connection.request("POST", f"{self._address.path.rstrip('/')}{PATH}", payload, headers)
            answer = connection.getresponse()
            answer.read()
        except BaseException:
            connection.close()
            self._own.connection = None
            raise
        return answer.status


class Clockwork:
    """The sandbox's background work; nothing of it is lost when the process dies."""

    def __init__(self, book: Book, url: str, secret: str) -> None:
        self._book = book
        self._courier = Courier(url, secret)
        self._reminders = Wake()
        self._events = Wake()
        self._outages = 0

    def wake(self) -> None:
        """Something may have been put off, or is to be sent."""
        self._reminders.set()
        self._events.set()

    async def run(self) -> None:
        """For ever."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._for_ever(self._remember, self._reminders))
                tasks.create_task(self._for_ever(self._send, self._events))
        finally:
            self._courier.close()

    async def _for_ever(self, work: Callable[[], Coroutine[None, None, float]], wake: Wake) -> None:
        """What fails is logged and tried again: the clock does not stop over it."""
        while True:
            wake.clear()
            try:
                pause = await work()
            except Exception as error:
                telemetry.log.error("clockwork_failed", exc_info=error)
                pause = 1.0
            await wake.rest(min(pause, IDLE_SECONDS_MAX))

    async def _remember(self) -> float:
        """Do what is due. Returns the seconds until something is due next."""
        due = self._book.pages.next_reminder()
        if due is not None and due <= time.time():
            await self._book.write(_do_what_is_due)
            self._events.set()
            due = self._book.pages.next_reminder()
        return IDLE_SECONDS_MAX if due is None else due - time.time()

    async def _send(self) -> float:
        """One round of events. Returns the seconds until the next one."""
        now = time.time()
        rows = self._book.pages.due_events(now, ROUND_EVENTS_MAX)
        if not rows:
            due = self._book.pages.next_event(now)
            return IDLE_SECONDS_MAX if due is None else due - time.time()
        deliveries = await self._courier.carry(rows)
        await self._book.write(lambda pages: _keep_accounts(pages, deliveries))
        if any(delivery.reached for delivery in deliveries):
            self._outages = 0
            return 0.0
        self._outages += 1
        await asyncio.sleep(min(backoff(self._outages), OUTAGE_SECONDS_MAX))
        return 0.0


def _do_what_is_due(pages: Pages) -> None:
    for what, subject in pages.take_reminders(time.time()):
        LATER[what](Processor(pages), subject)


def _keep_accounts(pages: Pages, deliveries: list[Delivery]) -> None:
    """Forget what arrived, or is too old; put off the rest. An outage counts for no event."""
    over, again = [], []
    for delivery in deliveries:
        seq, _, tries, body = delivery.row
        if delivery.arrived or _given_up(json.loads(body)):
            over.append(seq)
        elif delivery.reached:
            again.append((seq, time.time() + backoff(tries)))
    pages.events_arrived(over)
    pages.events_again(again)


def _given_up(event: Json) -> bool:
    if time.time() - event["created"] <= GIVEN_UP_AFTER_SECONDS:
        return False
    telemetry.log.warning("event_given_up", reason=event["type"])
    return True
