"""The servicer: messages in, calls of the coordinator, messages out. It decides nothing."""
# ruff: noqa: ARG002 - gRPC gives every method a request and a context

import datetime

import grpc
from google.protobuf.duration_pb2 import Duration

from graphbed.errors import InputError
from graphbed.graph.partition import Bucket, Partition
from graphbed.storage.receipt import Receipt
from graphbed.v1 import common_pb2, lockserver_pb2, lockserver_pb2_grpc
from services.lockserver.context import JobContext
from services.lockserver.coordinator import Commitment, Coordinator, Granted, Waiting
from services.lockserver.observer import Observer
from services.lockserver.report import bucket_grid, summarize
from services.lockserver.scheduler import NoWork
from services.lockserver.state import JobState, Lease, Progress, Status

ID_CHARACTERS = 200
"""Longest trainer or request id that is taken."""
DETAIL_CHARACTERS = 500

_REASONS = {
    NoWork.NOTHING_DUE: lockserver_pb2.WAIT_REASON_NO_JOB,
    NoWork.PARTITIONS_BUSY: lockserver_pb2.WAIT_REASON_PARTITIONS_BUSY,
    NoWork.FIRST_EPOCH: lockserver_pb2.WAIT_REASON_FIRST_EPOCH,
}
_STATUS = {
    Status.RUNNING: lockserver_pb2.JOB_STATUS_RUNNING,
    Status.COMPLETED: lockserver_pb2.JOB_STATUS_COMPLETED,
    Status.CANCELLED: lockserver_pb2.JOB_STATUS_CANCELLED,
}
_RELEASES = {
    lockserver_pb2.RELEASE_REASON_SHUTDOWN: "shutdown",
    lockserver_pb2.RELEASE_REASON_FAILED: "failed",
    lockserver_pb2.RELEASE_REASON_NOT_FINITE: "not_finite",
}


