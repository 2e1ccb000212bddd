"""The basis of a generation: the state or the manifest that it goes on with, examined before anything is written."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, takewhile

from graphbed import logs
from graphbed.errors import CheckpointMissing, CheckpointsDamaged, CheckpointsGone
from graphbed.storage.chain import Link, missing_object, walk_back
from graphbed.storage.condemned import is_condemned
from graphbed.storage.manifest import Manifest, StoredVersion, manifest_sequences
from graphbed.storage.objects import ObjectStore
from graphbed.storage.tombstone import is_name_free, is_tombstone
from services.lockserver.context import JobContext
from services.lockserver.generations import adopted
from services.lockserver.lifecycle import fresh, restored
from services.lockserver.state import JobState

log = logs.get_logger("graphbed.lockserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a generation goes on with, and where its manifest hangs in the chain."""

    state: JobState
    is_adopted: bool
    newest: int
    """Number of the newest manifest, 0 = none: the next one's is one more, whatever it follows."""
    told: tuple[str, ...] = ()
    """Leases whose commits the manifest before tells."""
    passed_over: tuple[Link, ...] = ()
    """Newer manifests that are not whole."""


class BasisFinder:
    """Looks at states and manifests, and at whether what they name is there."""

    def __init__(self, store: ObjectStore, *, state_address: str) -> None:
        self._store = store
        self._state_address = state_address

    def find(self, context: JobContext, state: JobState | None, sequence: int | None = None) -> Basis:
        """Manifest `sequence` if that is given, or the next one before it that is whole; else the state that is there.

        If that is older than the newest manifest, or points to what is missing, the newest manifest that is whole;
        nothing at all for a job that has none, or only the tombstone of one that was deleted. Raises ConfigDiffers,
        CheckpointMissing, CheckpointsGone, CheckpointsDamaged, ObjectTooNew.
        """
        if sequence is not None:
            return self._of_manifest(context, sequence)
        job = context.config.job
        newest = max(manifest_sequences(self._store, job), default=0)
        if state is not None and state.header.manifest_sequence > newest:
            raise CheckpointsGone(job=job, state=self._state_address, store=self._store.address)
        links = walk_back(self._store, job)
        link = next(links, None)
        own = adopted(state, link) if state is not None else None
        # One of an older job of this name: the state store was put back to before that was deleted.
        if own is not None and context.is_same(own.header):
            damage = missing_object(self._store, [StoredVersion.from_receipt(receipt) for receipt in own.receipts()])
            if not damage:
                noted = _leases_of(link.manifest) if link is not None and link.manifest is not None else ()
                return Basis(state=own, is_adopted=True, newest=newest, told=noted)
            log.error("state not adopted", job=job, damage=damage)
        if link is None or is_name_free(self._store, job):
            state = fresh(
                context.plan,
                config_sha256=context.config.digest(),
                graph_sha256=context.graph_sha256,
                num_epochs=context.config.num_epochs,
            )
            return Basis(state=state, is_adopted=False, newest=newest)
        return self._of_first_whole(context, newest, link, links)

    def _of_manifest(self, context: JobContext, sequence: int) -> Basis:
        """Manifest `sequence`, as somebody asked."""
        job = context.config.job
        sequences = manifest_sequences(self._store, job)
        links = walk_back(self._store, job, [number for number in sequences if number <= sequence])
        link = next(links, None)
        if link is None or link.sequence != sequence or is_tombstone(link.manifest):
            raise CheckpointMissing(job=job, store=self._store.address, sequence=sequence)
        return self._of_first_whole(context, sequences[-1], link, links)

    def _of_first_whole(self, context: JobContext, newest: int, first: Link, older: Iterable[Link]) -> Basis:
        """Manifest `first` if it is whole, else the first of `older` that is and stays so."""
        job = context.config.job
        # What was given up to garbage collection may be whole now and not in a moment; a tombstone is another job's.
        standing = (link for link in older if not is_condemned(self._store, job, link.sequence))
        damaged: list[Link] = []
        for link in chain([first], takewhile(lambda link: not is_tombstone(link.manifest), standing)):
            if link.manifest is None or link.damage:
                damaged.append(link)
                continue
            context.require_same(link.manifest)
            state = restored(context.plan, link.manifest, link.sha256, num_epochs=context.config.num_epochs)
            told = _leases_of(link.manifest)
            return Basis(state=state, is_adopted=False, newest=newest, told=told, passed_over=tuple(damaged))
        raise CheckpointsDamaged(job=job, store=self._store.address, damage=damaged[0].damage)


def _leases_of(manifest: Manifest) -> tuple[str, ...]:
    return tuple(record.lease_id for record in manifest.commits)
