"""Starting, watching and stopping a server."""

import threading
import urllib.request
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from graphbed.errors import GraphbedError, InputError, LeaseLost, ProtocolDiffers, ServerUnreachable
from graphbed.rpc import healthcheck
from graphbed.rpc.addresses import join_address, split_address
from graphbed.rpc.call import call
from graphbed.rpc.healthcheck import is_serving
from graphbed.rpc.server import start_server
from graphbed.v1 import paramserver_pb2 as pb
from tests.unit.rpc.service import SERVICE_NAME, Service, serving


def test_health_is_told_for_the_server_and_for_its_service():
    with serving(Service(lambda: None)) as (server, _):
        assert is_serving(server.address)
        assert is_serving(server.address, SERVICE_NAME)
        server.set_serving(False)
        assert not is_serving(server.address)
        assert not is_serving(server.address, SERVICE_NAME)
        with pytest.raises(GraphbedError):
            is_serving(server.address, "graphbed.v1.Nobody")


def test_the_health_command_answers_by_its_exit_code(capsys: pytest.CaptureFixture[str]):
    with serving(Service(lambda: None)) as (server, _):
        assert healthcheck.main([server.address]) == 0
        server.set_serving(False)
        assert healthcheck.main([server.address, SERVICE_NAME]) == 1
    assert healthcheck.main([server.address]) == 1
    assert server.address in capsys.readouterr().err
    assert healthcheck.main([]) == 2


def test_a_running_call_may_end_while_the_server_stops():
    go_on = threading.Event()
    service = Service(lambda: go_on.wait(10) and None)
    answers: list[object] = []
    with serving(service) as (server, stub):

        def ask() -> None:
            answers.append(call(stub.Seal, pb.SealRequest(), seconds=10, service="test", address=server.address))

        asking = threading.Thread(target=ask)
        asking.start()
        assert service.entered.wait(5)
        stopping = threading.Thread(target=server.stop, args=(10,))
        stopping.start()
        with pytest.raises(ServerUnreachable):
            # New calls are refused at once, on a connection of their own as on the old one.
            while True:
                is_serving(server.address, seconds=2)
        assert stopping.is_alive()
        go_on.set()
        stopping.join(5)
        asking.join(5)
        assert not stopping.is_alive()
    assert answers == [pb.SealResponse()]


def test_a_call_that_outlasts_the_grace_is_cut_off_as_unreachable():
    go_on = threading.Event()
    service = Service(lambda: go_on.wait(10) and None)
    failures: list[Exception] = []
    with serving(service) as (server, stub):

        def ask() -> None:
            try:
                call(stub.Seal, pb.SealRequest(), seconds=10, service="test", address=server.address)
            except GraphbedError as error:
                failures.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        assert service.entered.wait(5)
        server.stop(0.1)
        asking.join(5)
        go_on.set()
    assert [type(error) for error in failures] == [ServerUnreachable]


def test_calls_are_counted_by_status_and_timed_and_scraped_over_http():
    def refuse() -> None:
        raise LeaseLost()

    registry = CollectorRegistry()
    with serving(Service(refuse), registry=registry, metrics_listen="127.0.0.1:0") as (server, stub):
        for _ in range(2):
            with pytest.raises(LeaseLost):
                call(stub.Seal, pb.SealRequest(), seconds=5, service="test", address=server.address)
        assert is_serving(server.address)
        with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=5) as page:
            text = page.read().decode()
    seal = 'grpc_method="Seal",grpc_service="graphbed.v1.ParamServer"'
    check = 'grpc_method="Check",grpc_service="grpc.health.v1.Health"'
    assert f'grpc_server_handled_total{{grpc_code="ABORTED",{seal}}} 2.0' in text
    assert f'grpc_server_handled_total{{grpc_code="OK",{check}}} 1.0' in text
    assert f"grpc_server_handling_seconds_count{{{seal}}} 2.0" in text
    assert 'graphbed_build_info{python="' in text
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=1)


def test_a_method_that_nobody_has_gets_no_label_of_its_own():
    registry = CollectorRegistry()
    with serving(Service(lambda: None), registry=registry) as (server, _):
        from graphbed.rpc.channel import open_channel

        with open_channel(server.address) as channel, pytest.raises(GraphbedError):
            invented = channel.unary_unary("/graphbed.v1.ParamServer/Invented")
            call(invented, b"", seconds=5, service="test", address=server.address)
    labels = {"grpc_service": "other", "grpc_method": "other", "grpc_code": "UNIMPLEMENTED"}
    assert registry.get_sample_value("grpc_server_handled_total", labels) == 1


def test_a_taken_port_is_named_and_not_shared():
    with serving(Service(lambda: None), metrics_listen="127.0.0.1:0") as (server, _):

        def start(listen: str, metrics_listen: str | None) -> None:
            start_server(
                service_name="again",
                register=lambda _: None,
                listen=listen,
                metrics_listen=metrics_listen,
                registry=CollectorRegistry(),
            )

        with pytest.raises(InputError, match=server.address):
            start(server.address, None)
        assert server.metrics_address is not None
        with pytest.raises(InputError, match=server.metrics_address):
            start("127.0.0.1:0", server.metrics_address)


@pytest.mark.parametrize("address", ["", "host", "host:", ":7101", "host:port", "host:70000", "host:-1"])
def test_what_is_no_address_is_refused(address: str):
    with pytest.raises(InputError):
        split_address(address)


def test_addresses_of_both_protocols_are_split_and_joined():
    for address in ("127.0.0.1:7101", "[::1]:0", "lock-0.lock:7101"):
        assert join_address(*split_address(address)) == address


@pytest.mark.parametrize("version", ["0", "2", "1.5", "x" * 5000])
def test_a_caller_of_another_protocol_is_refused_with_what_to_do(version: str):
    with serving(Service(lambda: None)) as (server, stub):
        speaking = partial(stub.Seal, metadata=(("graphbed-protocol", version),))

        def seal(request: pb.SealRequest, *, timeout: float, metadata: object) -> pb.SealResponse:
            return speaking(request, timeout=timeout)

        with pytest.raises(ProtocolDiffers, match=r"speaks protocol 1, the caller protocol .*; run the same version"):
            call(seal, pb.SealRequest(), seconds=5, service="test", address=server.address)


def test_a_caller_that_tells_no_protocol_is_let_through():
    with serving(Service(lambda: None)) as (_, stub):
        assert stub.Seal(pb.SealRequest(), timeout=5) == pb.SealResponse()
