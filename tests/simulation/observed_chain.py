"""The observed chain: every manifest as it was created, and what it must tell."""

from collections import Counter
from dataclasses import dataclass

from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.chain import named_objects
from graphbed.storage.manifest import Manifest, read_manifest
from graphbed.storage.tombstone import is_tombstone
from services.lockserver.plan import Plan
from services.lockserver.state import Status
from tests.simulation.ledger import Ledger, require_snapshot, skips
from tests.simulation.stores import Objects


@dataclass(frozen=True, slots=True)
class _Seen:
    """A manifest, its SHA-256, and all that was committed along its chain."""

    manifest: Manifest
    sha256: str
    ledger: Ledger


class ObservedChain:
    """The manifests of one job; fails the run at the first that tells what its parent and its commits do not."""

    def __init__(self, plan: Plan, objects: Objects, *, num_epochs: int) -> None:
        self._plan = plan
        self._objects = objects
        self._num_epochs = num_epochs
        self._seen: dict[int, _Seen] = {}
        """By number."""
        self._named_last: dict[str, int] = {}
        """Key → the newest manifest that needs it."""
        self.restores: set[int] = set()
        """Manifests that an operator asked to go back to."""

    @property
    def has_ended(self) -> bool:
        """Whether the newest manifest says that the job is completed."""
        return self.newest is not None and self.newest.status == Status.COMPLETED

    @property
    def newest(self) -> Manifest | None:
        return self._seen[len(self._seen)].manifest if self._seen else None

    def __getitem__(self, sequence: int) -> Manifest:
        """A manifest by its number."""
        return self._seen[sequence].manifest

    def since(self, sequence: int) -> list[Manifest]:
        """The manifests with higher numbers."""
        return [self[number] for number in range(sequence + 1, len(self._seen) + 1)]

    def ledger(self, sequence: int) -> Ledger:
        """What was committed along the chain of manifest `sequence`; 0: nothing."""
        return self._seen[sequence].ledger if sequence else Ledger()

    def created(self, key: str) -> None:
        """An object was created: a manifest names only what is there, and tells what was committed (I7, I16)."""
        if not key.startswith(layout.manifests(self._plan.job)):
            return
        manifest, sha256 = read_manifest(self._objects, self._plan.job, int(key[-17:-5]))
        assert manifest.sequence == len(self._seen) + 1, f"{key} leaves a gap"
        self._follows(manifest)
        ledger = self.ledger(manifest.parent).then(manifest.commits)
        self._tells(manifest, ledger)
        self._seen[manifest.sequence] = _Seen(manifest, sha256, ledger)
        for needed in named_objects(manifest):
            assert self._objects.was_stored(needed.key), f"{key} names {needed.key}, which is not there"
            self._named_last[needed.key] = manifest.sequence

    def require_grace(self, key: str) -> None:
        """An object goes: two later manifests of one generation do without it, unless the job has ended."""
        last = self._named_last.get(key)
        if last is None or self.newest is None or Status(self.newest.status).has_ended:
            return
        later = Counter(manifest.generation for manifest in self.since(last))
        assert max(later.values(), default=0) >= 2, f"{key} goes before its grace, {last} needs it"

    def is_whole(self, sequence: int) -> bool:
        """Whether all that a manifest names is there as it was stored, and may stay."""
        names = [needed.key for needed in named_objects(self[sequence])]
        marked = layout.condemned_manifest(self._plan.job, sequence) in self._objects.data
        return not marked and all(self._objects.is_intact(key) for key in names)

    def _follows(self, manifest: Manifest) -> None:
        """A manifest follows the one before, one that an operator chose, or the next one back that is whole; after a
        tombstone, nothing. Generations never go back."""
        if manifest.sequence == 1:
            return
        before = self[manifest.sequence - 1]
        assert manifest.generation >= before.generation, f"{manifest.sequence} is of an older generation"
        if manifest.parent == 0:
            assert is_tombstone(before), f"{manifest.sequence} begins the job anew, and it was not deleted"
            assert manifest.generation > before.generation
            return
        parent = self._seen[manifest.parent]
        assert manifest.parent_sha256 == parent.sha256
        assert not is_tombstone(parent.manifest) or is_tombstone(manifest), f"{manifest.sequence} follows a tombstone"
        starts = (before.sequence, *self.restores)
        chosen = any(self._falls_back(start, manifest.parent) for start in starts)
        assert chosen, f"{manifest.sequence} leaves out {before.sequence}"

    def _falls_back(self, start: int, parent: int) -> bool:
        """Whether `parent` is the first on the way back from `start` that is whole."""
        while start > parent and not self.is_whole(start):
            start = self[start].parent
        return start == parent

    def _tells(self, manifest: Manifest, ledger: Ledger) -> None:
        """Pointers, marks and parameters of a manifest are what its parent's and its commits make."""
        if is_tombstone(manifest):
            assert not named_objects(manifest), f"the tombstone {manifest.sequence} names something"
            return
        before = _keys(self[manifest.parent]) if manifest.parent else {}
        assert _keys(manifest) == {**before, **self._moved(manifest)}, (
            f"{manifest.sequence} tells other pointers than its commits"
        )
        marks = {entry.bucket: entry.epochs for entry in manifest.progress}
        assert marks.keys() == self._plan.edges.keys()
        ledger.require_marks(marks, skips(manifest.skipped))
        base, deltas = manifest.parameters.base, manifest.parameters.deltas
        named = [layout.lease_of(version.key) for version in deltas]
        require_snapshot(ledger, self._objects.stored, base.key if base else None, named)
        if manifest.status == Status.COMPLETED:
            assert set(marks.values()) == {self._num_epochs}, "the job is completed, and something is not done"

    def _moved(self, manifest: Manifest) -> dict[tuple[str, int], str]:
        return {
            (kind, index): layout.partition_version(manifest.job, Partition(kind, index), record.lease_id)
            for record in manifest.commits
            for kind, index in record.partitions
        }


def _keys(manifest: Manifest) -> dict[tuple[str, int], str]:
    """Entity type and index of each partition → the key of its current version."""
    return {(pointer.entity_type, pointer.index): pointer.version.key for pointer in manifest.pointers}