class LockServerServicer(lockserver_pb2_grpc.LockServerServicer):
    """graphbed.v1.LockServer over a coordinator, and what an observer knows of the jobs."""

    def __init__(self, coordinator: Coordinator, observer: Observer) -> None:
        self._coordinator = coordinator
        self._observer = observer

    def Acquire(
        self, request: lockserver_pb2.AcquireRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.AcquireResponse:
        answer = self._coordinator.acquire(
            trainer=_id(request.trainer_id, "trainer_id"), request_id=_id(request.request_id, "request_id")
        )
        return _acquired(answer)

    def Renew(
        self, request: lockserver_pb2.RenewRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.RenewResponse:
        progress = Progress(
            edges=request.progress.edges, bytes=request.progress.bytes, phase=int(request.progress.phase)
        )
        ttl_seconds = self._coordinator.renew(trainer=request.trainer_id, lease_id=request.lease_id, progress=progress)
        return lockserver_pb2.RenewResponse(ttl=_duration(ttl_seconds))

    def Commit(
        self, request: lockserver_pb2.CommitRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.CommitResponse:
        done = Commitment(
            lease_id=request.lease_id,
            versions=[(_partition(entry.partition), Receipt.from_proto(entry.version)) for entry in request.versions],
            parameters=Receipt.from_proto(request.parameters) if request.HasField("parameters") else None,
            edges=request.stats.edges,
            loss=request.stats.loss,
        )
        self._coordinator.commit(
            trainer=request.trainer_id, request_id=_id(request.request_id, "request_id"), done=done
        )
        return lockserver_pb2.CommitResponse()

    def Release(
        self, request: lockserver_pb2.ReleaseRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.ReleaseResponse:
        reason = _RELEASES.get(request.reason, "unspecified")
        self._coordinator.release(
            trainer=request.trainer_id,
            request_id=_id(request.request_id, "request_id"),
            lease_id=request.lease_id,
            reason=reason,
            failure=_failure(request, reason),
        )
        return lockserver_pb2.ReleaseResponse()

    def Submit(
        self, request: lockserver_pb2.SubmitRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.SubmitResponse:
        job, created = self._coordinator.submit(request.config_yaml)
        return lockserver_pb2.SubmitResponse(job=job, created=created)

    def Cancel(
        self, request: lockserver_pb2.CancelRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.CancelResponse:
        self._coordinator.cancel(request.job)
        return lockserver_pb2.CancelResponse()

    def Restore(
        self, request: lockserver_pb2.RestoreRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.RestoreResponse:
        manifest = self._coordinator.restore(request.job, request.manifest_sequence)
        return lockserver_pb2.RestoreResponse(generation=manifest.generation, manifest_sequence=manifest.sequence)

    def GetJob(
        self, request: lockserver_pb2.GetJobRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.GetJobResponse:
        job, state = self._coordinator.get_job(request.job)
        summary = _summary(job, state)
        pace = self._observer.pace(request.job)
        seconds_left = pace.seconds_left(summary.edges_total - summary.edges_done)
        return lockserver_pb2.GetJobResponse(
            summary=summary,
            config_yaml=job.config_yaml,
            leases=[_lease_info(job, state, state.leases[lease_id]) for lease_id in sorted(state.leases)],
            epochs=[
                lockserver_pb2.EpochInfo(epoch=epoch, edges=totals.edges, loss=totals.loss, leases=totals.leases)
                for epoch, totals in sorted(state.epochs.items())
            ],
            manifest_sequence=state.header.manifest_sequence,
            last_failure=state.header.last_failure,
            edges_per_second=pace.edges_per_second(),
            time_left=None if seconds_left is None else _duration(seconds_left),
            buckets=_grid(job, state) if request.with_buckets else None,
        )

    def ListJobs(
        self, request: lockserver_pb2.ListJobsRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.ListJobsResponse:
        found = self._coordinator.list_jobs()
        return lockserver_pb2.ListJobsResponse(jobs=[_summary(job, state) for job, state in found])


def _id(text: str, name: str) -> str:
    if not text or len(text) > ID_CHARACTERS:
        raise InputError(what=f"{name} must have 1 to {ID_CHARACTERS} characters")
    return text


def _failure(request: lockserver_pb2.ReleaseRequest, reason: str) -> str:
    """One line about a failure; nothing for a trainer that just goes away."""
    if reason == "shutdown":
        return ""
    return " ".join(f"{request.trainer_id}: {reason}: {request.detail}".split())[:DETAIL_CHARACTERS]


def _acquired(answer: Granted | Waiting) -> lockserver_pb2.AcquireResponse:
    if isinstance(answer, Waiting):
        wait = lockserver_pb2.Wait(retry_after=_duration(answer.retry_after_seconds), reason=_REASONS[answer.reason])
        return lockserver_pb2.AcquireResponse(wait=wait)
    lease = answer.lease
    grant = lockserver_pb2.Grant(
        job=answer.job,
        lease_id=lease.lease_id,
        epoch=lease.epoch,
        buckets=[_bucket_message(bucket) for bucket in lease.buckets],
        partitions=[
            common_pb2.PartitionVersion(
                partition=_partition_message(start.partition),
                version=start.version.to_proto() if start.version else None,
            )
            for start in lease.partitions
        ],
        learning_rate_factor=answer.learning_rate_factor,
        ttl=_duration(answer.ttl_seconds),
        likely_next=[_partition_message(partition) for partition in lease.likely_next],
    )
    return lockserver_pb2.AcquireResponse(grant=grant)


def _summary(job: JobContext, state: JobState) -> lockserver_pb2.JobSummary:
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
    )


def _grid(job: JobContext, state: JobState) -> lockserver_pb2.BucketGrid:
    columns, epochs = bucket_grid(job.plan, state)
    return lockserver_pb2.BucketGrid(columns=columns, epochs=epochs)


def _lease_info(job: JobContext, state: JobState, lease: Lease) -> lockserver_pb2.LeaseInfo:
    beat = state.beats[lease.lease_id]
    info = lockserver_pb2.LeaseInfo(
        lease_id=lease.lease_id,
        trainer_id=lease.trainer,
        epoch=lease.epoch,
        buckets=[_bucket_message(bucket) for bucket in lease.buckets],
        partitions=[_partition_message(start.partition) for start in lease.partitions],
        renewals=beat.renewals,
        progress=lockserver_pb2.Progress(edges=beat.progress.edges, bytes=beat.progress.bytes),
        edges=sum(job.plan.edges[bucket] for bucket in lease.buckets),
    )
    # Assigned by number: a later trainer may know phases that this server does not.
    info.progress.phase = lockserver_pb2.Phase.ValueType(beat.progress.phase)
    return info


def _partition(message: common_pb2.Partition) -> Partition:
    return Partition(message.entity_type, message.index)


def _partition_message(partition: Partition) -> common_pb2.Partition:
    return common_pb2.Partition(entity_type=partition.entity_type, index=partition.index)


def _bucket_message(bucket: Bucket) -> common_pb2.Bucket:
    return common_pb2.Bucket(lhs=bucket.lhs, rhs=bucket.rhs)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(datetime.timedelta(seconds=seconds))
    return duration
