"""The observed chain: every manifest as it was created, and what it must tell."""

from collections import Counter

from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.chain import named_objects
from graphbed.storage.manifest import Manifest, read_manifest
from services.lockserver.state import Status
from tests.simulation.stores import Objects


class ObservedChain:
    """The manifests of one job; fails the run at the first that tells what its parent and its commits do not."""

    def __init__(self, job: str, objects: Objects) -> None:
        self._job = job
        self._objects = objects
        self._manifests: dict[int, tuple[Manifest, str]] = {}
        """Every manifest that was created, by number, and its SHA-256."""
        self._named_last: dict[str, int] = {}
        """Key → the newest manifest that needs it."""
        self.restores: set[int] = set()
        """Manifests that an operator asked to go back to."""

    @property
    def has_ended(self) -> bool:
        """Whether the newest manifest says that the job is completed."""
        return self.newest is not None and self.newest.status == "completed"

    @property
    def newest(self) -> Manifest | None:
        return self._manifests[len(self._manifests)][0] if self._manifests else None

    def __getitem__(self, sequence: int) -> Manifest:
        """A manifest by its number."""
        return self._manifests[sequence][0]

    def created(self, key: str) -> None:
        """An object was created: a manifest names only what is there."""
        if not key.startswith(layout.manifests(self._job)):
            return
        manifest, sha256 = read_manifest(self._objects, self._job, int(key[-17:-5]))
        self._manifests[manifest.sequence] = manifest, sha256
        self._follows(manifest)
        for needed in named_objects(manifest):
            assert needed.key in self._objects.data, f"{key} names {needed.key}, which is not there"
            self._named_last[needed.key] = manifest.sequence

    def require_grace(self, key: str) -> None:
        """An object goes: two later manifests of one generation do without it, unless the job has ended."""
        last = self._named_last.get(key)
        if last is None or self.newest is None or Status(self.newest.status).has_ended:
            return
        later = Counter(manifest.generation for number, (manifest, _) in self._manifests.items() if number > last)
        assert max(later.values(), default=0) >= 2, f"{key} goes before its grace, {last} needs it"

    def _follows(self, manifest: Manifest) -> None:
        """A manifest follows the one before, or one that an operator chose; generations never go back."""
        if manifest.sequence == 1:
            return
        before, _ = self._manifests[manifest.sequence - 1]
        parent, sha256 = self._manifests[manifest.parent]
        assert manifest.parent_sha256 == sha256
        assert manifest.generation >= before.generation, f"{manifest.sequence} is of an older generation"
        assert parent == before or manifest.parent in self.restores, f"{manifest.sequence} leaves out {before.sequence}"
        moved = {
            (kind, index): layout.partition_version(manifest.job, Partition(kind, index), record.lease_id)
            for record in manifest.commits
            for kind, index in record.partitions
        }
        assert _keys(manifest) == {**_keys(parent), **moved}, f"{manifest.sequence} tells other pointers than commits"


def _keys(manifest: Manifest) -> dict[tuple[str, int], str]:
    """Entity type and index of each partition → the key of its current version."""
    return {(pointer.entity_type, pointer.index): pointer.version.key for pointer in manifest.pointers}
