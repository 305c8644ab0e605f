"""`python -m tests.hostile.latency_http`: what a caller feels of hostile callers; a measurement.

One caller sends good requests one after the other, to the gateway and to payment's webhook, on real
stores: alone, beside two who send good ones without pause, and beside two who send the corpus
without pause. What hostile callers cost is the difference between the last two.
"""

from __future__ import annotations

import json
import logging
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
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

Act = Callable[[httpx.Client], None]


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


def attacks(face: Face) -> Act:
    """Sends the next file of the corpus, whatever is answered."""
    corpus = cycle(cases(f"http/{face.name}"))

    def act(client: httpx.Client) -> None:
        case = next(corpus)
        method, path = case.call
        headers = [(name.encode(), value) for name, value in case.headers]
        with suppress(httpx.TransportError):
            client.request(method, path, content=case.body(), headers=headers)

    return act


@contextmanager
def beside(face: Face, acts: list[Act]) -> Iterator[None]:
    """Callers who go on without pause, each from a thread, for the length of a block."""
    over = threading.Event()

    def call(act: Act) -> None:
        with face.client() as client:
            while not over.is_set():
                act(client)

    threads = [threading.Thread(target=call, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def measured(face: Face, neighbours: list[Act]) -> float:
    """Median of a good call, in milliseconds."""
    taken: list[float] = []
    with beside(face, neighbours), face.client() as client:
        for _ in range(CALLS):
            started = time.perf_counter()
            GOOD[face.name](client)
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def main() -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # there is no broker here
    with postgres.running(Path(tempfile.mkdtemp()) / "postgres", durable=True) as server:
        for name, good in GOOD.items():
            with ExitStack() as stack:
                url = Stores(server).clone(name).runtime_url
                face = stack.enter_context(faces.served(name, faces.of_service(name, url)))
                measured(face, [])
                for who, acts in (
                    ("nobody", []),
                    ("good callers", [good] * NEIGHBOURS),
                    ("hostile callers", [attacks(face) for _ in range(NEIGHBOURS)]),
                ):
                    print(f"{name:8} beside {who:16} median {measured(face, acts):6.1f} ms")


if __name__ == "__main__":
    main()
