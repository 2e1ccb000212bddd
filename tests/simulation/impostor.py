"""An impostor: asks for what only a lease's holder may have."""

from collections.abc import Callable, Sequence

from graphbed.errors import GraphbedError
from services.lockserver.answers import Commitment
from services.lockserver.coordinator import Coordinator
from services.lockserver.records import Lease, Progress
from tests.simulation.servers import SimulatedServer
from tests.simulation.world import World

PERIOD_SECONDS = 2.0


class Impostor:
    """Renews, releases and commits leases of others; the observer sees that nothing changes by it."""

    name = "impostor"

    def __init__(self, world: World, servers: Sequence[SimulatedServer], leases: Callable[[], list[Lease]]) -> None:
        """`leases` gives leases that were granted at some time."""
        self._world = world
        self._servers = servers
        self._leases = leases
        world.after(PERIOD_SECONDS, self._try)

    def _try(self) -> None:
        self._world.after(PERIOD_SECONDS, self._try)
        leases = self._leases()
        if not leases:
            return
        lease_id = self._world.random.choice(leases).lease_id
        number = str(self._world.steps)

        def renew(coordinator: Coordinator) -> object:
            return coordinator.renew(trainer=self.name, lease_id=lease_id, progress=Progress())

        def release(coordinator: Coordinator) -> object:
            coordinator.release(trainer=self.name, request_id=number, lease_id=lease_id, reason="shutdown", failure="")
            return None

        def commit(coordinator: Coordinator) -> object:
            done = Commitment(lease_id=lease_id, versions=[], parameters=None, edges=1, loss=0.0)
            coordinator.commit(trainer=self.name, request_id=number, done=done)
            return None

        for what, request in (("foreign renew", renew), ("foreign release", release), ("foreign commit", commit)):
            answer = self._world.random.choice(self._servers).handle(what, request)
            assert isinstance(answer, GraphbedError), f"{what} of {lease_id} was answered {answer}"
