"""Rot: objects of the simulated store that are lost or cut, and an operator who notices and goes back behind that."""

from graphbed.errors import CheckpointIncomplete, ObjectMissing, PinUnknown, StoreUnavailable
from graphbed.storage.chain import named_objects
from graphbed.storage.manifest import Manifest
from graphbed.storage.objects import ObjectStore
from graphbed.storage.pins import pin_manifest, unpin
from graphbed.storage.retention import Told
from services.lockserver.state import Status
from tests.simulation.observer import Observer
from tests.simulation.servers import SimulatedServer
from tests.simulation.stores import Objects
from tests.simulation.trainers import is_to_be_repeated
from tests.simulation.world import World

PERIOD_SECONDS = 1.0
NOTICED_SECONDS = (0.0, 6.0)
"""How long after the damage the operator knows of it."""
CUT = 0.5
"""Share of damaged objects that are cut short; the others are gone."""
MOST_CUT = 3
"""Objects that are damaged at once."""


class Rot:
    """Damages what the newest manifest names, but for what an older one needs that is pinned; one after the other."""

    def __init__(
        self,
        world: World,
        servers: list[SimulatedServer],
        objects: Objects,
        store: ObjectStore,
        observer: Observer,
        job: str,
    ) -> None:
        """`objects` is the store itself, `store` the operator's way to it."""
        self._world = world
        self._servers = servers
        self._objects = objects
        self._store = store
        self._observer = observer
        self._job = job
        self._pins = 0
        world.after(PERIOD_SECONDS, self._look)

    def _look(self) -> None:
        newest = self._observer.chain.newest
        is_usable = newest is not None and newest.parent and not Status(newest.status).has_ended
        if newest is None or not is_usable or not self._world.chance("damage"):
            self._world.after(PERIOD_SECONDS, self._look)
            return
        self._pins += 1
        self._pin(newest.parent, f"rot-{self._pins}")

    def _pin(self, sequence: int, name: str) -> None:
        """Keep what the job can go back to."""
        try:
            pin_manifest(self._store, self._job, sequence, name, written_at=0.0)
        except StoreUnavailable:
            self._world.after(PERIOD_SECONDS, lambda: self._pin(sequence, name))
        except (CheckpointIncomplete, ObjectMissing):
            self._unpin(name)
        else:
            self._observer.objects.pinned[name] = Told.by(self._observer.chain[sequence]).named
            self._world.after(PERIOD_SECONDS, lambda: self._damage(sequence, name))

    def _damage(self, pinned: int, name: str) -> None:
        newest = self._observer.chain.newest
        assert newest is not None
        needed = {version.key for version in named_objects(self._observer.chain[pinned])}
        found = sorted({version.key for version in named_objects(newest)} - needed)
        if self._world.servers_at_work or not found:
            # What a server has looked at a moment ago is still so when it goes on.
            self._world.after(PERIOD_SECONDS, lambda: self._damage(pinned, name))
            return
        for key in self._world.random.sample(found, min(len(found), self._world.random.randint(1, MOST_CUT))):
            is_cut = self._world.random.random() < CUT
            self._objects.damage(key, self._objects.stored[key][:-1] if is_cut else None)
            self._world.note("cut" if is_cut else "gone")
        noticed = self._world.random.uniform(*NOTICED_SECONDS)
        self._world.after(noticed, lambda: self._restore(name))

    def _restore(self, name: str) -> None:
        """Go back to the newest checkpoint until somebody has; that must be to the newest one that is whole."""
        newest = self._observer.chain.newest
        assert newest is not None
        sequence = newest.sequence
        self._observer.chain.restores.add(sequence)
        answer = self._world.random.choice(self._servers).handle("restore", lambda c: c.restore(self._job, sequence))
        if isinstance(answer, Manifest):
            self._world.cells["restore", "whole" if answer.parent == sequence else "passed over"] += 1
            self._unpin(name)
        else:
            assert is_to_be_repeated(answer) or isinstance(answer, CheckpointIncomplete), answer
            self._world.after(PERIOD_SECONDS, lambda: self._restore(name))

    def _unpin(self, name: str) -> None:
        self._observer.objects.pinned.pop(name, None)
        try:
            unpin(self._store, self._job, name)
        except StoreUnavailable:
            self._world.after(PERIOD_SECONDS, lambda: self._unpin(name))
        except PinUnknown:
            self._world.after(PERIOD_SECONDS, self._look)
        else:
            self._world.after(PERIOD_SECONDS, self._look)
