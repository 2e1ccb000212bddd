"""A trainer that is stopped while the lock server's answer is on its way."""

import threading
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from graphbed.clock import SystemClock
from graphbed.errors import ServerUnreachable
from graphbed.v1 import lockserver_pb2
from services.trainer.metrics import TrainerMetrics
from services.trainer.trainer import Trainer


class LossyLocks:
    """Grants one lease for each request; its first answers are lost, and the trainer is stopped meanwhile."""

    def __init__(self, stopping: threading.Event, *, lost: int) -> None:
        self._stopping = stopping
        self._lost = lost
        self.leases: dict[str, str] = {}
        self.released: list[str] = []

    def acquire(self, _: str, request_id: str) -> lockserver_pb2.AcquireResponse:
        lease_id = self.leases.setdefault(request_id, f"lease-{len(self.leases)}")
        self._lost -= 1
        if self._lost >= 0:
            self._stopping.set()
            raise ServerUnreachable(service="lockserver", address="here")
        return lockserver_pb2.AcquireResponse(grant=lockserver_pb2.Grant(job="j", lease_id=lease_id))

    def release(self, _: str, __: str, lease_id: str, reason: int, ___: str) -> None:
        assert reason == lockserver_pb2.RELEASE_REASON_SHUTDOWN
        self.released.append(lease_id)


@pytest.mark.parametrize(("lost", "released"), [(1, ["lease-0"]), (2, [])])
def test_a_grant_whose_answer_was_lost_is_handed_back_when_the_trainer_stops(lost: int, released: list[str]) -> None:
    stopping = threading.Event()
    locks: Any = LossyLocks(stopping, lost=lost)
    unused: Any = None
    trainer = Trainer(
        trainer_id="t",
        locks=locks,
        pipeline=unused,
        clock=SystemClock(),
        metrics=TrainerMetrics(CollectorRegistry()),
        stopping=stopping,
        store_answers=lambda: None,
        reachable=lambda _: None,
        give_up_after=0,
    )
    trainer.run()
    assert len(locks.leases) == 1
    assert locks.released == released
