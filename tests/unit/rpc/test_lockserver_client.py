"""The lock server's client says what it means and never waits longer than it may."""

import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from prometheus_client import CollectorRegistry

from graphbed.clients.lockserver import DEADLINE_SECONDS, LockServerClient
from graphbed.errors import BadConfig, InputError, LeaseLost, ServerUnreachable
from graphbed.graph.partition import Partition
from graphbed.rpc.server import start_server
from graphbed.storage.receipt import Receipt
from graphbed.v1 import lockserver_pb2 as pb
from graphbed.v1 import lockserver_pb2_grpc


class Recorder(lockserver_pb2_grpc.LockServerServicer):
    """Keeps the requests; is slow to renew."""

    def __init__(self) -> None:
        self.commits: list[pb.CommitRequest] = []
        self.release = threading.Event()

    def Renew(self, request: pb.RenewRequest, context: grpc.ServicerContext) -> pb.RenewResponse:
        self.release.wait(10)
        return pb.RenewResponse()

    def Commit(self, request: pb.CommitRequest, context: grpc.ServicerContext) -> pb.CommitResponse:
        self.commits.append(request)
        return pb.CommitResponse()

    def Release(self, request: pb.ReleaseRequest, context: grpc.ServicerContext) -> pb.ReleaseResponse:
        raise LeaseLost(lease=request.lease_id, why=pb.ReleaseReason.Name(request.reason))

    def Submit(self, request: pb.SubmitRequest, context: grpc.ServicerContext) -> pb.SubmitResponse:
        if "unknown" in request.config_yaml:
            raise BadConfig(what="unknown key")
        return pb.SubmitResponse(job="j", created=True)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def client(recorder: Recorder) -> Iterator[LockServerClient]:
    server = start_server(
        service_name="graphbed.v1.LockServer",
        register=lambda made: lockserver_pb2_grpc.add_LockServerServicer_to_server(recorder, made),
        listen="127.0.0.1:0",
        metrics_listen=None,
        registry=CollectorRegistry(),
    )
    with LockServerClient(server.address) as client:
        yield client
    recorder.release.set()
    server.stop(0)


def test_every_method_of_the_lock_server_has_a_deadline():
    methods = pb.DESCRIPTOR.services_by_name["LockServer"].methods_by_name
    assert set(DEADLINE_SECONDS) == set(methods)


def test_a_commit_carries_versions_parameters_and_statistics(client: LockServerClient, recorder: Recorder):
    version = Receipt(key="a/b", size=3, sha256="00", rows=5, dimension=7)
    parameters = Receipt(key="c", size=4, sha256="01")
    client.commit("t", "r", "l", [(Partition("e", 2), version)], parameters, pb.LeaseStats(edges=9))
    client.commit("t", "r", "l", [], None, pb.LeaseStats())
    first, second = recorder.commits
    assert (first.trainer_id, first.request_id, first.lease_id, first.stats.edges) == ("t", "r", "l", 9)
    assert (first.versions[0].partition.entity_type, first.versions[0].partition.index) == ("e", 2)
    assert Receipt.from_proto(first.versions[0].version) == version
    assert Receipt.from_proto(first.parameters) == parameters
    assert not second.HasField("parameters")


def test_a_renewal_waits_no_longer_than_a_sixth_of_the_lease(client: LockServerClient):
    begin = time.monotonic()
    with pytest.raises(ServerUnreachable, match=client.address):
        client.renew("t", "l", ttl_seconds=1.2)
    assert time.monotonic() - begin < 1.0


def test_answers_and_errors_arrive_as_python(client: LockServerClient):
    assert client.submit("job: j") == ("j", True)
    with pytest.raises(BadConfig, match="unknown key"):
        client.submit("unknown: 1")
    with pytest.raises(LeaseLost) as caught:
        client.release("t", "r", "l", pb.RELEASE_REASON_SHUTDOWN)
    assert caught.value.facts == {"lease": "l", "why": "RELEASE_REASON_SHUTDOWN"}


def test_an_address_that_is_none_is_refused_at_once():
    with pytest.raises(InputError, match="host:port"):
        LockServerClient("localhost")
