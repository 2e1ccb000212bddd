"""A pipeline whose connections are closed under it."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from graphbed.clients.lockserver import LockServerClient
from graphbed.clock import SystemClock
from graphbed.errors import GraphbedError
from graphbed.tracing import no_span
from graphbed.v1 import lockserver_pb2
from services.trainer.hand import Hand
from services.trainer.metrics import TrainerMetrics
from services.trainer.pipeline import Pipeline


@pytest.mark.parametrize("stops", [True, False])
def test_a_lease_that_was_handed_back_has_not_failed_when_its_connections_close(stops: bool) -> None:
    registry = CollectorRegistry()

    def get(_: lockserver_pb2.Grant) -> None:
        if stops:
            pipeline.hand_back()
        raise ValueError("Cannot invoke RPC: Channel closed!")

    unused: Any = None
    jobs: Any = SimpleNamespace(get=get)
    locks, clock, metrics = LockServerClient("127.0.0.1:1"), SystemClock(), TrainerMetrics(registry)
    stopping = threading.Event()
    pipeline = Pipeline(
        trainer_id="t",
        locks=locks,
        parameters=unused,
        jobs=jobs,
        fetcher=unused,
        runner=unused,
        storer=unused,
        hand=Hand(trainer_id="t", locks=locks, clock=clock, metrics=metrics, stopping=stopping, span=no_span),
        clock=clock,
        metrics=metrics,
        stopping=stopping,
        store_answers=lambda: None,
    )
    grant = lockserver_pb2.Grant(job="j", lease_id="l")
    grant.ttl.seconds = 60
    if stops:
        pipeline.run(grant, SystemClock().monotonic())
    else:
        with pytest.raises(GraphbedError, match="Channel closed"):
            pipeline.run(grant, SystemClock().monotonic())
    outcome = "released" if stops else "failed"
    assert registry.get_sample_value("graphbed_trainer_leases_total", {"outcome": outcome}) == 1
