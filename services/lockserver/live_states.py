"""Live states: the jobs' states in the state store, each found fit before it is worked on, else begun anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from graphbed import logs
from graphbed.clock import Clock
from graphbed.config.load import parse_job
from graphbed.errors import (
    ConfigDiffers,
    GenerationContended,
    JobDeleted,
    JobUnknown,
    ObjectMissing,
    StateContended,
    StateMoved,
)
from graphbed.storage import layout
from graphbed.storage.generation import newest_generation
from graphbed.storage.manifest import Manifest, manifest_sequences
from graphbed.storage.objects import ObjectStore
from graphbed.storage.tombstone import is_name_free
from services.lockserver import chronicle
from services.lockserver.codec import decode, decode_change, encode
from services.lockserver.context import JobContext
from services.lockserver.generations import Reason
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.standings import Standings
from services.lockserver.state import Delta, Header, JobState, Status
from services.lockserver.state_store import StateStore
from services.lockserver.takeover import Takeover

ATTEMPTS = 20
"""How often a state may turn out to be old right after a generation has begun."""

log = logs.get_logger("graphbed.lockserver")


@dataclass(frozen=True, slots=True)
class Held:
    """A state as this server knows it, under the tag that it had."""

    tag: str
    state: JobState


class LiveStates:
    """The states of all jobs. The caller sees to it that one thread at a time works on a job."""

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
        self._store = store
        self._state = state
        self._random_hex = random_hex
        self._metrics = metrics
        self._standings = Standings(store=store, state=state, clock=clock)
        self._takeover = Takeover(
            store=store, state=state, clock=clock, random_hex=random_hex, metrics=metrics, server=server
        )
        self._held: dict[str, Held] = {}

    @property
    def address(self) -> str:
        """Where they are, for people."""
        return self._state.address

    def names(self) -> list[str]:
        """The jobs that the state store knows."""
        with self._call("jobs"):
            return self._state.jobs()

    def look(self) -> None:
        """Ask the state store who it is, so that a restart or a failover is noticed when nobody asks for work."""
        self._standings.look()

    def remembered(self, job: str) -> JobState | None:
        """The state as this server knew it last, without asking anybody."""
        held = self._held.get(job)
        return held.state if held else None

    def all_remembered(self) -> list[tuple[str, JobState]]:
        """The states of all jobs as this server knew them last."""
        return [(job, held.state) for job, held in sorted(self._held.copy().items())]

    def header(self, job: str) -> Header | None:
        """The header as the state store has it now; None, and nothing begun, if there is no state."""
        try:
            with self._call("read"):
                _, fields = self._state.read(job)
        except JobUnknown:
            return None
        return decode(fields, job=job, address=self._state.address).header

    def exists(self, job: str) -> bool:
        """Whether the state store has a state of the job, whatever it says."""
        try:
            with self._call("tag"):
                self._state.tag(job)
        except JobUnknown:
            return False
        return True

    def current(self, context: JobContext) -> Held:
        """The state as it is now, of the newest generation and of the state store that is reached.

        Begins a generation where it is missing, or is not. Raises JobUnknown if the job was deleted meanwhile,
        ConfigDiffers if its name is another's, GenerationOld, GenerationContended, and what Takeover.begin raises.
        """
        job = context.config.job
        for _ in range(ATTEMPTS):
            remembered = self.remembered(job)
            held = self._read(job)
            if held is None:
                self._require_document(context)
            elif self._is_good(job, held.state.header):
                context.require_same(held.state.header)
                return held
            self._takeover.begin(
                context, self._reason(job, held), identity=self._standings.identity, remembered=remembered
            )
        raise StateContended(job=job)

    def remove(self, job: str, tombstone: int) -> bool:
        """Forget the state of the job whose last manifest is `tombstone`; False, and nothing changed, if it is not its.

        The state may say that the job still runs, if the state store was put back.
        """
        try:
            held = self._whole(job)
        except JobUnknown:
            return True
        if held.state.header.manifest_sequence > tombstone:
            return False
        with self._call("remove"):
            removed = self._state.remove(job, held.tag)
        self._held.pop(job, None)
        return removed

    def apply(self, job: str, held: Held, delta: Delta) -> bool:
        """Change the state if it is still `held`; False, and nothing changed, if it is not."""
        fields = encode(delta)
        tag = self._random_hex()
        chronicle.tell(job, held.tag, tag, delta, held.state)
        with self._call("apply"):
            applied = self._state.apply(job, held.tag, tag, fields.written, fields.removed)
        chronicle.tell_end(job, tag, done=applied)
        if applied:
            self._held[job] = Held(tag, held.state.apply(delta))
        return applied

    def leave(self, context: JobContext, generation: int, newest: int) -> NoReturn:
        """Leave `generation` behind: the object store tells of `newest`. Always raises.

        GenerationContended if this server goes on in the newer one; GenerationOld, and what `current` raises, if not.
        """
        job = context.config.job
        log.warning("generation ended", job=job, generation=generation, newest=newest)
        self._standings.doubt(job)
        self.current(context)
        # What was to be done was decided in the old one.
        raise GenerationContended(job=job)

    def restore(self, context: JobContext, sequence: int) -> Manifest:
        """Go back to manifest `sequence` in a new generation; return the new manifest, which is there by now."""
        job = context.config.job
        remembered = self.remembered(job)
        held = self._read(job)
        if held is not None:
            # Raises where another lock server goes on in another state store: that one is to be asked.
            if self._is_good(job, held.state.header):
                context.require_same(held.state.header)
            if context.is_same(held.state.header) and held.state.header.status is Status.DELETED:
                raise JobDeleted(job=job)
        return self._takeover.begin(
            context,
            Reason.RESTORE,
            identity=self._standings.identity,
            remembered=remembered,
            sequence=sequence,
        )

    def _require_document(self, context: JobContext) -> None:
        """Raise JobUnknown if a job without a state was deleted: its document goes before its state does.

        Raises ConfigDiffers if another job is being submitted under its name, whose document comes before its state.
        """
        job = context.config.job
        key = layout.job_document(job)
        try:
            text = self._store.get(key).decode()
        except ObjectMissing:
            self._held.pop(job, None)
            raise JobUnknown(job=job) from None
        if parse_job(text, source=key).digest() != context.config.digest():
            raise ConfigDiffers(job=job, keys="another job was submitted under its name")

    def _is_good(self, job: str, header: Header) -> bool:
        own = self._takeover.unfinished(job)
        return self._standings.is_good(job, header) or self._standings.examine(job, header, own=own)

    def _reason(self, job: str, held: Held | None) -> Reason:
        """Why a generation begins, for people."""
        if held is None:
            begun = newest_generation(self._store, job) or manifest_sequences(self._store, job)
            begun = begun and not is_name_free(self._store, job)
            return Reason.STATE_MISSING if begun else Reason.NEW
        moved = held.state.header.state_identity != self._standings.identity
        return Reason.STORE_CHANGED if moved else Reason.GENERATION_OLD

    def _read(self, job: str) -> Held | None:
        """The state as the state store has it, which may be that of an older job of this name; None if it has none."""
        held = self._held.get(job)
        try:
            with self._call("tag"):
                tag = self._state.tag(job)
            if held is not None and held.tag == tag:
                return held
            found = (self._followed(job, held) if held is not None else None) or self._whole(job)
        except JobUnknown:
            return None
        self._held[job] = found
        return found

    def _whole(self, job: str) -> Held:
        with self._call("read"):
            tag, fields = self._state.read(job)
        return Held(tag, decode(fields, job=job, address=self._state.address))

    def _followed(self, job: str, held: Held) -> Held | None:
        """`held` and what other lock servers have changed since, where the state store remembers that."""
        with self._call("changes"):
            change = self._state.changes(job, held.tag)
        if change is None:
            return None
        delta = decode_change(change, job=job, address=self._state.address)
        return Held(change.after, held.state.apply(delta))

    @contextmanager
    def _call(self, op: str) -> Iterator[None]:
        """Time a call of the state store; if that is another one than before, every state is examined anew."""
        try:
            with self._metrics.state_call(op):
                yield
        except StateMoved:
            self._standings.look()
            raise
