"""Observed objects: what goes from the object store, and who needed it."""

from graphbed.storage import layout
from graphbed.storage.chain import named_objects
from graphbed.storage.manifest import Manifest
from graphbed.storage.tombstone import DELETED, is_tombstone
from services.lockserver.state import JobState, Status
from tests.simulation.observed_chain import ObservedChain

_MADE = ("partitions", "parameters")
_WHILE_IT_LIVES = (*_MADE, "pins", "readers")
"""Folders of a job from which something may go though the job was not deleted."""


class ObservedObjects:
    """The objects of one job; fails the run at the first that goes and is needed."""

    def __init__(self, job: str, chain: ObservedChain) -> None:
        self._job = job
        self._chain = chain
        self.pinned: dict[str, frozenset[str]] = {}
        """Name of each pin that was answered → the objects that its manifest needs."""
        self.deleted = 0

    def goes(self, key: str, state: JobState | None) -> None:
        """An object is about to go: nobody may need it."""
        for name, needed in self.pinned.items():
            assert key not in needed, f"{key} goes, which the pin {name} needs"
        assert key.startswith(layout.job(self._job)), f"{key} goes, which is no object of {self._job}"
        newest = self._chain.newest
        folder = key.removeprefix(layout.job(self._job)).split("/")[0]
        if folder not in _WHILE_IT_LIVES:
            assert newest is not None and is_tombstone(newest), f"{key} goes, and the job was not deleted"
            assert key != layout.manifest(self._job, newest.sequence), "the tombstone goes"
            assert folder != "generations", f"{key} goes, whose number would be used again"
            ended = state is None or state.header.status is Status.DELETED or is_over(state, newest)
            assert ended, f"{key} goes, and the job works"
        if folder in _MADE:
            self._goes(key, state)

    def _goes(self, key: str, state: JobState | None) -> None:
        self.deleted += 1
        newest = self._chain.newest
        assert newest is not None, f"{key} goes, and there is no manifest yet"
        assert all(key != needed.key for needed in named_objects(newest)), f"{key} goes, {newest.sequence} needs it"
        self._chain.require_grace(key)
        if state is None or is_over(state, newest) or newest.status == DELETED:
            return  # nobody goes on from there
        assert all(key != receipt.key for receipt in state.receipts()), f"{key} goes, which is current"
        for lease in state.leases.values():
            assert lease.lease_id not in key, f"{key} goes, which a live lease has stored"
            starts = [start.version.key for start in lease.partitions if start.version]
            assert key not in starts, f"{key} goes, which a live lease starts from"


def is_over(state: JobState, newest: Manifest) -> bool:
    """Whether the state is older than a manifest, so that nobody goes on from it."""
    return state.header.manifest_sequence < newest.sequence
