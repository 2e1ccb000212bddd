"""The declared metrics: named by Prometheus' rules, with labels that cannot grow."""

import pytest

from tools.metrics_docs import Declared, all_declared

CLOSED_LABELS = {
    "direction",
    "grpc_code",
    "grpc_method",
    "grpc_service",
    "job_name",
    "k",
    "kind",
    "op",
    "outcome",
    "phase",
    "reason",
    "split",
    "status",
    "tier",
}
BUILD_LABELS = {"python", "revision", "service", "version"}
UNITS = ("_seconds", "_bytes", "_ratio")


@pytest.mark.parametrize("metric", all_declared(), ids=lambda metric: metric.name)
def test_a_metric_has_a_telling_name_and_small_labels(metric: Declared):
    assert metric.name.startswith(("graphbed_", "grpc_server_", "grpc_client_"))
    assert set(metric.labels) <= (BUILD_LABELS if metric.kind == "info" else CLOSED_LABELS)
    assert metric.documentation.endswith(".")
    if metric.kind == "histogram":
        assert metric.name.endswith(UNITS)
    assert metric.name.endswith("_total") == (metric.kind == "counter")


def test_every_metric_is_declared_once():
    names = [metric.name for metric in all_declared()]
    assert len(names) == len(set(names))
