"""The weather of the simulated world: what befalls the stores from outside, until faults are over."""

from tests.simulation.stores import FORGOTTEN_CHANGES, States
from tests.simulation.world import World

PERIOD_SECONDS = 1.0
AWAY_SECONDS = (1.0, 8.0)


class Weather:
    """The state store forgets something, or the object store is away, now and then."""

    def __init__(self, world: World, states: States) -> None:
        self._world = world
        self._states = states
        world.after(PERIOD_SECONDS, self._look)

    def _look(self) -> None:
        self._world.after(PERIOD_SECONDS, self._look)
        if self._world.chance("state_loss"):
            self._states.forget()
        if self._world.chance("state_restart"):
            self._states.restart(forgotten=0)
        if self._world.chance("state_put_back"):
            self._states.restart(forgotten=self._world.random.randint(1, FORGOTTEN_CHANGES))
        if not self._world.store_is_away and self._world.chance("store_stall"):
            self._world.store_is_away = True
            self._world.after(self._world.random.uniform(*AWAY_SECONDS), self._end_stall)

    def _end_stall(self) -> None:
        self._world.store_is_away = False
