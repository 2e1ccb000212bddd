"""Operations: what people may do to jobs, leases, buckets and trainers while the cluster works."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from graphbed import logs
from graphbed.errors import LeaseLost, TrainerUnknown
from graphbed.graph.partition import Bucket
from services.lockserver import lifecycle, transitions
from services.lockserver.collector import Collected, Collector
from services.lockserver.deletion import Deleted, Deleter
from services.lockserver.failures import quarantined
from services.lockserver.jobs import JobTable
from services.lockserver.manifests import ManifestWriter
from services.lockserver.records import Failures, Lease
from services.lockserver.state import Delta, JobState
from services.lockserver.transitions import Outcome

log = logs.get_logger("graphbed.lockserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketReport:
    """A bucket with which something went wrong."""

    bucket: Bucket
    epoch: int
    """The next one of it."""
    failures: Failures
    skipped_epochs: tuple[int, ...]
    quarantined: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerReport:
    """A trainer that jobs remember, and what it holds: job and lease."""

    trainer: str
    draining: bool
    leases: tuple[tuple[str, str], ...]


class Operations:
    """Every change is a transition of one job's state. Safe for concurrent threads."""

    def __init__(self, *, jobs: JobTable, manifests: ManifestWriter, collector: Collector, deleter: Deleter) -> None:
        self._jobs = jobs
        self._manifests = manifests
        self._collector = collector
        self._deleter = deleter

    def cancel(self, job: str) -> None:
        """End a job for good; its leases are void. It is in a manifest on return. Raises JobUnknown."""
        self._recorded(job, lifecycle.cancel, "job cancelled")

    def pause(self, job: str) -> None:
        """Grant no more leases of a job. It is in a manifest on return. Raises JobUnknown, JobEnded."""
        self._recorded(job, lambda state: lifecycle.pause(state, job), "job paused")

    def resume(self, job: str) -> None:
        """Let a paused job run on. It is in a manifest on return. Raises JobUnknown, JobEnded."""
        self._recorded(job, lambda state: lifecycle.resume(state, job), "job resumed")

    def collect(self, job: str, *, dry_run: bool) -> Collected:
        """Delete garbage of a job at once, a bounded number of objects. Raises as Collector.collect."""
        return self._collector.collect(job, dry_run=dry_run)

    def delete(self, job: str) -> Deleted:
        """Delete a job that has ended, a bounded number of objects. Raises as Deleter.delete."""
        return self._deleter.delete(job)

    def unquarantine(self, job: str, bucket: Bucket | None) -> list[Bucket]:
        """Make a quarantined bucket, or all of them, due again; return which. They are in a manifest on return.

        Raises JobUnknown, JobEnded, and InputError if `bucket` is not quarantined.
        """

        def lift(state: JobState) -> Outcome[list[Bucket]]:
            delta = lifecycle.unquarantine(state, job, bucket)
            return Outcome(delta, sorted(delta.skipped) if delta else [])

        found = self._jobs.change(job, lift)
        if found:
            log.info("buckets due again", job=job, buckets=[str(other) for other in found])
            self._manifests.write(job)
        return found

    def revoke(self, lease_id: str) -> tuple[str, Lease]:
        """End a lease and return its job and itself; its buckets are due at once. Raises LeaseLost."""
        for context, state in self._jobs.usable():
            lease = state.leases.get(lease_id)
            job = context.config.job
            if lease and self._jobs.update(job, lambda now: transitions.void_leases(now, [lease_id])):
                log.info("lease revoked", job=job, lease=lease_id, trainer=lease.trainer)
                return job, lease
        raise LeaseLost(lease=lease_id)

    def revoke_all(self, job: str) -> None:
        """End all leases of a job, for whoever knows that no trainer lives. Raises JobUnknown."""
        self._jobs.update(job, lambda state: transitions.void_leases(state, list(state.leases)))

    def buckets(self, job: str) -> list[BucketReport]:
        """The buckets of a job that failed since their last commit, or were skipped. Raises JobUnknown."""
        state = self._jobs.current(job)
        idle = set(quarantined(state))
        return [_bucket_report(state, bucket, bucket in idle) for bucket in sorted({*state.failures, *state.skipped})]

    def trainers(self) -> list[TrainerReport]:
        """The trainers that the jobs remember which have not ended."""
        draining: set[str] = set()
        held: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        known: set[str] = set()
        for job, state in self._unfinished():
            draining.update(state.draining)
            known.update(state.trainers)
            for lease_id, lease in state.leases.items():
                held[lease.trainer].append((job, lease_id))
        return [
            TrainerReport(trainer=name, draining=name in draining, leases=tuple(held[name]))
            for name in sorted({*known, *draining, *held})
        ]

    def drain(self, trainer: str, *, undo: bool) -> tuple[tuple[str, str], ...]:
        """Give a trainer no new lease, or take that back; return what it still holds: job and lease.

        Raises TrainerUnknown if no job remembers it.
        """
        report = next((found for found in self.trainers() if found.trainer == trainer), None)
        if report is None:
            raise TrainerUnknown(trainer=trainer)
        for job, _ in self._unfinished():
            self._jobs.update(job, lambda state: transitions.drain(state, trainer, undo=undo))
        log.info("trainer no longer drained" if undo else "trainer drained", trainer=trainer)
        return report.leases

    def _unfinished(self) -> list[tuple[str, JobState]]:
        return [
            (context.config.job, state) for context, state in self._jobs.usable() if not state.header.status.has_ended
        ]

    def _recorded(self, job: str, transition: Callable[[JobState], Delta | None], event: str) -> None:
        if self._jobs.update(job, transition):
            log.info(event, job=job)
        self._manifests.record(job)


def _bucket_report(state: JobState, bucket: Bucket, is_quarantined: bool) -> BucketReport:
    failures = state.failures.get(bucket, Failures())
    skipped = state.skipped.get(bucket)
    return BucketReport(
        bucket=bucket,
        epoch=state.done.get(bucket, 0),
        failures=failures,
        skipped_epochs=skipped.epochs if skipped else (),
        quarantined=is_quarantined,
        reason=failures.reason or (skipped.reason if skipped else ""),
    )
