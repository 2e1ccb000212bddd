"""What trainers tell the coordinator of a lease, and what it answers when they ask for one."""

from collections.abc import Sequence
from dataclasses import dataclass

from graphbed.graph.partition import Partition
from graphbed.storage.receipt import Receipt
from services.lockserver.context import JobContext
from services.lockserver.records import Lease
from services.lockserver.scheduler import NoWork

RETRY_BUSY_SECONDS = 0.25
RETRY_NO_JOB_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A lease of a job."""

    job: str
    config_sha256: str
    graph_sha256: str
    lease: Lease
    learning_rate_factor: float
    ttl_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """No lease now; ask again after `retry_after_seconds`."""

    reason: NoWork
    """NOTHING_DUE: no job runs that has work left. DRAINING: never ask again."""
    retry_after_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """What a trainer says it has done under a lease."""

    lease_id: str
    versions: Sequence[tuple[Partition, Receipt]]
    parameters: Receipt | None
    edges: int
    loss: float


def granted_of(context: JobContext, lease: Lease) -> Granted:
    """A lease of a job, with what its trainer must know of the job."""
    return Granted(
        job=context.config.job,
        config_sha256=context.config.digest(),
        graph_sha256=context.graph_sha256,
        lease=lease,
        learning_rate_factor=context.config.learning_rate_factor(lease.epoch),
        ttl_seconds=context.config.lease.ttl_seconds,
    )


def waiting_for(reasons: Sequence[NoWork]) -> Waiting:
    """The first of the reasons in the order of what the trainer can do about them."""
    for reason in (
        NoWork.DRAINING,
        NoWork.STORE_AWAY,
        NoWork.PARTITIONS_BUSY,
        NoWork.FIRST_EPOCH,
        NoWork.TRAINERS_ENOUGH,
    ):
        if reason in reasons:
            return Waiting(reason=reason, retry_after_seconds=RETRY_BUSY_SECONDS)
    return Waiting(reason=NoWork.NOTHING_DUE, retry_after_seconds=RETRY_NO_JOB_SECONDS)
