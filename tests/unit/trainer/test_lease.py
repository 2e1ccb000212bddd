"""A lease in hand: its signs of life, and what becomes of its successor when it ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry

from graphbed.clients.lockserver import LockServerClient
from graphbed.clock import SystemClock
from graphbed.errors import LeaseLost
from graphbed.v1 import lockserver_pb2
from services.trainer.lease import LeaseInHand
from services.trainer.metrics import TrainerMetrics


class Hands:
    """Leases of a trainer whose lock server is away, and the spans that they opened and closed."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = TrainerMetrics(self.registry)
        self.spans: list[str] = []

    def take(self, lease_id: str) -> LeaseInHand:
        grant = lockserver_pb2.Grant(job="j", lease_id=lease_id)
        grant.ttl.seconds = 60
        clock = SystemClock()
        return LeaseInHand(
            LockServerClient("127.0.0.1:1"),
            grant,
            trainer_id="t",
            asked_at=clock.monotonic(),
            stopping=threading.Event(),
            out_of_time=threading.Event(),
            clock=clock,
            metrics=self.metrics,
            span=self.span,
        )

    @contextmanager
    def span(self, name: str, **_: str | int | float) -> Iterator[None]:
        self.spans.append(f"{name} begins")
        yield
        self.spans.append(f"{name} ends")

    def ended(self, outcome: str) -> float | None:
        return self.registry.get_sample_value("graphbed_trainer_leases_total", {"outcome": outcome})


@pytest.fixture
def hands() -> Hands:
    return Hands()


def is_lost(lease: LeaseInHand) -> bool:
    try:
        lease.guard.check_lease()
    except LeaseLost:
        return True
    return False


@pytest.mark.parametrize("end", [lambda lease: lease.end("failed"), lambda lease: lease.lose("revoked")])
def test_a_successor_is_lost_with_its_parent(hands: Hands, end: Callable[[LeaseInHand], None]) -> None:
    parent, successor = hands.take("p"), hands.take("s")
    parent.precede(successor)
    assert not is_lost(successor)
    end(parent)
    assert is_lost(successor)


def test_a_successor_that_comes_too_late_is_lost_at_once(hands: Hands) -> None:
    parent = hands.take("p")
    parent.lose("revoked")
    successor = hands.take("s")
    parent.precede(successor)
    assert is_lost(successor)


def test_a_successor_outlives_a_parent_that_is_committed(hands: Hands) -> None:
    parent, successor = hands.take("p"), hands.take("s")
    parent.precede(successor)
    parent.end("committed")
    assert not is_lost(successor)
    assert parent.trained.is_set()
    assert hands.ended("committed") == 1


def test_the_stages_of_a_lease_are_in_its_trace_whatever_thread_they_run_in(hands: Hands) -> None:
    lease = hands.take("l")

    def stage() -> None:
        with lease.phase("fetch"):
            pass

    thread = threading.Thread(target=lambda: lease.within(stage))
    thread.start()
    thread.join()
    lease.end("committed")
    assert hands.spans == ["lease begins", "fetch begins", "fetch ends", "lease ends"]
    assert set(lease.seconds) == {"fetch"}
