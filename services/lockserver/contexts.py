"""Contexts: what this server knows of each job's configuration and graph, read from the object store once."""

from graphbed.errors import GraphMissing, JobUnknown, ObjectMissing
from graphbed.storage import layout
from graphbed.storage.objects import ObjectStore, sha256_hex
from services.lockserver.context import JobContext


class Contexts:
    """The contexts of all jobs. The caller sees to it that one thread at a time works on a job."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._known: dict[str, JobContext] = {}

    def get(self, job: str) -> JobContext:
        """Configuration and plan. Raises JobUnknown, or what makes the job unusable."""
        context = self.get_bare(job)
        if not context.has_graph:
            raise GraphMissing(graph=context.config.graph, store=self._store.address)
        return context

    def get_bare(self, job: str) -> JobContext:
        """As `get`, but also of a job whose graph was removed, which is looked for again each time."""
        known = self._known.get(job)
        if known is None:
            known = JobContext.load(self._store, job)
            if known.has_graph:
                self._known[job] = known
        return known

    def keep(self, context: JobContext) -> None:
        """This is what the job is from now on."""
        self._known[context.config.job] = context

    def forget(self, job: str) -> None:
        """Read the job anew when it is next asked for."""
        self._known.pop(job, None)

    def is_replaced(self, job: str) -> bool:
        """Whether the job's configuration in the store is another one than this server knows. Raises JobUnknown."""
        try:
            text = self._store.get(layout.job_document(job))
        except ObjectMissing:
            raise JobUnknown(job=job) from None
        return sha256_hex(text) != self.get_bare(job).document_sha256
