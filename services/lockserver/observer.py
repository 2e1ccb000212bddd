"""Observing: how the jobs are, as gauges for Prometheus, and their pace for people."""

import math

from graphbed import logs
from graphbed.clock import Clock
from graphbed.graph.partition import Bucket
from services.lockserver.context import JobContext
from services.lockserver.jobs import JobTable
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.pace import Pace
from services.lockserver.report import summarize
from services.lockserver.state import JobState, Status

PERIOD_SECONDS = 1.0
_REST = 20.0
"""A look at a job is followed by a rest of so many times its length: adding up 65,536 buckets takes a while."""

log = logs.get_logger("graphbed.lockserver")


class Observer:
    """Looks at every job now and then."""

    def __init__(self, *, jobs: JobTable, clock: Clock, metrics: LockServerMetrics) -> None:
        self._jobs = jobs
        self._clock = clock
        self._metrics = metrics
        self._paces: dict[str, Pace] = {}
        self._next_look: dict[str, float] = {}
        self._skipped: dict[str, set[tuple[Bucket, int]]] = {}

    def pace(self, job: str) -> Pace:
        """The pace of a job; one that was not seen yet has none."""
        return self._paces.get(job, Pace())

    def tick(self) -> None:
        """Look at all jobs once."""
        statuses = dict.fromkeys(Status, 0)
        for context, state in self._jobs.usable():
            statuses[state.header.status] += 1
            job, began = context.config.job, self._clock.monotonic()
            if began >= self._next_look.get(job, began):
                self._show(context, state)
                self._tell_of_skips(job, state)
                ended = self._clock.monotonic()
                self._next_look[job] = ended + _REST * (ended - began)
        for status, count in statuses.items():
            self._metrics.jobs.labels(status.value).set(count)

    def _show(self, context: JobContext, state: JobState) -> None:
        job = context.config.job
        summary = summarize(context.plan, state)
        running, ended = state.header.status is Status.RUNNING, state.header.status.has_ended
        # A job that is paused has no pace, and afterwards a new one.
        pace = self._paces.setdefault(job, Pace()) if running or ended else Pace()
        self._paces[job] = pace
        if running:
            pace.note(summary.edges_done, self._clock.monotonic())
        left = 0.0 if ended else pace.seconds_left(summary.edges_total - summary.edges_done)
        newest = state.epochs[max(state.epochs)] if state.epochs else None
        metrics = self._metrics
        metrics.leases.labels(job).set(len(state.leases))
        metrics.trainers.labels(job).set(len({lease.trainer for lease in state.leases.values()}))
        metrics.running.labels(job).set(running)
        metrics.pending.labels(job).set(0 if ended else summary.buckets_total - summary.buckets_done)
        metrics.quarantined.labels(job).set(summary.buckets_quarantined)
        metrics.epoch.labels(job).set(summary.epoch)
        metrics.progress.labels(job).set(summary.edges_done / summary.edges_total if summary.edges_total else 1.0)
        metrics.eta.labels(job).set(math.nan if left is None else left)
        metrics.loss.labels(job).set(newest.loss / newest.edges if newest and newest.edges else math.nan)
        metrics.unrecorded.labels(job).set(len(state.commits))
        metrics.manifest_interval.labels(job).set(context.config.checkpoint.interval_seconds)

    def _tell_of_skips(self, job: str, state: JobState) -> None:
        skips = {(bucket, epoch) for bucket, skipped in state.skipped.items() for epoch in skipped.epochs}
        for bucket, epoch in sorted(skips - self._skipped.get(job, set())):
            log.warning("bucket skipped", job=job, bucket=str(bucket), epoch=epoch, reason=state.skipped[bucket].reason)
        self._skipped[job] = skips
