"""The partition server over real gRPC, on a directory and on a real S3 server."""

import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from graphbed.clients.partitions import PartitionClient, preference
from graphbed.clock import SystemClock
from graphbed.errors import BadPartition, InputError, ObjectCorrupt, ObjectMissing, ServerUnreachable, StoreDenied
from graphbed.graph.partition import Partition
from graphbed.rpc.call import call
from graphbed.rpc.channel import open_channel
from graphbed.rpc.healthcheck import is_serving
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.objects import ObjectStore
from graphbed.storage.partition_file import PartitionArrays, pack_partition, unpack_partition
from graphbed.storage.s3 import S3Store
from graphbed.v1 import partitionserver_pb2 as pb
from graphbed.v1 import partitionserver_pb2_grpc
from services.partitionserver.server import SERVICE_NAME, PartitionServer, start_partitionserver
from services.partitionserver.settings import PartitionServerSettings
from tests.fixtures.processes import ServiceProcess
from tests.fixtures.s3 import S3Place, S3Process

ROWS, DIMENSION = 50_000, 16
PARTITION = Partition("entity", 2)


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "directory":
        return DirectoryStore(tmp_path / "store")
    found: ObjectStore = request.getfixturevalue("s3").store()
    return found


def start(store: ObjectStore, **settings: object) -> PartitionServer:
    chosen = PartitionServerSettings(listen="127.0.0.1:0", **settings)  # type: ignore[arg-type]
    return start_partitionserver(chosen, store=store, registry=CollectorRegistry())


@pytest.fixture
def server(store: ObjectStore) -> Iterator[PartitionServer]:
    running = start(store, metrics_listen="127.0.0.1:0")
    yield running
    running.stop(1.0)


@pytest.fixture
def client(server: PartitionServer) -> Iterator[PartitionClient]:
    opened = PartitionClient([server.address])
    yield opened
    opened.close()


def arrays(seed: int = 0) -> PartitionArrays:
    random = np.random.default_rng(seed)
    return PartitionArrays(
        embeddings=random.standard_normal((ROWS, DIMENSION), dtype=np.float32),
        sums=random.random((ROWS, 1), dtype=np.float32),
    )


def lease() -> str:
    return secrets.token_hex(16)


def test_a_version_goes_in_and_comes_out_of_another_server(
    store: ObjectStore, server: PartitionServer, client: PartitionClient
) -> None:
    written = arrays()
    data = pack_partition(written)
    receipt = client.store("j", lease(), PARTITION, data, rows=ROWS, dimension=DIMENSION)
    assert store.get(receipt.key) == data
    assert client.fetch("j", PARTITION, receipt) == data
    other = start(store, memory_cache_bytes=0)
    reader = PartitionClient([other.address])
    try:
        read = unpack_partition(reader.fetch("j", PARTITION, receipt), rows=ROWS, dimension=DIMENSION, key=receipt.key)
    finally:
        reader.close()
        other.stop(1.0)
    assert np.array_equal(read.embeddings, written.embeddings)
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as page:
        families = text_string_to_metric_families(page.read().decode())
        samples = {(each.name, each.labels.get("direction")): each.value for one in families for each in one.samples}
    assert samples["graphbed_partitionserver_bytes_total", "in"] == len(data)


def test_a_store_that_is_repeated_gives_the_same_receipt_and_other_bytes_are_refused(client: PartitionClient) -> None:
    lease_id = lease()
    data = pack_partition(arrays())
    first = client.store("j", lease_id, PARTITION, data, rows=ROWS, dimension=DIMENSION)
    assert client.store("j", lease_id, PARTITION, data, rows=ROWS, dimension=DIMENSION) == first
    with pytest.raises(BadPartition, match="other bytes"):
        client.store("j", lease_id, PARTITION, pack_partition(arrays(seed=1)), rows=ROWS, dimension=DIMENSION)
    assert client.fetch("j", PARTITION, first) == data


