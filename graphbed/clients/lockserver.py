"""The trainer's and the command line's way to the lock server."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self, TypeVar

from google.protobuf.message import Message

from graphbed import history
from graphbed.graph.partition import Bucket, Partition
from graphbed.rpc.call import call
from graphbed.rpc.call_metrics import ClientCalls
from graphbed.rpc.channel import open_channel
from graphbed.storage.receipt import Receipt
from graphbed.v1 import common_pb2, lockserver_pb2, lockserver_pb2_grpc

Answer = TypeVar("Answer")

SERVICE = "lockserver"

DEADLINE_SECONDS: Mapping[str, float] = {
    "Acquire": 5.0,
    "AcquireSuccessor": 5.0,
    "Renew": 5.0,
    # A commit may wait for a manifest, and that for the object store.
    "Commit": 20.0,
    "Release": 5.0,
    "Submit": 30.0,
    "Cancel": 20.0,
    "Restore": 60.0,
    # Lists and deletes thousands of objects.
    "Collect": 120.0,
    "Delete": 120.0,
    "Pause": 20.0,
    "Resume": 20.0,
    "RevokeLease": 5.0,
    "ListBuckets": 5.0,
    "Unquarantine": 20.0,
    "ListTrainers": 5.0,
    "DrainTrainer": 5.0,
    "GetJob": 5.0,
    "ListJobs": 5.0,
}
"""How long each call may take; a Renew within its lease's ttl/6, if that is less."""


