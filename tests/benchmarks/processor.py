"""A processor that only answers, after a set time: the other side of the refund benchmark.

It speaks as much of Stripe's API as a refund that goes well needs, and sends the three signed
events that Stripe sends about one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from services.sandbox import stripe_objects
from services.sandbox.webhooks import PATH, signature

CONNECTIONS_MAX = 8
COUNT = "/requests"
"""Tells how many requests there were."""
Json = dict[str, Any]


class Stub:
    """Payments exist as soon as somebody names them: `amount` minor units of `currency`."""

    def __init__(self, amount: int, currency: str) -> None:
        self._amount, self._currency = amount, currency
        self._charges: dict[str, Json] = {}
        self._refunds: dict[str, Json] = {}
        self.events: asyncio.Queue[bytes] = asyncio.Queue()
        self.requests = 0

    def answer(self, method: str, path: str, body: bytes) -> Json:
        if path == COUNT:
            return {"requests": self.requests}
        self.requests += 1
        kind, _, id_ = path.removeprefix("/v1/").partition("/")
        if kind == "payment_intents":
            charge = self._charge(id_)
            return stripe_objects.payment_intent(id_, charge) | {"latest_charge": charge}
        if method == "POST":
            return self._refund(parse_qs(body.decode()))
        if id_:
            return self._refunds[id_]
        found = [each for each in self._refunds.values() if each["payment_intent"] in path]
        return stripe_objects.page("/v1/refunds", found, has_more=False)

    def _charge(self, reference: str) -> Json:
        if reference not in self._charges:
            self._charges[reference] = stripe_objects.charge(
                reference, self._amount, self._currency, "card", {}
            )
        return self._charges[reference]

    def _refund(self, form: dict[str, list[str]]) -> Json:
        charge = self._charge(form["payment_intent"][0])
        metadata = {
            name[len("metadata[") : -1]: values[0]
            for name, values in form.items()
            if name.startswith("metadata[")
        }
        refund = stripe_objects.refund(charge, int(form["amount"][0]), metadata, None)
        self._tell("refund.created", refund)
        refund = refund | {"status": "succeeded"}
        charge["amount_refunded"] += refund["amount"]
        self._refunds[refund["id"]] = refund
        self._tell("refund.updated", refund)
        self._tell("charge.refunded", charge)
        return refund | {
            "balance_transaction": stripe_objects.balance_transaction(
                refund, "refund", refund["balance_transaction"], -refund["amount"]
            )
        }

    def _tell(self, type_: str, thing: Json) -> None:
        self.events.put_nowait(json.dumps(stripe_objects.event(type_, thing)).encode())


async def serve(port: int, seconds: float, stub: Stub) -> None:
    """Until cancelled: every request is answered after `seconds`."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            line, headers = head
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, target, _ = line.split(" ", 2)
            path = urlsplit(target).path
            await asyncio.sleep(seconds)
            answer = json.dumps(stub.answer(method, path, body)).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer)
            )
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


async def _head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *rest = text.strip().split("\r\n")
    pairs = (each.partition(":") for each in rest)
    return line, {name.lower(): value.strip() for name, _, value in pairs}


async def carry(stub: Stub, address: str, secret: str) -> None:
    """Until cancelled: the events, signed, on a connection of its own."""
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    while True:
        event = await stub.events.get()
        signed = signature(event, secret, int(time.time()))
        writer.write(
            f"POST {PATH} HTTP/1.1\r\nHost: {where.netloc}\r\nStripe-Signature: {signed}\r\n"
            f"Content-Length: {len(event)}\r\n\r\n".encode()
            + event
        )
        head = await _head(reader)
        assert head is not None and head[0].split(" ")[1] == "200", head
        await reader.readexactly(int(head[1]["content-length"]))


async def main(port: int, seconds: float, amount: int, address: str, secret: str) -> None:
    stub = Stub(amount, "usd")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(port, seconds, stub))
        for _ in range(CONNECTIONS_MAX):
            tasks.create_task(carry(stub, address, secret))


if __name__ == "__main__":
    import uvloop

    _, _port, _seconds, _amount, _address, _secret = sys.argv
    uvloop.run(main(int(_port), float(_seconds), int(_amount), _address, _secret))