def test_numbers_that_are_not_finite_are_refused_and_leave_nothing(store: ObjectStore, client: PartitionClient) -> None:
    poisoned = arrays()
    poisoned.embeddings[ROWS // 2, 3] = np.nan
    with pytest.raises(BadPartition, match="NaN"):
        client.store("j", lease(), PARTITION, pack_partition(poisoned), rows=ROWS, dimension=DIMENSION)
    assert store.list("jobs/") == []


def test_a_damaged_version_is_refused_with_its_name(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    server = start(store, memory_cache_bytes=0)
    client = PartitionClient([server.address])
    try:
        data = pack_partition(arrays())
        receipt = client.store("j", lease(), PARTITION, data, rows=ROWS, dimension=DIMENSION)
        path = tmp_path / receipt.key
        for damaged in (data[:-5], data[:1_000_000] + bytes([data[1_000_000] ^ 8]) + data[1_000_001:]):
            path.write_bytes(damaged)
            with pytest.raises(ObjectCorrupt) as corrupt:
                client.fetch("j", PARTITION, receipt)
            assert corrupt.value.facts["key"] == receipt.key
        path.unlink()
        with pytest.raises(ObjectMissing, match=receipt.key):
            client.fetch("j", PARTITION, receipt)
    finally:
        client.close()
        server.stop(1.0)


def test_a_stream_of_the_wrong_form_is_refused(server: PartitionServer) -> None:
    with open_channel(server.address) as channel:
        stub = partitionserver_pb2_grpc.PartitionServerStub(channel)

        def store(*requests: pb.StoreRequest) -> None:
            call(stub.Store, lambda: iter(requests), seconds=10, service="partition server", address=server.address)

        data = pack_partition(arrays())
        header = pb.StoreRequest(header=pb.StoreHeader(job="j", lease_id="l", size=len(data), sha256="0" * 64))
        header.header.partition.entity_type = "e"
        header.header.rows, header.header.dimension = ROWS, DIMENSION
        for requests in ([], [pb.StoreRequest(data=b"x")], [pb.StoreRequest()], [header, header]):
            with pytest.raises(InputError):
                store(*requests)


def test_the_server_serves_and_says_so(server: PartitionServer) -> None:
    assert is_serving(server.address)
    assert is_serving(server.address, SERVICE_NAME)


def test_a_store_that_refuses_the_keys_keeps_the_server_from_starting(s3: S3Place) -> None:
    store = S3Store(
        endpoint=s3.endpoint, bucket=s3.bucket, prefix=s3.prefix, access_key=s3.access_key, secret_key="wrong" * 5
    )
    with pytest.raises(StoreDenied):
        start(store)


class ImpatientClock(SystemClock):
    """Waits a fiftieth of what it is told to."""

    def wait(self, event: object, seconds: float) -> bool:
        return bool(event.wait(seconds / 50))  # type: ignore[attr-defined]


def test_a_server_whose_store_went_away_says_that_it_does_not_serve_until_it_is_back(tmp_path: Path) -> None:
    clock = SystemClock()

    def becomes(address: str, serving: bool) -> bool:
        deadline = clock.monotonic() + 60
        import threading

        while is_serving(address) != serving:
            if clock.monotonic() > deadline:
                return False
            clock.wait(threading.Event(), 0.1)
        return True

    with S3Process(tmp_path) as process:
        server = start_partitionserver(
            PartitionServerSettings(listen="127.0.0.1:0"),
            store=process.place().store(),
            registry=CollectorRegistry(),
            clock=ImpatientClock(),
        )
        try:
            assert is_serving(server.address)
            process.kill()
            assert becomes(server.address, False)
            process.start()
            assert becomes(server.address, True)
        finally:
            server.stop(1.0)


def test_when_the_preferred_server_is_killed_the_other_one_gives_and_takes(s3: S3Place, tmp_path: Path) -> None:
    environment = {**s3.environ, "GRAPHBED_STORE": s3.url}
    with (
        ServiceProcess("partitionserver", tmp_path, environment) as first,
        ServiceProcess("partitionserver", tmp_path, environment) as second,
    ):
        servers = {process.wait_until_serving().address: process for process in (first, second)}
        client = PartitionClient(list(servers))
        data = pack_partition(arrays())
        receipt = client.store("j", lease(), PARTITION, data, rows=ROWS, dimension=DIMENSION)
        preferred, spare = preference(list(servers), PARTITION)
        servers[preferred].process.kill()
        servers[preferred].process.wait()
        assert client.fetch("j", PARTITION, receipt) == data
        again = client.store("j", lease(), PARTITION, data, rows=ROWS, dimension=DIMENSION)
        assert client.fetch("j", PARTITION, again) == data
        assert servers[spare].terminate() == 0
        with pytest.raises(ServerUnreachable):
            client.fetch("j", PARTITION, receipt)
        client.close()


def test_the_server_imports_nothing_heavy(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys, services.partitionserver.__main__\n"
        "print([name for name in ('torch', 'numba', 'scipy_openblas32', 'pyarrow', 'redis') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
