"""The servicer: messages in, calls of the coordinator, messages out. It decides nothing."""
# ruff: noqa: ARG002 - gRPC gives every method a request and a context

import grpc

from graphbed.errors import InputError
from graphbed.graph.partition import Bucket, Partition
from graphbed.storage.receipt import Receipt
from graphbed.v1 import common_pb2, lockserver_pb2, lockserver_pb2_grpc
from services.lockserver.answers import Commitment
from services.lockserver.coordinator import Coordinator
from services.lockserver.messages import (
    bucket_info,
    bucket_message,
    collect_reply,
    duration,
    grant_or_wait,
    grid,
    held_leases,
    lease_info,
    successor_or_wait,
    summary_of,
    trainer_info,
)
from services.lockserver.observer import Observer
from services.lockserver.operations import Operations
from services.lockserver.records import Progress

ID_CHARACTERS = 200
"""Longest trainer or request id that is taken."""
DETAIL_CHARACTERS = 500

_RELEASES = {
    lockserver_pb2.RELEASE_REASON_SHUTDOWN: "shutdown",
    lockserver_pb2.RELEASE_REASON_FAILED: "failed",
    lockserver_pb2.RELEASE_REASON_NOT_FINITE: "not_finite",
}


class LockServerServicer(lockserver_pb2_grpc.LockServerServicer):
    """graphbed.v1.LockServer over a coordinator, for trainers, operations, for people, and an observer of the jobs."""

    def __init__(self, coordinator: Coordinator, operations: Operations, observer: Observer) -> None:
        self._coordinator = coordinator
        self._operations = operations
        self._observer = observer

    def Acquire(
        self, request: lockserver_pb2.AcquireRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.AcquireResponse:
        answer = self._coordinator.acquire(
            trainer=_id(request.trainer_id, "trainer_id"), request_id=_id(request.request_id, "request_id")
        )
        return grant_or_wait(answer)

    def AcquireSuccessor(
        self, request: lockserver_pb2.AcquireSuccessorRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.AcquireSuccessorResponse:
        answer = self._coordinator.succeed(
            trainer=_id(request.trainer_id, "trainer_id"),
            request_id=_id(request.request_id, "request_id"),
            parent=request.parent_lease_id,
        )
        return successor_or_wait(answer)

    def Renew(
        self, request: lockserver_pb2.RenewRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.RenewResponse:
        progress = Progress(
            edges=request.progress.edges, bytes=request.progress.bytes, phase=int(request.progress.phase)
        )
        ttl_seconds = self._coordinator.renew(trainer=request.trainer_id, lease_id=request.lease_id, progress=progress)
        return lockserver_pb2.RenewResponse(ttl=duration(ttl_seconds))

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
        self._operations.cancel(request.job)
        return lockserver_pb2.CancelResponse()

    def Restore(
        self, request: lockserver_pb2.RestoreRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.RestoreResponse:
        manifest = self._coordinator.restore(request.job, request.manifest_sequence)
        return lockserver_pb2.RestoreResponse(
            generation=manifest.generation, manifest_sequence=manifest.sequence, follows=manifest.parent
        )

    def Collect(
        self, request: lockserver_pb2.CollectRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.CollectResponse:
        return collect_reply(self._operations.collect(request.job, dry_run=request.dry_run))

    def Delete(
        self, request: lockserver_pb2.DeleteRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.DeleteResponse:
        deleted = self._operations.delete(request.job)
        return lockserver_pb2.DeleteResponse(objects=deleted.objects, bytes=deleted.bytes, finished=deleted.finished)

    def Pause(
        self, request: lockserver_pb2.PauseRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.PauseResponse:
        self._operations.pause(request.job)
        return lockserver_pb2.PauseResponse()

    def Resume(
        self, request: lockserver_pb2.ResumeRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.ResumeResponse:
        self._operations.resume(request.job)
        return lockserver_pb2.ResumeResponse()

    def RevokeLease(
        self, request: lockserver_pb2.RevokeLeaseRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.RevokeLeaseResponse:
        job, lease = self._operations.revoke(request.lease_id)
        return lockserver_pb2.RevokeLeaseResponse(job=job, trainer_id=lease.trainer)

    def ListBuckets(
        self, request: lockserver_pb2.ListBucketsRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.ListBucketsResponse:
        found = self._operations.buckets(request.job)
        return lockserver_pb2.ListBucketsResponse(buckets=[bucket_info(report) for report in found])

    def Unquarantine(
        self, request: lockserver_pb2.UnquarantineRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.UnquarantineResponse:
        bucket = Bucket(request.bucket.lhs, request.bucket.rhs) if request.HasField("bucket") else None
        found = self._operations.unquarantine(request.job, bucket)
        return lockserver_pb2.UnquarantineResponse(buckets=[bucket_message(other) for other in found])

    def ListTrainers(
        self, request: lockserver_pb2.ListTrainersRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.ListTrainersResponse:
        found = self._operations.trainers()
        return lockserver_pb2.ListTrainersResponse(trainers=[trainer_info(report) for report in found])

    def DrainTrainer(
        self, request: lockserver_pb2.DrainTrainerRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.DrainTrainerResponse:
        leases = self._operations.drain(_id(request.trainer_id, "trainer_id"), undo=request.undo)
        return lockserver_pb2.DrainTrainerResponse(leases=held_leases(leases))

    def GetJob(
        self, request: lockserver_pb2.GetJobRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.GetJobResponse:
        job, state = self._coordinator.get_job(request.job)
        summary = summary_of(job, state)
        pace = self._observer.pace(request.job)
        seconds_left = pace.seconds_left(summary.edges_total - summary.edges_done)
        return lockserver_pb2.GetJobResponse(
            summary=summary,
            config_yaml=job.config_yaml,
            leases=[lease_info(job, state, state.leases[lease_id]) for lease_id in sorted(state.leases)],
            epochs=[
                lockserver_pb2.EpochInfo(epoch=epoch, edges=totals.edges, loss=totals.loss, leases=totals.leases)
                for epoch, totals in sorted(state.epochs.items())
            ],
            manifest_sequence=state.header.manifest_sequence,
            last_failure=state.header.last_failure,
            edges_per_second=pace.edges_per_second(),
            time_left=None if seconds_left is None else duration(seconds_left),
            buckets=grid(job, state) if request.with_buckets else None,
        )

    def ListJobs(
        self, request: lockserver_pb2.ListJobsRequest, context: grpc.ServicerContext
    ) -> lockserver_pb2.ListJobsResponse:
        found = self._coordinator.list_jobs()
        return lockserver_pb2.ListJobsResponse(jobs=[summary_of(job, state) for job, state in found])


def _id(text: str, name: str) -> str:
    if not text or len(text) > ID_CHARACTERS:
        raise InputError(what=f"{name} must have 1 to {ID_CHARACTERS} characters")
    return text


def _failure(request: lockserver_pb2.ReleaseRequest, reason: str) -> str:
    """One line about a failure; nothing for a trainer that just goes away."""
    if reason == "shutdown":
        return ""
    return " ".join(f"{request.trainer_id}: {reason}: {request.detail}".split())[:DETAIL_CHARACTERS]


def _partition(message: common_pb2.Partition) -> Partition:
    return Partition(message.entity_type, message.index)
