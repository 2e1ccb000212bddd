"""The jobs of the cluster: their states, changed by compare-and-set, and brought back when they are missing."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TypeVar

from grpc import StatusCode

from graphbed import logs
from graphbed.clock import Clock
from graphbed.errors import (
    ConfigDiffers,
    GenerationOld,
    GraphbedError,
    JobUnknown,
    ObjectTooNew,
    StateContended,
    StateTooNew,
    StoreDenied,
    StoreFull,
    StoreUnavailable,
)
from graphbed.storage.generation import newest_generation
from graphbed.storage.manifest import Manifest
from graphbed.storage.objects import ObjectStore
from graphbed.storage.reading import pinned_for_a_moment
from services.lockserver.context import JobContext
from services.lockserver.contexts import Contexts
from services.lockserver.live_states import Held, LiveStates
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.state import Delta, Header, JobState
from services.lockserver.state_store import StateStore
from services.lockserver.submission import write_document
from services.lockserver.transitions import Outcome

ATTEMPTS = 20
"""How often a change is tried again when other lock servers were faster."""

log = logs.get_logger("graphbed.lockserver")

A = TypeVar("A")


class JobTable:
    """All jobs. Safe for concurrent threads: those of one server take turns on each job, servers compare tags.

    A job whose state is missing, or of an old generation, is taken over in a new one when it is next asked for.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        state: StateStore,
        clock: Clock,
        random_hex: Callable[[], str],
        metrics: LockServerMetrics,
        server: str,
    ) -> None:
        """`random_hex` gives 128 random bits in hexadecimal, anew each time; `server` names this one, for people."""
        self._store = store
        self._random_hex = random_hex
        self._metrics = metrics
        self._states = LiveStates(
            store=store, state=state, clock=clock, random_hex=random_hex, metrics=metrics, server=server
        )
        self._contexts = Contexts(store)
        self._known: set[str] = set()
        self._complaints: dict[str, GraphbedError] = {}
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        self._submissions: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    def names(self) -> list[str]:
        """All jobs by name, those included whose state has got lost."""
        found = self._states.names()
        with self._guard:
            return sorted(self._known.union(found))

    def open_all(self) -> None:
        """Find the jobs that the object store knows, and restore what is missing. Raises StateTooNew, ObjectTooNew."""
        documents = (key.split("/") for key in self._store.list("jobs/") if key.endswith("/job.yaml"))
        with self._guard:
            self._known.update(parts[1] for parts in documents if len(parts) == 3)
        for job in self.names():
            try:
                self.current(job)
            except (StateTooNew, ObjectTooNew, StoreUnavailable, StoreDenied, StoreFull):
                raise
            except GraphbedError as error:
                self._complain(job, error)

    def context(self, job: str) -> JobContext:
        """Configuration and plan. Raises JobUnknown, or what makes the job unusable."""
        with self._lock(job):
            return self._contexts.get(job)

    def bare_context(self, job: str) -> JobContext:
        """As `context`, but also of a job whose graph was removed: enough to cancel and delete it."""
        with self._lock(job):
            return self._contexts.get_bare(job)

    def submit(self, context: JobContext) -> bool:
        """Write the job's configuration and begin its state; True: the job is new in the object store.

        Raises ConfigDiffers, CheckpointsGone, JobDeleted; then nothing was written.
        """
        job = context.config.job
        with self._guard:
            submission = self._submissions[job]
        # The object store outside of the job's lock: while it does not answer, leases are renewed all the same.
        with submission:
            # The state first: where there is one, its job.yaml was there before it.
            header = self._states.header(job)
            created = write_document(self._store, context, header=header, state=self._states.address)
            with self._lock(job):
                self._contexts.keep(context)
                self._known.add(job)
                self._states.current(context)
        return created

    def current(self, job: str) -> JobState:
        """The state as the state store has it now. Raises JobUnknown, or what makes the job unusable."""
        with self._lock(job):
            return self._current(job).state

    def usable(self, *, running: bool = False) -> Iterator[tuple[JobContext, JobState]]:
        """The jobs and their current states; one that cannot be used is logged and left out.

        With `running`, the states of jobs that had ended are taken as this server knew them last.
        """
        for job in self.names():
            known = self._states.remembered(job)
            ended = known is not None and known.header.status.has_ended
            try:
                self.context(job)
                state = known if running and ended and known else self.current(job)
                # Which may be another one by now.
                context = self.context(job)
            except (StoreUnavailable, StoreDenied, StoreFull):
                raise
            except GraphbedError as error:
                if not (isinstance(error, JobUnknown) and self.is_gone(job)):
                    self._complain(job, error)
                continue
            self._complaints.pop(job, None)
            yield context, state

    def known(self) -> list[tuple[str, JobState]]:
        """The states as this server knew them last, without asking anybody."""
        return self._states.all_remembered()

    def change(self, job: str, transition: Callable[[JobState], Outcome[A]]) -> A:
        """Do what `transition` says of the current state, and give its answer. Raises what it raises.

        The transition is asked again for a newer state if another server was faster. Raises StateContended if that goes
        on and on.
        """
        with self._lock(job):
            for _ in range(ATTEMPTS):
                held = self._current(job)
                outcome = transition(held.state)
                if outcome.delta is None or self._states.apply(job, held, outcome.delta):
                    return outcome.answer
                self._metrics.conflicts.inc()
            raise StateContended(job=job)

    def update(self, job: str, transition: Callable[[JobState], Delta | None]) -> bool:
        """As `change`, for a transition without an answer; tells whether it changed anything."""

        def outcome(state: JobState) -> Outcome[bool]:
            delta = transition(state)
            return Outcome(delta, delta is not None)

        return self.change(job, outcome)

    def header(self, job: str) -> Header | None:
        """The header as the state store has it now; None, and nothing begun, if there is no state."""
        return self._states.header(job)

    def remove(self, job: str, tombstone: int) -> bool:
        """Forget the job whose last manifest is `tombstone`; False, and nothing changed, if another has its name."""
        with self._lock(job):
            return self._states.remove(job, tombstone) and self.is_gone(job)

    def is_gone(self, job: str) -> bool:
        """Whether the state store has no job of this name; if so, this server forgets what it knew of one."""
        with self._lock(job):
            if self._states.exists(job):
                return False
            self._contexts.forget(job)
            self._complaints.pop(job, None)
            self._metrics.forget(job)
            with self._guard:
                self._known.discard(job)
            return True

    def look(self) -> None:
        """Ask the state store who it is, so that a restart or a failover is noticed when nobody asks for work."""
        self._states.look()

    def confirm(self, job: str, generation: int) -> None:
        """Asked before each manifest and each deletion that was decided in `generation` of the job.

        Raises GenerationOld or GenerationContended unless that is the newest one in the object store.
        """
        # Outside of the job's lock: while an object store does not answer, leases are renewed all the same.
        newest = newest_generation(self._store, job)
        if newest != generation:
            with self._lock(job):
                self._states.leave(self.bare_context(job), generation, newest)

    def restore(self, job: str, sequence: int) -> Manifest:
        """Go back to manifest `sequence` in a new generation; return the new manifest, which is there by now.

        If `sequence` is not whole, the new one's parent is the next one before it that is. Raises JobUnknown,
        CheckpointMissing, CheckpointCondemned, CheckpointsDamaged, ConfigDiffers, GenerationOld, GenerationContended.
        """
        with self._lock(job):
            context = self.context(job)
            with pinned_for_a_moment(self._store, job, sequence, reader_id=self._random_hex()):
                return self._states.restore(context, sequence)

    def unfit(self) -> GraphbedError | None:
        """Why calls should go to another lock server: a job was written by a later version, or went on elsewhere."""
        complaints = list(self._complaints.values())
        reasons = (StateTooNew, ObjectTooNew, GenerationOld)
        return next((error for error in complaints if isinstance(error, reasons)), None)

    def _current(self, job: str) -> Held:
        before = self._states.remembered(job)
        try:
            held = self._states.current(self._contexts.get_bare(job))
        except ConfigDiffers:
            if not self._contexts.is_replaced(job):
                raise
            # Deleted at another lock server, and another job submitted under its name.
            self._contexts.forget(job)
            held = self._states.current(self._contexts.get_bare(job))
        if before is not None and before.header.document_sha256 != held.state.header.document_sha256:
            # Submitted again at another lock server, which wrote the document before it changed the state.
            self._contexts.forget(job)
            self._contexts.get_bare(job)
        return held

    def _lock(self, job: str) -> threading.RLock:
        with self._guard:
            return self._locks[job]

    def _complain(self, job: str, error: GraphbedError) -> None:
        """Log an error once, not at every request."""
        before = self._complaints.get(job)
        self._complaints[job] = error
        if str(before) != str(error):
            # What is tried again by itself is no error yet.
            tell = log.warning if error.code is StatusCode.UNAVAILABLE else log.error
            tell("job left out", job=job, error=str(error))
