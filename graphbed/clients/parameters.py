"""The trainer's and the lock server's way to the parameter server."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Self, TypeVar

from google.protobuf.message import Message

from graphbed.clients.tensors import Tensor, Tensors, join_tensors, slice_tensors
from graphbed.rpc.call import call, call_stream
from graphbed.rpc.call_metrics import ClientCalls
from graphbed.rpc.channel import open_channel
from graphbed.storage.receipt import Receipt
from graphbed.v1 import paramserver_pb2, paramserver_pb2_grpc

Answer = TypeVar("Answer")

SERVICE = "paramserver"

DEADLINE_SECONDS: Mapping[str, float] = {
    "Declare": 30.0,
    "Push": 30.0,
    "Pull": 30.0,
    # These wait for the object store.
    "Seal": 60.0,
    "Settle": 60.0,
    "Compact": 60.0,
    "Forget": 5.0,
}
"""How long each call may take."""


class ParameterClient:
    """Calls of the parameter server, each with a deadline. Safe for concurrent threads.

    Every method raises ServerUnreachable with the address if the server does not answer in time.
    """

    def __init__(self, address: str, *, max_bytes: int = 1 << 30, calls: ClientCalls | None = None) -> None:
        """`address` is host:port; `max_bytes` bounds what one pull may bring. Raises InputError if malformed."""
        self.address = address
        self._max_bytes = max_bytes
        self._channel = open_channel(address, calls)
        self._stub = paramserver_pb2_grpc.ParamServerStub(self._channel)

    def declare(self, job: str, tensors: Mapping[str, Tensor]) -> None:
        """Name the job's tensors, float32 [R] or [R, K], with their initial values. Raises TensorDiffers, TooLarge."""
        self._call("Declare", self._stub.Declare, lambda: slice_tensors(job, tensors))

    def push(self, job: str, lease_id: str, sequence: int, delta: Mapping[str, Tensor]) -> None:
        """Replace the lease's delta by this whole one if `sequence` is higher than the last.

        Raises TensorUnknown, JobUnsettled, LeaseLost, NotFinite.
        """

        def requests() -> Iterator[paramserver_pb2.PushRequest]:
            for piece in slice_tensors(job, delta):
                yield paramserver_pb2.PushRequest(lease_id=lease_id, sequence=sequence, slice=piece)

        self._call("Push", self._stub.Push, requests)

    def pull(self, job: str, names: Sequence[str] = ()) -> Tensors:
        """The current sums of `names`, of all tensors if empty. Raises TensorUnknown, JobUnsettled."""
        pieces = call_stream(
            self._stub.Pull,
            paramserver_pb2.PullRequest(job=job, names=names),
            seconds=DEADLINE_SECONDS["Pull"],
            service=SERVICE,
            address=self.address,
        )
        return join_tensors(pieces, max_bytes=self._max_bytes)[1]

    def seal(self, job: str, lease_id: str, sequence: int) -> Receipt:
        """Have the lease's delta, pushed as `sequence`, made durable. Raises PushMissing, LeaseLost."""
        request = paramserver_pb2.SealRequest(job=job, lease_id=lease_id, sequence=sequence)
        return Receipt.from_proto(self._call("Seal", self._stub.Seal, request).receipt)

    def settle(
        self,
        job: str,
        seen: paramserver_pb2.SettleRound | None,
        base: Receipt | None,
        committed: Sequence[tuple[str, Receipt]],
        live: Iterable[str],
        *,
        generation: int = 0,
    ) -> paramserver_pb2.SettleRound:
        """Tell which leases count for ever, (lease id, receipt) in the order of their commits, and which may push.

        `seen` is what the last call for this job returned, before the state was read. A call with an older `seen` than
        the newest that took effect changes nothing, so call at regular times. Raises ObjectMissing, ObjectCorrupt, and
        SettleOld if a newer `generation` has settled the job.
        """
        request = paramserver_pb2.SettleRequest(
            job=job,
            seen=seen,
            base=None if base is None else base.to_proto(),
            committed=_sealed(committed),
            live_lease_ids=list(live),
            generation=generation,
        )
        return self._call("Settle", self._stub.Settle, request).round

    def compact(
        self, job: str, manifest_sequence: int, base: Receipt | None, deltas: Sequence[tuple[str, Receipt]]
    ) -> Receipt:
        """Write `base` (or the initial values) plus `deltas` as one object. Raises JobUnsettled, StoreUnavailable."""
        request = paramserver_pb2.CompactRequest(
            job=job,
            manifest_sequence=manifest_sequence,
            base=None if base is None else base.to_proto(),
            deltas=_sealed(deltas),
        )
        return Receipt.from_proto(self._call("Compact", self._stub.Compact, request).receipt)

    def forget(self, job: str) -> None:
        """Have the server hold nothing more of a job that was deleted."""
        self._call("Forget", self._stub.Forget, paramserver_pb2.ForgetRequest(job=job))

    def close(self) -> None:
        """Close the connection; running calls end with ServerUnreachable."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(
        self, name: str, method: Callable[..., Answer], request: Message | Callable[[], Iterator[Message]]
    ) -> Answer:
        return call(method, request, seconds=DEADLINE_SECONDS[name], service=SERVICE, address=self.address)


def _sealed(deltas: Sequence[tuple[str, Receipt]]) -> list[paramserver_pb2.SealedDelta]:
    return [paramserver_pb2.SealedDelta(lease_id=lease_id, receipt=receipt.to_proto()) for lease_id, receipt in deltas]
