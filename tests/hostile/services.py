"""The four services as the corpus meets them: how each is built, and its neighbours on the bus."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from contracts import topics
from contracts.orders import OrderSnapshot
from services.chassis import records
from services.chassis.records import Record
from services.commerce import app as commerce
from services.fulfillment import app as fulfillment
from services.gateway import app as gateway
from services.payment import app as payment
from tests.driving import SteppedClock, record
from tests.hostile.corpus import Case

GOLDEN = Path(__file__).parents[1] / "contracts" / "golden"
NEIGHBOUR = json.loads((GOLDEN / "OrderSnapshot.json").read_text())
BUILDS: dict[str, Callable[..., Any]] = {
    "commerce": commerce.build,
    "fulfillment": fulfillment.build,
    "payment": payment.build,
    "gateway": gateway.build,
}
OURS = (
    "KeyError", "IndexError", "AttributeError", "TypeError", "ZeroDivisionError",
    "OverflowError", "RecursionError", "AssertionError", "NotImplementedError", "LookupError",
    "ValueError", "ValidationError", "StopIteration", "InvariantBroken", "Error:", "Exception",
)  # fmt: skip
"""What a reason must not begin with: a mistake of ours that was caught, not a judgement."""


def builder(service: str, clock: SteppedClock) -> Callable[..., Any]:
    """How the service is put together on a clock of the test."""
    build = BUILDS[service]
    return partial(build, clock=clock) if service in ("fulfillment", "payment") else build


def reads(service: str, case: Case) -> bool:
    """Whether the service reads the case's topic."""
    return case.topic in topics.topics_read_by(service)


def as_record(case: Case, offset: int = 0) -> Record:
    """The case as the broker would deliver it."""
    assert case.topic is not None
    return Record(
        topic=case.topic,
        partition=0,
        offset=offset,
        key=case.key or None,
        headers=case.headers,
        value=case.body(),
    )


def neighbour() -> Record:
    """An order that every service takes in, one that nobody has seen before."""
    order_id = f"neighbour-{uuid4().hex}"
    return record(OrderSnapshot.model_validate(NEIGHBOUR | {"order_id": order_id}))


def inbox_id(of: Record) -> Any:
    """The row that says that a well-formed record was handled."""
    return records.event_id(of.topic, dict(of.headers)["ce_id"].decode())


def is_ours(reason: str) -> bool:
    """Whether a reason tells of a mistake of ours rather than of the sender's."""
    name = reason.partition(":")[0]
    return " " not in name and any(each in f"{name}:" for each in OURS)
