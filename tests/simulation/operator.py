"""The operator of the simulated world: pauses, resumes, revokes, forgives, drains, collects; resumes in the end."""

from collections.abc import Callable, Sequence

from graphbed.errors import (
    GraphbedError,
    JobEnded,
    JobUnknown,
    LeaseLost,
    ManifestForeign,
    TrainerUnknown,
)
from services.lockserver.operations import Operations
from services.lockserver.records import Lease
from tests.simulation.servers import SimulatedServer
from tests.simulation.trainers import is_to_be_repeated
from tests.simulation.world import NO_FAULTS, World

PERIOD_SECONDS = 1.0
PAUSES = 0.1
"""Share of looks at which a job is paused; it is resumed at the next look."""
REVOCATIONS = 0.3
FORGIVENESS = 0.1
"""Share of looks at which all quarantined buckets are made due again."""
COLLECTIONS = 0.1
DRAINS = 0.15
CHANGED_MINDS = 0.3
"""Share of drains that are taken back at once."""
_EXPECTED = (ManifestForeign, JobEnded, JobUnknown, LeaseLost, TrainerUnknown)


class SimulatedOperator:
    """Asks any server; an answer that is lost is not asked for again until the next look."""

    def __init__(
        self, world: World, job: str, servers: Sequence[SimulatedServer], leases: Callable[[], list[Lease]]
    ) -> None:
        """`leases` gives leases that were granted at some time."""
        self._world = world
        self._job = job
        self._servers = servers
        self._leases = leases
        world.after(PERIOD_SECONDS, self._look)

    def _look(self) -> None:
        self._world.after(PERIOD_SECONDS, self._look)
        self._ask("resume", lambda operations: operations.resume(self._job))
        if self._world.faults is NO_FAULTS:
            return
        if self._world.random.random() < PAUSES:
            self._ask("pause", lambda operations: operations.pause(self._job))
        leases = self._leases()
        if leases and self._world.random.random() < REVOCATIONS:
            lease_id = self._world.random.choice(leases[-6:]).lease_id
            self._ask("revoke", lambda operations: operations.revoke(lease_id))
        if self._world.random.random() < FORGIVENESS:
            self._ask("unquarantine", lambda operations: operations.unquarantine(self._job, None))
        if leases and self._world.random.random() < DRAINS:
            trainer = self._world.random.choice(leases[-6:]).trainer
            self._ask("drain", lambda operations: operations.drain(trainer, undo=False))
            if self._world.random.random() < CHANGED_MINDS:
                self._ask("undrain", lambda operations: operations.drain(trainer, undo=True))
        if self._world.random.random() < COLLECTIONS:
            self._ask("collect", lambda operations: operations.collect(self._job, dry_run=False))
        if self._world.random.random() < COLLECTIONS:
            self._ask("collect", lambda operations: operations.collect(self._job, dry_run=True))

    def _ask(self, what: str, request: Callable[[Operations], object]) -> None:
        answer = self._world.random.choice(self._servers).operate(what, request)
        expected = is_to_be_repeated(answer) or isinstance(answer, _EXPECTED)
        assert not isinstance(answer, GraphbedError) or expected, answer
