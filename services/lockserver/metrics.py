"""What the lock server counts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from graphbed.counters import at_zero
from graphbed.errors import StoreDenied, StoreFull, StoreUnavailable
from services.lockserver import generations

_PREFIX = "graphbed_lockserver"
_JOB = "job_name"
"""Not `job`: Prometheus calls its scrape targets so."""


class LockServerMetrics:
    """The metrics of one lock server. Labels are closed sets, but for the names of jobs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, what: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"{_PREFIX}_{name}", what, labels, registry=registry)

        self._of_jobs: list[Gauge] = []

        def gauge(name: str, what: str, labels: tuple[str, ...] = (_JOB,)) -> Gauge:
            made = Gauge(f"{_PREFIX}_{name}", what, labels, registry=registry)
            if _JOB in labels:
                self._of_jobs.append(made)
            return made

        self.grants = at_zero(
            counter("grants_total", "Requests for work by outcome: granted or wait.", ("outcome",)), "granted", "wait"
        )
        self.successors = counter(
            "successors_total", "Leases granted while the one that they succeed was not committed yet."
        )
        self.renewals = at_zero(
            counter("renewals_total", "Renewals by outcome: ok or lost.", ("outcome",)), "ok", "lost"
        )
        self.commits = at_zero(
            counter("commits_total", "Commits by outcome: ok, lost or refused.", ("outcome",)), "ok", "lost", "refused"
        )
        self.releases = at_zero(
            counter("releases_total", "Leases handed back, by reason.", ("reason",)),
            "shutdown",
            "failed",
            "not_finite",
            "unspecified",
        )
        self.expirations = counter("lease_expirations_total", "Leases ended because they were not renewed.")
        self.stalls = counter("lease_stalls_total", "Leases ended because they were renewed and got nowhere.")
        self.manifests = counter("manifests_total", "Manifests written.")
        self.manifest_failures = counter("manifest_failures_total", "Manifests that could not be written.")
        self.manifests_damaged = counter("manifests_damaged_total", "Manifests passed over because they are not whole.")
        self.generations = at_zero(
            counter("generations_total", "Generations begun, by reason.", ("reason",)), *generations.Reason
        )
        self.generation_leases_void = counter(
            "generation_leases_void_total", "Leases that ended because a generation did."
        )
        self.generation_commits_lost = counter(
            "generation_commits_lost_total",
            "Commits forgotten before a manifest told them, as far as known.",
        )
        self.settle_failures = counter("settle_failures_total", "Failed calls of the parameter server.")
        self.conflicts = counter("state_conflicts_total", "Changes that lost to another one and were tried again.")
        self.jobs = gauge("jobs", "Jobs by status: running, paused, completed, cancelled, deleted.", ("status",))
        self.running = gauge("running", "Whether the job gives out work: 1, or 0 once it has ended or is paused.")
        self.leases = gauge("leases_active", "Live leases.")
        self.trainers = gauge("trainers_active", "Trainers that hold a lease.")
        self.pending = gauge("buckets_pending", "Bucket epochs that are still due; 0 once a job has ended.")
        self.quarantined = gauge("buckets_quarantined", "Buckets that were skipped in their last epoch.")
        self.epoch = gauge("epoch", "Epochs completed by every bucket.")
        self.progress = gauge("progress_ratio", "Edges trained, of those of all epochs, 0 to 1.")
        self.eta = gauge("eta_seconds", "Time to the job's end at the pace of the last minutes; NaN: not known.")
        self.loss = gauge("loss", "Loss per edge of what is committed of the newest epoch; NaN: nothing yet.")
        self.evaluation_mrr = gauge(
            "evaluation_mrr",
            "MRR of the newest evaluation by split, as `graphbed eval` kept it.",
            ("job_name", "split"),
        )
        self.evaluation_hits = gauge(
            "evaluation_hits_ratio",
            "Share of ranks of at most k, of the newest evaluation by split.",
            ("job_name", "split", "k"),
        )
        self.manifest_age = gauge("manifest_age_seconds", "Time since the newest manifest was seen first.")
        self.manifest_interval = gauge("manifest_interval_seconds", "Time between manifests that the job asks for.")
        self.unrecorded = gauge("commits_unrecorded", "Commits that no manifest tells of yet.")
        self.objects_bytes = gauge(
            "objects_bytes",
            "Bytes of a job's objects by kind: live, kept for older checkpoints, or garbage.",
            ("job_name", "kind"),
        )
        self.collected_objects = counter("collected_objects_total", "Objects deleted by garbage collection.")
        self.collected_bytes = counter("collected_bytes_total", "Bytes freed by garbage collection.")
        self.collection_failures = counter("collection_failures_total", "Collections that failed.")
        self._state_seconds = Histogram(
            f"{_PREFIX}_state_store_seconds", "Time of one call of the state store.", ["op"], registry=registry
        )
        self._state_errors = at_zero(
            counter("state_store_errors_total", "Calls that the state store did not answer or refused.", ("op",)),
            "jobs",
            "tag",
            "changes",
            "read",
            "create",
            "apply",
            "remove",
        )

    def forget(self, job: str) -> None:
        """Show nothing more of a job that is gone."""
        for gauge in self._of_jobs:
            gauge.remove_by_labels({_JOB: job})

    @contextmanager
    def state_call(self, op: str) -> Iterator[None]:
        """Time one call of the state store: jobs, tag, changes, read, create, apply or remove."""
        started = time.perf_counter()
        try:
            yield
        except (StoreUnavailable, StoreDenied, StoreFull):
            self._state_errors.labels(op).inc()
            raise
        finally:
            self._state_seconds.labels(op).observe(time.perf_counter() - started)
