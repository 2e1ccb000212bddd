"""Answers of a lock server about a job, as one needs them."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphbed.v1 import common_pb2, lockserver_pb2


def lease(
    lease_id: str, trainer: str, buckets: Sequence[tuple[int, int]], *, epoch: int = 0, done: int = 0, edges: int = 100
) -> lockserver_pb2.LeaseInfo:
    """A live lease that is in its train phase."""
    return lockserver_pb2.LeaseInfo(
        lease_id=lease_id,
        trainer_id=trainer,
        epoch=epoch,
        buckets=[common_pb2.Bucket(lhs=lhs, rhs=rhs) for lhs, rhs in buckets],
        progress=lockserver_pb2.Progress(edges=done, phase=lockserver_pb2.PHASE_TRAIN),
        edges=edges,
    )


def reply(
    *,
    partitions: int = 4,
    done: Mapping[tuple[int, int], int] | None = None,
    absent: Sequence[tuple[int, int]] = (),
    leases: Sequence[lockserver_pb2.LeaseInfo] = (),
    epochs: Sequence[lockserver_pb2.EpochInfo] = (),
    **changes: Any,
) -> lockserver_pb2.GetJobResponse:
    """A job with partitions × partitions buckets; `done`: epochs completed, 0 if missing; `absent`: without edges."""
    cells = [
        0 if (lhs, rhs) in absent else 1 + (done or {}).get((lhs, rhs), 0)
        for lhs in range(partitions)
        for rhs in range(partitions)
    ]
    summary = lockserver_pb2.JobSummary(
        job="j",
        status=changes.pop("status", lockserver_pb2.JOB_STATUS_RUNNING),
        epoch=changes.pop("epoch", 0),
        num_epochs=3,
        edges_done=changes.pop("edges_done", 300),
        edges_total=1200,
        live_leases=len(leases),
        buckets_quarantined=changes.pop("quarantined", 0),
    )
    return lockserver_pb2.GetJobResponse(
        summary=summary,
        leases=leases,
        epochs=epochs,
        buckets=lockserver_pb2.BucketGrid(columns=partitions, epochs=cells),
        **changes,
    )
