"""Records: the values in the tables of a job's state."""

from dataclasses import dataclass
from enum import StrEnum

from graphbed.graph.partition import Bucket, Partition
from graphbed.storage.receipt import Receipt


class RequestKind(StrEnum):
    """The requests whose answers are remembered."""

    ACQUIRE = "acquire"
    COMMIT = "commit"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartVersion:
    """A partition of a lease and the version to start from; None: never trained, initialised from the seed."""

    partition: Partition
    version: Receipt | None
    from_parent: bool = False
    """It starts from what the lease's parent will store, which has no receipt yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One trainer's right to train `buckets` in `epoch` and to replace `partitions`."""

    lease_id: str
    trainer: str
    epoch: int
    buckets: tuple[Bucket, ...]
    partitions: tuple[StartVersion, ...]
    likely_next: tuple[Partition, ...]
    """What a later lease of this trainer probably needs."""
    parent: str = ""
    """Id of the lease that this one succeeds: it commits after that one, and is void if that is void. Empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a lease has come, as its trainer says: edges trained, bytes moved, and the number of its phase."""

    edges: int = 0
    bytes: int = 0
    phase: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The sign of life of a lease; kept apart from it because it changes often and is small."""

    renewals: int = 0
    progress: Progress = Progress()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is given again when the same request comes again."""

    kind: RequestKind
    request_id: str
    lease: Lease | None
    """What an acquire was granted; None for the other kinds, whose answers are empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """What went wrong with a bucket since it was committed last; gone with its next commit."""

    trainers: tuple[str, ...] = ()
    """Who failed it, once for each failure that counts, the oldest first; the newest are kept."""
    turns: tuple[int, ...] = ()
    """Value of `Header.turns` at each of these failures."""
    silent: int = 0
    """Its last leases, as many in a row, that ended without a word of their trainer."""
    reason: str = ""
    """What was said last; for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerRecord:
    """What a job remembers of one trainer."""

    last_commit: str | None = None
    """Id of its last committed lease: the versions of that name are probably still in its memory."""
    replies: tuple[Reply, ...] = ()
    """The newest last."""
    turn: int = 0
    """Value of `Header.turns` when this was written; the trainers with the lowest are forgotten first."""
    refused_at: int | None = None
    """Value of `Header.turns` when it was last noted that others hold what it could train; None: it was given work."""

    def reply_to(self, kind: RequestKind, request_id: str) -> Reply | None:
        """The answer that was given to this request, or None."""
        return next((reply for reply in self.replies if (reply.kind, reply.request_id) == (kind, request_id)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDelta:
    """The parameter delta of a committed lease, not yet part of `Header.base`."""

    lease_id: str
    receipt: Receipt
