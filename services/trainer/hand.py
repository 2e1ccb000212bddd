"""The leases that a trainer has in hand, and what becomes of each when something goes wrong."""

import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from graphbed.clients.lockserver import LockServerClient
from graphbed.clock import Clock
from graphbed.errors import GraphbedError, LeaseLost, NotFinite
from graphbed.logs import get_logger
from graphbed.tracing import Span
from graphbed.v1 import lockserver_pb2
from services.trainer.guard import Stopping
from services.trainer.lease import LeaseInHand
from services.trainer.metrics import TrainerMetrics
from services.trainer.task import Task

log = get_logger()

T = TypeVar("T")


class Hand:
    """Those in hand, the oldest first: one, or one and its successor."""

    def __init__(
        self,
        *,
        trainer_id: str,
        locks: LockServerClient,
        clock: Clock,
        metrics: TrainerMetrics,
        stopping: threading.Event,
        span: Span,
    ) -> None:
        self._trainer_id = trainer_id
        self._locks = locks
        self._clock = clock
        self._metrics = metrics
        self._stopping = stopping
        self._span = span
        self._leases: list[LeaseInHand] = []
        self.out_of_time = threading.Event()
        """Set when nothing can be finished any more."""
        self.failure: GraphbedError | None = None
        """What made a lease fail last."""

    @property
    def finishing(self) -> bool:
        """Whether one of them is trained."""
        return any(lease.board.finishing for lease in list(self._leases))

    def give_back_all(self) -> None:
        """Hand back what is in hand, whatever the work is doing; for another thread than the work's."""
        self.out_of_time.set()
        # Each by itself: the older one may have been committed a moment ago. At once: the lock server may be away.
        reason = lockserver_pb2.RELEASE_REASON_SHUTDOWN
        given = [Task("hand-back", partial(lease.give_back, reason, "stopping")) for lease in list(self._leases)]
        for task in given:
            task.result()

    def take(self, grant: lockserver_pb2.Grant, asked_at: float, parent: LeaseInHand | None = None) -> LeaseInHand:
        """Hold what was granted to a question asked at `asked_at`; `parent`: the lease that it succeeds."""
        lease = LeaseInHand(
            self._locks,
            grant,
            trainer_id=self._trainer_id,
            asked_at=asked_at,
            stopping=self._stopping,
            out_of_time=self.out_of_time,
            clock=self._clock,
            metrics=self._metrics,
            span=self._span,
        )
        self._leases.append(lease)
        if parent is not None:
            parent.precede(lease)
        return lease

    def within(self, lease: LeaseInHand, stage: Callable[[], T]) -> T | None:
        """Run a stage of a lease. None: the lease has ended there, as what went wrong demands; failures are noted."""
        try:
            return lease.within(stage)
        except LeaseLost:
            self.end(lease, "lost")
        except Stopping:
            lease.give_back(lockserver_pb2.RELEASE_REASON_SHUTDOWN, "stopping")
            self.end(lease, "released")
        except NotFinite as error:
            self._metrics.nonfinite.inc()
            self._fail(lease, lockserver_pb2.RELEASE_REASON_NOT_FINITE, error)
        except Exception as error:
            if self.out_of_time.is_set():
                # It was handed back, and what it asked closed its connection.
                self.end(lease, "released")
            else:
                self._fail(lease, lockserver_pb2.RELEASE_REASON_FAILED, error)
        return None

    def end(self, lease: LeaseInHand, outcome: str) -> None:
        """Hold it no more: it is committed, lost, released or failed."""
        self._leases.remove(lease)
        lease.end(outcome)

    def _fail(self, lease: LeaseInHand, reason: "lockserver_pb2.ReleaseReason.ValueType", error: Exception) -> None:
        log.error(
            "lease given back", lease=lease.lease_id, error=str(error), exc_info=not isinstance(error, GraphbedError)
        )
        lease.give_back(reason, str(error))
        self.end(lease, "failed")
        self.failure = error if isinstance(error, GraphbedError) else GraphbedError(what=str(error))
