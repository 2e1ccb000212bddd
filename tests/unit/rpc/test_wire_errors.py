"""An error raised in a server is the same error at the caller."""

import time
from collections.abc import Callable

import pytest

from graphbed import errors
from graphbed.errors import (
    BadConfig,
    GraphbedError,
    JobUnsettled,
    LeaseLost,
    ServerFailed,
    ServerUnreachable,
    TooLarge,
)
from graphbed.rpc.call import call, call_stream
from graphbed.rpc.limits import MESSAGE_BYTES
from graphbed.v1 import paramserver_pb2 as pb
from graphbed.v1 import paramserver_pb2_grpc
from tests.unit.rpc.service import Service, serving

Stub = paramserver_pb2_grpc.ParamServerStub


def unary(stub: Stub, address: str, seconds: float = 5.0) -> object:
    return call(stub.Seal, pb.SealRequest(), seconds=seconds, service="test", address=address)


def client_stream(stub: Stub, address: str, seconds: float = 5.0) -> object:
    pushes = [pb.PushRequest(), pb.PushRequest()]
    return call(stub.Push, lambda: iter(pushes), seconds=seconds, service="test", address=address)


def server_stream(stub: Stub, address: str, seconds: float = 5.0) -> object:
    return list(call_stream(stub.Pull, pb.PullRequest(), seconds=seconds, service="test", address=address))


every_kind = pytest.mark.parametrize("kind", [unary, client_stream, server_stream])


def raising(error: Exception) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


@every_kind
def test_an_error_of_the_catalogue_arrives_as_itself_with_its_facts(kind: Callable[..., object]):
    raised = LeaseLost(lease="0f", holder="träger-2")
    with serving(Service(raising(raised))) as (server, stub), pytest.raises(LeaseLost) as caught:
        kind(stub, server.address)
    assert caught.value.facts == {"lease": "0f", "holder": "träger-2"}
    assert str(caught.value) == str(raised)


def test_every_class_of_the_catalogue_has_its_own_reason():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GraphbedError)]
    assert len({kind.reason for kind in kinds}) == len(kinds) > 20


def test_the_first_messages_of_a_stream_arrive_before_its_error():
    with serving(Service(raising(LeaseLost()))) as (server, stub):
        answers = call_stream(stub.Pull, pb.PullRequest(), seconds=5, service="test", address=server.address)
        assert next(answers).job == "first"
        with pytest.raises(LeaseLost):
            next(answers)


@every_kind
def test_an_unexpected_error_tells_the_caller_no_detail_and_the_log_everything(
    kind: Callable[..., object], caplog: pytest.LogCaptureFixture
):
    service = Service(raising(ValueError("hunter2")))
    with serving(service) as (server, stub), pytest.raises(GraphbedError) as caught:
        kind(stub, server.address)
    assert type(caught.value) is GraphbedError
    assert "hunter2" not in str(caught.value)
    assert "log of the process" in str(caught.value)
    assert any("hunter2" in str(record.exc_info) for record in caplog.records)


@every_kind
def test_a_call_that_takes_too_long_ends_with_the_address(kind: Callable[..., object]):
    with serving(Service(lambda: time.sleep(0.8))) as (server, stub):
        begin = time.monotonic()
        with pytest.raises(ServerUnreachable) as caught:
            kind(stub, server.address, 0.2)
        assert time.monotonic() - begin < 0.7
    assert caught.value.facts == {"service": "test", "address": server.address}
    assert server.address in str(caught.value)


@every_kind
def test_a_port_that_nobody_listens_on_is_named(kind: Callable[..., object]):
    with serving(Service(lambda: None)) as (server, stub):
        server.stop(0)
        with pytest.raises(ServerUnreachable, match=server.address):
            kind(stub, server.address)


def test_unavailable_with_a_reason_keeps_it():
    with serving(Service(raising(JobUnsettled()))) as (server, stub), pytest.raises(JobUnsettled):
        unary(stub, server.address)


def test_a_method_that_the_server_lacks_is_said_so():
    with serving(Service(lambda: None)) as (server, stub), pytest.raises(ServerFailed, match=server.address):
        call(stub.Compact, pb.CompactRequest(), seconds=5, service="test", address=server.address)


def test_a_message_above_the_limit_is_refused():
    request = pb.SealRequest(job="x" * MESSAGE_BYTES)
    with serving(Service(lambda: None)) as (server, stub), pytest.raises(TooLarge, match=server.address):
        call(stub.Seal, request, seconds=5, service="test", address=server.address)


def test_long_facts_are_clipped_so_that_the_error_still_arrives():
    raised = BadConfig(what="ü" * 100_000, **{f"fact{number}": "y" * 10_000 for number in range(100)})
    with serving(Service(raising(raised))) as (server, stub), pytest.raises(BadConfig) as caught:
        unary(stub, server.address)
    assert caught.value.facts["what"].startswith("üüü")
    assert len(str(caught.value)) < 4096


def test_a_reader_that_stops_early_ends_the_call():
    service = Service(lambda: None)
    with serving(service) as (server, stub):
        answers = call_stream(stub.Pull, pb.PullRequest(), seconds=5, service="test", address=server.address)
        assert next(answers).job == "first"
        answers.close()
        assert unary(stub, server.address) == pb.SealResponse()
