"""Logs, metrics and traces: JSON lines without personal data, Prometheus counters, OTLP spans."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections import Counter as Tally
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest

from contracts.base import Message
from contracts.lifecycle import ReturnStatusChanged
from services.chassis import lean, outcomes, tracing
from services.chassis.settings import Settings
from services.chassis.work import Received

with lean.without("rich"):  # colours of a console that no service has: 4 MB, a tenth of its start
    import structlog

if TYPE_CHECKING:
    from services.chassis.batch import Batch

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LOGGED = frozenset(
    {"attempt", "changed", "effect", "error", "event", "kind", "level", "message", "n", "path"}
    | {"reason", "return_id", "seconds", "service", "status", "timestamp", "topic", "trace_id"}
    | {"port", "processor", "refund_id", "traceback", "version", "waiting_on"}
)
"""The only fields that reach a log. Whatever else is passed is dropped: it may name a person."""

HANDLED = Counter("returns_messages_handled", "Messages handled", ["service", "message"])
DUPLICATES = Counter(
    "returns_messages_duplicate", "Messages dropped as seen before", ["service", "message"]
)
IGNORED = Counter(
    "returns_messages_ignored", "Messages that changed nothing", ["service", "message", "reason"]
)
PUBLISHED = Counter(
    "returns_messages_published", "Messages stored to be published", ["service", "message"]
)
QUARANTINED = Counter("returns_records_quarantined", "Records set aside", ["service"])
PARKED = Counter("returns_messages_parked", "Messages that wait for others", ["service"])
BATCH_SECONDS = Histogram(
    "returns_batch_seconds",
    "Duration of one transaction over a batch",
    ["service"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
BATCH_MESSAGES = Histogram(
    "returns_batch_messages",
    "Messages in one transaction",
    ["service"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200),
)
OUTBOX_ROWS = Gauge("returns_outbox_rows", "Rows that the relay took last", ["service"])
OUTBOX_SECONDS = Gauge("returns_outbox_age_seconds", "Age of the oldest of them", ["service"])
RELAYED = Counter("returns_messages_relayed", "Messages that the broker has taken", ["service"])
ROUND_TRIPS = Counter("returns_sql_round_trips", "Statements sent to the store", ["service"])
EFFECTS = Counter("returns_effects", "Effects carried out", ["service", "kind", "outcome"])
LAG = Gauge(
    "returns_consumer_lag_records",
    "Records of a partition not handled yet",
    ["service", "topic", "partition"],
)
INBOX_SECONDS = Histogram(
    "returns_inbox_lag_seconds",
    "Age of the oldest record of a batch when it is taken up",
    ["service"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
STALLED = Counter("returns_batches_stalled", "Batches that had to come again", ["service"])

LIBRARY_LINE_LENGTH_MAX = 300


def configure(service: str, settings: Settings) -> None:
    """JSON logs to standard error; spans only where an exporter is configured."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    libraries = logging.StreamHandler(sys.stderr)
    libraries.setFormatter(Library())
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[libraries], force=True)
    # Rebalances, lost connections and retries are everyday life there, logged as warnings; what
    # fails in a route is logged by `http`, without the values in it.
    for name in ("aiokafka", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    _configure_structlog(level)
    structlog.contextvars.bind_contextvars(service=service)
    if settings.otel_exporter_otlp_endpoint:
        tracing.configure(service)


class Library(logging.Formatter):
    """Lines of libraries in the same JSON: their words, and where an error came from."""

    def format(self, record: logging.LogRecord) -> str:
        line: MutableMapping[str, Any] = {
            "event": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "reason": record.getMessage().partition("\n")[0][:LIBRARY_LINE_LENGTH_MAX],
            "exc_info": record.exc_info[1] if record.exc_info else None,
        }
        return json.dumps(with_traceback(None, "", line))


def _configure_structlog(level: int) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            with_traceback,
            only_allowed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def with_traceback(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Where an error came from, without the values in its message."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        event["traceback"] = [f"{each.filename}:{each.lineno} {each.name}" for each in frames]
        event.setdefault("error", type(error).__name__)
    return event


def only_allowed(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop every field that is not on the list."""
    return {name: value for name, value in event.items() if name in LOGGED}


@contextmanager
def span(received: Received) -> Iterator[Received]:
    """A span around a handler; yields the message as the cause of what follows from it."""
    name = f"{received.topic} {type(received.body).__name__}"
    kind = "SERVER" if received.topic == "http" else "CONSUMER"
    traceparent, return_id = received.envelope.traceparent, return_of(received.body)
    with tracing.span(name, return_id=return_id, traceparent=traceparent, kind=kind) as caused:
        if caused == traceparent:
            yield received
        else:
            yield replace(received, envelope=replace(received.envelope, traceparent=caused))


def return_of(body: Message) -> str | None:
    """The return that a message names."""
    return_id: str | None = getattr(body, "return_id", None)
    return return_id


def about(received: Received) -> dict[str, str]:
    """What a log line may say of a message."""
    return_id = return_of(received.body)
    return {
        "message": type(received.body).__name__,
        "return_id": return_id or "",
        "topic": received.topic,
        "trace_id": tracing.trace_id(return_id, received.envelope.traceparent),
    }


def count_batch(service: str, batch: Batch, seconds: float) -> None:
    """Count what a committed batch did."""
    BATCH_SECONDS.labels(service).observe(seconds)
    BATCH_MESSAGES.labels(service).observe(len(batch.items))
    _count(HANDLED, service, (item.received.body for item in batch.handled))
    _count(DUPLICATES, service, (item.received.body for item in batch.duplicates))
    _count(PUBLISHED, service, (each.body for each in batch.work.published))
    for each in batch.work.published:
        outcomes.count(each.body)
        if isinstance(each.body, ReturnStatusChanged):
            _tell(each.body)
    for message, reason in batch.work.ignored:
        IGNORED.labels(service, message, reason).inc()
    if batch.journal.waiting:
        PARKED.labels(service).inc(len(batch.journal.waiting))
    if batch.journal.quarantined:
        QUARANTINED.labels(service).inc(len(batch.journal.quarantined))


def _tell(change: ReturnStatusChanged) -> None:
    """The one line that every change of a return leaves: who it waits for, and since when."""
    log.info(
        "status_changed",
        return_id=change.return_id,
        status=change.status,
        waiting_on=change.waiting_on,
        n=change.number,
        trace_id=tracing.trace_id(change.return_id, None),
    )


def _count(counter: Counter, service: str, bodies: Iterator[Any]) -> None:
    for name, number in Tally(type(body).__name__ for body in bodies).items():
        counter.labels(service, name).inc(number)


def count_effect(service: str, kind: str, outcome: str) -> None:
    EFFECTS.labels(service, kind, outcome).inc()


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


# Also before `configure`, and in tests, nothing but the allowed fields is ever printed.
_configure_structlog(logging.WARNING)
