"""Traces: one span a piece of work, and nothing where nobody asked."""

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from graphbed.errors import InputError
from graphbed.tracing import is_wanted, no_span, open_tracing, spans_of


def test_spans_lie_within_each_other_with_their_attributes():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    span = spans_of(provider)
    with span("lease", job="j", buckets=3):
        with span("fetch"):
            pass
        with span("train"):
            pass
    fetch, train, lease = exporter.get_finished_spans()
    assert [one.name for one in (fetch, train, lease)] == ["fetch", "train", "lease"]
    assert fetch.parent.span_id == train.parent.span_id == lease.context.span_id
    assert lease.attributes == {"graphbed.job": "j", "graphbed.buckets": 3}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:4318/v1/traces"}, True),
    ],
)
def test_only_the_environment_turns_traces_on(environ: dict[str, str], wanted: bool):
    assert is_wanted(environ) is wanted


def test_without_traces_nothing_of_opentelemetry_is_imported():
    script = "import sys, graphbed.tracing as t; t.open_tracing({}, service='s'); print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    with no_span("lease", job="j"):
        pass


def test_an_exporter_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="zipkin"):
        open_tracing({"OTEL_TRACES_EXPORTER": "zipkin"}, service="s")


def test_spans_are_sent_before_the_process_ends():
    script = (
        "from graphbed.tracing import open_tracing\n"
        "span, finish = open_tracing({'OTEL_TRACES_EXPORTER': 'console'}, service='graphbed-trainer')\n"
        "with span('lease', job='j'): pass\n"
        "finish()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert '"name": "lease"' in done.stdout
    assert '"service.name": "graphbed-trainer"' in done.stdout
