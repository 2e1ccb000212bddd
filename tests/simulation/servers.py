"""Lock servers of the simulated world: the real coordinator and housekeeping, which may die at any call of a store."""

from collections.abc import Callable
from typing import Any

from graphbed.clock import ManualClock
from graphbed.errors import GraphbedError, ServerUnreachable
from services.lockserver.answers import Waiting
from services.lockserver.coordinator import Coordinator
from services.lockserver.operations import Operations
from tests.simulation.parameters import ParameterServer, ServerLink
from tests.simulation.stores import FailingObjects, FailingStates, Objects, States
from tests.simulation.world import NO_FAULTS, Crashed, World
from tests.unit.lockserver.cluster import Cluster

TICK_SECONDS = 0.5
STRICT = 0.5
"""Share of the servers that notice at every call that the state store began a new life; the others at their ticks."""
DOWN_SECONDS = (0.05, 1.0)
"""How long a dead server stays away, from and to."""

WRONG_CLOCKS = 0.25
"""Share of servers whose clock runs twice as fast or at half the pace."""

Reply = Callable[[Any], None]


class SimulatedServer:
    """One replica: up with a fresh memory, or down."""

    def __init__(
        self,
        world: World,
        name: str,
        objects: Objects,
        states: States,
        *,
        parameters: ParameterServer,
        depth: list[int],
    ) -> None:
        """`depth` and `parameters` belong to all servers together."""
        self._world = world
        self.name = name
        self._objects = objects
        self._states = states
        self._parameters = parameters
        self._depth = depth
        self._cluster: Cluster | None = None
        self._busy = False
        self._strict = world.random.random() < STRICT
        # Clocks of different machines do not run alike, and some are wrong.
        wrong = world.random.random() < WRONG_CLOCKS
        self._own_pace = world.random.choice([0.5, 2.0]) if wrong else world.random.uniform(0.97, 1.03)
        self._start()
        world.after(TICK_SECONDS, self._tick)

    @property
    def sees_store_away(self) -> bool:
        """Whether it has noticed that the object store is away."""
        return self._cluster is not None and self._cluster.outage.is_on()

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        return self._cluster is not None

    @property
    def _pace(self) -> float:
        """Of its clock; once faults are over, no clock is wrong."""
        return 1.0 if self._world.faults is NO_FAULTS else self._own_pace

    def handle(self, what: str, request: Callable[[Coordinator], Any]) -> Any:
        """The answer, a GraphbedError as a value, or ServerUnreachable if nobody answers."""
        if self._cluster is None or self._busy:
            return ServerUnreachable(service="lockserver", address=self.name)
        coordinator = self._cluster.coordinator
        return self._run(what, lambda: request(coordinator))

    def operate(self, what: str, request: Callable[[Operations], Any]) -> Any:
        """As `handle`, for what people ask."""
        if self._cluster is None or self._busy:
            return ServerUnreachable(service="lockserver", address=self.name)
        operations = self._cluster.operations
        return self._run(what, lambda: request(operations))

    def _tick(self) -> None:
        self._world.after(TICK_SECONDS, self._tick)
        if self._cluster is None or self._busy:
            return
        cluster = self._cluster
        cluster.clock.advance(TICK_SECONDS * self._pace)
        ticks = {
            "look": cluster.jobs.look,
            "outage": cluster.outage.tick,
            "expire": cluster.expiry.tick,
            "manifest": cluster.manifests.tick,
            "settle": cluster.settler.tick,
            "collect": cluster.collector.tick,
        }
        for name, tick in ticks.items():
            self._run(name, tick)
            if self._cluster is not cluster:
                return

    def _run(self, what: str, work: Callable[[], Any]) -> Any:
        # While a server is in the middle of something, events that overtake it go to others: its own locks would hold
        # them up in a process of many threads, and there is one thread here.
        self._busy = True
        self._world.serving.append(what)
        self._world.servers_at_work.append(self)
        try:
            answer = work()
            self._world.cells[what, answer.reason.name if isinstance(answer, Waiting) else "done"] += 1
            if self._world.store_is_away:
                self._world.cells[what, "done while the store is away"] += 1
            return answer
        except GraphbedError as error:
            self._world.cells[what, type(error).__name__] += 1
            return error
        except Crashed:
            self._die()
            return ServerUnreachable(service="lockserver", address=self.name)
        finally:
            self._world.servers_at_work.pop()
            self._world.serving.pop()
            self._busy = False

    def _die(self) -> None:
        self._cluster = None
        self._world.after(self._world.random.uniform(*DOWN_SECONDS), self._start)

    def _start(self) -> None:
        self._world.serving.append("start")
        try:
            self._cluster = Cluster(
                FailingObjects(self._world, self._objects, deadly=True, depth=self._depth),
                state=FailingStates(self._world, self._states, depth=self._depth, strict=self._strict),
                clock=ManualClock(self._world.random.uniform(0, 1e6)),
                parameters=ServerLink(self._world, self._parameters, deadly=True, depth=self._depth),
            )
        except (Crashed, GraphbedError):
            self._die()
        finally:
            self._world.serving.pop()
