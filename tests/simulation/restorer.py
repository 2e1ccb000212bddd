"""An operator of the simulated world who goes back to one of the newest checkpoints now and then."""

from collections.abc import Sequence

from graphbed.storage.manifest import Manifest, manifest_sequences, read_manifest
from tests.simulation.observer import Observer
from tests.simulation.servers import SimulatedServer
from tests.simulation.stores import Objects
from tests.simulation.trainers import is_to_be_repeated
from tests.simulation.world import World

PERIOD_SECONDS = 1.0
RESTORED = 4
"""One of so many newest checkpoints is chosen."""


class Restorer:
    """Asks for a checkpoint until somebody answers."""

    def __init__(
        self, world: World, servers: Sequence[SimulatedServer], objects: Objects, observer: Observer, job: str
    ) -> None:
        self._world = world
        self._servers = servers
        self._objects = objects
        self._observer = observer
        self._job = job
        world.after(PERIOD_SECONDS, self._look)

    def _look(self) -> None:
        self._world.after(PERIOD_SECONDS, self._look)
        sequences = manifest_sequences(self._objects, self._job)
        if sequences and self._world.chance("restore"):
            self._restore(self._world.random.choice(sequences[-RESTORED:]))

    def _restore(self, sequence: int) -> None:
        self._observer.chain.restores.add(sequence)
        answer = self._world.random.choice(self._servers).handle("restore", lambda c: c.restore(self._job, sequence))
        if is_to_be_repeated(answer):
            self._world.after(1.0, lambda: self._restore(sequence))
        if isinstance(answer, Manifest):
            assert (answer.parent, answer.commits) == (sequence, ())
            assert read_manifest(self._objects, self._job, answer.sequence)[0] == answer
            assert self._observer.has_taken(answer), f"the restore to {sequence} was answered and did not happen"
