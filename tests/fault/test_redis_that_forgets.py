"""Redis in mid-job: restarted with nothing, with everything, without its last second, and flushed. No job is lost."""

import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from grpc import StatusCode
from prometheus_client import CollectorRegistry

from graphbed.clients.lockserver import LockServerClient
from graphbed.config.load import dump_job
from graphbed.errors import GraphbedError, LeaseLost
from graphbed.graph.partition import Partition
from graphbed.rpc.healthcheck import is_serving
from graphbed.storage import layout
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.generation import generation_numbers, read_generation
from graphbed.storage.graph_document import write_graph
from graphbed.storage.receipt import Receipt
from graphbed.v1 import common_pb2, lockserver_pb2
from services.lockserver.server import SERVICE_NAME, LockServer, start_lockserver
from services.lockserver.settings import LockServerSettings
from services.lockserver.state_address import open_state
from tests.fixtures.history import check_history
from tests.fixtures.redis import RedisProcess
from tests.unit.lockserver.examples import make_config, square_schema

pytestmark = pytest.mark.timeout(180)

ROWS = 7
EPOCHS = 30
SECONDS = 120.0
SCHEMA = square_schema(4, rows=ROWS)
CONFIG = make_config(SCHEMA, num_epochs=EPOCHS, checkpoint={"interval_seconds": 1}, lease={"ttl_seconds": 5.0})
JOB = CONFIG.job


class Trainer(threading.Thread):
    """Asks two lock servers in turn, stores a few bytes for each partition, and commits; stops with the job."""

    def __init__(self, name: str, addresses: list[str], store: DirectoryStore) -> None:
        super().__init__(name=name, daemon=True)
        self._clients = [LockServerClient(address) for address in addresses]
        self._store = store
        self.stopping = threading.Event()
        self.lost = 0
        self.failure: BaseException | None = None

    def move(self, addresses: list[str]) -> None:
        """Ask other lock servers from now on."""
        self._clients = [LockServerClient(address) for address in addresses]

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self._clients.reverse()
                self._work(self._clients[0])
        except BaseException as error:
            self.failure = error

    def _work(self, client: LockServerClient) -> None:
        try:
            answer = client.acquire(self.name, uuid.uuid4().hex)
            if answer.WhichOneof("outcome") == "wait":
                self.stopping.wait(0.05)
                return
            versions = [self._put(answer.grant, entry.partition) for entry in answer.grant.partitions]
            self.stopping.wait(0.02)
            self._commit(client, answer.grant.lease_id, versions)
        except LeaseLost:
            self.lost += 1
        except GraphbedError as error:
            if error.code is not StatusCode.UNAVAILABLE:
                raise

    def _commit(self, client: LockServerClient, lease: str, versions: list[tuple[Partition, Receipt]]) -> None:
        stats, request_id = lockserver_pb2.LeaseStats(edges=1, loss=1.0), uuid.uuid4().hex
        while not self.stopping.is_set():
            try:
                client.commit(self.name, request_id, lease, versions, None, stats)
            except GraphbedError as error:
                if error.code is not StatusCode.UNAVAILABLE:
                    raise
            else:
                return

    def _put(self, grant: lockserver_pb2.Grant, place: common_pb2.Partition) -> tuple[Partition, Receipt]:
        partition = Partition(place.entity_type, place.index)
        key = layout.partition_version(JOB, partition, grant.lease_id)
        stored = self._store.put(key, f"{grant.lease_id} {partition}".encode())
        return partition, Receipt(key=key, size=stored.size, sha256=stored.sha256, rows=ROWS, dimension=4)


