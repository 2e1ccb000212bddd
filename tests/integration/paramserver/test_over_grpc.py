"""Trainers and a lock server talk to a real parameter server, which dies in the middle."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from graphbed.clients.parameters import ParameterClient
from graphbed.errors import InputError, JobUnsettled, LeaseLost, NotFinite, PushMissing, TensorUnknown, TooLarge
from graphbed.rpc.healthcheck import is_serving
from graphbed.rpc.server import RunningServer
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.parameter_file import unpack_tensors
from services.paramserver.server import SERVICE_NAME, start_paramserver
from services.paramserver.settings import ParamServerSettings

JOB = "job"
SHAPE = (3000, 200)  # 2.3 MiB: three messages


def start(folder: Path, registry: CollectorRegistry, listen: str = "127.0.0.1:0") -> RunningServer:
    settings = ParamServerSettings(listen=listen, max_job_bytes=8 << 20)
    return start_paramserver(settings, store=DirectoryStore(folder), registry=registry)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def server(tmp_path: Path, registry: CollectorRegistry) -> Iterator[RunningServer]:
    server = start(tmp_path, registry)
    yield server
    server.stop(0)


@pytest.fixture
def client(server: RunningServer) -> Iterator[ParameterClient]:
    with ParameterClient(server.address) as client:
        yield client


def tensors(value: float) -> dict[str, np.ndarray]:
    return {"r/values": np.full(SHAPE, value, np.float32), "r/sums": np.full(SHAPE[:1], 2 * value, np.float32)}


def shows(client: ParameterClient, value: float) -> bool:
    sums = client.pull(JOB)
    return all(np.array_equal(sums[name], tensor) for name, tensor in tensors(value).items())


def test_a_job_lives_through_commits_voids_a_restart_and_a_manifest(tmp_path: Path):
    server = start(tmp_path, CollectorRegistry())
    address = server.address
    assert is_serving(address, SERVICE_NAME)
    with ParameterClient(address) as client:
        client.declare(JOB, tensors(1))
        seen = client.settle(JOB, None, None, [], ["one", "two"])
        client.push(JOB, "one", 1, tensors(2))
        client.push(JOB, "one", 2, tensors(4))
        client.push(JOB, "two", 1, tensors(8))
        assert shows(client, 13)
        one = client.seal(JOB, "one", 2)
        seen = client.settle(JOB, seen, None, [("one", one)], ["two"])
        assert shows(client, 13)

        server.stop(0)
        server = start(tmp_path, CollectorRegistry(), address)
        with pytest.raises(TensorUnknown):
            client.pull(JOB)
        client.declare(JOB, tensors(1))
        with pytest.raises(JobUnsettled):
            client.pull(JOB)
        for _ in range(2):
            seen = client.settle(JOB, seen, None, [("one", one)], ["two"])
        assert shows(client, 5)
        with pytest.raises(PushMissing):
            client.seal(JOB, "two", 1)
        client.push(JOB, "two", 1, tensors(8))
        assert shows(client, 13)

        base = client.compact(JOB, 7, None, [("one", one)])
        stored = unpack_tensors(DirectoryStore(tmp_path).get(base.key), key=base.key, max_bytes=8 << 20)
        assert np.array_equal(stored["r/values"], tensors(5)["r/values"])
        for _ in range(2):
            seen = client.settle(JOB, seen, base, [], [])
        assert shows(client, 5)
        with pytest.raises(LeaseLost):
            client.push(JOB, "two", 2, tensors(8))
        assert list(client.pull(JOB, ["r/sums"])) == ["r/sums"]
    server.stop(0)


def test_bad_pushes_are_refused_whole(client: ParameterClient):
    client.declare(JOB, tensors(1))
    client.settle(JOB, None, None, [], ["one"])
    bad = tensors(2)
    bad["r/values"][-1, -1] = np.nan
    with pytest.raises(NotFinite, match="r/values"):
        client.push(JOB, "one", 1, bad)
    with pytest.raises(InputError):
        client.push(JOB, "one", 1, {})
    assert shows(client, 1)


def test_more_numbers_than_allowed_are_refused(client: ParameterClient):
    with pytest.raises(TooLarge):
        client.declare(JOB, {"r/values": np.zeros((3_000_000, 1), np.float32)})
    with pytest.raises(TensorUnknown):
        client.pull(JOB)


def test_what_happens_is_counted(client: ParameterClient, registry: CollectorRegistry):
    client.declare(JOB, tensors(1))
    seen = client.settle(JOB, None, None, [], ["one", "two"])
    for lease in ("one", "one", "two"):
        client.push(JOB, lease, 1, tensors(1))
    assert registry.get_sample_value("graphbed_paramserver_live_leases") == 2
    client.pull(JOB)
    receipt = client.seal(JOB, "one", 1)
    for _ in range(2):
        seen = client.settle(JOB, seen, None, [("one", receipt)], [])

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"graphbed_paramserver_{name}", labels)

    size = sum(tensor.nbytes for tensor in tensors(1).values())
    assert value("pushes_total", outcome="new") == 2
    assert value("pushes_total", outcome="repeated") == 1
    assert value("pulls_total") == 1
    assert value("seals_total") == 1
    assert value("settles_total", outcome="effective") == 3
    assert value("committed_deltas_total") == 1
    assert value("void_deltas_total") == 1
    assert value("live_leases") == 0
    assert value("bytes_total", direction="in") == 3 * size
    assert value("bytes_total", direction="out") == size
