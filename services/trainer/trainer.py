"""The trainer's life: acquire → fetch → train → store → commit, again and again."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from google.protobuf import duration_pb2

from graphbed.clients.lockserver import LockServerClient
from graphbed.clients.parameters import ParameterClient
from graphbed.clock import Clock
from graphbed.errors import GraphbedError, LeaseLost, NotFinite, TooLarge
from graphbed.graph.partition import Bucket, Partition
from graphbed.logs import bound, get_logger
from graphbed.storage.receipt import Receipt
from graphbed.tracing import Span, no_span
from graphbed.v1 import lockserver_pb2
from services.trainer.custody import HeldLease, ReleaseReason
from services.trainer.fetcher import Fetcher
from services.trainer.guard import LeaseGuard, Stopping, is_away
from services.trainer.heartbeat import Heartbeat
from services.trainer.jobs import Job, Jobs
from services.trainer.metrics import TrainerMetrics
from services.trainer.progress import ProgressBoard
from services.trainer.runner import Runner
from services.trainer.sharing import SharedParameters
from services.trainer.storer import Storer
from services.trainer.work import Assignment, LeaseWork

log = get_logger()

MAX_BACKOFF_SECONDS = 30.0


class Trainer:
    """Trains whatever the lock server grants until it is stopped."""

    def __init__(
        self,
        *,
        trainer_id: str,
        locks: LockServerClient,
        parameters: ParameterClient,
        jobs: Jobs,
        fetcher: Fetcher,
        runner: Runner,
        storer: Storer,
        clock: Clock,
        metrics: TrainerMetrics,
        stopping: threading.Event,
        store_answers: Callable[[], None],
        reachable: Callable[[bool], None],
        give_up_after: int,
        span: Span = no_span,
    ) -> None:
        """`store_answers` raises if the object store is away: no work is asked for then. `reachable` is told whether
        the lock server answers; `give_up_after` failures in a row end it, 0 = never."""
        self._trainer_id = trainer_id
        self._locks = locks
        self._parameters = parameters
        self._jobs = jobs
        self._fetcher = fetcher
        self._runner = runner
        self._storer = storer
        self._clock = clock
        self._metrics = metrics
        self._stopping = stopping
        self._store_answers = store_answers
        self._reachable = reachable
        self._give_up_after = give_up_after
        self._span = span
        self._out_of_time = threading.Event()
        self._held: HeldLease | None = None
        self._board = ProgressBoard()

    @property
    def finishing(self) -> bool:
        """Whether it holds a lease whose edges are trained."""
        return self._held is not None and self._board.finishing

    def hand_back(self) -> None:
        """Hand the lease in hand back, if there is one, whatever the work is doing; for another thread than `run`'s."""
        self._out_of_time.set()
        held = self._held
        if held is not None:
            held.release(lockserver_pb2.RELEASE_REASON_SHUTDOWN, "stopping")

    def run(self) -> None:
        """Work until `stopping` is set, or the lock server says that this trainer is to end.

        Raises the last error after too many failures in a row, TooLarge at once.
        """
        failures = 0
        request_id = _request_id()
        while not self._stopping.is_set():
            try:
                with self._metrics.phases.run("wait"):
                    self._store_answers()
                    asked_at = self._clock.monotonic()
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
            request_id = _request_id()
            if reply.wait.reason == lockserver_pb2.WAIT_REASON_DRAINING:
                log.info("drained", trainer=self._trainer_id)
                return
            if reply.WhichOneof("outcome") != "grant":
                self._wait(_seconds(reply.wait.retry_after))
                continue
            try:
                with self._told(reply.grant):
                    self._lease(reply.grant, asked_at)
                failures = 0
            except GraphbedError as error:
                failures += 1
                if self._give_up_after and (failures >= self._give_up_after or isinstance(error, TooLarge)):
                    raise
                # The job may be broken, or this machine; others must not be kept from working by either.
                self._wait(min(2.0 ** (failures - 1), MAX_BACKOFF_SECONDS))

    def _lease(self, grant: lockserver_pb2.Grant, asked_at: float) -> None:
        """Train one lease to its commit, or hand it back. Raises what made it fail; losing it is no failure."""
        board = ProgressBoard()
        heartbeat = Heartbeat(
            self._locks,
            trainer_id=self._trainer_id,
            lease_id=grant.lease_id,
            ttl_seconds=_seconds(grant.ttl),
            granted_at=asked_at,
            progress=board.message,
            clock=self._clock,
            metrics=self._metrics,
            on_lost=board.stop,
        )
        held = self._held = HeldLease(self._locks, trainer_id=self._trainer_id, lease_id=grant.lease_id)
        self._board = board
        try:
            with heartbeat:
                guard = LeaseGuard(
                    heartbeat,
                    board,
                    stopping=self._stopping,
                    out_of_time=self._out_of_time,
                    clock=self._clock,
                )
                guard.check()
                job = guard.ask(lambda: self._jobs.get(grant.job))
                self._train_and_commit(_assignment(job, grant), board, guard)
        except LeaseLost:
            self._metrics.leases.labels("lost").inc()
        except Stopping:
            held.release(lockserver_pb2.RELEASE_REASON_SHUTDOWN, "stopping")
            self._metrics.leases.labels("released").inc()
        except NotFinite as error:
            self._metrics.nonfinite.inc()
            self._fail(held, lockserver_pb2.RELEASE_REASON_NOT_FINITE, error)
        except Exception as error:
            self._fail(held, lockserver_pb2.RELEASE_REASON_FAILED, error)
        else:
            self._metrics.leases.labels("committed").inc()
            self._metrics.lease_seconds.observe(self._clock.monotonic() - asked_at)
        finally:
            self._held = None

    def _train_and_commit(self, assignment: Assignment, board: ProgressBoard, guard: LeaseGuard) -> None:
        log.info("lease granted", job=assignment.job.config.job, lease=assignment.lease_id, epoch=assignment.epoch)
        shared = SharedParameters(
            self._parameters,
            self._jobs,
            assignment.job,
            lease_id=assignment.lease_id,
            metrics=self._metrics,
        )
        seconds: dict[str, float] = {}
        with self._phase("fetch", board, seconds):
            shared.pull(guard)
            work = self._fetcher.fetch(assignment, guard)
        with self._phase("train", board, seconds):
            self._runner.train(work, shared, board, check=guard.check)
        # From here on a stop finishes the commit, as long as there is time: storing costs less than training again.
        with self._phase("store", board, seconds):
            receipts = self._storer.store(work, guard)
            sealed = shared.seal(guard)
        with self._phase("commit", board, seconds):
            guard.leave_to_commit()
            self._commit(work, receipts, sealed, seconds, guard)
        self._metrics.loss.set(work.loss / max(work.edges_trained, 1))
        log.info(
            "lease committed",
            job=assignment.job.config.job,
            lease=assignment.lease_id,
            edges=work.edges_trained,
            loss_per_edge=round(work.loss / max(work.edges_trained, 1), 5),
            **{f"{phase}_seconds": round(value, 3) for phase, value in seconds.items()},
        )

    def _commit(
        self,
        work: LeaseWork,
        receipts: dict[Partition, Receipt],
        sealed: Receipt | None,
        seconds: dict[str, float],
        guard: LeaseGuard,
    ) -> None:
        """Repeat the commit with one request id until it is answered or the lease is lost."""
        request_id = _request_id()
        stats = lockserver_pb2.LeaseStats(edges=work.edges_trained, loss=work.loss, phase_seconds=seconds)
        guard.ask(
            lambda: self._locks.commit(
                self._trainer_id, request_id, work.assignment.lease_id, list(receipts.items()), sealed, stats
            )
        )

    def _fail(self, held: HeldLease, reason: "ReleaseReason", error: Exception) -> None:
        log.error(
            "lease given back", lease=held.lease_id, error=str(error), exc_info=not isinstance(error, GraphbedError)
        )
        held.release(reason, str(error))
        self._metrics.leases.labels("failed").inc()
        raise error if isinstance(error, GraphbedError) else GraphbedError(what=str(error)) from error

    def _wait(self, seconds: float) -> None:
        with self._metrics.phases.run("wait"):
            self._clock.wait(self._stopping, seconds)

    @contextmanager
    def _told(self, grant: lockserver_pb2.Grant) -> Iterator[None]:
        """Log lines and the trace of what happens inside say which lease it is."""
        facts = {"job": grant.job, "lease": grant.lease_id}
        with bound(**facts), self._span("lease", **facts, epoch=grant.epoch, buckets=len(grant.buckets)):
            yield

    @contextmanager
    def _phase(self, name: str, board: ProgressBoard, seconds: dict[str, float]) -> Iterator[None]:
        board.enter(name)
        started = self._clock.monotonic()
        try:
            with self._metrics.phases.run(name), self._span(name):
                yield
        finally:
            seconds[name] = self._clock.monotonic() - started


def _assignment(job: Job, grant: lockserver_pb2.Grant) -> Assignment:
    return Assignment(
        job=job,
        lease_id=grant.lease_id,
        epoch=grant.epoch,
        buckets=tuple(Bucket(bucket.lhs, bucket.rhs) for bucket in grant.buckets),
        versions={
            Partition(item.partition.entity_type, item.partition.index): (
                Receipt.from_proto(item.version) if item.HasField("version") else None
            )
            for item in grant.partitions
        },
        learning_rate_factor=grant.learning_rate_factor,
    )


def _seconds(duration: duration_pb2.Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _request_id() -> str:
    return secrets.token_hex(16)
