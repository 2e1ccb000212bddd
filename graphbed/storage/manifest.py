"""Manifests: durable copies of a job's pointer map, gapless and create-only."""

from contextlib import suppress
from typing import Self

from graphbed.errors import CheckpointMissing, ObjectCorrupt, ObjectExists
from graphbed.graph.partition import Bucket, Partition
from graphbed.storage import layout
from graphbed.storage.document import Document, parse_document
from graphbed.storage.objects import ObjectStore, sha256_hex
from graphbed.storage.receipt import Receipt

FORMAT = 2
"""Number of this layout. Format 1 had no generations and no parents other than the manifest before."""


class StoredVersion(Document):
    """What a manifest keeps of a receipt."""

    key: str
    size: int
    sha256: str
    rows: int = 0
    dimension: int = 0

    @classmethod
    def from_receipt(cls, receipt: Receipt) -> Self:
        return cls(
            key=receipt.key,
            size=receipt.size,
            sha256=receipt.sha256,
            rows=receipt.rows,
            dimension=receipt.dimension,
        )

    def to_receipt(self) -> Receipt:
        return Receipt(key=self.key, size=self.size, sha256=self.sha256, rows=self.rows, dimension=self.dimension)


class Pointer(Document):
    """The current version of one partition."""

    entity_type: str
    index: int
    version: StoredVersion

    @property
    def partition(self) -> Partition:
        return Partition(self.entity_type, self.index)


class BucketProgress(Document):
    """How many epochs a bucket has completed, those included in which it was skipped."""

    lhs: int
    rhs: int
    epochs: int

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.lhs, self.rhs)


class CommitRecord(Document):
    """One committed lease: a line of the job's commit log."""

    lease_id: str
    trainer_id: str
    epoch: int
    buckets: tuple[tuple[int, int], ...]
    """(lhs, rhs) of each bucket that this commit marked done for `epoch`."""
    partitions: tuple[tuple[str, int], ...]
    """(entity type, index) of each pointer that this commit moved."""
    parameters: StoredVersion | None
    """The lease's sealed parameter delta."""
    edges: int
    loss: float
    """Summed over edges and sides."""


class SkippedBucket(Document):
    """A bucket that was given up in some epochs, because its leases failed again and again."""

    lhs: int
    rhs: int
    epochs: tuple[int, ...]
    """In which it was not trained, ascending."""
    reason: str
    """What its trainer said when it failed last; for people."""

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.lhs, self.rhs)


class EpochTotals(Document):
    """What the committed leases of one epoch reported."""

    epoch: int
    edges: int
    loss: float
    leases: int


class SealedParameters(Document):
    """The job's parameters: `base` (or the initial values) plus the deltas of `deltas`, in order."""

    base: StoredVersion | None
    deltas: tuple[StoredVersion, ...]


class Manifest(Document):
    """A checkpoint: everything needed to resume, evaluate or export, without the state store."""

    format: int = FORMAT
    job: str
    generation: int = 0
    """The generation of the state that this is a copy of; 0: written before there were any."""
    sequence: int
    """1, 2, 3, … without gaps."""
    parent_sequence: int | None = None
    """The manifest that this one follows, if that is not the one before: those between were damaged or given up."""
    parent_sha256: str | None
    """Checksum of the manifest that this one follows; None for the first."""
    nonce: str
    """Random; tells a writer whose reply was lost that the manifest it finds is its own."""
    written_at: float
    """Wall clock, seconds since 1970; for people."""
    config_sha256: str
    graph_sha256: str
    """Of graph.json."""
    status: str
    """running, paused, completed or cancelled."""
    pointers: tuple[Pointer, ...]
    progress: tuple[BucketProgress, ...]
    parameters: SealedParameters
    epochs: tuple[EpochTotals, ...]
    commits: tuple[CommitRecord, ...]
    """Committed since the parent; along the chain they are the job's commit log."""
    skipped: tuple[SkippedBucket, ...] = ()
    """What no commit of the chain tells of and never will, unless somebody makes it due again."""

    @property
    def completed_epochs(self) -> int:
        """Epochs that every bucket has completed."""
        return min((entry.epochs for entry in self.progress), default=0)

    @property
    def parent(self) -> int:
        """Number of the manifest that this one follows; 0 for the first."""
        if self.parent_sha256 is None:
            return 0
        return self.sequence - 1 if self.parent_sequence is None else self.parent_sequence


def manifest_sequences(store: ObjectStore, job: str) -> list[int]:
    """Numbers of the manifests that exist, ascending."""
    return layout.numbers(store.list(layout.manifests(job)), layout.manifests(job))


def create_manifest(store: ObjectStore, manifest: Manifest) -> tuple[Manifest, str]:
    """Create it and read back what is there, with its SHA-256; with another nonce, it is somebody else's.

    Its own nonce after ObjectExists means that an earlier try got through and only its answer was lost.
    """
    with suppress(ObjectExists):
        store.create(layout.manifest(manifest.job, manifest.sequence), manifest.to_json())
    found, sha256 = read_manifest(store, manifest.job, manifest.sequence)
    if found.nonce == manifest.nonce and found != manifest:
        raise ObjectCorrupt(key=layout.manifest(manifest.job, manifest.sequence), store=store.address)
    return found, sha256


def read_manifest(store: ObjectStore, job: str, sequence: int) -> tuple[Manifest, str]:
    """Manifest `sequence` and its SHA-256. Raises ObjectMissing, ObjectTooNew, ObjectCorrupt."""
    key = layout.manifest(job, sequence)
    data = store.get(key)
    return parse_document(Manifest, data, newest_format=FORMAT, key=key, store=store), sha256_hex(data)


def newest_manifest(store: ObjectStore, job: str) -> tuple[Manifest, str] | None:
    """The newest manifest and its SHA-256, or None if there is none yet. Raises ObjectCorrupt."""
    sequences = manifest_sequences(store, job)
    return read_manifest(store, job, sequences[-1]) if sequences else None


def require_newest(store: ObjectStore, job: str) -> Manifest:
    """The newest manifest. Raises CheckpointMissing if there is none."""
    newest = newest_manifest(store, job)
    if newest is None:
        raise CheckpointMissing(job=job, store=store.address)
    return newest[0]
