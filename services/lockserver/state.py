"""The state of one job: what is current, what is done, who works on what. A value; only deltas change it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Self, TypeVar

from graphbed.graph.partition import Bucket, Partition
from graphbed.storage.manifest import CommitRecord, EpochTotals, SkippedBucket
from graphbed.storage.receipt import Receipt
from services.lockserver.records import Beat, Failures, Lease, Reply, RequestKind, SealedDelta, TrainerRecord

FORMAT = 3
"""Number of this layout; a state with a higher one was written by a later version. Format 1 had no generations, and
format 2 no successors."""

K = TypeVar("K")
V = TypeVar("V")


class Status(StrEnum):
    """Whether a job gives out work."""

    RUNNING = "running"
    PAUSED = "paused"
    """No new leases; the live ones may commit."""
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DELETED = "deleted"
    """Over for good; nothing that it pointed to is needed, and what is left of it goes."""

    @property
    def has_ended(self) -> bool:
        """Whether no lease can live."""
        return self in (Status.COMPLETED, Status.CANCELLED, Status.DELETED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The single values of a job's state."""

    format: int = FORMAT
    status: Status
    config_sha256: str
    document_sha256: str = ""
    """Of the configuration as it was submitted last; when it changes, every lock server reads it anew."""
    graph_sha256: str
    num_epochs: int
    generation: int = 0
    """The life of this state; 0: begun before there were generations."""
    state_identity: str = ""
    """Identity of the state store in which this generation began."""
    manifest_sequence: int = 0
    """Number of the newest manifest, 0 = none yet."""
    manifest_sha256: str | None = None
    manifest_status: Status | None = None
    """The status that the newest manifest tells."""
    manifest_epochs: int = 0
    """Epochs completed by every bucket, as the newest manifest tells."""
    base: Receipt | None = None
    """Parameters as an earlier manifest compacted them; None: the initial values."""
    next_commit: int = 1
    """Number of the next commit."""
    turns: int = 0
    """Answers remembered so far."""
    last_failure: str = ""
    """Why a lease was handed back last, for people; stays when others succeed."""
    failed_in_a_row: int = 0
    """Leases that were handed back with a failure since the last commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A change of a job's state: a new header, and for each table the new values by key, None to remove."""

    header: Header | None = None
    pointers: Mapping[Partition, Receipt | None] = field(default_factory=dict)
    done: Mapping[Bucket, int | None] = field(default_factory=dict)
    leases: Mapping[str, Lease | None] = field(default_factory=dict)
    beats: Mapping[str, Beat | None] = field(default_factory=dict)
    trainers: Mapping[str, TrainerRecord | None] = field(default_factory=dict)
    commits: Mapping[int, CommitRecord | None] = field(default_factory=dict)
    deltas: Mapping[int, SealedDelta | None] = field(default_factory=dict)
    epochs: Mapping[int, EpochTotals | None] = field(default_factory=dict)
    failures: Mapping[Bucket, Failures | None] = field(default_factory=dict)
    skipped: Mapping[Bucket, SkippedBucket | None] = field(default_factory=dict)
    draining: Mapping[str, bool | None] = field(default_factory=dict)

    def then(self, later: Self) -> Self:
        """This change and `later` as one."""
        tables = {
            entry.name: {**getattr(self, entry.name), **getattr(later, entry.name)}
            for entry in fields(self)
            if entry.name != "header"
        }
        return replace(self, header=later.header or self.header, **tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """Everything about a job that changes."""

    header: Header
    pointers: Mapping[Partition, Receipt] = field(default_factory=dict)
    """The current version of each partition that was trained."""
    done: Mapping[Bucket, int] = field(default_factory=dict)
    """Epochs behind each bucket, completed or skipped; a bucket that is missing has none."""
    leases: Mapping[str, Lease] = field(default_factory=dict)
    """The live leases by id."""
    beats: Mapping[str, Beat] = field(default_factory=dict)
    """The signs of life of the live leases."""
    trainers: Mapping[str, TrainerRecord] = field(default_factory=dict)
    commits: Mapping[int, CommitRecord] = field(default_factory=dict)
    """The commits since the newest manifest by number; the numbers have no gaps and end before `next_commit`."""
    deltas: Mapping[int, SealedDelta] = field(default_factory=dict)
    """Parameter deltas that are not in `Header.base`, by the number of their commit."""
    epochs: Mapping[int, EpochTotals] = field(default_factory=dict)
    failures: Mapping[Bucket, Failures] = field(default_factory=dict)
    """The buckets whose last leases failed."""
    skipped: Mapping[Bucket, SkippedBucket] = field(default_factory=dict)
    """The buckets that were given up in an epoch; their mark in `done` went on without a commit."""
    draining: Mapping[str, bool] = field(default_factory=dict)
    """The trainers that are given no new lease, of whatever job; always true."""

    def apply(self, delta: Delta) -> Self:
        """The state after `delta`."""
        return replace(
            self,
            header=delta.header or self.header,
            pointers=_merged(self.pointers, delta.pointers),
            done=_merged(self.done, delta.done),
            leases=_merged(self.leases, delta.leases),
            beats=_merged(self.beats, delta.beats),
            trainers=_merged(self.trainers, delta.trainers),
            commits=_merged(self.commits, delta.commits),
            deltas=_merged(self.deltas, delta.deltas),
            epochs=_merged(self.epochs, delta.epochs),
            failures=_merged(self.failures, delta.failures),
            skipped=_merged(self.skipped, delta.skipped),
            draining=_merged(self.draining, delta.draining),
        )

    def as_delta(self) -> Delta:
        """The change that makes this state out of nothing."""
        return Delta(
            header=self.header,
            pointers=self.pointers,
            done=self.done,
            leases=self.leases,
            beats=self.beats,
            trainers=self.trainers,
            commits=self.commits,
            deltas=self.deltas,
            epochs=self.epochs,
            failures=self.failures,
            skipped=self.skipped,
            draining=self.draining,
        )

    def receipts(self) -> list[Receipt]:
        """Everything that it points to: current versions, and the parameters; nothing once it is deleted."""
        if self.header.status is Status.DELETED:
            return []
        base = [] if self.header.base is None else [self.header.base]
        return [*self.pointers.values(), *(delta.receipt for delta in self.deltas.values()), *base]

    def leases_of(self, trainer: str) -> list[str]:
        """Ids of the live leases that a trainer holds."""
        return [lease_id for lease_id, lease in self.leases.items() if lease.trainer == trainer]

    def trainers_at_work(self) -> set[str]:
        """The trainers that hold a lease."""
        return {lease.trainer for lease in self.leases.values()}

    def successor_of(self, lease_id: str) -> str | None:
        """Id of the live lease that succeeds this one."""
        return next((other for other, lease in self.leases.items() if lease.parent == lease_id), None)

    def reply_to(self, trainer: str, kind: RequestKind, request_id: str) -> Reply | None:
        """The answer that this request of this trainer was given before, or None."""
        record = self.trainers.get(trainer)
        return record.reply_to(kind, request_id) if record else None

    def commits_in_order(self) -> tuple[CommitRecord, ...]:
        """The commits since the newest manifest."""
        return tuple(self.commits[number] for number in sorted(self.commits))

    def deltas_in_order(self) -> tuple[SealedDelta, ...]:
        """The parameter deltas that are not in the base, in the order of their commits."""
        return tuple(self.deltas[number] for number in sorted(self.deltas))


def _merged(old: Mapping[K, V], changes: Mapping[K, V | None]) -> Mapping[K, V]:
    if not changes:
        return old
    new = dict(old)
    for key, value in changes.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = value
    return new
