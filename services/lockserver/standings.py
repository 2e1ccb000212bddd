"""Standings: which states this server has found to be of the newest generation and of the state store it reaches."""

from dataclasses import dataclass

from graphbed import logs
from graphbed.clock import Clock
from graphbed.errors import CheckpointsGone, GenerationContended, GenerationOld, GraphbedError, ObjectCorrupt
from graphbed.storage.generation import Generation, newest_generation, read_generation
from graphbed.storage.objects import ObjectStore
from services.lockserver.generations import Standing, standing
from services.lockserver.state import Header
from services.lockserver.state_store import StateStore

GRACE_SECONDS = 5.0
"""How long another server may take from claiming a generation to putting its state in place."""
BAR_SECONDS = 1.0
"""How long a refusal stands before the stores are asked again: no request waits for them meanwhile."""

log = logs.get_logger("graphbed.lockserver")


@dataclass(slots=True)
class _Look:
    """The newest generation of a job as it was seen last, and since when. Monotonic seconds."""

    newest: int
    since: float


class Standings:
    """One server's memory of what it has examined; asks the object store only when something changed."""

    def __init__(self, *, store: ObjectStore, state: StateStore, clock: Clock) -> None:
        self._store = store
        self._state = state
        self._clock = clock
        self._identity: str | None = None
        self._good: dict[str, int] = {}
        """Job → the generation that was found to be the newest."""
        self._looks: dict[str, _Look] = {}
        self._bars: dict[str, tuple[float, GraphbedError]] = {}

    @property
    def identity(self) -> str:
        """The state store's identity as this server knows it."""
        if self._identity is None:
            self._identity = self._state.identity()
        return self._identity

    def look(self) -> None:
        """Ask the state store who it is; if it has changed, every job is examined anew."""
        found = self._state.identity()
        if self._identity not in (None, found):
            log.warning("state store changed", state=self._state.address)
            self._good.clear()
            self._bars.clear()
        self._identity = found

    def doubt(self, job: str) -> None:
        """Have the job examined at its next use."""
        self._good.pop(job, None)

    def is_good(self, job: str, header: Header) -> bool:
        """Whether this state was examined already."""
        return self._good.get(job) == header.generation and header.state_identity == self._identity

    def examine(self, job: str, header: Header, *, own: int | None) -> bool:
        """Whether the state may be worked on; False: a new generation must begin. `own`: one that this server began.

        Raises GenerationOld, GenerationContended, CheckpointsGone.
        """
        until, refusal = self._bars.get(job, (0.0, None))
        if refusal is not None and self._clock.monotonic() < until:
            raise refusal
        self.look()
        newest = newest_generation(self._store, job)
        if newest < header.generation:
            raise CheckpointsGone(job=job, state=self._state.address, store=self._store.address)
        now = self._clock.monotonic()
        look = self._looks.get(job)
        first_look = look is None
        if look is None or look.newest != newest:
            look = self._looks[job] = _Look(newest, now)
        found = standing(
            header,
            identity=self.identity,
            newest=newest,
            newest_claim=self._claim(job, newest) if newest > header.generation else None,
            first_look=first_look,
            in_grace=not first_look and own != newest and now - look.since < GRACE_SECONDS,
        )
        if found is Standing.WAIT:
            raise self._barred(job, now, GenerationContended(job=job))
        if found is Standing.STOP:
            old = GenerationOld(job=job, state=self._state.address, own=header.generation, newest=newest)
            raise self._barred(job, now, old)
        if found is Standing.WORK:
            self._good[job] = newest
        return found is Standing.WORK

    def _barred(self, job: str, now: float, error: GraphbedError) -> GraphbedError:
        self._bars[job] = (now + BAR_SECONDS, error)
        return error

    def _claim(self, job: str, number: int) -> Generation | None:
        try:
            return read_generation(self._store, job, number)
        except ObjectCorrupt:
            return None
