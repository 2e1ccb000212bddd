"""Reports: how far a job is, for people."""

from dataclasses import dataclass

from services.lockserver.failures import quarantined
from services.lockserver.lifecycle import completed_epochs, is_recorded
from services.lockserver.plan import Plan
from services.lockserver.state import JobState, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One line about a job."""

    status: Status
    """A job is shown as completed only once its last manifest is written, so that whoever waits for it finds that."""
    epoch: int
    """Epochs completed by every bucket."""
    num_epochs: int
    buckets_done: int
    """Bucket epochs committed or skipped."""
    buckets_total: int
    edges_done: int
    """Committed or skipped, and trained under live leases."""
    edges_total: int
    live_leases: int
    buckets_skipped: int
    """Bucket epochs."""
    buckets_quarantined: int
    """Buckets that were skipped in their last epoch."""


def summarize(plan: Plan, state: JobState) -> Summary:
    """The summary of a job."""
    header = state.header
    unfinished = header.status is Status.COMPLETED and not is_recorded(state)
    committed = sum(plan.edges[bucket] * epochs for bucket, epochs in state.done.items())
    in_flight = sum(
        min(state.beats[lease_id].progress.edges, sum(plan.edges[bucket] for bucket in lease.buckets))
        for lease_id, lease in state.leases.items()
    )
    return Summary(
        status=Status.RUNNING if unfinished else header.status,
        epoch=completed_epochs(plan, state),
        num_epochs=header.num_epochs,
        buckets_done=sum(state.done.values()),
        buckets_total=len(plan.edges) * header.num_epochs,
        edges_done=committed + in_flight,
        edges_total=plan.edges_per_epoch * header.num_epochs,
        live_leases=len(state.leases),
        buckets_skipped=sum(len(skipped.epochs) for skipped in state.skipped.values()),
        buckets_quarantined=len(quarantined(state)),
    )


def bucket_grid(plan: Plan, state: JobState) -> tuple[int, list[int]]:
    """How many columns the grid of buckets has, and its cells row by row.

    A cell is 1 + the epochs that the bucket has completed, 0 for a bucket without edges.
    """
    rows = max((bucket.lhs for bucket in plan.edges), default=-1) + 1
    columns = max((bucket.rhs for bucket in plan.edges), default=-1) + 1
    cells = [0] * (rows * columns)
    for bucket in plan.edges:
        cells[bucket.lhs * columns + bucket.rhs] = 1 + state.done.get(bucket, 0)
    return columns, cells
