"""Deletion: a job goes with all its bytes, in an order in which no half of it looks like a job that can be used.

First the state says that the job is deleted, then the newest manifest does, a tombstone that names nothing: from then
on nothing is granted, restored or adopted, whatever is forgotten. Then the objects go, as garbage: whoever pinned them
first is waited for. Then job.yaml, and all the small things, the older manifests last; then the state. Each step is
found done, or is done again, when deletion is asked for again at any lock server.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from graphbed import history, logs
from graphbed.errors import JobNeeded, JobUnknown
from graphbed.storage import layout
from graphbed.storage.objects import ObjectStore
from graphbed.storage.pins import names_by_sequence, read_pins
from graphbed.storage.tombstone import is_name_free, tombstone
from services.lockserver import lifecycle
from services.lockserver.collector import Collector
from services.lockserver.jobs import JobTable
from services.lockserver.manifests import ManifestWriter
from services.lockserver.settling import Parameters
from services.lockserver.state import Status

BATCH = 250
"""Objects deleted between two looks at whether the job is still the deleted one."""
BATCHES = 8
"""How many batches one request deletes; the rest waits for the next one."""

log = logs.get_logger("graphbed.lockserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What one request deleted."""

    objects: int
    bytes: int
    finished: bool
    """Nothing is left, and the name is free."""


class Deleter:
    """Deletes jobs, a bounded part with each request. Safe for concurrent threads and servers."""

    def __init__(
        self,
        *,
        jobs: JobTable,
        manifests: ManifestWriter,
        collector: Collector,
        store: ObjectStore,
        parameters: Parameters | None,
    ) -> None:
        self._jobs = jobs
        self._manifests = manifests
        self._collector = collector
        self._store = store
        self._parameters = parameters

    def delete(self, job: str) -> Deleted:
        """Delete a job that has ended, or what is left of one; ask again until it is finished.

        Raises JobUnknown, JobNotEnded, JobNeeded while a checkpoint is pinned or read, ServerUnreachable, and what the
        stores raise. If nothing says yet that the job is deleted, it is whole then.
        """
        with history.operation("delete", job=job) as told:
            try:
                deleted = self._delete_objects(job)
            except JobUnknown:
                # Its configuration is gone already, or there never was one.
                if tombstone(self._store, job) is None:
                    raise
                deleted = Deleted(objects=0, bytes=0, finished=True)
            if deleted.finished:
                deleted = self._delete_the_rest(job, deleted)
            told |= {"objects": deleted.objects, "finished": deleted.finished}
        if deleted.finished:
            log.info("job deleted", job=job)
        return deleted

    def _delete_objects(self, job: str) -> Deleted:
        """Have the job buried, and its versions and parameters collected."""
        state = self._jobs.current(job)
        if state.header.status is not Status.DELETED:
            self._require_unneeded(job)
            lifecycle.delete(state, job)
            # Another manifest tells what was committed last, so that the tombstone is never a job's only one.
            self._manifests.record(job)
            self._jobs.update(job, lambda now: lifecycle.delete(now, job))
        self._manifests.record(job)
        collected = self._collector.collect(job)
        # Whoever pinned a manifest before it was condemned keeps it whole.
        self._require_unneeded(job)
        return Deleted(objects=collected.objects, bytes=collected.bytes, finished=collected.finished)

    def _require_unneeded(self, job: str) -> None:
        """Raise JobNeeded if an operator has pinned a checkpoint, or somebody reads one."""
        for sequence, names in names_by_sequence(read_pins(self._store, job)).items():
            raise JobNeeded(job=job, sequence=sequence, pin=names[0])

    def _delete_the_rest(self, job: str, deleted: Deleted) -> Deleted:
        """Delete what is not garbage: configuration, marks, evaluations, manifests, at last the state."""
        self._store.abort_unfinished(older_than_seconds=0.0, prefix=layout.job(job))
        sizes = self._store.sizes(layout.job(job))
        going = [key for key in sizes if not key.startswith(layout.generations(job))]
        gone: list[str] = []
        for batch in islice(_batches(job, going), BATCHES):
            buried = tombstone(self._store, job)
            header = self._jobs.header(job)
            if buried is None or (header is not None and header.manifest_sequence > buried.sequence):
                break  # the name is another job's by now
            kept = layout.manifest(job, buried.sequence)
            batch = [key for key in batch if key != kept]
            self._store.delete_many(batch)
            gone += batch
        buried = tombstone(self._store, job)
        finished = buried is not None and is_name_free(self._store, job) and len(gone) >= len(going) - 1
        if buried is not None and finished:
            if self._parameters is not None:
                self._parameters.forget(job)
            finished = self._jobs.remove(job, buried.sequence)
        size = sum(sizes[key] for key in gone)
        return Deleted(objects=deleted.objects + len(gone), bytes=deleted.bytes + size, finished=finished)


def _batches(job: str, keys: Sequence[str]) -> Iterator[list[str]]:
    """What goes with one look at whether the job is still the deleted one, in its order.

    The configuration first: without it nobody begins the job anew. The manifests last: they tell that it was one. A
    name that the next job of this name will use, too, goes by itself: nothing comes between the look and its deletion.
    """
    document, manifests = layout.job_document(job), layout.manifests(job)
    common = (document, layout.evaluations(job), layout.pins(job))
    used_again = [key for key in keys if key.startswith(common)]
    for key in sorted(used_again, key=lambda key: key != document):
        yield [key]
    others = sorted((key for key in keys if not key.startswith(common)), key=lambda key: key.startswith(manifests))
    for start in range(0, len(others), BATCH):
        yield others[start : start + BATCH]
