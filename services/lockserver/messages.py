"""Messages: what the lock server answers, made of its own values."""

import datetime
from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration

from graphbed.graph.partition import Bucket, Partition
from graphbed.v1 import common_pb2, lockserver_pb2
from services.lockserver.answers import Granted, Waiting
from services.lockserver.collector import Collected
from services.lockserver.context import JobContext
from services.lockserver.operations import BucketReport, TrainerReport
from services.lockserver.records import Lease
from services.lockserver.report import bucket_grid, summarize
from services.lockserver.scheduler import NoWork
from services.lockserver.state import JobState, Status

_REASONS = {
    NoWork.NOTHING_DUE: lockserver_pb2.WAIT_REASON_NO_JOB,
    NoWork.PARTITIONS_BUSY: lockserver_pb2.WAIT_REASON_PARTITIONS_BUSY,
    NoWork.FIRST_EPOCH: lockserver_pb2.WAIT_REASON_FIRST_EPOCH,
    NoWork.TRAINERS_ENOUGH: lockserver_pb2.WAIT_REASON_TRAINERS_ENOUGH,
    NoWork.STORE_AWAY: lockserver_pb2.WAIT_REASON_STORE_AWAY,
    NoWork.DRAINING: lockserver_pb2.WAIT_REASON_DRAINING,
}
_STATUS = {
    Status.RUNNING: lockserver_pb2.JOB_STATUS_RUNNING,
    Status.PAUSED: lockserver_pb2.JOB_STATUS_PAUSED,
    Status.COMPLETED: lockserver_pb2.JOB_STATUS_COMPLETED,
    Status.CANCELLED: lockserver_pb2.JOB_STATUS_CANCELLED,
    Status.DELETED: lockserver_pb2.JOB_STATUS_DELETED,
}


def grant_or_wait(answer: Granted | Waiting) -> lockserver_pb2.AcquireResponse:
    if isinstance(answer, Waiting):
        return lockserver_pb2.AcquireResponse(wait=_wait(answer))
    return lockserver_pb2.AcquireResponse(grant=_grant(answer))


def successor_or_wait(answer: Granted | Waiting) -> lockserver_pb2.AcquireSuccessorResponse:
    if isinstance(answer, Waiting):
        return lockserver_pb2.AcquireSuccessorResponse(wait=_wait(answer))
    return lockserver_pb2.AcquireSuccessorResponse(grant=_grant(answer))


def _wait(answer: Waiting) -> lockserver_pb2.Wait:
    return lockserver_pb2.Wait(retry_after=duration(answer.retry_after_seconds), reason=_REASONS[answer.reason])


def _grant(answer: Granted) -> lockserver_pb2.Grant:
    lease = answer.lease
    return lockserver_pb2.Grant(
        job=answer.job,
        lease_id=lease.lease_id,
        epoch=lease.epoch,
        buckets=[bucket_message(bucket) for bucket in lease.buckets],
        partitions=[
            common_pb2.PartitionVersion(
                partition=partition_message(start.partition),
                version=start.version.to_proto() if start.version else None,
            )
            for start in lease.partitions
        ],
        learning_rate_factor=answer.learning_rate_factor,
        ttl=duration(answer.ttl_seconds),
        likely_next=[partition_message(partition) for partition in lease.likely_next],
        parent_lease_id=lease.parent,
        from_parent=[partition_message(start.partition) for start in lease.partitions if start.from_parent],
        config_sha256=answer.config_sha256,
        graph_sha256=answer.graph_sha256,
    )


def summary_of(job: JobContext, state: JobState) -> lockserver_pb2.JobSummary:
    summary = summarize(job.plan, state)
    return lockserver_pb2.JobSummary(
        job=job.config.job,
        status=_STATUS[summary.status],
        epoch=summary.epoch,
        num_epochs=summary.num_epochs,
        buckets_done=summary.buckets_done,
        buckets_total=summary.buckets_total,
        edges_done=summary.edges_done,
        edges_total=summary.edges_total,
        live_leases=summary.live_leases,
        buckets_skipped=summary.buckets_skipped,
        buckets_quarantined=summary.buckets_quarantined,
        priority=job.config.priority,
    )


def collect_reply(collected: Collected) -> lockserver_pb2.CollectResponse:
    decision = collected.survey.decision
    return lockserver_pb2.CollectResponse(
        kept=[
            lockserver_pb2.KeptCheckpoint(sequence=sequence, reasons=reasons)
            for sequence, reasons in sorted(decision.kept.items())
        ],
        condemned=decision.condemned,
        objects=collected.objects,
        bytes=collected.bytes,
        finished=collected.finished,
        live_bytes=decision.live_bytes,
        kept_bytes=decision.kept_bytes,
        waiting_bytes=decision.garbage_bytes - collected.survey.size(decision.garbage),
    )


def grid(job: JobContext, state: JobState) -> lockserver_pb2.BucketGrid:
    columns, epochs = bucket_grid(job.plan, state)
    return lockserver_pb2.BucketGrid(columns=columns, epochs=epochs)


def lease_info(job: JobContext, state: JobState, lease: Lease) -> lockserver_pb2.LeaseInfo:
    beat = state.beats[lease.lease_id]
    info = lockserver_pb2.LeaseInfo(
        lease_id=lease.lease_id,
        trainer_id=lease.trainer,
        epoch=lease.epoch,
        buckets=[bucket_message(bucket) for bucket in lease.buckets],
        partitions=[partition_message(start.partition) for start in lease.partitions],
        renewals=beat.renewals,
        progress=lockserver_pb2.Progress(edges=beat.progress.edges, bytes=beat.progress.bytes),
        edges=sum(job.plan.edges[bucket] for bucket in lease.buckets),
        parent_lease_id=lease.parent,
    )
    # Assigned by number: a later trainer may know phases that this server does not.
    info.progress.phase = lockserver_pb2.Phase.ValueType(beat.progress.phase)
    return info


def partition_message(partition: Partition) -> common_pb2.Partition:
    return common_pb2.Partition(entity_type=partition.entity_type, index=partition.index)


def bucket_message(bucket: Bucket) -> common_pb2.Bucket:
    return common_pb2.Bucket(lhs=bucket.lhs, rhs=bucket.rhs)


def duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(datetime.timedelta(seconds=seconds))
    return duration


def bucket_info(report: BucketReport) -> lockserver_pb2.BucketInfo:
    return lockserver_pb2.BucketInfo(
        bucket=bucket_message(report.bucket),
        epoch=report.epoch,
        failed_by=report.failures.trainers,
        silent_leases=report.failures.silent,
        skipped_epochs=report.skipped_epochs,
        quarantined=report.quarantined,
        reason=report.reason,
    )


def trainer_info(report: TrainerReport) -> lockserver_pb2.TrainerInfo:
    return lockserver_pb2.TrainerInfo(
        trainer_id=report.trainer, draining=report.draining, leases=held_leases(report.leases)
    )


def held_leases(leases: Iterable[tuple[str, str]]) -> list[lockserver_pb2.HeldLease]:
    """`leases`: job and lease id of each."""
    return [lockserver_pb2.HeldLease(job=job, lease_id=lease_id) for job, lease_id in leases]
