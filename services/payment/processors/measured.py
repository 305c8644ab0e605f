"""How long processors take to answer, and how often they fail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import stripe
from prometheus_client import Counter, Histogram

SECONDS = Histogram(
    "returns_processor_request_seconds",
    "Duration of one request to a processor, answered or not",
    ["processor", "call"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
FAILED = Counter(
    "returns_processor_errors", "Requests that a processor failed", ["processor", "call", "error"]
)
HELD_BACK = Counter(
    "returns_processor_held_back_seconds",
    "How long requests waited for our own limit of requests per second",
    ["processor"],
)
REQUESTS = Counter("returns_processor_requests", "Requests to a processor", ["processor", "call"])


@contextmanager
def request(processor: str, method: str, path: str) -> Iterator[None]:
    """Around one request. `call` is the method and the collection, never an id."""
    call = f"{method} {'/'.join(path.split('/')[:3])}"
    started = time.perf_counter()
    REQUESTS.labels(processor, call).inc()
    try:
        yield
    except stripe.StripeError as error:
        FAILED.labels(processor, call, type(error).__name__).inc()
        raise
    finally:
        SECONDS.labels(processor, call).observe(time.perf_counter() - started)