class Cluster:
    """Two lock servers on one Redis, and two trainers."""

    def __init__(self, folder: Path, redis_url: str, stack: ExitStack) -> None:
        self._stack = stack
        self.store = DirectoryStore(folder / "store")
        write_graph(self.store, SCHEMA)
        self.registries = [CollectorRegistry(), CollectorRegistry()]
        servers = [self.start(redis_url, registry) for registry in self.registries]
        self.addresses = [server.address for server in servers]
        self.client = stack.enter_context(LockServerClient(self.addresses[0]))
        self.client.submit(dump_job(CONFIG))
        self.trainers = [Trainer(name, self.addresses, self.store) for name in ("ann", "bob")]
        for trainer in self.trainers:
            stack.callback(trainer.join, 10.0)
            stack.callback(trainer.stopping.set)
            trainer.start()

    def start(self, redis_url: str, registry: CollectorRegistry) -> LockServer:
        """A lock server that lives as long as the test."""
        server = start_lockserver(
            LockServerSettings(listen="127.0.0.1:0", tick_seconds=0.05),
            store=self.store,
            state=open_state(redis_url, {}),
            parameters=None,
            registry=registry,
        )
        self._stack.callback(server.stop, 2.0)
        return server

    def wait(self, enough: Callable[[lockserver_pb2.GetJobResponse], bool]) -> None:
        until = time.monotonic() + SECONDS
        while True:
            assert time.monotonic() < until, "the job does not get on"
            assert all(trainer.failure is None for trainer in self.trainers), [t.failure for t in self.trainers]
            try:
                if enough(self.client.get_job(JOB)):
                    return
            except GraphbedError as error:
                assert error.code is StatusCode.UNAVAILABLE, error
            time.sleep(0.02)

    def wait_for(self, buckets: int) -> None:
        self.wait(lambda shown: shown.summary.buckets_done >= buckets)

    def reasons(self) -> list[str]:
        return [read_generation(self.store, JOB, n).reason for n in generation_numbers(self.store, JOB)]

    def count(self, name: str) -> float:
        return sum(registry.get_sample_value(f"graphbed_lockserver_{name}") or 0.0 for registry in self.registries)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "redis"


@pytest.fixture
def redis_process(folder: Path, request: pytest.FixtureRequest) -> Iterator[RedisProcess]:
    process = RedisProcess(folder, durable="durable" in request.node.name)
    process.start()
    yield process
    process.kill()


def restart(process: RedisProcess, _: Path, cluster: Cluster) -> None:
    process.kill()
    time.sleep(0.3)
    process.start()


def flush(process: RedisProcess, _: Path, cluster: Cluster) -> None:
    process.client().flushall()


def put_back(process: RedisProcess, folder: Path, cluster: Cluster) -> None:
    """Restart with what the append-only file held some commits before."""
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    done = cluster.client.get_job(JOB).summary.buckets_done
    cluster.wait_for(done + 40)
    process.kill()
    shutil.rmtree(folder)
    shutil.move(copy, folder)
    process.start()


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        pytest.param(restart, "state_missing", id="restarted-empty"),
        pytest.param(flush, "state_missing", id="flushed"),
        pytest.param(restart, "store_changed", id="restarted-durable"),
        pytest.param(put_back, "store_changed", id="put-back-durable"),
    ],
)
def test_a_job_survives_a_redis_that_forgets(
    tmp_path: Path,
    folder: Path,
    redis_process: RedisProcess,
    happens: Callable[[RedisProcess, Path, Cluster], None],
    reason: str,
) -> None:
    with ExitStack() as stack:
        cluster = Cluster(tmp_path, redis_process.url, stack)
        for times in (1, 2):
            cluster.wait_for(100 * times)
            happens(redis_process, folder, cluster)
        cluster.wait(lambda shown: shown.summary.status == lockserver_pb2.JOB_STATUS_COMPLETED)
        reasons, lost = cluster.reasons(), cluster.count("generation_commits_lost_total")
    assert reasons[0] == "new"
    assert len(reasons) >= 3
    assert reason in reasons
    if happens is restart and reason == "store_changed":
        assert lost == 0, "an append-only file that is written before each answer forgets nothing"
    check_history(cluster.store, CONFIG)


def test_a_lock_server_at_an_old_primary_is_left_behind_and_says_so(
    tmp_path: Path, folder: Path, redis_process: RedisProcess
) -> None:
    replica = RedisProcess(tmp_path / "replica")
    replica.start()
    with ExitStack() as stack:
        stack.callback(replica.kill)
        replica.client().replicaof("127.0.0.1", redis_process.port)
        # A primary changes its replication id when its first replica comes.
        while replica.client().info("replication")["master_link_status"] != "up":
            time.sleep(0.1)
        cluster = Cluster(tmp_path, redis_process.url, stack)
        cluster.wait_for(100)
        replica.client().replicaof("NO", "ONE")
        ahead = cluster.start(replica.url, CollectorRegistry())
        old, cluster.client = cluster.client, stack.enter_context(LockServerClient(ahead.address))
        stack.enter_context(old)
        cluster.trainers[0].move([ahead.address])
        until = time.monotonic() + SECONDS
        while any(is_serving(address, SERVICE_NAME, seconds=2.0) for address in cluster.addresses):
            assert time.monotonic() < until, "the servers at the old primary still serve"
            time.sleep(0.2)
        cluster.trainers[1].move([ahead.address])
        cluster.wait(lambda shown: shown.summary.status == lockserver_pb2.JOB_STATUS_COMPLETED)
        assert cluster.reasons() == ["new", "store_changed"]
    check_history(cluster.store, CONFIG)
