"""Heartbeats: renewing a lease in the background, and knowing when it is lost."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from graphbed.clients.lockserver import LockServerClient
from graphbed.clock import Clock
from graphbed.errors import GraphbedError, LeaseLost
from graphbed.logs import carrying, get_logger
from graphbed.v1 import lockserver_pb2
from services.trainer.metrics import TrainerMetrics

log = get_logger()


class Heartbeat:
    """Renews one lease until it is left; sets `lost` when the lease is gone by the server's word or our own clock."""

    def __init__(
        self,
        locks: LockServerClient,
        *,
        trainer_id: str,
        lease_id: str,
        ttl_seconds: float,
        granted_at: float,
        progress: Callable[[], lockserver_pb2.Progress],
        clock: Clock,
        metrics: TrainerMetrics,
        on_lost: Callable[[], None],
    ) -> None:
        """`granted_at`: our monotonic time from before the request for the lease was sent."""
        self._locks = locks
        self._trainer_id = trainer_id
        self._lease_id = lease_id
        self._ttl_seconds = ttl_seconds
        self._renewed_at = granted_at
        self._progress = progress
        self._clock = clock
        self._metrics = metrics
        self._on_lost = on_lost
        self._left = threading.Event()
        self._committing = False
        self.lost = threading.Event()
        self._thread = threading.Thread(target=carrying(self._run), name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()

    def check(self) -> None:
        """Raise LeaseLost if the lease is gone."""
        if self.lost.is_set() or self._silent_for() >= self._ttl_seconds:
            self.lose("checked after its time")
            raise LeaseLost(lease=self._lease_id)

    def lose(self, why: str) -> None:
        """The lease is gone, whoever knows it."""
        if not self.lost.is_set():
            log.warning("lease lost", lease=self._lease_id, why=why)
            self.lost.set()
            self._on_lost()

    def leave_to_commit(self) -> None:
        """The commit is going to say whether the lease lived: a renewal that comes after it is refused as well."""
        self._committing = True

    def _run(self) -> None:
        # Sent at ttl/3, and again at ttl/12 after one that failed, which takes ttl/6 at most: two renewals may be lost,
        # however long they were waited for, before the lease is.
        pause = self._ttl_seconds / 3
        while not self._clock.wait(self._left, pause):
            if self._silent_for() >= self._ttl_seconds:
                self.lose("no renewal got through")
                return
            sent_at = self._clock.monotonic()
            try:
                self._locks.renew(self._trainer_id, self._lease_id, self._progress(), ttl_seconds=self._ttl_seconds)
            except LeaseLost:
                if self._committing:
                    return
                self._metrics.renewals.labels("lost").inc()
                self.lose("the lock server gave it away")
                return
            except GraphbedError as error:
                self._metrics.renewals.labels("failed").inc()
                log.warning("renewal failed", lease=self._lease_id, error=str(error))
                pause = self._ttl_seconds / 12
            else:
                self._metrics.renewals.labels("ok").inc()
                # Counted from before the request was sent: the server cannot have counted from an earlier moment.
                self._renewed_at = sent_at
                pause = max(self._ttl_seconds / 3 - self._silent_for(), 0.0)

    def _silent_for(self) -> float:
        return self._clock.monotonic() - self._renewed_at
