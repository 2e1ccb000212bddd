"""The heartbeat against a lock server made for the test: real gRPC, a clock that the test moves."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from graphbed.clients.lockserver import LockServerClient
from graphbed.clock import Clock, ManualClock, SystemClock
from graphbed.errors import LeaseLost, ServerUnreachable, StoreUnavailable
from graphbed.rpc.server import start_server
from graphbed.v1 import lockserver_pb2, lockserver_pb2_grpc
from services.trainer.heartbeat import Heartbeat
from services.trainer.metrics import TrainerMetrics

TTL_SECONDS = 1.5


class Renewals(lockserver_pb2_grpc.LockServerServicer):
    """Answers Renew as the test wants, and counts."""

    def __init__(self) -> None:
        self.count = 0
        self.seen = threading.Event()
        self.error: Exception | None = None
        self.last: lockserver_pb2.RenewRequest | None = None

    def Renew(
        self, request: lockserver_pb2.RenewRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.RenewResponse:
        self.count += 1
        self.last = request
        self.seen.set()
        if self.error is not None:
            raise self.error
        return lockserver_pb2.RenewResponse()


@pytest.fixture
def renewals() -> Renewals:
    return Renewals()


@pytest.fixture
def locks(renewals: Renewals) -> Iterator[LockServerClient]:
    server = start_server(
        service_name="graphbed.v1.LockServer",
        register=lambda s: lockserver_pb2_grpc.add_LockServerServicer_to_server(renewals, s),
        listen="127.0.0.1:0",
        metrics_listen=None,
        registry=CollectorRegistry(),
    )
    with LockServerClient(server.address) as client:
        yield client
    server.stop(0)


class SlowLockServer:
    """Answers a renewal late, or loses it and takes the sixth of the ttl that a trainer waits, as `script` says."""

    def __init__(self, clock: ManualClock, script: str) -> None:
        self._clock = clock
        self._left = list(script)
        self.over = threading.Event()

    def renew(self, *_: object, ttl_seconds: float) -> None:
        if not self._left:
            self.over.set()
            return
        fails = self._left.pop(0) == "x"
        self._clock.advance(ttl_seconds / 6 if fails else ttl_seconds / 8)
        if fails:
            raise ServerUnreachable(service="lock server", address="away:1")


def heartbeat(locks: Any, stopped: threading.Event, clock: Clock | None = None) -> Heartbeat:
    clock = clock or SystemClock()
    return Heartbeat(
        locks,
        trainer_id="t",
        lease_id="l",
        ttl_seconds=TTL_SECONDS,
        granted_at=clock.monotonic(),
        progress=lambda: lockserver_pb2.Progress(edges=5, phase=lockserver_pb2.PHASE_TRAIN),
        clock=clock,
        metrics=TrainerMetrics(CollectorRegistry()),
        on_lost=stopped.set,
    )


def test_a_lease_is_renewed_with_its_progress_and_outlives_its_ttl(locks: LockServerClient, renewals: Renewals) -> None:
    stopped = threading.Event()
    with heartbeat(locks, stopped) as beat:
        assert not stopped.wait(2.5 * TTL_SECONDS)
        beat.check()
    assert renewals.count >= 4
    assert renewals.last is not None
    assert renewals.last.progress.edges == 5


def test_a_refused_renewal_stops_the_work(locks: LockServerClient, renewals: Renewals) -> None:
    renewals.error = LeaseLost(lease="l")
    stopped = threading.Event()
    with heartbeat(locks, stopped) as beat:
        assert stopped.wait(5)
        with pytest.raises(LeaseLost):
            beat.check()


def test_without_renewals_the_lease_is_lost_by_the_trainers_own_clock(
    locks: LockServerClient, renewals: Renewals
) -> None:
    renewals.error = StoreUnavailable(address="redis")
    stopped = threading.Event()
    with heartbeat(locks, stopped) as beat:
        assert not stopped.wait(TTL_SECONDS / 2)
        beat.check()
        assert stopped.wait(2 * TTL_SECONDS)
        with pytest.raises(LeaseLost):
            beat.check()


@pytest.mark.parametrize(("script", "lost"), [("-xx-xx--xx-", False), ("-xxx", True)])
def test_two_renewals_may_be_lost_in_a_row_however_long_they_were_waited_for(script: str, lost: bool) -> None:
    clock, stopped = ManualClock(), threading.Event()
    server = SlowLockServer(clock, script)
    with heartbeat(server, stopped, clock):
        assert (stopped if lost else server.over).wait(5)
    assert stopped.is_set() is lost


def test_leaving_ends_the_renewals(locks: LockServerClient, renewals: Renewals) -> None:
    with heartbeat(locks, threading.Event()):
        assert renewals.seen.wait(5)
    count = renewals.count
    threading.Event().wait(TTL_SECONDS)
    assert renewals.count == count


def test_a_renewal_that_is_refused_behind_a_commit_is_no_loss(locks: LockServerClient, renewals: Renewals) -> None:
    renewals.error = LeaseLost(lease="l")
    stopped = threading.Event()
    with heartbeat(locks, stopped) as beat:
        beat.leave_to_commit()
        assert renewals.seen.wait(5)
        assert not stopped.wait(TTL_SECONDS / 3)
        beat.check()
