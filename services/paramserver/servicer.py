"""The gRPC face of the parameter server: messages in, messages out, no decision."""

# ruff: noqa: ARG002 - gRPC gives every method a context

from collections.abc import Callable, Iterable, Iterator

import grpc

from graphbed.clients.tensors import TensorJoiner, join_tensors, slice_tensors
from graphbed.errors import InputError
from graphbed.storage.receipt import Receipt
from graphbed.v1 import paramserver_pb2 as pb
from graphbed.v1 import paramserver_pb2_grpc
from services.paramserver.job import Deltas
from services.paramserver.jobs import Jobs
from services.paramserver.rounds import Round


class ParamServicer(paramserver_pb2_grpc.ParamServerServicer):
    """Translates between messages and `Jobs`."""

    def __init__(self, jobs: Jobs, *, max_job_bytes: int, random_id: Callable[[], str]) -> None:
        self._jobs = jobs
        self._max_job_bytes = max_job_bytes
        self._random_id = random_id

    def Declare(self, request_iterator: Iterable[pb.TensorSlice], context: grpc.ServicerContext) -> pb.DeclareResponse:
        job, tensors = join_tensors(request_iterator, max_bytes=self._max_job_bytes)
        self._jobs.declare(job, tensors)
        return pb.DeclareResponse()

    def Push(self, request_iterator: Iterable[pb.PushRequest], context: grpc.ServicerContext) -> pb.PushResponse:
        joiner = TensorJoiner(max_bytes=self._max_job_bytes)
        pushes: set[tuple[str, int]] = set()
        for request in request_iterator:
            pushes.add((request.lease_id, request.sequence))
            if len(pushes) > 1:
                raise InputError(what="the messages of one push have one lease and one sequence number")
            joiner.add(request.slice)
        delta = joiner.finish()
        lease_id, sequence = pushes.pop()
        self._jobs.push(joiner.job, lease_id, sequence, delta)
        return pb.PushResponse()

    def Pull(self, request: pb.PullRequest, context: grpc.ServicerContext) -> Iterator[pb.TensorSlice]:
        return slice_tensors(request.job, self._jobs.pull(request.job, list(request.names)))

    def Seal(self, request: pb.SealRequest, context: grpc.ServicerContext) -> pb.SealResponse:
        receipt = self._jobs.seal(request.job, request.lease_id, request.sequence)
        return pb.SealResponse(receipt=receipt.to_proto())

    def Settle(self, request: pb.SettleRequest, context: grpc.ServicerContext) -> pb.SettleResponse:
        issued = self._jobs.settle(
            request.job,
            Round(request.seen.server_id, request.seen.number) if request.HasField("seen") else None,
            Receipt.from_proto(request.base) if request.HasField("base") else None,
            _deltas(request.committed),
            request.live_lease_ids,
            generation=request.generation,
        )
        return pb.SettleResponse(round=pb.SettleRound(server_id=issued.server_id, number=issued.number))

    def Compact(self, request: pb.CompactRequest, context: grpc.ServicerContext) -> pb.CompactResponse:
        receipt = self._jobs.compact(
            request.job,
            request.manifest_sequence,
            Receipt.from_proto(request.base) if request.HasField("base") else None,
            _deltas(request.deltas),
            self._random_id(),
        )
        return pb.CompactResponse(receipt=receipt.to_proto())

    def Forget(self, request: pb.ForgetRequest, context: grpc.ServicerContext) -> pb.ForgetResponse:
        self._jobs.forget(request.job)
        return pb.ForgetResponse()


def _deltas(messages: Iterable[pb.SealedDelta]) -> Deltas:
    return [(message.lease_id, Receipt.from_proto(message.receipt)) for message in messages]
