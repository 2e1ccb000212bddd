"""The gRPC face of the partition server: messages in, messages out, no decision."""

# ruff: noqa: ARG002 - gRPC gives every method a context

from collections.abc import Iterator

import grpc

from graphbed.errors import InputError
from graphbed.graph.partition import Partition
from graphbed.storage.receipt import Receipt
from graphbed.v1 import partitionserver_pb2 as pb
from graphbed.v1 import partitionserver_pb2_grpc
from services.partitionserver.versions import Announced, Versions


class PartitionServicer(partitionserver_pb2_grpc.PartitionServerServicer):
    """Translates between messages and `Versions`."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    def Fetch(self, request: pb.FetchRequest, context: grpc.ServicerContext) -> Iterator[pb.FetchResponse]:
        partition = Partition(request.partition.entity_type, request.partition.index)
        pieces = self._versions.fetch(request.job, partition, Receipt.from_proto(request.version))
        return (pb.FetchResponse(data=piece) for piece in pieces)

    def Store(self, request_iterator: Iterator[pb.StoreRequest], context: grpc.ServicerContext) -> pb.StoreResponse:
        receipt = self._versions.store(_announced(request_iterator), _pieces(request_iterator))
        return pb.StoreResponse(receipt=receipt.to_proto())


def _announced(requests: Iterator[pb.StoreRequest]) -> Announced:
    first = next(requests, None)
    if first is None or first.WhichOneof("part") != "header":
        raise InputError(what="the first message of Store must be its header")
    header = first.header
    return Announced(
        job=header.job,
        lease_id=header.lease_id,
        partition=Partition(header.partition.entity_type, header.partition.index),
        size=header.size,
        sha256=header.sha256,
        rows=header.rows,
        dimension=header.dimension,
    )


def _pieces(requests: Iterator[pb.StoreRequest]) -> Iterator[bytes]:
    for request in requests:
        if request.WhichOneof("part") != "data":
            raise InputError(what="after its header a Store holds data only")
        yield request.data
