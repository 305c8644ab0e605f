"""Spans, joined into one trace per return: its trace id is the return's id without the dashes.

Whatever names a return (a request, a scan, a webhook's outcome, a review) belongs to that trace,
whoever sent it; the trace it came in is kept as a link. Where no exporter is configured no span
is made: a message's `traceparent` is handed on as it came, or begun where it came without one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

KINDS = ("CONSUMER", "SERVER", "CLIENT")

_tracer: Any = None
_wanted: ContextVar[int | None] = ContextVar("trace_id", default=None)


def configure(service: str) -> None:
    """Export spans over OTLP/HTTP to OTEL_EXPORTER_OTLP_ENDPOINT."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    export(service, BatchSpanProcessor(OTLPSpanExporter()))


def export(service: str, processor: Any) -> None:
    """Make spans from now on, and give them to a span processor of the SDK."""
    global _tracer
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _wanted.get() or super().generate_trace_id()

    provider = TracerProvider(
        resource=Resource.create({"service.name": service}), id_generator=Ids()
    )
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("services.chassis")


def trace_id(return_id: str | None, traceparent: str | None) -> str:
    """32 hexadecimal digits: the return's trace, else the one it came in; empty: neither."""
    own = _trace_of(return_id)
    if own is not None:
        return format(own, "032x")
    return traceparent.split("-")[1] if traceparent else ""


@contextmanager
def span(
    name: str, *, return_id: str | None, traceparent: str | None, kind: str = "CONSUMER"
) -> Iterator[str]:
    """A span around work; yields the `traceparent` for what follows from it."""
    if _tracer is None:
        yield traceparent or _begun(return_id)
        return
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()
    carrier = {"traceparent": traceparent} if traceparent is not None else {}
    context, links = propagator.extract(carrier, Context()), []
    cause, own = trace.get_current_span(context).get_span_context(), _trace_of(return_id)
    if own is not None and cause.trace_id != own:
        context, links = Context(), [trace.Link(cause)] if cause.is_valid else []
    attributes = {"returns.return_id": return_id} if return_id else {}
    token = _wanted.set(own)
    try:
        started = _tracer.start_span(
            name,
            context=context,
            links=links,
            attributes=attributes,
            kind=getattr(trace.SpanKind, kind),
        )
    finally:
        _wanted.reset(token)
    with trace.use_span(started, end_on_exit=True, record_exception=False):
        handed_on: dict[str, str] = {}
        propagator.inject(handed_on)
        yield handed_on.get("traceparent") or traceparent or _begun(return_id)


def _begun(return_id: str | None) -> str:
    """A `traceparent` (W3C Trace Context, version 00) for what came without one.

    Whoever follows our messages finds the whole return in one trace, also where we make no spans.
    """
    trace = _trace_of(return_id) or secrets.randbits(128) | 1
    return f"00-{trace:032x}-{secrets.randbits(64) | 1:016x}-01"


def _trace_of(return_id: str | None) -> int | None:
    try:
        return UUID(return_id).int or None if return_id else None
    except ValueError:
        return None
