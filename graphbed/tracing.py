"""Traces: one span for each piece of work, sent by OpenTelemetry where it is asked for; no cost elsewhere."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeAlias

from graphbed.errors import InputError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

Span: TypeAlias = Callable[..., AbstractContextManager[object]]
"""`span("lease", job="j")` is a context: a span around what happens inside, below the one that is open already."""


def no_span(_name: str, **_attributes: str | int | float) -> AbstractContextManager[object]:
    """No trace at all."""
    return nullcontext()


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment names an exporter or its address, in OpenTelemetry's own variables."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    addresses = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return exporter != "none" and bool(exporter or any(environ.get(name, "").strip() for name in addresses))


def open_tracing(environ: Mapping[str, str], *, service: str) -> tuple[Span, Callable[[], None]]:
    """What makes spans, and what sends the last ones before the process ends.

    OpenTelemetry is imported only if traces are wanted, and reads OTEL_* itself; the service is called `service` unless
    OTEL_SERVICE_NAME says otherwise. Raises InputError if it is not installed or another exporter is named.
    """
    if not is_wanted(environ):
        return no_span, lambda: None
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    if exporter not in ("otlp", "console"):
        raise InputError(what=f"OTEL_TRACES_EXPORTER is {exporter!r}; it must be otlp, console or none")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
    except ImportError as error:
        raise InputError(what="traces are asked for by OTEL_*, which needs: pip install 'graphbed[tracing]'") from error
    name = environ.get("OTEL_SERVICE_NAME", "").strip() or service
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter() if exporter == "otlp" else ConsoleSpanExporter()))
    return spans_of(provider), provider.shutdown


def spans_of(provider: "TracerProvider") -> Span:
    """What makes spans of `provider`."""
    tracer = provider.get_tracer("graphbed")

    def span(name: str, **attributes: str | int | float) -> AbstractContextManager[object]:
        return tracer.start_as_current_span(name, attributes={f"graphbed.{key}": v for key, v in attributes.items()})

    return span
