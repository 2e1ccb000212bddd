"""Calls end: with the answer, with the error, or at their deadline, whatever becomes of the server in the middle."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf.message import Message

from graphbed.errors import LeaseLost, ServerUnreachable, StoreUnavailable
from graphbed.rpc.call import PAUSES_SECONDS, call, call_stream
from graphbed.rpc.channel import open_channel
from graphbed.v1 import paramserver_pb2 as pb
from graphbed.v1 import paramserver_pb2_grpc
from tests.unit.rpc.service import Service, serving

EMPTY_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
"""The frame with which an HTTP/2 server begins."""
SECONDS = 2.0


@contextmanager
def dying_in_mid_call() -> Iterator[str]:
    """The address of a server that takes one call, and then goes away without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            connection.sendall(EMPTY_SETTINGS)
            received = b""
            while b"ParamServer" not in received:
                received += connection.recv(65536)
            listener.close()
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


def unary(stub: paramserver_pb2_grpc.ParamServerStub, address: str) -> object:
    return call(stub.Seal, pb.SealRequest(job="j"), seconds=SECONDS, service="test", address=address)


def one_push() -> Iterator[Message]:
    yield pb.PushRequest(lease_id="l")


def request_stream(stub: paramserver_pb2_grpc.ParamServerStub, address: str) -> object:
    return call(stub.Push, one_push, seconds=SECONDS, service="test", address=address)


def response_stream(stub: paramserver_pb2_grpc.ParamServerStub, address: str) -> object:
    return list(call_stream(stub.Pull, pb.PullRequest(job="j"), seconds=SECONDS, service="test", address=address))


@pytest.mark.parametrize("ask", [unary, request_stream, response_stream])
def test_a_call_whose_server_dies_in_the_middle_of_it_ends_by_its_deadline(
    ask: Callable[[paramserver_pb2_grpc.ParamServerStub, str], object],
):
    ended: list[Exception] = []

    def run(address: str) -> None:
        with open_channel(address) as channel:
            try:
                ask(paramserver_pb2_grpc.ParamServerStub(channel), address)
            except Exception as error:
                ended.append(error)

    with dying_in_mid_call() as address:
        # A daemon: a call that never ends must not keep the tests.
        thread = threading.Thread(target=run, args=(address,), daemon=True)
        thread.start()
        thread.join(SECONDS + 5.0)
        assert not thread.is_alive(), "the call did not end at its deadline"
    assert [type(error) for error in ended] == [ServerUnreachable]


class Failing:
    """Raises its error the first `times` times."""

    def __init__(self, error: Exception, *, times: int) -> None:
        self.calls = 0
        self._error = error
        self._times = times

    def __call__(self) -> None:
        self.calls += 1
        if self.calls <= self._times:
            raise self._error


@pytest.mark.parametrize("ask", [unary, request_stream])
def test_a_call_is_tried_again_while_the_server_is_unavailable(
    ask: Callable[[paramserver_pb2_grpc.ParamServerStub, str], object],
):
    action = Failing(StoreUnavailable(address="s", what="away"), times=2)
    with serving(Service(action)) as (server, stub):
        ask(stub, server.address)
    assert action.calls == 3


def test_it_is_tried_a_few_times_only():
    action = Failing(StoreUnavailable(address="s", what="away"), times=99)
    with serving(Service(action)) as (server, stub), pytest.raises(StoreUnavailable):
        unary(stub, server.address)
    assert action.calls == len(PAUSES_SECONDS) + 1


def test_a_refusal_is_not_repeated():
    action = Failing(LeaseLost(lease="l"), times=1)
    with serving(Service(action)) as (server, stub), pytest.raises(LeaseLost):
        unary(stub, server.address)
    assert action.calls == 1


def test_an_answer_that_has_begun_is_not_begun_again():
    action = Failing(StoreUnavailable(address="s", what="away"), times=1)
    with serving(Service(action)) as (server, stub), pytest.raises(StoreUnavailable):
        response_stream(stub, server.address)
    assert action.calls == 1


class LateService(Service):
    """Runs its action before it begins an answer."""

    def Pull(self, request: pb.PullRequest, context: grpc.ServicerContext) -> Iterator[pb.TensorSlice]:
        self._action()
        yield pb.TensorSlice(job=request.job)


def test_an_answer_that_has_not_begun_is_asked_for_again():
    action = Failing(StoreUnavailable(address="s", what="away"), times=2)
    with serving(LateService(action)) as (server, stub):
        assert response_stream(stub, server.address) == [pb.TensorSlice(job="j")]
    assert action.calls == 3


def test_all_tries_together_take_no_longer_than_the_deadline():
    action = Failing(StoreUnavailable(address="s", what="away"), times=99)
    with serving(Service(action)) as (server, stub):
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable):
            call(stub.Seal, pb.SealRequest(job="j"), seconds=0.25, service="test", address=server.address)
        assert time.monotonic() - begin < 0.35
    assert action.calls == 2


@pytest.mark.parametrize("ask", [unary, request_stream, response_stream])
def test_a_call_on_a_closed_channel_says_that_the_server_is_out_of_reach(
    ask: Callable[[paramserver_pb2_grpc.ParamServerStub, str], object],
):
    channel = open_channel("127.0.0.1:1")
    stub = paramserver_pb2_grpc.ParamServerStub(channel)
    channel.close()
    with pytest.raises(ServerUnreachable):
        ask(stub, "127.0.0.1:1")