class LockServerClient:
    """Calls of the lock server, each with a deadline. Safe for concurrent threads.

    Every method raises ServerUnreachable with the address if the server does not answer in time, and StoreUnavailable
    if the server cannot reach its own stores; both mean: try again with the same request id.
    """

    def __init__(self, address: str, *, calls: ClientCalls | None = None) -> None:
        """`address` is host:port; connects at the first call, and has calls counted. Raises InputError if malformed."""
        self.address = address
        self._channel = open_channel(address, calls)
        self._stub = lockserver_pb2_grpc.LockServerStub(self._channel)

    def acquire(self, trainer_id: str, request_id: str) -> lockserver_pb2.AcquireResponse:
        """Ask for work: a grant, or how long to wait."""
        request = lockserver_pb2.AcquireRequest(trainer_id=trainer_id, request_id=request_id)
        with history.operation("acquire", trainer=trainer_id, request=request_id) as told:
            reply = self._call("Acquire", self._stub.Acquire, request)
            told["lease"] = reply.grant.lease_id or None
        return reply

    def acquire_successor(
        self, trainer_id: str, request_id: str, parent_lease_id: str
    ) -> lockserver_pb2.AcquireSuccessorResponse:
        """Ask for what comes after a lease that lives: a grant, or how long to wait. Raises LeaseLost."""
        request = lockserver_pb2.AcquireSuccessorRequest(
            trainer_id=trainer_id, request_id=request_id, parent_lease_id=parent_lease_id
        )
        with history.operation("acquire", trainer=trainer_id, request=request_id, parent=parent_lease_id) as told:
            reply = self._call("AcquireSuccessor", self._stub.AcquireSuccessor, request)
            told["lease"] = reply.grant.lease_id or None
        return reply

    def renew(
        self,
        trainer_id: str,
        lease_id: str,
        progress: lockserver_pb2.Progress | None = None,
        *,
        ttl_seconds: float | None = None,
    ) -> lockserver_pb2.RenewResponse:
        """Prove that the trainer lives; waits at most a sixth of `ttl_seconds`. Raises LeaseLost."""
        request = lockserver_pb2.RenewRequest(trainer_id=trainer_id, lease_id=lease_id, progress=progress)
        sixth = None if ttl_seconds is None else ttl_seconds / 6
        with history.operation("renew", trainer=trainer_id, lease=lease_id):
            return self._call("Renew", self._stub.Renew, request, at_most=sixth)

    def commit(
        self,
        trainer_id: str,
        request_id: str,
        lease_id: str,
        versions: Sequence[tuple[Partition, Receipt]],
        parameters: Receipt | None,
        stats: lockserver_pb2.LeaseStats,
    ) -> None:
        """Make the stored versions current and the buckets done.

        Raises LeaseLost, ParentUncommitted, BadReceipt.
        """
        request = lockserver_pb2.CommitRequest(
            trainer_id=trainer_id,
            request_id=request_id,
            lease_id=lease_id,
            versions=[
                common_pb2.PartitionVersion(
                    partition=common_pb2.Partition(entity_type=partition.entity_type, index=partition.index),
                    version=receipt.to_proto(),
                )
                for partition, receipt in versions
            ],
            parameters=None if parameters is None else parameters.to_proto(),
            stats=stats,
        )
        with history.operation("commit", trainer=trainer_id, request=request_id, lease=lease_id):
            self._call("Commit", self._stub.Commit, request)

    def release(
        self,
        trainer_id: str,
        request_id: str,
        lease_id: str,
        reason: "lockserver_pb2.ReleaseReason.ValueType",
        detail: str = "",
    ) -> None:
        """Hand the lease back; `detail` is one line for people. Raises LeaseLost."""
        request = lockserver_pb2.ReleaseRequest(
            trainer_id=trainer_id, request_id=request_id, lease_id=lease_id, reason=reason, detail=detail
        )
        with history.operation("release", trainer=trainer_id, request=request_id, lease=lease_id):
            self._call("Release", self._stub.Release, request)

    def submit(self, config_yaml: str) -> tuple[str, bool]:
        """Add a job: its name, and whether it is new. Raises BadConfig, ConfigDiffers, GraphMissing."""
        request = lockserver_pb2.SubmitRequest(config_yaml=config_yaml)
        reply = self._call("Submit", self._stub.Submit, request)
        return reply.job, reply.created

    def cancel(self, job: str) -> None:
        """End a job for good. Raises JobUnknown."""
        self._call("Cancel", self._stub.Cancel, lockserver_pb2.CancelRequest(job=job))

    def restore(self, job: str, sequence: int) -> lockserver_pb2.RestoreResponse:
        """Go back to manifest `sequence`, or the next whole one before it: the reply says which.

        Raises JobUnknown, CheckpointMissing, CheckpointCondemned, CheckpointsDamaged, ConfigDiffers.
        """
        request = lockserver_pb2.RestoreRequest(job=job, manifest_sequence=sequence)
        return self._call("Restore", self._stub.Restore, request)

    def collect(self, job: str, *, dry_run: bool) -> lockserver_pb2.CollectResponse:
        """Delete some of what nobody needs, or tell what would go. Raises JobUnknown, ObjectCorrupt."""
        request = lockserver_pb2.CollectRequest(job=job, dry_run=dry_run)
        return self._call("Collect", self._stub.Collect, request)

    def delete(self, job: str) -> lockserver_pb2.DeleteResponse:
        """Delete a part of a job that has ended. Raises JobUnknown, JobNotEnded, JobNeeded."""
        return self._call("Delete", self._stub.Delete, lockserver_pb2.DeleteRequest(job=job))

    def pause(self, job: str) -> None:
        """Grant no more leases of a job; those that live may commit. Raises JobUnknown, JobEnded."""
        self._call("Pause", self._stub.Pause, lockserver_pb2.PauseRequest(job=job))

    def resume(self, job: str) -> None:
        """Let a paused job run on. Raises JobUnknown, JobEnded."""
        self._call("Resume", self._stub.Resume, lockserver_pb2.ResumeRequest(job=job))

    def revoke_lease(self, lease_id: str) -> lockserver_pb2.RevokeLeaseResponse:
        """End a lease: the job and the trainer that it belonged to. Raises LeaseLost if it does not live."""
        request = lockserver_pb2.RevokeLeaseRequest(lease_id=lease_id)
        return self._call("RevokeLease", self._stub.RevokeLease, request)

    def list_buckets(self, job: str) -> list[lockserver_pb2.BucketInfo]:
        """The buckets of a job that failed since their last commit, or were skipped. Raises JobUnknown."""
        request = lockserver_pb2.ListBucketsRequest(job=job)
        return list(self._call("ListBuckets", self._stub.ListBuckets, request).buckets)

    def unquarantine(self, job: str, bucket: Bucket | None) -> list[Bucket]:
        """Make a quarantined bucket, or all of them, due again; return which.

        Raises JobUnknown, JobEnded, and InputError if the bucket is not quarantined.
        """
        request = lockserver_pb2.UnquarantineRequest(
            job=job, bucket=None if bucket is None else common_pb2.Bucket(lhs=bucket.lhs, rhs=bucket.rhs)
        )
        reply = self._call("Unquarantine", self._stub.Unquarantine, request)
        return [Bucket(found.lhs, found.rhs) for found in reply.buckets]

    def list_trainers(self) -> list[lockserver_pb2.TrainerInfo]:
        """The trainers that the jobs remember which have not ended."""
        return list(self._call("ListTrainers", self._stub.ListTrainers, lockserver_pb2.ListTrainersRequest()).trainers)

    def drain_trainer(self, trainer_id: str, *, undo: bool = False) -> list[lockserver_pb2.HeldLease]:
        """Give a trainer no new lease, or take that back: what it still holds. Raises TrainerUnknown."""
        request = lockserver_pb2.DrainTrainerRequest(trainer_id=trainer_id, undo=undo)
        return list(self._call("DrainTrainer", self._stub.DrainTrainer, request).leases)

    def get_job(self, job: str, *, with_buckets: bool = False) -> lockserver_pb2.GetJobResponse:
        """All that is known of a job, `with_buckets` the progress of each bucket too. Raises JobUnknown."""
        request = lockserver_pb2.GetJobRequest(job=job, with_buckets=with_buckets)
        return self._call("GetJob", self._stub.GetJob, request)

    def list_jobs(self) -> list[lockserver_pb2.JobSummary]:
        """All jobs of the cluster."""
        return list(self._call("ListJobs", self._stub.ListJobs, lockserver_pb2.ListJobsRequest()).jobs)

    def close(self) -> None:
        """Close the connection; running calls end with ServerUnreachable."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(
        self, name: str, method: Callable[..., Answer], request: Message, *, at_most: float | None = None
    ) -> Answer:
        seconds = DEADLINE_SECONDS[name]
        return call(
            method,
            request,
            seconds=seconds if at_most is None else min(seconds, at_most),
            service=SERVICE,
            address=self.address,
        )
