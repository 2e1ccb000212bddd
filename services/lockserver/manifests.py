"""Writing manifests: create-only, read back, noted in the state by the same compare-and-set as everything else."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from graphbed import history, logs
from graphbed.clock import Clock
from graphbed.errors import GenerationContended, GraphbedError, ObjectExists
from graphbed.storage import layout
from graphbed.storage.manifest import Manifest, create_manifest
from graphbed.storage.objects import ObjectStore
from graphbed.storage.receipt import Receipt
from services.lockserver import chronicle
from services.lockserver.jobs import JobTable
from services.lockserver.lifecycle import is_recorded, manifest_due, next_manifest, record_manifest
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.records import SealedDelta
from services.lockserver.settling import Parameters
from services.lockserver.state import JobState

COMPACT_ABOVE = 8
"""More parameter deltas than this are compacted into one object before a manifest names them."""
RETRY_SECONDS = 5.0
"""How long to wait after a manifest could not be written."""
ATTEMPTS = 10
"""How many manifests of others may be found in the way of one write."""

log = logs.get_logger("graphbed.lockserver")


@dataclass(slots=True)
class _Seen:
    """The newest manifest of a job, and since when this server knows it. Monotonic seconds."""

    sequence: int
    since: float
    not_before: float


class ManifestWriter:
    """Writes the manifests of all jobs, one at a time for each job."""

    def __init__(
        self,
        *,
        jobs: JobTable,
        store: ObjectStore,
        parameters: Parameters | None,
        clock: Clock,
        random_hex: Callable[[], str],
        metrics: LockServerMetrics,
    ) -> None:
        self._jobs = jobs
        self._store = store
        self._parameters = parameters
        self._clock = clock
        self._random_hex = random_hex
        self._metrics = metrics
        self._seen: dict[str, _Seen] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    def tick(self) -> None:
        """Write the manifests that are due; a failure is logged and tried again some seconds later."""
        now = self._clock.monotonic()
        for context, state in self._jobs.usable():
            job = context.config.job
            seen = self._seen.get(job)
            if seen is None or seen.sequence != state.header.manifest_sequence:
                seen = self._seen[job] = _Seen(state.header.manifest_sequence, now, now)
            age = now - seen.since
            self._metrics.manifest_age.labels(job).set(age)
            interval = context.config.checkpoint.interval_seconds
            due = manifest_due(state, context.plan, age_seconds=age, interval_seconds=interval)
            if not due or now < seen.not_before:
                continue
            try:
                self.write(job)
            except GraphbedError as error:
                seen.not_before = now + RETRY_SECONDS
                log.warning("manifest not written", job=job, error=str(error))

    def write_unrecorded(self, *, until: float) -> None:
        """Write a last manifest of each job that has commits which none tells of; begin none after `until`."""
        for job, state in self._jobs.known():
            if is_recorded(state) or self._clock.monotonic() >= until:
                continue
            try:
                self.write(job, compact=False)
            except GraphbedError as error:
                log.warning("last manifest not written", job=job, error=str(error))

    def record(self, job: str) -> None:
        """Write a manifest unless the newest tells everything that was committed, and the job's status."""
        state = self._jobs.current(job)
        if state.header.manifest_sequence == 0 or not is_recorded(state):
            self.write(job)

    def write(self, job: str, *, compact: bool = True) -> Manifest:
        """Write the next manifest of the job and note it in its state.

        A manifest that is found in its place is noted first if it follows from the state: its writer died, or lost the
        answer, before it could note it. Raises ManifestForeign if it does not follow, and GenerationOld or
        GenerationContended if another generation has begun.
        """
        with self._guard:
            lock = self._locks[job]
        with lock:
            try:
                for _ in range(ATTEMPTS):
                    with history.operation("manifest", job=job) as told:
                        own, found = self._write_once(job, compact=compact)
                        told |= chronicle.facts_of(found, own=own)
                    if own:
                        return found
            except GraphbedError:
                self._metrics.manifest_failures.inc()
                raise
            raise ObjectExists(key=layout.manifest(job, found.sequence))

    def _write_once(self, job: str, *, compact: bool) -> tuple[bool, Manifest]:
        """Create the next manifest, or find another in its place; note what is there. True: it is our own."""
        context, state = self._jobs.bare_context(job), self._jobs.current(job)
        base, deltas = self._parameters_of(job, state, compact=compact)
        manifest = next_manifest(
            state,
            context.plan,
            base=base,
            deltas=deltas,
            nonce=self._random_hex(),
            written_at=self._clock.wall(),
        )
        self._jobs.confirm(job, manifest.generation)
        found, sha256 = create_manifest(self._store, manifest)
        if found.generation > manifest.generation:
            raise GenerationContended(job=job)
        own = found.nonce == manifest.nonce
        self._jobs.update(job, lambda current: record_manifest(current, found, sha256))
        if own:
            self._metrics.manifests.inc()
            log.info("manifest written", job=job, manifest=manifest.sequence, commits=len(manifest.commits))
        else:
            log.info("manifest found", job=job, manifest=manifest.sequence)
        return own, found

    def _parameters_of(
        self, job: str, state: JobState, *, compact: bool
    ) -> tuple[Receipt | None, tuple[SealedDelta, ...]]:
        """The state's parameters as base and deltas: compacted into a new base if that is worth it and works."""
        base, deltas = state.header.base, state.deltas_in_order()
        if not compact or self._parameters is None or len(deltas) <= COMPACT_ABOVE:
            return base, deltas
        sealed = [(delta.lease_id, delta.receipt) for delta in deltas]
        try:
            return self._parameters.compact(job, state.header.manifest_sequence + 1, base, sealed), ()
        except GraphbedError as error:
            log.warning("parameters not compacted", job=job, deltas=len(deltas), error=str(error))
            return base, deltas
