"""Who may do what on the broker: nothing but the table of topics, read as rights.

Pure: `broker` carries it out. Principals are our services, and three kinds of others:
`frontend` asks for returns and follows them, `merchant` is the shop's own order and warehouse
system, `operator` looks at everything and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from contracts.topics import TOPICS

Resource = Literal["topic", "group"]
Operation = Literal["READ", "WRITE", "DESCRIBE"]

SERVICES = tuple(
    sorted({name for topic in TOPICS for name in (*topic.writers, *topic.readers)} - {"chat"})
)
"""Those that are deployed: chat is a frontend until it is."""
OPERATOR, MERCHANT, FRONTEND = "operator", "merchant", "frontend"
OTHERS = (OPERATOR, MERCHANT, FRONTEND)
PRINCIPALS = (*SERVICES, *OTHERS)
ASKS_ON, FOLLOWS = "returns.requests", "returns.lifecycle"


@dataclass(frozen=True, kw_only=True, order=True)
class Right:
    """One operation on one resource. `prefixed`: on all whose name begins with `name`."""

    principal: str
    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False


def rights(prefix: str = "") -> tuple[Right, ...]:
    """All rights on a broker where topics and groups have this prefix."""
    return tuple(sorted({*_of_services(prefix), *_of_others(prefix)}))


def _of_services(prefix: str) -> Iterator[Right]:
    for service in SERVICES:
        yield _group(service, f"{prefix}{service}")
        for topic in TOPICS:
            if service in topic.readers:
                yield _topic(service, prefix, topic.name, "READ")
            if service in topic.writers:
                yield _topic(service, prefix, topic.name, "WRITE")


def _of_others(prefix: str) -> Iterator[Right]:
    for topic in TOPICS:
        yield _topic(OPERATOR, prefix, topic.name, "READ")
        if topic.open:
            yield _topic(MERCHANT, prefix, topic.name, "WRITE")
    yield _topic(FRONTEND, prefix, ASKS_ON, "WRITE")
    yield _topic(FRONTEND, prefix, FOLLOWS, "READ")
    for principal in OTHERS:
        yield _group(principal, f"{prefix}{principal}", prefixed=True)


def _topic(principal: str, prefix: str, name: str, operation: Operation) -> Right:
    # Who may read or write a topic may describe it.
    return Right(principal=principal, resource="topic", name=f"{prefix}{name}", operation=operation)


def _group(principal: str, name: str, *, prefixed: bool = False) -> Right:
    return Right(
        principal=principal, resource="group", name=name, operation="READ", prefixed=prefixed
    )
