"""A small service with every kind of method the project has, for tests of what surrounds calls."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import grpc
from prometheus_client import CollectorRegistry

from graphbed.rpc.channel import open_channel
from graphbed.rpc.server import RunningServer, start_server
from graphbed.v1 import paramserver_pb2 as pb
from graphbed.v1 import paramserver_pb2_grpc

SERVICE_NAME = "graphbed.v1.ParamServer"


class Service(paramserver_pb2_grpc.ParamServerServicer):
    """Runs `action` in the middle of every call."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self.entered = threading.Event()

    def Seal(self, request: pb.SealRequest, context: grpc.ServicerContext) -> pb.SealResponse:
        self.entered.set()
        self._action()
        return pb.SealResponse()

    def Push(self, request_iterator: Iterable[pb.PushRequest], context: grpc.ServicerContext) -> pb.PushResponse:
        next(iter(request_iterator))
        self._action()
        return pb.PushResponse()

    def Pull(self, request: pb.PullRequest, context: grpc.ServicerContext) -> Iterator[pb.TensorSlice]:
        yield pb.TensorSlice(job="first")
        self._action()
        yield pb.TensorSlice(job="second")


@contextmanager
def serving(
    service: Service, *, registry: CollectorRegistry | None = None, metrics_listen: str | None = None
) -> Iterator[tuple[RunningServer, paramserver_pb2_grpc.ParamServerStub]]:
    """A real server for `service` and a stub connected to it."""
    server = start_server(
        service_name=SERVICE_NAME,
        register=lambda made: paramserver_pb2_grpc.add_ParamServerServicer_to_server(service, made),
        listen="127.0.0.1:0",
        metrics_listen=metrics_listen,
        registry=registry or CollectorRegistry(),
    )
    try:
        with open_channel(server.address) as channel:
            yield server, paramserver_pb2_grpc.ParamServerStub(channel)
    finally:
        server.stop(0)
