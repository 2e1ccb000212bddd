"""Evaluations: shows what the newest evaluation of each job came to, which whoever evaluates leaves in the store."""

from graphbed.storage.evaluation_file import read_evaluations
from graphbed.storage.objects import ObjectStore
from services.lockserver.jobs import JobTable
from services.lockserver.metrics import LockServerMetrics

PERIOD_SECONDS = 30.0


class Evaluations:
    """Reads the evaluations of all jobs now and then: they are few and small."""

    def __init__(self, *, jobs: JobTable, store: ObjectStore, metrics: LockServerMetrics) -> None:
        self._jobs = jobs
        self._store = store
        self._metrics = metrics

    def tick(self) -> None:
        """Look once. Raises ObjectCorrupt, and what the store raises."""
        for job in self._jobs.names():
            for record in read_evaluations(self._store, job):
                self._metrics.evaluation_mrr.labels(job, record.split).set(record.mrr)
                hits = {"1": record.hits_at_1, "3": record.hits_at_3, "10": record.hits_at_10}
                for k, share in hits.items():
                    self._metrics.evaluation_hits.labels(job, record.split, k).set(share)
