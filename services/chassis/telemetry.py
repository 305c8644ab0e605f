"""Logs, metrics and traces: JSON lines without personal data, Prometheus counters, OTLP spans."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from services.chassis.settings import Settings

if TYPE_CHECKING:
    from services.chassis.journal import Journal
    from services.chassis.work import Received, UnitOfWork

log: structlog.stdlib.BoundLogger = structlog.get_logger()

HANDLED = Counter("returns_messages_handled_total", "Messages handled", ["service", "message"])
DUPLICATES = Counter(
    "returns_messages_duplicate_total", "Messages dropped by the inbox", ["service", "message"]
)
IGNORED = Counter(
    "returns_messages_ignored_total",
    "Messages that changed nothing",
    ["service", "message", "reason"],
)
PUBLISHED = Counter("returns_messages_published_total", "Messages stored to be published",
                    ["service", "message"])  # fmt: skip
QUARANTINED = Counter("returns_records_quarantined_total", "Records set aside", ["service"])
PARKED = Counter("returns_messages_parked_total", "Messages that wait for others", ["service"])
BATCH_SECONDS = Histogram(
    "returns_batch_seconds",
    "Duration of one transaction over a batch",
    ["service"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
OUTBOX_ROWS = Gauge("returns_outbox_rows", "Messages waiting for the relay", ["service"])
EFFECTS = Counter("returns_effects_total", "Effects performed", ["service", "kind", "outcome"])

_tracer: Any = None


def configure(service: str, settings: Settings) -> None:
    """JSON logs to standard error; spans only where an exporter is configured."""
    global _tracer
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, force=True)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    if settings.otel_exporter_otlp_endpoint:
        _tracer = _exporting_tracer(service)


def _exporting_tracer(service: str) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("services.chassis")


@contextmanager
def span(name: str, traceparent: str | None, **attributes: str) -> Iterator[str | None]:
    """A span under `traceparent`; yields the traceparent of what it causes."""
    if _tracer is None:
        yield traceparent
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()
    parent = propagator.extract({"traceparent": traceparent} if traceparent else {})
    with _tracer.start_as_current_span(name, context=parent, attributes=attributes):
        carrier: dict[str, str] = {}
        propagator.inject(carrier)
        yield carrier.get("traceparent", traceparent)


def count_duplicate(service: str, message: Received) -> None:
    DUPLICATES.labels(service, type(message.body).__name__).inc()


def count_transaction(
    service: str, handled: Sequence[Received], work: UnitOfWork, journal: Journal
) -> None:
    for message in handled:
        HANDLED.labels(service, type(message.body).__name__).inc()
    for item in work.published:
        PUBLISHED.labels(service, type(item.body).__name__).inc()
    for message_name, reason in work.ignored:
        IGNORED.labels(service, message_name, reason).inc()
    if work.parked:
        PARKED.labels(service).inc(len(work.parked))
    if journal.quarantined:
        QUARANTINED.labels(service).inc(len(journal.quarantined))


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    from prometheus_client import generate_latest

    return generate_latest(REGISTRY)
