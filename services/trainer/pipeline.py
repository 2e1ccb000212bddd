"""The pipeline: beside the training of a lease, the one before is stored and the one that follows is fetched."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from graphbed.clients.lockserver import LockServerClient
from graphbed.clients.parameters import ParameterClient
from graphbed.clock import Clock
from graphbed.errors import GraphbedError
from graphbed.logs import get_logger
from graphbed.v1 import lockserver_pb2
from services.trainer.fetcher import Fetcher
from services.trainer.guard import is_away
from services.trainer.hand import Hand
from services.trainer.jobs import Jobs
from services.trainer.lease import LeaseInHand, seconds_of
from services.trainer.metrics import TrainerMetrics
from services.trainer.runner import Runner
from services.trainer.sharing import SharedParameters
from services.trainer.storer import Storer
from services.trainer.task import Task
from services.trainer.work import LeaseWork, assignment_of

log = get_logger()

ASK_AGAIN_SECONDS = 1.0
"""How long to wait before a successor is asked for again, at least: somebody may have let go of partitions."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A lease and what is in memory for it."""

    lease: LeaseInHand
    work: LeaseWork
    shared: SharedParameters


class Pipeline:
    """Works on one chain of leases at a time: one that succeeds none, and its successors."""

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
        hand: Hand,
        clock: Clock,
        metrics: TrainerMetrics,
        stopping: threading.Event,
        store_answers: Callable[[], None],
    ) -> None:
        self._trainer_id = trainer_id
        self._locks = locks
        self._parameters = parameters
        self._jobs = jobs
        self._fetcher = fetcher
        self._runner = runner
        self._storer = storer
        self._hand = hand
        self._clock = clock
        self._metrics = metrics
        self._stopping = stopping
        self._store_answers = store_answers
        self.committed = 0
        """Leases that were committed so far."""

    @property
    def finishing(self) -> bool:
        """Whether it holds a lease whose edges are trained."""
        return self._hand.finishing

    def hand_back(self) -> None:
        """Hand back what is in hand, whatever the work is doing; for another thread than `run`'s."""
        self._hand.give_back_all()

    def run(self, grant: lockserver_pb2.Grant, asked_at: float) -> None:
        """Train a lease and its successors to their commits, or hand them back.

        Raises what made one fail, when the others are at their end; losing one is no failure.
        """
        self._hand.failure = None
        first = self._hand.take(grant, asked_at)
        stage = self._hand.within(first, partial(self._gather, first))
        finished: Task[None] | None = None
        while stage is not None:
            following = Task("successor", partial(self._follow, stage, finished))
            if self._hand.within(stage.lease, partial(self._train, stage)):
                finished = Task("finish", partial(self._finish, stage, finished))
            found = following.result()
            stage = found and self._hand.within(found.lease, partial(self._inherit, found, stage))
        if finished is not None:
            finished.result()
        if self._hand.failure is not None:
            raise self._hand.failure

    # The stages of a lease, in their order. Each gives something if it came to its end.

    def _gather(self, lease: LeaseInHand, parent: Stage | None = None) -> Stage:
        log.info("lease granted", epoch=lease.grant.epoch)
        with lease.phase("fetch"):
            lease.guard.check()
            job = lease.guard.ask(lambda: self._jobs.get(lease.grant))
            assignment = assignment_of(job, lease.grant)
            shared = SharedParameters(self._parameters, self._jobs, job, lease_id=lease.lease_id, metrics=self._metrics)
            if parent is None:
                shared.pull(lease.guard)
            work = self._fetcher.fetch(assignment, lease.guard)
        lease.board.enter("wait")
        return Stage(lease, work, shared)

    def _inherit(self, stage: Stage, parent: Stage) -> Stage:
        """Start from what the parent has trained, which stays as it is: that is what is stored."""
        with stage.lease.phase("fetch"):
            stage.lease.guard.check()
            stage.work.inherit(parent.work)
            stage.shared.pull(stage.lease.guard)
        return stage

    def _train(self, stage: Stage) -> bool:
        lease = stage.lease
        with lease.phase("train"):
            self._runner.train(stage.work, stage.shared, lease.board, check=lease.guard.check)
        # From here on a stop finishes the commit, as long as there is time: storing costs less than training again.
        lease.board.enter("store")
        lease.trained.set()
        stage.shared.publish(lease.guard)
        return True

    def _finish(self, stage: Stage, before: Task[None] | None) -> None:
        if self._hand.within(stage.lease, partial(self._store_and_commit, stage, before)):
            self.committed += 1
            self._metrics.lease_seconds.observe(self._clock.monotonic() - stage.lease.asked_at)
            self._hand.end(stage.lease, "committed")

    def _store_and_commit(self, stage: Stage, before: Task[None] | None) -> bool:
        """The parent's commit is waited for."""
        lease, work = stage.lease, stage.work
        if before is not None:
            with lease.board.waiting():
                before.result()
        with lease.phase("store"):
            receipts = self._storer.store(work, lease.guard)
            sealed = stage.shared.seal(lease.guard)
        with lease.phase("commit"):
            lease.guard.leave_to_commit()
            request_id = new_request_id()
            stats = lockserver_pb2.LeaseStats(edges=work.edges_trained, loss=work.loss, phase_seconds=lease.seconds)
            # Repeated with one request id until it is answered or the lease is lost.
            lease.guard.ask(
                lambda: self._locks.commit(
                    self._trainer_id, request_id, lease.lease_id, list(receipts.items()), sealed, stats
                )
            )
        self._metrics.loss.set(work.loss / max(work.edges_trained, 1))
        log.info(
            "lease committed",
            edges=work.edges_trained,
            loss_per_edge=round(work.loss / max(work.edges_trained, 1), 5),
            **{f"{phase}_seconds": round(value, 3) for phase, value in lease.seconds.items()},
        )
        return True

    # What comes next.

    def _follow(self, stage: Stage, before: Task[None] | None) -> Stage | None:
        """The successor of the lease that is being trained, with everything that the two do not share; None: none.

        First the lease before must be committed: two are held at once, and two fit the memory.
        """
        if before is not None:
            before.result()
        assignment = stage.work.assignment
        if assignment.job.config.deterministic or not self._fetcher.fits([assignment, assignment]):
            return None
        successor = self._seek(stage.lease)
        if successor is None:
            return None
        if not self._fetcher.fits([assignment, assignment_of(assignment.job, successor.grant)]):
            successor.give_back(lockserver_pb2.RELEASE_REASON_SHUTDOWN, "two leases do not fit into the memory")
            self._hand.end(successor, "released")
            return None
        return self._hand.within(successor, partial(self._gather, successor, stage))

    def _seek(self, lease: LeaseInHand) -> LeaseInHand | None:
        """Ask for a successor, once at least, until there is one or the lease is trained; an answer is waited for."""
        request_id, unanswered = new_request_id(), False
        while True:
            asked_at = self._clock.monotonic()
            try:
                if not unanswered:
                    self._store_answers()
                unanswered = True
                reply = self._locks.acquire_successor(self._trainer_id, request_id, lease.lease_id)
            except GraphbedError as error:
                if not is_away(error):
                    log.info("no successor", why=str(error))
                    return None
                # What a void lease may have been granted as its successor is void, too.
                if lease.is_void or self._clock.wait(
                    self._hand.out_of_time if unanswered else lease.trained, ASK_AGAIN_SECONDS
                ):
                    return None
                continue
            if reply.WhichOneof("outcome") == "grant":
                return self._hand.take(reply.grant, asked_at, parent=lease)
            if reply.wait.reason == lockserver_pb2.WAIT_REASON_DRAINING or self._stopping.is_set():
                return None
            request_id, unanswered = new_request_id(), False
            if self._clock.wait(lease.trained, max(seconds_of(reply.wait.retry_after), ASK_AGAIN_SECONDS)):
                return None


def new_request_id() -> str:
    """128 random bits."""
    return secrets.token_hex(16)
