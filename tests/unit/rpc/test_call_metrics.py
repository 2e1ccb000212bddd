"""What a process counts of the calls that it makes."""

import pytest
from prometheus_client import CollectorRegistry

from graphbed.errors import LeaseLost, ServerUnreachable
from graphbed.rpc.call import call, call_stream
from graphbed.rpc.call_metrics import ClientCalls, split_method
from graphbed.rpc.channel import open_channel
from graphbed.v1 import paramserver_pb2 as pb
from graphbed.v1 import paramserver_pb2_grpc
from tests.unit.rpc.service import Service, serving


def test_calls_are_counted_by_method_and_code_when_they_end():
    def refuse() -> None:
        raise LeaseLost(lease="l")

    registry = CollectorRegistry()

    def count(method: str, code: str) -> float | None:
        labels = {"grpc_service": "graphbed.v1.ParamServer", "grpc_method": method, "grpc_code": code}
        return registry.get_sample_value("grpc_client_handled_total", labels)

    calls = ClientCalls(registry)
    with serving(Service(refuse)) as (server, _), open_channel(server.address, calls) as channel:
        stub = paramserver_pb2_grpc.ParamServerStub(channel)
        with pytest.raises(LeaseLost):
            call(stub.Seal, pb.SealRequest(), seconds=5, service="test", address=server.address)
        with pytest.raises(LeaseLost):
            list(call_stream(stub.Pull, pb.PullRequest(), seconds=5, service="test", address=server.address))
        with pytest.raises(LeaseLost):
            call(stub.Push, lambda: iter([pb.PushRequest()]), seconds=5, service="test", address=server.address)
    assert (count("Seal", "ABORTED"), count("Pull", "ABORTED"), count("Push", "ABORTED")) == (1, 1, 1)
    labels = {"grpc_service": "graphbed.v1.ParamServer", "grpc_method": "Seal"}
    assert registry.get_sample_value("grpc_client_handling_seconds_count", labels) == 1


def test_a_server_that_is_away_is_counted_too():
    registry = CollectorRegistry()
    with open_channel("127.0.0.1:1", ClientCalls(registry)) as channel:
        stub = paramserver_pb2_grpc.ParamServerStub(channel)
        with pytest.raises(ServerUnreachable):
            call(stub.Seal, pb.SealRequest(), seconds=0.2, service="test", address="127.0.0.1:1")
    codes = {
        sample.labels["grpc_code"]
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "grpc_client_handled_total"
    }
    assert codes <= {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
    assert codes


def test_a_method_is_split_into_service_and_name():
    assert split_method("/graphbed.v1.LockServer/Acquire") == ("graphbed.v1.LockServer", "Acquire")
    assert split_method(b"/a.B/C") == ("a.B", "C")
