"""The guard: what is waited for, and what is not."""

import threading

import pytest
from prometheus_client import CollectorRegistry

from graphbed.clients.lockserver import LockServerClient
from graphbed.clock import ManualClock
from graphbed.errors import BadPartition, JobUnsettled, LeaseLost, ServerUnreachable
from graphbed.v1 import lockserver_pb2
from services.trainer.guard import LeaseGuard, Stopping
from services.trainer.heartbeat import Heartbeat
from services.trainer.metrics import TrainerMetrics
from services.trainer.progress import ProgressBoard


class Outage:
    """Fails `times` times with `error`, then answers."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error = error
        self.times = times
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return "answer"


def guard(
    clock: ManualClock,
    stopping: threading.Event,
    *,
    ttl_seconds: float = 30.0,
    phase: str = "fetch",
    out_of_time: threading.Event | None = None,
) -> LeaseGuard:
    board = ProgressBoard()
    board.enter(phase)
    heartbeat = Heartbeat(
        LockServerClient("127.0.0.1:1"),
        trainer_id="t",
        lease_id="l",
        ttl_seconds=ttl_seconds,
        granted_at=clock.monotonic(),
        progress=lockserver_pb2.Progress,
        clock=clock,
        metrics=TrainerMetrics(CollectorRegistry()),
        on_lost=board.stop,
    )
    return LeaseGuard(heartbeat, board, stopping=stopping, out_of_time=out_of_time or threading.Event(), clock=clock)


@pytest.mark.parametrize("error", [ServerUnreachable(service="s", address="a"), JobUnsettled()])
def test_a_server_that_is_away_is_asked_again(error: Exception) -> None:
    outage = Outage(error, 5)
    assert guard(ManualClock(), threading.Event()).ask(outage) == "answer"
    assert outage.calls == 6


def test_an_error_of_another_kind_is_raised_at_once() -> None:
    outage = Outage(BadPartition(what="x"), 1)
    with pytest.raises(BadPartition):
        guard(ManualClock(), threading.Event()).ask(outage)
    assert outage.calls == 1


def test_waiting_ends_when_the_lease_is_lost() -> None:
    outage = Outage(ServerUnreachable(service="s", address="a"), 1000)
    with pytest.raises(LeaseLost):
        guard(ManualClock(), threading.Event(), ttl_seconds=3.0).ask(outage)
    assert outage.calls < 10


def test_waiting_ends_when_the_trainer_stops() -> None:
    stopping = threading.Event()
    stopping.set()
    outage = Outage(ServerUnreachable(service="s", address="a"), 1000)
    with pytest.raises(Stopping):
        guard(ManualClock(), stopping).ask(outage)
    assert outage.calls == 1


@pytest.mark.parametrize("phase", ["store", "commit"])
def test_what_is_trained_is_waited_for_until_there_is_no_time_left(phase: str) -> None:
    stopping, out_of_time = threading.Event(), threading.Event()
    stopping.set()
    outage = Outage(ServerUnreachable(service="s", address="a"), 5)
    assert guard(ManualClock(), stopping, phase=phase, out_of_time=out_of_time).ask(outage) == "answer"
    out_of_time.set()
    outage = Outage(ServerUnreachable(service="s", address="a"), 5)
    with pytest.raises(Stopping):
        guard(ManualClock(), stopping, phase=phase, out_of_time=out_of_time).ask(outage)
    assert outage.calls == 1


def test_a_lease_that_waits_for_a_server_says_so_and_then_tells_its_phase_again() -> None:
    board = ProgressBoard()
    board.enter("store")
    with board.waiting():
        assert board.message().phase == lockserver_pb2.PHASE_WAITING
        assert board.finishing
    assert board.message().phase == lockserver_pb2.PHASE_STORE
