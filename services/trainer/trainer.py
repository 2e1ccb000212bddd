"""The trainer's life: ask for work, do it, again and again."""

import threading
from collections.abc import Callable

from graphbed.clients.lockserver import LockServerClient
from graphbed.clock import Clock
from graphbed.errors import GraphbedError, TooLarge
from graphbed.logs import get_logger
from graphbed.v1 import lockserver_pb2
from services.trainer.custody import HeldLease
from services.trainer.guard import is_away
from services.trainer.lease import seconds_of
from services.trainer.metrics import TrainerMetrics
from services.trainer.pipeline import Pipeline, new_request_id

log = get_logger()

MAX_BACKOFF_SECONDS = 30.0


class Trainer:
    """Trains whatever the lock server grants until it is stopped."""

    def __init__(
        self,
        *,
        trainer_id: str,
        locks: LockServerClient,
        pipeline: Pipeline,
        clock: Clock,
        metrics: TrainerMetrics,
        stopping: threading.Event,
        store_answers: Callable[[], None],
        reachable: Callable[[bool], None],
        give_up_after: int,
    ) -> None:
        """`store_answers` raises if the object store is away: no work is asked for then. `reachable` is told whether
        the lock server answers; `give_up_after` failures in a row end it, 0 = never."""
        self._trainer_id = trainer_id
        self._locks = locks
        self._pipeline = pipeline
        self._clock = clock
        self._metrics = metrics
        self._stopping = stopping
        self._store_answers = store_answers
        self._reachable = reachable
        self._give_up_after = give_up_after

    @property
    def finishing(self) -> bool:
        """Whether it holds a lease whose edges are trained."""
        return self._pipeline.finishing

    def hand_back(self) -> None:
        """Hand back what is in hand, whatever the work is doing; for another thread than `run`'s."""
        self._pipeline.hand_back()

    def run(self) -> None:
        """Work until `stopping` is set, or the lock server says that this trainer is to end.

        Raises the last error after too many failures in a row, TooLarge at once.
        """
        failures = 0
        request_id, unanswered = new_request_id(), False
        while not self._stopping.is_set():
            try:
                with self._metrics.phases.run("wait"):
                    self._store_answers()
                    asked_at, unanswered = self._clock.monotonic(), True
                    reply = self._locks.acquire(self._trainer_id, request_id)
            except GraphbedError as error:
                if not is_away(error):
                    raise
                # Asking again with the same request id: if the reply was lost, it gets the very same grant.
                log.warning("no work, a server is away", error=str(error))
                self._reachable(False)
                self._wait(1.0)
                continue
            self._reachable(True)
            request_id, unanswered = new_request_id(), False
            if reply.wait.reason == lockserver_pb2.WAIT_REASON_DRAINING:
                log.info("drained", trainer=self._trainer_id)
                return
            if reply.WhichOneof("outcome") != "grant":
                self._wait(seconds_of(reply.wait.retry_after))
                continue
            before = self._pipeline.committed
            try:
                self._pipeline.run(reply.grant, asked_at)
                failures = 0
            except GraphbedError as error:
                failures = 1 if self._pipeline.committed > before else failures + 1
                if self._give_up_after and (failures >= self._give_up_after or isinstance(error, TooLarge)):
                    raise
                # The job may be broken, or this machine; others must not be kept from working by either.
                self._wait(min(2.0 ** (failures - 1), MAX_BACKOFF_SECONDS))
        if unanswered:
            self._decline(request_id)

    def _decline(self, request_id: str) -> None:
        """Hand back what was granted if only the answer was lost: else its partitions would wait for its ttl."""
        try:
            reply = self._locks.acquire(self._trainer_id, request_id)
        except GraphbedError as error:
            log.warning("no answer to the last request for work", error=str(error))
            return
        if reply.WhichOneof("outcome") == "grant":
            held = HeldLease(self._locks, trainer_id=self._trainer_id, lease_id=reply.grant.lease_id)
            held.release(lockserver_pb2.RELEASE_REASON_SHUTDOWN, "stopping")

    def _wait(self, seconds: float) -> None:
        with self._metrics.phases.run("wait"):
            self._clock.wait(self._stopping, seconds)
