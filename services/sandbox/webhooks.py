"""Sends the processor's signed events, and does what was put off: settle, fail."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby
from operator import itemgetter

import httpx

from services.chassis import telemetry
from services.sandbox.book import Book
from services.sandbox.pages import Json, Pages
from services.sandbox.processor import Processor

SENT_AT_ONCE_MAX = 16
LOOK_AHEAD_MAX = 200
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
}


def signature(payload: bytes, secret: str, at: int) -> str:
    """The value of ``Stripe-Signature`` for a payload."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + payload, hashlib.sha256)
    return f"t={at},v1={digest.hexdigest()}"


def backoff(tries: int) -> float:
    """Seconds until the next try."""
    return min(BACKOFF_SECONDS * float(2 ** min(tries, 10)), BACKOFF_SECONDS_MAX)


class Clockwork:
    """The sandbox's background work; nothing of it is lost when the process dies.

    Events of one payment are sent one after the other, payments beside each other. While the
    receiver cannot be reached at all, everything waits together.
    """

    def __init__(self, book: Book, url: str, secret: str) -> None:
        self._book = book
        self._url = f"{url.rstrip('/')}/webhooks/stripe"
        self._secret = secret
        self._wake = asyncio.Event()
        self._on_their_way: dict[str, asyncio.Task[None]] = {}
        self._arrived: list[int] = []
        self._again: list[tuple[int, float]] = []
        self._outages = 0
        self._silent_until = 0.0

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """For ever. What fails is logged and tried again: the clock does not stop over it."""
        async with httpx.AsyncClient(timeout=SEND_SECONDS_MAX) as client:
            while True:
                self._wake.clear()
                try:
                    await self._keep_accounts()
                    now = time.time()
                    self._send_due(client, now)
                    pause = self._pause(now)
                except Exception:
                    telemetry.log.exception("clockwork_failed")
                    pause = 1.0
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)

    async def _keep_accounts(self) -> None:
        """What has been sent, and what has become due, in one transaction."""
        arrived, self._arrived = self._arrived, []
        again, self._again = self._again, []
        due = self._book.pages.next_reminder()
        if arrived or again or (due is not None and due <= time.time()):

            def keep(pages: Pages) -> None:
                pages.events_arrived(arrived)
                pages.events_again(again)
                for what, subject in pages.take_reminders(time.time()):
                    LATER[what](Processor(pages), subject)

            await self._book.write(keep)

    def _send_due(self, client: httpx.AsyncClient, now: float) -> None:
        room = SENT_AT_ONCE_MAX - len(self._on_their_way)
        if room <= 0 or now < self._silent_until:
            return
        due = self._book.pages.due_events(now, LOOK_AHEAD_MAX)
        for subject, events in groupby(sorted(due, key=itemgetter(1)), itemgetter(1)):
            if subject not in self._on_their_way and room > 0:
                room -= 1
                task = asyncio.create_task(self._send_each(client, subject, list(events)))
                self._on_their_way[subject] = task

    async def _send_each(
        self, client: httpx.AsyncClient, subject: str, events: list[tuple[int, str, int, str]]
    ) -> None:
        try:
            for seq, _, tries, body in events:
                event: Json = json.loads(body)
                if await self._send(client, body.encode()):
                    self._arrived.append(seq)
                elif time.time() - event["created"] > GIVEN_UP_AFTER_SECONDS:
                    telemetry.log.warning("event_given_up", id=event["id"], type=event["type"])
                    self._arrived.append(seq)
                else:
                    self._again.append((seq, time.time() + backoff(tries)))
            await self._keep_accounts()
        finally:
            del self._on_their_way[subject]
            self.wake()

    async def _send(self, client: httpx.AsyncClient, payload: bytes) -> bool:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(payload, self._secret, int(time.time())),
        }
        try:
            answer = await client.post(self._url, content=payload, headers=headers)
        except httpx.ConnectError:
            if time.time() >= self._silent_until:
                self._silent_until = time.time() + min(backoff(self._outages), OUTAGE_SECONDS_MAX)
                self._outages += 1
            return False
        except httpx.HTTPError:
            return False
        self._outages = 0
        return answer.is_success

    def _pause(self, now: float) -> float:
        """Seconds until something becomes due that was not at `now`."""
        dues = [
            self._book.pages.next_reminder(),
            self._book.pages.next_event(now),
            self._silent_until if self._silent_until > now else None,
        ]
        waits = [max(due - time.time(), 0.0) for due in dues if due is not None]
        return min([*waits, IDLE_SECONDS_MAX])
