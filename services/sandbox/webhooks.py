"""Sends the processor's signed events, and does what was put off: settle, fail."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from contextlib import suppress

import httpx

from services.sandbox.book import Book
from services.sandbox.processor import Processor

POLL_SECONDS = 0.1
SENT_AT_ONCE_MAX = 50
TRIES_MAX = 40
BACKOFF_SECONDS_MAX = 20.0
SEND_SECONDS_MAX = 10.0


def signature(payload: bytes, secret: str, at: int) -> str:
    """The value of ``Stripe-Signature`` for a payload."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + payload, hashlib.sha256)
    return f"t={at},v1={digest.hexdigest()}"


class Clockwork:
    """The sandbox's background work; nothing of it is lost when the process dies."""

    def __init__(self, book: Book, url: str, secret: str) -> None:
        self._book = book
        self._processor = Processor(book)
        self._url = f"{url}/webhooks/stripe"
        self._secret = secret
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=SEND_SECONDS_MAX) as client:
            while True:
                self._wake.clear()
                with self._book.transaction():
                    for what, subject in self._book.due_reminders(time.time()):
                        getattr(self._processor, what)(subject)
                events = self._book.due_events(time.time(), SENT_AT_ONCE_MAX)
                await asyncio.gather(*(self._send(client, *event) for event in events))
                if not events:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)

    async def _send(
        self, client: httpx.AsyncClient, id_: str, tries: int, event: dict[str, object]
    ) -> None:
        payload = json.dumps(event).encode()
        headers = {
            "Content-Type": "application/json",
            "Stripe-Signature": signature(payload, self._secret, int(time.time())),
        }
        try:
            answer = await client.post(self._url, content=payload, headers=headers)
            arrived = answer.is_success
        except httpx.HTTPError:
            arrived = False
        if arrived or tries >= TRIES_MAX:
            self._book.event_done(id_)
        else:
            delay = min(0.25 * 2 ** min(tries, 10), BACKOFF_SECONDS_MAX)
            self._book.event_again(id_, time.time() + delay)
