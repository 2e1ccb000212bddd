"""A lease in hand: its signs of life, what its stages ask while they work, and how it ends."""

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from google.protobuf import duration_pb2

from graphbed.clients.lockserver import LockServerClient
from graphbed.clock import Clock
from graphbed.logs import bound
from graphbed.tracing import Span
from graphbed.v1 import lockserver_pb2
from services.trainer.custody import HeldLease, ReleaseReason
from services.trainer.guard import LeaseGuard
from services.trainer.heartbeat import Heartbeat
from services.trainer.metrics import TrainerMetrics
from services.trainer.progress import ProgressBoard

T = TypeVar("T")


class LeaseInHand:
    """One lease from its grant to its end. Its stages run one after another, each `within` it, on whatever thread."""

    def __init__(
        self,
        locks: LockServerClient,
        grant: lockserver_pb2.Grant,
        *,
        trainer_id: str,
        asked_at: float,
        stopping: threading.Event,
        out_of_time: threading.Event,
        clock: Clock,
        metrics: TrainerMetrics,
        span: Span,
    ) -> None:
        """Begins to renew it. `asked_at`: our monotonic time from before the request for it was sent."""
        self.grant = grant
        self.lease_id = grant.lease_id
        self.asked_at = asked_at
        self.board = ProgressBoard()
        self.trained = threading.Event()
        """Set when there is nothing left to train, for whatever reason."""
        self.seconds: dict[str, float] = {}
        """By phase."""
        self._successor: LeaseInHand | None = None
        self._void = threading.Event()
        self._clock = clock
        self._metrics = metrics
        self._span = span
        self._held = HeldLease(locks, trainer_id=trainer_id, lease_id=grant.lease_id)
        self._context = contextvars.copy_context()
        self._open = ExitStack()
        self._context.run(self._tell)
        self._heartbeat = self._context.run(
            Heartbeat,
            locks,
            trainer_id=trainer_id,
            lease_id=grant.lease_id,
            ttl_seconds=seconds_of(grant.ttl),
            granted_at=asked_at,
            progress=self.board.message,
            clock=clock,
            metrics=metrics,
            on_lost=self._on_lost,
        )
        self.guard = LeaseGuard(self._heartbeat, self.board, stopping=stopping, out_of_time=out_of_time, clock=clock)
        self._open.enter_context(self._heartbeat)

    @property
    def is_void(self) -> bool:
        """Whether it ended without a commit."""
        return self._void.is_set()

    def within(self, stage: Callable[[], T]) -> T:
        """Run a stage: what it logs and traces says which lease it is of."""
        return self._context.run(stage)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Show and time what happens inside as `name`."""
        self.board.enter(name)
        started = self._clock.monotonic()
        try:
            with self._metrics.phases.run(name), self._span(name):
                yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self._clock.monotonic() - started

    def give_back(self, reason: "ReleaseReason", detail: str) -> None:
        """Hand it back, unless somebody has; for any thread. It is void by that, or was committed just now."""
        self._held.release(reason, detail)

    def precede(self, successor: "LeaseInHand") -> None:
        """`successor` starts from what this one will store; it is lost when this one is, or was."""
        self._successor = successor
        if self._void.is_set():
            self._lose_successor()

    def lose(self, why: str) -> None:
        """It is void; its stages end as soon as they look."""
        self._heartbeat.lose(why)

    def end(self, outcome: str) -> None:
        """Renew it no more and count how it ended: committed, lost, released or failed."""
        self.trained.set()
        if outcome != "committed":
            self._on_lost()
        self._metrics.leases.labels(outcome).inc()
        self._context.run(self._open.close)

    def _tell(self) -> None:
        facts = {"job": self.grant.job, "lease": self.grant.lease_id}
        self._open.enter_context(bound(**facts))
        self._open.enter_context(self._span("lease", **facts, epoch=self.grant.epoch, buckets=len(self.grant.buckets)))

    def _on_lost(self) -> None:
        self.board.stop()
        self._void.set()
        self._lose_successor()

    def _lose_successor(self) -> None:
        if self._successor is not None:
            self._successor.lose("the lease that it succeeds is void")


def seconds_of(duration: duration_pb2.Duration) -> float:
    """A duration of the wire in seconds."""
    return duration.seconds + duration.nanos / 1e9
