"""Manifests: durable copies of a job's pointer map, gapless and create-only."""

from typing import Self

from pydantic import BaseModel, ConfigDict

from graphbed.errors import CheckpointMissing, ObjectCorrupt
from graphbed.graph.partition import Bucket, Partition
from graphbed.storage import layout
from graphbed.storage.objects import ObjectStore, sha256_hex
from graphbed.storage.receipt import Receipt


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredVersion(_Document):
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


class Pointer(_Document):
    """The current version of one partition."""

    entity_type: str
    index: int
    version: StoredVersion

    @property
    def partition(self) -> Partition:
        return Partition(self.entity_type, self.index)


class BucketProgress(_Document):
    """How many epochs a bucket has completed."""

    lhs: int
    rhs: int
    epochs: int

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.lhs, self.rhs)


class CommitRecord(_Document):
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


class EpochTotals(_Document):
    """What the committed leases of one epoch reported."""

    epoch: int
    edges: int
    loss: float
    leases: int


class SealedParameters(_Document):
    """The job's parameters: `base` (or the initial values) plus the deltas of `deltas`, in order."""

    base: StoredVersion | None
    deltas: tuple[StoredVersion, ...]


class Manifest(_Document):
    """A checkpoint: everything needed to resume, evaluate or export, without the state store."""

    format: int = 1
    job: str
    sequence: int
    """1, 2, 3, … without gaps."""
    parent_sha256: str | None
    """Checksum of the manifest before this one; None for the first."""
    nonce: str
    """Random; tells a writer whose reply was lost that the manifest it finds is its own."""
    written_at: float
    """Wall clock, seconds since 1970; for people."""
    config_sha256: str
    graph_sha256: str
    """Of graph.json."""
    status: str
    """running, completed or cancelled."""
    pointers: tuple[Pointer, ...]
    progress: tuple[BucketProgress, ...]
    parameters: SealedParameters
    epochs: tuple[EpochTotals, ...]
    commits: tuple[CommitRecord, ...]
    """Committed since the parent; along the chain they are the job's commit log."""

    def to_json(self) -> bytes:
        return self.model_dump_json(indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Parse a manifest; raises pydantic's ValidationError."""
        return cls.model_validate_json(data)


def manifest_sequences(store: ObjectStore, job: str) -> list[int]:
    """Numbers of the manifests that exist, ascending."""
    names = (key.rsplit("/", 1)[1] for key in store.list(layout.manifests(job)) if key.endswith(".json"))
    return [int(name.removesuffix(".json")) for name in names]


def read_manifest(store: ObjectStore, job: str, sequence: int) -> tuple[Manifest, str]:
    """Manifest `sequence` and its SHA-256. Raises ObjectMissing, or ObjectCorrupt if it cannot be understood."""
    key = layout.manifest(job, sequence)
    data = store.get(key)
    try:
        manifest = Manifest.from_json(data)
    except ValueError as error:
        raise ObjectCorrupt(key=key, store=store.address, what=str(error).splitlines()[0]) from error
    return manifest, sha256_hex(data)


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


def commit_log(store: ObjectStore, job: str) -> list[CommitRecord]:
    """All commits of the job in order, by walking the chain; raises ObjectCorrupt where a parent's checksum differs."""
    log: list[CommitRecord] = []
    parent_sha256: str | None = None
    for sequence in manifest_sequences(store, job):
        manifest, sha256 = read_manifest(store, job, sequence)
        if manifest.parent_sha256 != parent_sha256:
            raise ObjectCorrupt(key=layout.manifest(job, sequence), what="its parent is another manifest")
        log.extend(manifest.commits)
        parent_sha256 = sha256
    return log
