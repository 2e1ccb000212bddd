"""Patience: once faults are over, work that is due and free, or held by the dead alone, is granted soon (I10)."""

from collections.abc import Sequence
from dataclasses import replace

from services.lockserver.boards import board_of
from services.lockserver.plan import Plan
from services.lockserver.scheduler import NoWork, choose
from services.lockserver.state import JobState, Status
from tests.simulation.observer import Observer
from tests.simulation.trainers import SimulatedTrainer
from tests.simulation.world import NO_FAULTS, World

PERIOD_SECONDS = 0.5
SETTLED_SECONDS = 10.0
"""After so long without faults, dead servers are back, and nobody waits for the end of a claim any more."""
MARGIN_SECONDS = 2.0
SILENT_SECONDS = 2.5
"""A lease that was not renewed for so long is of a trainer that is dead or asleep; the others renew every second."""


class Patience:
    """Looks twice a second at what the trainers wait for."""

    def __init__(
        self, world: World, plan: Plan, observer: Observer, trainers: Sequence[SimulatedTrainer], *, ttl_seconds: float
    ) -> None:
        self._world = world
        self._plan = plan
        self._observer = observer
        self._trainers = trainers
        self._longest = ttl_seconds + MARGIN_SECONDS
        self._grants = 0
        self._waiting_since: float | None = None
        self._calm_since: float | None = None
        self.most_seconds = 0.0
        """The longest wait so far."""
        world.after(PERIOD_SECONDS, self._look)

    def _look(self) -> None:
        self._world.after(PERIOD_SECONDS, self._look)
        if self._world.faults is not NO_FAULTS:
            return
        now, grants = self._world.now, self._observer.grants.count
        self._calm_since = now if self._calm_since is None else self._calm_since
        if now - self._calm_since < SETTLED_SECONDS or grants != self._grants or not self._is_due():
            self._grants, self._waiting_since = grants, None
            return
        self._waiting_since = now if self._waiting_since is None else self._waiting_since
        waited = now - self._waiting_since
        self.most_seconds = max(self.most_seconds, waited)
        assert waited <= self._longest, f"work is due, a trainer waits, and nothing was granted for {waited} s"

    def _is_due(self) -> bool:
        """Whether a trainer waits, and would be given work if the leases of the dead were over."""
        state = self._observer.state
        waiting = [trainer.name for trainer in self._trainers if trainer.is_waiting_for_work]
        if state is None or state.header.status is not Status.RUNNING or not waiting:
            return False
        without = self._without_the_dead(state)
        most = self._plan.rules.max_trainers
        if most is not None and len(without.trainers_at_work()) >= most:
            return False
        return not isinstance(choose(self._plan, board_of(without, self._plan, waiting[0])), NoWork)

    def _without_the_dead(self, state: JobState) -> JobState:
        heard_after = self._world.now - SILENT_SECONDS
        heard = self._observer.grants.heard
        return replace(state, leases={k: lease for k, lease in state.leases.items() if heard(k) >= heard_after})
