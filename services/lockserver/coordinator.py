"""The coordinator: what the lock server does for trainers and for people, over all jobs."""

from collections.abc import Callable

from graphbed import logs
from graphbed.errors import BadConfig, BadReceipt, LeaseLost, ParentUncommitted
from graphbed.storage.manifest import Manifest
from graphbed.storage.objects import ObjectStore
from services.lockserver import transitions
from services.lockserver.answers import Commitment, Granted, Waiting, granted_of, waiting_for
from services.lockserver.context import JobContext
from services.lockserver.jobs import JobTable
from services.lockserver.lifecycle import extend
from services.lockserver.manifests import ManifestWriter
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.records import Lease, Progress, RequestKind
from services.lockserver.scheduler import NoWork
from services.lockserver.state import JobState, Status
from services.lockserver.turns import is_in_turn, turn

CONFIG_BYTES = 1 << 20
"""Largest configuration that is accepted."""

log = logs.get_logger("graphbed.lockserver")


class Coordinator:
    """Requests in, answers out; every decision is a transition of one job's state. Safe for concurrent threads."""

    def __init__(
        self,
        *,
        jobs: JobTable,
        manifests: ManifestWriter,
        store: ObjectStore,
        random_hex: Callable[[], str],
        metrics: LockServerMetrics,
        parameters_exact: Callable[[str, JobState], bool],
        store_away: Callable[[], bool],
        only_job: str | None = None,
    ) -> None:
        """With `only_job`, leases are granted for that job alone. `parameters_exact` tells whether the parameter server
        serves a job's commits and nothing else, without which a deterministic job gets no lease. `store_away` tells
        whether the object store is away; then no lease begins."""
        self._jobs = jobs
        self._manifests = manifests
        self._store = store
        self._random_hex = random_hex
        self._metrics = metrics
        self._parameters_exact = parameters_exact
        self._store_away = store_away
        self._only_job = only_job

    def acquire(self, *, trainer: str, request_id: str) -> Granted | Waiting:
        """Work of the first job in turn that has any for this trainer, or how long to wait.

        The same request id gets the same grant. A new one voids what the trainer still holds, in whatever job.
        """
        found = [
            (context, state)
            for context, state in self._jobs.usable(running=True)
            if self._only_job in (None, context.config.job)
        ]
        for context, state in found:
            repeated = state.reply_to(trainer, RequestKind.ACQUIRE, request_id)
            if repeated is not None and repeated.lease is not None:
                return granted_of(context, repeated.lease)
        reasons = []
        granted = None
        refused = [NoWork.DRAINING] if any(trainer in state.draining for _, state in found) else []
        refused += [NoWork.STORE_AWAY] if self._store_away() else []
        for context, state in sorted(found, key=lambda entry: turn(*entry)):
            if state.header.status is Status.RUNNING and granted is None and not refused:
                answer = self._acquire_of(context, trainer=trainer, request_id=request_id)
                if isinstance(answer, NoWork):
                    reasons.append(answer)
                else:
                    granted = granted_of(context, answer)
            elif state.leases_of(trainer):
                self._forget(context, trainer)
        self._metrics.grants.labels("granted" if granted else "wait").inc()
        return granted or waiting_for([*refused, *reasons])

    def succeed(self, *, trainer: str, request_id: str, parent: str) -> Granted | Waiting:
        """The successor of the live lease `parent` of this trainer, or how long to wait; voids nothing.

        The same request id gets the same grant. Raises LeaseLost unless the trainer holds the parent.
        """
        job = self._job_of(parent, trainer, RequestKind.ACQUIRE, request_id)
        context = self._jobs.context(job)
        refused = None if is_in_turn(job, trainer, self._jobs.usable(running=True)) else NoWork.PARTITIONS_BUSY
        if self._store_away():
            refused = NoWork.STORE_AWAY
        lease_id = self._random_hex()
        answer = self._jobs.change(
            job,
            lambda state: transitions.succeed(
                state,
                context.plan,
                trainer=trainer,
                request_id=request_id,
                parent=parent,
                lease_id=lease_id,
                refused=refused,
            ),
        )
        if isinstance(answer, NoWork):
            return waiting_for([answer])
        if answer.lease_id == lease_id:
            self._metrics.grants.labels("granted").inc()
            self._metrics.successors.inc()
            self._tell_of_grant(job, answer)
        return granted_of(context, answer)

    def renew(self, *, trainer: str, lease_id: str, progress: Progress) -> float:
        """Count a sign of life; return the seconds until the lease may be ended. Raises LeaseLost."""
        try:
            job = self._job_of(lease_id)
            self._jobs.update(
                job,
                lambda state: transitions.renew(state, trainer=trainer, lease_id=lease_id, progress=progress),
            )
        except LeaseLost:
            self._metrics.renewals.labels("lost").inc()
            raise
        self._metrics.renewals.labels("ok").inc()
        return self._jobs.context(job).config.lease.ttl_seconds

    def commit(self, *, trainer: str, request_id: str, done: Commitment) -> None:
        """Make a lease's versions current and its buckets done. Raises LeaseLost, ParentUncommitted, BadReceipt."""
        try:
            job = self._job_of(done.lease_id, trainer, RequestKind.COMMIT, request_id)
            plan = self._jobs.context(job).plan
            new = self._jobs.update(
                job,
                lambda state: transitions.commit(
                    state,
                    plan,
                    trainer=trainer,
                    request_id=request_id,
                    lease_id=done.lease_id,
                    versions=done.versions,
                    parameters=done.parameters,
                    edges=done.edges,
                    loss=done.loss,
                ),
            )
        except (LeaseLost, ParentUncommitted, BadReceipt) as error:
            self._metrics.commits.labels("lost" if isinstance(error, LeaseLost) else "refused").inc()
            raise
        if new:
            self._metrics.commits.labels("ok").inc()
            log.info("lease committed", job=job, lease=done.lease_id, trainer=trainer, edges=done.edges)

    def release(self, *, trainer: str, request_id: str, lease_id: str, reason: str, failure: str) -> None:
        """Take a lease back; `failure`, unless empty, counts and is shown to people. Raises LeaseLost."""
        job = self._job_of(lease_id, trainer, RequestKind.RELEASE, request_id)
        plan = self._jobs.context(job).plan
        new = self._jobs.update(
            job,
            lambda state: transitions.release(
                state, plan, trainer=trainer, request_id=request_id, lease_id=lease_id, failure=failure
            ),
        )
        if new:
            self._metrics.releases.labels(reason).inc()
            log.info("lease released", job=job, lease=lease_id, trainer=trainer, reason=reason, failure=failure)

    def submit(self, config_yaml: str) -> tuple[str, bool]:
        """Add a job, or find it again; return its name and whether it is new. It is in a manifest on return.

        A job that exists may be given more epochs, and other settings that do not decide the result. Raises BadConfig,
        ConfigDiffers, GraphMissing, CheckpointsGone; then nothing was written.
        """
        if len(config_yaml.encode()) > CONFIG_BYTES:
            raise BadConfig(what=f"it is longer than {CONFIG_BYTES} bytes")
        context = JobContext.from_yaml(self._store, config_yaml, source="the job")
        job = context.config.job
        created = self._jobs.submit(context)
        self._jobs.update(
            job,
            lambda state: extend(
                state, context.plan, context.config.num_epochs, document_sha256=context.document_sha256
            ),
        )
        self._manifests.record(job)
        log.info("job submitted", job=job, created=created)
        return job, created

    def restore(self, job: str, sequence: int) -> Manifest:
        """Go back to an older manifest in a new generation; return the new manifest. Raises as JobTable.restore."""
        return self._jobs.restore(job, sequence)

    def get_job(self, job: str) -> tuple[JobContext, JobState]:
        """A job and its current state. Raises JobUnknown."""
        state = self._jobs.current(job)
        return self._jobs.context(job), state

    def list_jobs(self) -> list[tuple[JobContext, JobState]]:
        """All jobs that can be used, by name."""
        return list(self._jobs.usable())

    def _acquire_of(self, context: JobContext, *, trainer: str, request_id: str) -> Lease | NoWork:
        job = context.config.job
        if not self._may_begin(context):
            self._forget(context, trainer)
            return NoWork.PARTITIONS_BUSY
        lease_id = self._random_hex()
        answer = self._jobs.change(
            job,
            lambda state: transitions.acquire(
                state, context.plan, trainer=trainer, request_id=request_id, lease_id=lease_id
            ),
        )
        if isinstance(answer, Lease):
            self._tell_of_grant(job, answer)
        return answer

    def _tell_of_grant(self, job: str, lease: Lease) -> None:
        log.info(
            "lease granted",
            job=job,
            lease=lease.lease_id,
            trainer=lease.trainer,
            epoch=lease.epoch,
            buckets=len(lease.buckets),
            **({"parent": lease.parent} if lease.parent else {}),
        )

    def _may_begin(self, context: JobContext) -> bool:
        """Whether a lease of the job would start from the same parameters however often it were begun."""
        if not (context.plan.rules.deterministic and context.plan.has_parameters):
            return True
        state = self._jobs.current(context.config.job)
        return state.header.status is not Status.RUNNING or self._parameters_exact(context.config.job, state)

    def _job_of(self, lease_id: str, trainer: str = "", kind: RequestKind | None = None, request_id: str = "") -> str:
        """The job that a lease belongs to, or that has answered this request before. Raises LeaseLost."""

        def concerns(state: JobState) -> bool:
            answered = kind is not None and state.reply_to(trainer, kind, request_id) is not None
            return answered or lease_id in state.leases

        for job, state in self._jobs.known():
            if concerns(state):
                return job
        # Another lock server may have granted it.
        for context, state in self._jobs.usable():
            if concerns(state):
                return context.config.job
        raise LeaseLost(lease=lease_id)

    def _forget(self, context: JobContext, trainer: str) -> None:
        self._jobs.update(context.config.job, lambda state: transitions.forget(state, context.plan, trainer))
