"""The partition servers as a trainer sees them: any of them can give and take any version."""

import hashlib
import io
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import grpc

from graphbed.clock import Clock, SystemClock
from graphbed.errors import InputError, ObjectCorrupt, ServerUnreachable
from graphbed.graph.partition import Partition
from graphbed.rpc.call import call, call_stream
from graphbed.rpc.call_metrics import ClientCalls
from graphbed.rpc.channel import open_channel
from graphbed.storage.objects import sha256_hex
from graphbed.storage.receipt import Receipt
from graphbed.v1 import common_pb2, partitionserver_pb2_grpc
from graphbed.v1 import partitionserver_pb2 as pb

_SERVICE = "partition server"
_PIECE_BYTES = 1 << 20
# A store that is as slow as one disk behind a busy network still makes 2 MB/s.
_DEADLINE_SECONDS = 30.0
_SLOWEST_BYTES_PER_SECOND = 2e6
AVOID_SECONDS = 30.0
"""A server that did not answer is asked last for so long."""

Answer = TypeVar("Answer")


class PartitionClient:
    """Asks the server that a partition falls to, so that caches do not overlap, and the others when it is away.

    Safe for threads.
    """

    def __init__(
        self, addresses: Sequence[str], *, clock: Clock | None = None, calls: ClientCalls | None = None
    ) -> None:
        """`addresses`: host:port of every partition server. Connects later. Raises InputError."""
        if not addresses:
            raise InputError(what="at least one partition server is needed")
        self._channels: dict[str, grpc.Channel] = {address: open_channel(address, calls) for address in addresses}
        # Made once: making one on a channel that was closed crashes the process (seen in grpcio 1.85).
        self._stubs = {
            address: partitionserver_pb2_grpc.PartitionServerStub(channel)
            for address, channel in self._channels.items()
        }
        self._clock = clock or SystemClock()
        self._avoided_until: dict[str, float] = {}
        self._lock = threading.Lock()

    def fetch(self, job: str, partition: Partition, receipt: Receipt) -> bytes:
        """The bytes of the version that `receipt` names.

        Raises ObjectCorrupt if they are others, ObjectMissing, BadReceipt, StoreUnavailable, ServerUnreachable.
        """
        request = pb.FetchRequest(job=job, partition=_to_proto(partition), version=receipt.to_proto())

        def fetch_from(address: str) -> bytes:
            fetch = self._stubs[address].Fetch
            seconds = _deadline(receipt.size)
            responses = call_stream(fetch, request, seconds=seconds, service=_SERVICE, address=address)
            return _gather(responses, receipt)

        return self._ask(partition, fetch_from)

    def store(self, job: str, lease_id: str, partition: Partition, data: bytes, rows: int, dimension: int) -> Receipt:
        """Make `data`, a partition file of V `rows` and D `dimension`, durable as the version of this lease.

        Repeating it with the same bytes is safe. Raises BadPartition, TooLarge, ObjectCorrupt (damaged on the way),
        StoreFull, StoreUnavailable, StoreDenied, ServerUnreachable.
        """
        header = pb.StoreHeader(
            job=job,
            lease_id=lease_id,
            partition=_to_proto(partition),
            size=len(data),
            sha256=sha256_hex(data),
            rows=rows,
            dimension=dimension,
        )

        def store_at(address: str) -> Receipt:
            store = self._stubs[address].Store
            messages = partial(_messages, header, data)
            response = call(store, messages, seconds=_deadline(len(data)), service=_SERVICE, address=address)
            return Receipt.from_proto(response.receipt)

        return self._ask(partition, store_at)

    def close(self) -> None:
        """End all connections; running calls end with ServerUnreachable."""
        for channel in self._channels.values():
            channel.close()

    def _ask(self, partition: Partition, ask: Callable[[str], Answer]) -> Answer:
        """Ask one server after the other until one is reached; raise the first's ServerUnreachable if none is."""
        failure: ServerUnreachable | None = None
        for address in self._order(partition):
            try:
                answer = ask(address)
            except ServerUnreachable as error:
                with self._lock:
                    self._avoided_until[address] = self._clock.monotonic() + AVOID_SECONDS
                failure = failure or error
            else:
                with self._lock:
                    self._avoided_until.pop(address, None)
                return answer
        assert failure is not None, "there is at least one server"
        raise failure

    def _order(self, partition: Partition) -> list[str]:
        now = self._clock.monotonic()
        with self._lock:
            avoided = {address for address, until in self._avoided_until.items() if until > now}
        # Sorting keeps the order among those that compare equal.
        return sorted(preference(list(self._channels), partition), key=lambda address: address in avoided)


def preference(addresses: Sequence[str], partition: Partition) -> list[str]:
    """The servers in the order in which `partition` prefers them; the same for every client.

    Rendezvous hashing (Thaler and Ravishankar, 1998): when a server goes, only its own partitions move.
    """

    def score(address: str) -> bytes:
        name = f"{address}\0{partition.entity_type}\0{partition.index}"
        return hashlib.blake2b(name.encode(), digest_size=16).digest()

    return sorted(addresses, key=score, reverse=True)


def _gather(responses: Iterator[pb.FetchResponse], receipt: Receipt) -> bytes:
    """The streamed bytes, if they are those of the receipt; takes no more than its size."""
    data = io.BytesIO()
    for response in responses:
        piece = response.data
        if data.tell() + len(piece) > receipt.size:
            raise ObjectCorrupt(key=receipt.key)
        data.write(piece)
    gathered = data.getvalue()
    if len(gathered) != receipt.size or sha256_hex(gathered) != receipt.sha256:
        raise ObjectCorrupt(key=receipt.key)
    return gathered


def _messages(header: pb.StoreHeader, data: bytes) -> Iterator[pb.StoreRequest]:
    yield pb.StoreRequest(header=header)
    for start in range(0, len(data), _PIECE_BYTES):
        yield pb.StoreRequest(data=data[start : start + _PIECE_BYTES])


def _deadline(size: int) -> float:
    return _DEADLINE_SECONDS + size / _SLOWEST_BYTES_PER_SECOND


def _to_proto(partition: Partition) -> common_pb2.Partition:
    return common_pb2.Partition(entity_type=partition.entity_type, index=partition.index)
