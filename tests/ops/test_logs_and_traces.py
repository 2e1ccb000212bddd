"""What a trainer at work logs, and the traces it sends when asked to."""

import json
import re
import time
from collections.abc import Iterable

import pytest

from tests.ops.live_cluster import JOB, Cluster, Prometheus

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("live-cluster")]

PHASES = ["fetch", "train", "store", "commit"]


def log_lines(text: str) -> list[dict[str, str]]:
    """The log lines of a process; spans that it prints are not among them."""
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"')]


def spans(text: str) -> list[dict[str, object]]:
    """The spans that OpenTelemetry's console exporter printed."""
    return [json.loads(found) for found in re.findall(r"^\{$.*?^\}$", text, re.MULTILINE | re.DOTALL)]


def with_message(lines: Iterable[dict[str, str]], message: str) -> list[dict[str, str]]:
    return [line for line in lines if line["msg"] == message]


def test_a_lease_can_be_followed_through_logs_and_traces(watched: tuple[Cluster, Prometheus]) -> None:
    cluster, _ = watched
    trainer = cluster.start_trainer(
        OTEL_TRACES_EXPORTER="console",
        GRAPHBED_TRAINER_ID="traced",
        # Spans and log lines share a file here: each is to be written in one piece.
        PYTHONUNBUFFERED="1",
    )
    deadline = time.monotonic() + 120
    while "lease committed" not in trainer.log():
        assert time.monotonic() < deadline, trainer.log()[-2000:]
        time.sleep(0.5)
    assert trainer.terminate() == 0
    committed = with_message(log_lines(trainer.log()), "lease committed")[0]
    assert (committed["job"], committed["trainer"]) == (JOB, "traced")
    granted = [
        line
        for line in with_message(log_lines(cluster.lockserver.log()), "lease granted")
        if line["lease"] == committed["lease"]
    ]
    assert [(line["job"], line["trainer"]) for line in granted] == [(JOB, "traced")]
    assert granted[0]["request"]
    found = spans(trainer.log())
    leases = [span for span in found if span["name"] == "lease"]
    traced = next(span for span in leases if span["attributes"]["graphbed.lease"] == committed["lease"])
    assert traced["attributes"]["graphbed.job"] == JOB
    children = [span for span in found if span["parent_id"] == traced["context"]["span_id"]]
    assert [span["name"] for span in sorted(children, key=lambda span: span["start_time"])] == PHASES
