"""An operator of the simulated world: pins checkpoints, and unpins them later."""

from collections.abc import Callable

from graphbed.errors import CheckpointIncomplete, ObjectMissing, PinUnknown, StoreUnavailable
from graphbed.storage.manifest import manifest_sequences, read_manifest
from graphbed.storage.objects import ObjectStore
from graphbed.storage.pins import pin_manifest, unpin
from graphbed.storage.retention import Told
from tests.simulation.observer import Observer
from tests.simulation.stores import Objects
from tests.simulation.world import World

PAUSE_SECONDS = (0.2, 3.0)
HELD_SECONDS = (0.2, 8.0)
RECENT = 4
"""One of so many newest manifests is pinned, many of them about to be condemned."""


class Pinner:
    """Pins one manifest after another; whatever was answered must stay whole until the pin is removed."""

    def __init__(
        self, world: World, name: str, objects: Objects, store: ObjectStore, observer: Observer, job: str
    ) -> None:
        """`objects` is the store itself, `store` the way to it."""
        self._world = world
        self._name = name
        self._objects = objects
        self._store = store
        self._observer = observer
        self._job = job
        self._pins = 0
        self._later(self._choose)

    def _choose(self) -> None:
        sequences = manifest_sequences(self._objects, self._job)
        if not sequences:
            self._later(self._choose)
            return
        self._pins += 1
        self._pin(self._world.random.choice(sequences[-RECENT:]), f"{self._name}-{self._pins}")

    def _pin(self, sequence: int, name: str) -> None:
        self._world.serving.append("pin")
        try:
            pin_manifest(self._store, self._job, sequence, name, written_at=0.0)
        except StoreUnavailable:
            self._later(lambda: self._pin(sequence, name))
        except (CheckpointIncomplete, ObjectMissing):
            self._world.cells["pin", "refused"] += 1
            # It may have been visible before this try, and is taken back.
            self._unpin(name)
        else:
            self._world.cells["pin", "done"] += 1
            manifest, _ = read_manifest(self._objects, self._job, sequence)
            self._observer.objects.pinned[name] = Told.by(manifest).named
            for key in self._observer.objects.pinned[name]:
                assert key in self._objects.data, f"the pin {name} was answered, and {key} is not there"
            self._world.after(self._world.random.uniform(*HELD_SECONDS), lambda: self._unpin(name))
        finally:
            self._world.serving.pop()

    def _unpin(self, name: str) -> None:
        self._observer.objects.pinned.pop(name, None)
        try:
            unpin(self._store, self._job, name)
        except StoreUnavailable:
            self._later(lambda: self._unpin(name))
        except PinUnknown:
            self._later(self._choose)
        else:
            self._later(self._choose)

    def _later(self, what: Callable[[], None]) -> None:
        self._world.after(self._world.random.uniform(*PAUSE_SECONDS), what)
