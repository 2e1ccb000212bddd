"""The jobs of the cluster: their states, changed by compare-and-set, and brought back when they are missing."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from graphbed import logs
from graphbed.errors import (
    GraphbedError,
    JobUnknown,
    StateContended,
    StateTooNew,
    StoreDenied,
    StoreFull,
    StoreUnavailable,
)
from graphbed.storage.manifest import newest_manifest
from graphbed.storage.objects import ObjectStore
from services.lockserver import chronicle
from services.lockserver.codec import decode, encode
from services.lockserver.context import JobContext
from services.lockserver.lifecycle import fresh, restored
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.state import Delta, Header, JobState, Status
from services.lockserver.state_store import StateStore
from services.lockserver.submission import write_document
from services.lockserver.transitions import Outcome

ATTEMPTS = 20
"""How often a change is tried again when other lock servers were faster."""

log = logs.get_logger("graphbed.lockserver")

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class _Held:
    """A state as this server knows it, under the tag that it had."""

    tag: str
    state: JobState


class JobTable:
    """All jobs. Safe for concurrent threads: those of one server take turns on each job, servers compare tags.

    A job whose state is missing is restored from its newest manifest, or begun anew, when it is first asked for.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        state: StateStore,
        random_hex: Callable[[], str],
        metrics: LockServerMetrics,
    ) -> None:
        """`random_hex` gives 128 random bits in hexadecimal, anew each time."""
        self._store = store
        self._state = state
        self._random_hex = random_hex
        self._metrics = metrics
        self._contexts: dict[str, JobContext] = {}
        self._held: dict[str, _Held] = {}
        self._known: set[str] = set()
        self._complaints: dict[str, str] = {}
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        self._guard = threading.Lock()

    def names(self) -> list[str]:
        """All jobs by name, those included whose state has got lost."""
        with self._metrics.state_call("jobs"):
            found = self._state.jobs()
        with self._guard:
            return sorted(self._known.union(found))

    def open_all(self) -> None:
        """Find the jobs that the object store knows, and restore what is missing. Raises StateTooNew."""
        documents = (key.split("/") for key in self._store.list("jobs/") if key.endswith("/job.yaml"))
        with self._guard:
            self._known.update(parts[1] for parts in documents if len(parts) == 3)
        for job in self.names():
            try:
                self.current(job)
            except (StateTooNew, StoreUnavailable, StoreDenied, StoreFull):
                raise
            except GraphbedError as error:
                self._complain(job, error)

    def context(self, job: str) -> JobContext:
        """Configuration and plan. Raises JobUnknown, or what makes the job unusable."""
        with self._lock(job):
            if job not in self._contexts:
                self._contexts[job] = JobContext.load(self._store, job)
            return self._contexts[job]

    def submit(self, context: JobContext) -> bool:
        """Write the job's configuration and begin its state; True: the job is new in the object store.

        Raises ConfigDiffers, CheckpointsGone; then nothing was written.
        """
        job = context.config.job
        with self._lock(job):
            # The state first: where there is one, its job.yaml was there before it.
            header = self._header(job)
            created = write_document(self._store, context, header=header, state=self._state.address)
            self._contexts[job] = context
            self._known.add(job)
            self._refresh(job)
            return created

    def current(self, job: str) -> JobState:
        """The state as the state store has it now. Raises JobUnknown, or what makes the job unusable."""
        with self._lock(job):
            return self._refresh(job).state

    def usable(self, *, running: bool = False) -> Iterator[tuple[JobContext, JobState]]:
        """The jobs and their current states; one that cannot be used is logged and left out.

        With `running`, the states of jobs that had ended are taken as this server knew them last.
        """
        for job in self.names():
            held = self._held.get(job)
            ended = held is not None and held.state.header.status is not Status.RUNNING
            try:
                state = held.state if running and ended and held else self.current(job)
                context = self.context(job)
            except (StoreUnavailable, StoreDenied, StoreFull):
                raise
            except GraphbedError as error:
                self._complain(job, error)
                continue
            self._complaints.pop(job, None)
            yield context, state

    def known(self) -> list[tuple[str, JobState]]:
        """The states as this server knew them last, without asking anybody."""
        return [(job, held.state) for job, held in sorted(self._held.copy().items())]

    def change(self, job: str, transition: Callable[[JobState], Outcome[A]]) -> A:
        """Do what `transition` says of the current state, and give its answer. Raises what it raises.

        The transition is asked again for a newer state if another server was faster. Raises StateContended if that goes
        on and on.
        """
        with self._lock(job):
            for _ in range(ATTEMPTS):
                held = self._refresh(job)
                outcome = transition(held.state)
                if outcome.delta is None or self._apply(job, held, outcome.delta):
                    return outcome.answer
                self._metrics.conflicts.inc()
            raise StateContended(job=job)

    def update(self, job: str, transition: Callable[[JobState], Delta | None]) -> bool:
        """As `change`, for a transition without an answer; tells whether it changed anything."""

        def outcome(state: JobState) -> Outcome[bool]:
            delta = transition(state)
            return Outcome(delta, delta is not None)

        return self.change(job, outcome)

    def begin(self, job: str) -> None:
        """Make the state of a submitted job that has none: from its newest manifest, or from nothing."""
        context = self.context(job)
        newest = newest_manifest(self._store, job)
        if newest is None:
            state = fresh(
                context.plan,
                config_sha256=context.config.digest(),
                graph_sha256=context.graph_sha256,
                num_epochs=context.config.num_epochs,
            )
        else:
            state = restored(context.plan, *newest, num_epochs=context.config.num_epochs)
        context.require_same(state.header)
        delta, tag = state.as_delta(), self._random_hex()
        chronicle.tell(job, "", tag, delta, None)
        with self._metrics.state_call("create"):
            created = self._state.create(job, tag, encode(delta).written)
        chronicle.tell_end(job, tag, done=created)
        with self._guard:
            self._known.add(job)
        if created:
            log.info(
                "job begun" if newest is None else "job restored", job=job, manifest=state.header.manifest_sequence
            )

    def _header(self, job: str) -> Header | None:
        """The header of the state as the state store has it now; None, and nothing begun, if there is none."""
        try:
            with self._metrics.state_call("read"):
                _, fields = self._state.read(job)
        except JobUnknown:
            return None
        return decode(fields, job=job, address=self._state.address).header

    def _refresh(self, job: str) -> _Held:
        held = self._held.get(job)
        try:
            with self._metrics.state_call("tag"):
                tag = self._state.tag(job)
        except JobUnknown:
            self.begin(job)
        else:
            if held is not None and held.tag == tag:
                return held
        with self._metrics.state_call("read"):
            tag, fields = self._state.read(job)
        state = decode(fields, job=job, address=self._state.address)
        self.context(job).require_same(state.header)
        return self._keep(job, _Held(tag, state))

    def _apply(self, job: str, held: _Held, delta: Delta) -> bool:
        fields = encode(delta)
        tag = self._random_hex()
        chronicle.tell(job, held.tag, tag, delta, held.state)
        with self._metrics.state_call("apply"):
            applied = self._state.apply(job, held.tag, tag, fields.written, fields.removed)
        chronicle.tell_end(job, tag, done=applied)
        if applied:
            self._keep(job, _Held(tag, held.state.apply(delta)))
        return applied

    def _keep(self, job: str, held: _Held) -> _Held:
        self._held[job] = held
        return held

    def _lock(self, job: str) -> threading.RLock:
        with self._guard:
            return self._locks[job]

    def _complain(self, job: str, error: GraphbedError) -> None:
        """Log an error once, not at every request."""
        if self._complaints.get(job) != str(error):
            self._complaints[job] = str(error)
            log.error("job left out", job=job, error=str(error))
