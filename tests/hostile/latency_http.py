"""`python -m tests.hostile.latency_http`: what a caller feels of hostile callers; a measurement.

One caller sends good requests one after the other, to the gateway and to payment's webhook, on real
stores: alone, beside two who send good ones, and beside two who send the corpus. The neighbours are
processes of their own, and call equally often. What hostile callers cost is the difference between
the last two.
"""

from __future__ import annotations

import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from services.gateway.api import examples
from services.ops.embedded import postgres
from services.payment.webhooks import sign
from tests.hostile import faces
from tests.hostile.corpus import cases
from tests.hostile.faces import SECRET, Face
from tests.stores import Stores

CALLS = 300
NEIGHBOURS = 2
EVERY_SECONDS = 0.05
"""Between two calls of a neighbour, however long each takes; what is late is not made up for."""

Act = Callable[[httpx.Client], None]
PROCESSES = get_context("spawn")


def asks_for_a_return(client: httpx.Client) -> None:
    request = {**examples.REQUEST, "return_id": str(uuid4())}
    client.post("/returns", json=request).raise_for_status()


def delivers_a_webhook(client: httpx.Client) -> None:
    now = int(time.time())
    event = {"id": f"evt_{uuid4().hex}", "object": "event", "type": "balance.available",
             "created": now, "data": {"object": {"id": "b", "object": "balance"}}}  # fmt: skip
    body = json.dumps(event).encode()
    headers = {"Stripe-Signature": f"t={now},v1={sign(body, SECRET, now)}"}
    client.post("/webhooks/stripe", content=body, headers=headers).raise_for_status()


GOOD: dict[str, Act] = {"gateway": asks_for_a_return, "payment": delivers_a_webhook}


def attacks(name: str) -> Act:
    """Sends the next file of the corpus, whatever is answered."""
    corpus = cycle([(case, case.body()) for case in cases(f"http/{name}")])

    def act(client: httpx.Client) -> None:
        case, body = next(corpus)
        method, path = case.call
        headers = [(name.encode(), value) for name, value in case.headers]
        with suppress(httpx.TransportError):
            client.request(method, path, content=body, headers=headers)

    return act


ACTS: dict[str, Callable[[str], Act]] = {"good": GOOD.__getitem__, "hostile": attacks}


def call(who: str, name: str, url: str, ready: Event, over: Event, calls: Any) -> None:
    """A neighbour, until it is over; `calls` counts."""
    act = ACTS[who](name)
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=url, timeout=20, limits=limits) as client:
        ready.set()
        due = time.monotonic()
        while not over.wait(max(due - time.monotonic(), 0)):
            act(client)
            with calls.get_lock():
                calls.value += 1
            due = max(due + EVERY_SECONDS, time.monotonic())


@contextmanager
def beside(face: Face, who: str | None) -> Iterator[Any]:
    """Callers who go on for the length of a block; the number of their calls."""
    over, calls = PROCESSES.Event(), PROCESSES.Value("i", 0)
    readies = [PROCESSES.Event() for _ in range(NEIGHBOURS if who else 0)]
    neighbours = [
        PROCESSES.Process(target=call, args=(who, face.name, face.url, ready, over, calls))
        for ready in readies
    ]
    for each in neighbours:
        each.start()
    for ready in readies:
        ready.wait()
    try:
        yield calls
    finally:
        over.set()
        for each in neighbours:
            each.join()


def measured(face: Face, who: str | None) -> str:
    """Median and 95th percentile of a good call, in milliseconds; what the neighbours did."""
    taken: list[float] = []
    with beside(face, who) as calls, face.client() as client:
        began, before = time.monotonic(), calls.value
        for _ in range(CALLS):
            started = time.perf_counter()
            GOOD[face.name](client)
            taken.append((time.perf_counter() - started) * 1000)
        rate = (calls.value - before) / (time.monotonic() - began)
    late = statistics.quantiles(taken, n=20)[-1]
    return (
        f"median {statistics.median(taken):6.1f} ms, 95 % within {late:6.1f} ms,"
        f" neighbours' calls {rate:5.1f}/s"
    )


def main() -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # there is no broker here
    with postgres.running(Path(tempfile.mkdtemp()) / "postgres", durable=True) as server:
        for name in GOOD:
            with ExitStack() as stack:
                url = Stores(server).clone(name).runtime_url
                face = stack.enter_context(faces.served(name, faces.of_service(name, url)))
                measured(face, None)
                for who in (None, "good", "hostile"):
                    print(f"{name:8} beside {who or 'nobody':8} {measured(face, who)}", flush=True)


if __name__ == "__main__":
    main()
