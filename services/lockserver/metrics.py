"""What the lock server counts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_PREFIX = "graphbed_lockserver"


class LockServerMetrics:
    """The metrics of one lock server. Labels are closed sets, but for the names of jobs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, what: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"{_PREFIX}_{name}", what, labels, registry=registry)

        def gauge(name: str, what: str) -> Gauge:
            return Gauge(f"{_PREFIX}_{name}", what, ["job"], registry=registry)

        self.grants = counter("grants_total", "Requests for work by outcome: granted or wait.", ("outcome",))
        self.renewals = counter("renewals_total", "Renewals by outcome: ok or lost.", ("outcome",))
        self.commits = counter("commits_total", "Commits by outcome: ok, lost or refused.", ("outcome",))
        self.releases = counter("releases_total", "Leases handed back, by reason.", ("reason",))
        self.expirations = counter("lease_expirations_total", "Leases ended because they were not renewed.")
        self.manifests = counter("manifests_total", "Manifests written.")
        self.manifest_failures = counter("manifest_failures_total", "Manifests that could not be written.")
        self.settle_failures = counter("settle_failures_total", "Failed calls of the parameter server.")
        self.conflicts = counter("state_conflicts_total", "Changes that lost to another one and were tried again.")
        self.leases = gauge("leases_active", "Live leases.")
        self.pending = gauge("buckets_pending", "Bucket epochs that are not committed yet.")
        self.epoch = gauge("epoch", "Epochs completed by every bucket.")
        self.manifest_age = gauge("manifest_age_seconds", "Time since the newest manifest was seen first.")
        self._state_seconds = Histogram(
            f"{_PREFIX}_state_store_seconds", "Time of one call of the state store.", ["op"], registry=registry
        )

    @contextmanager
    def state_call(self, op: str) -> Iterator[None]:
        """Time one call of the state store: jobs, tag, read, create or apply."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._state_seconds.labels(op).observe(time.perf_counter() - started)
