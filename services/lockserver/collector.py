"""The collector: deletes what no manifest, lease, pin or reader needs any more. Several may run at once."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphbed import history, logs
from graphbed.clock import Clock
from graphbed.errors import GraphbedError
from graphbed.storage.condemned import condemn
from graphbed.storage.objects import ObjectStore
from services.lockserver.jobs import JobTable
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.state import Status
from services.lockserver.survey import Survey, Surveyor

LOOK_SECONDS = 60.0
"""How often a job without a new manifest is looked at: a pin may be gone, a reader may have died."""
RETRY_SECONDS = 10.0
BATCH = 250
"""Objects deleted between two looks at generation and pins."""
BATCHES = 8
"""How many batches one collection deletes; the rest waits for the next one."""
ABANDONED_SECONDS = 86_400.0
"""Unfinished uploads older than this are of writers that died."""
ABANDONED_LOOK_SECONDS = 3600.0

log = logs.get_logger("graphbed.lockserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one collection did, or would do."""

    survey: Survey
    objects: int
    """Deleted; in a dry run, to be deleted."""
    bytes: int
    finished: bool
    """Whether everything that may go by now is gone."""


@dataclass(slots=True)
class _Done:
    """Up to which manifest a job was collected, and when it is looked at again without a newer one."""

    sequence: int = -1
    not_before: float = 0.0
    """Monotonic seconds."""


class Collector:
    """Collects the garbage of all jobs, one job at a time. Safe for concurrent threads."""

    def __init__(self, *, jobs: JobTable, store: ObjectStore, clock: Clock, metrics: LockServerMetrics) -> None:
        self._jobs = jobs
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._surveyor = Surveyor(jobs=jobs, store=store, clock=clock)
        self._done: defaultdict[str, _Done] = defaultdict(_Done)
        self._uploads_not_before = 0.0
        self._lock = threading.Lock()

    def tick(self) -> None:
        """Collect the jobs that have a new manifest, and others now and then; a failure is logged and tried again."""
        now = self._clock.monotonic()
        if now >= self._uploads_not_before:
            self._uploads_not_before = now + ABANDONED_LOOK_SECONDS
            if aborted := self._store.abort_unfinished(older_than_seconds=ABANDONED_SECONDS):
                log.info("abandoned uploads removed", uploads=aborted)
        for context, state in self._jobs.usable():
            if state.header.status is Status.DELETED:
                continue  # whoever deletes it has it collected; a mark that is made beside that could outlive it
            job, sequence = context.config.job, state.header.manifest_sequence
            done = self._done[job]
            if done.sequence == sequence and now < done.not_before:
                continue
            done.sequence = sequence
            try:
                finished = self.collect(job).finished
                done.not_before = now + LOOK_SECONDS if finished else now
            except GraphbedError as error:
                done.not_before = now + RETRY_SECONDS
                log.warning("garbage not collected", job=job, error=str(error))

    def collect(self, job: str, *, dry_run: bool = False) -> Collected:
        """Delete what may go of one job, a bounded number of objects. Raises JobUnknown, and what a store raises."""
        with self._lock:
            try:
                if dry_run:
                    return self._would_delete(job)
                with history.operation("collect", job=job) as told:
                    collected = self._delete(job, self._survey(job))
                    told |= {"condemned": len(collected.survey.decision.condemned), "objects": collected.objects}
                return collected
            except GraphbedError:
                self._metrics.collection_failures.inc()
                raise

    def _would_delete(self, job: str) -> Collected:
        survey = self._survey(job)
        garbage = survey.decision.garbage
        return Collected(survey=survey, objects=len(garbage), bytes=survey.size(garbage), finished=not garbage)

    def _delete(self, job: str, survey: Survey) -> Collected:
        # The marks first: whoever pins one of these manifests from now on finds it marked, and gives up.
        for sequence in survey.decision.condemned:
            condemn(self._store, job, sequence)
        deleted: list[str] = []
        for batch in _batches(survey.decision.garbage):
            # And whoever pinned one before is seen here; a new generation may go on from any manifest without a mark.
            needed = self._surveyor.needed_now(job, survey)
            going = [key for key in batch if key not in needed]
            self._store.delete_many(going)
            deleted += going
            self._metrics.collected_objects.inc(len(going))
            self._metrics.collected_bytes.inc(survey.size(going))
        if deleted or survey.decision.condemned:
            log.info(
                "garbage collected",
                job=job,
                objects=len(deleted),
                bytes=survey.size(deleted),
                condemned=len(survey.decision.condemned),
            )
        finished = len(deleted) == len(survey.decision.garbage)
        return Collected(survey=survey, objects=len(deleted), bytes=survey.size(deleted), finished=finished)

    def _survey(self, job: str) -> Survey:
        survey = self._surveyor.survey(job)
        decision = survey.decision
        for kind, size in (
            ("live", decision.live_bytes),
            ("kept", decision.kept_bytes),
            ("garbage", decision.garbage_bytes),
        ):
            self._metrics.objects_bytes.labels(job, kind).set(size)
        return survey


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, min(len(keys), BATCH * BATCHES), BATCH):
        yield keys[start : start + BATCH]
