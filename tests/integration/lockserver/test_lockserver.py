"""A lock server as trainers and people meet it: over gRPC, with states in files and in a real Redis, as a process."""

import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from graphbed.clients.lockserver import LockServerClient
from graphbed.config.load import dump_job
from graphbed.errors import BadReceipt, ConfigDiffers, GraphMissing, InputError, JobNotEnded, JobUnknown, LeaseLost
from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.chain import commit_log
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.graph_document import write_graph
from graphbed.storage.manifest import require_newest
from graphbed.storage.receipt import Receipt
from graphbed.v1 import lockserver_pb2
from services.lockserver.server import LockServer, start_lockserver
from services.lockserver.settings import LockServerSettings
from services.lockserver.state_address import open_state
from tests.fixtures.redis import RedisProcess
from tests.unit.lockserver.examples import SHA256, make_config, square_schema

ROWS = 7


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "store")
    write_graph(store, square_schema(4, rows=ROWS))
    return store


@pytest.fixture(params=["file", "redis"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path}/state" if request.param == "file" else request.getfixturevalue("redis_url")


@pytest.fixture
def job() -> str:
    """A name that no other test uses: the Redis is shared."""
    return f"job-{uuid.uuid4().hex}"


@pytest.fixture
def server(store: DirectoryStore, state_url: str) -> Iterator[LockServer]:
    running = started(store, state_url)
    yield running
    running.stop(1.0)


@pytest.fixture
def client(server: LockServer) -> Iterator[LockServerClient]:
    with LockServerClient(server.address) as client:
        yield client


def started(store: DirectoryStore, state_url: str) -> LockServer:
    return start_lockserver(
        LockServerSettings(listen="127.0.0.1:0", metrics_listen="127.0.0.1:0", tick_seconds=0.05),
        store=store,
        state=open_state(state_url, {}),
        parameters=None,
        registry=CollectorRegistry(),
    )


def config_yaml(job: str, **changes: Any) -> str:
    return dump_job(make_config(square_schema(4, rows=ROWS), job=job, **changes))


def commit(client: LockServerClient, grant: lockserver_pb2.Grant, trainer: str, **changes: Any) -> None:
    versions = []
    for entry in grant.partitions:
        partition = Partition(entry.partition.entity_type, entry.partition.index)
        key = layout.partition_version(grant.job, partition, grant.lease_id)
        receipt = Receipt(**{"key": key, "size": 9, "sha256": SHA256, "rows": ROWS, "dimension": 4, **changes})
        versions.append((partition, receipt))
    stats = lockserver_pb2.LeaseStats(edges=10 * len(grant.buckets), loss=1.5)
    client.commit(trainer, uuid.uuid4().hex, grant.lease_id, versions, None, stats)


def grant_of(client: LockServerClient, trainer: str, job: str) -> lockserver_pb2.Grant:
    """Work of `job`; the shared Redis may hold others' jobs, which stand aside because they are not in this store."""
    answer = client.acquire(trainer, uuid.uuid4().hex)
    assert answer.WhichOneof("outcome") == "grant"
    assert answer.grant.job == job
    return answer.grant


def wait_for(client: LockServerClient, job: str, status: int) -> lockserver_pb2.GetJobResponse:
    until = time.monotonic() + 20
    while (found := client.get_job(job)).summary.status != status:
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_the_progress_of_each_bucket_is_told_to_those_who_ask(client: LockServerClient, job: str) -> None:
    client.submit(config_yaml(job, num_epochs=2))
    grant = grant_of(client, "ann", job)
    (lease,) = client.get_job(job).leases
    assert lease.edges == 10 * len(lease.buckets)
    commit(client, grant, "ann")
    assert not client.get_job(job).HasField("buckets")
    told = client.get_job(job, with_buckets=True).buckets
    trained = {(bucket.lhs, bucket.rhs) for bucket in grant.buckets}
    assert told.columns == 4
    assert list(told.epochs) == [2 if (lhs, rhs) in trained else 1 for lhs in range(4) for rhs in range(4)]


def test_a_job_from_submit_to_its_last_manifest(client: LockServerClient, store: DirectoryStore, job: str) -> None:
    assert client.submit(config_yaml(job, num_epochs=1, lr_decay=0.5)) == (job, True)
    assert client.submit(config_yaml(job, num_epochs=1, lr_decay=0.5)) == (job, False)
    first = grant_of(client, "ann", job)
    assert first.learning_rate_factor == 1.0
    assert first.ttl.ToTimedelta().total_seconds() == 30
    assert len(first.buckets) == 4
    assert not any(entry.HasField("version") for entry in first.partitions)
    progress = lockserver_pb2.Progress(edges=3, bytes=5, phase=lockserver_pb2.PHASE_TRAIN)
    assert client.renew("ann", first.lease_id, progress).ttl.ToTimedelta().total_seconds() == 30
    shown = client.get_job(job)
    assert shown.leases[0].renewals == 1
    assert shown.leases[0].progress == progress
    assert (shown.summary.edges_done, shown.summary.edges_total, shown.summary.live_leases) == (3, 160, 1)
    commit(client, first, "ann")
    second = grant_of(client, "ann", job)
    known = [entry.version.key for entry in second.partitions if entry.HasField("version")]
    assert len(known) == 1
    assert first.lease_id in known[0]
    commit(client, second, "ann")
    for _ in range(4):
        commit(client, grant_of(client, "ann", job), "ann")
    shown = wait_for(client, job, lockserver_pb2.JOB_STATUS_COMPLETED)
    assert (shown.summary.epoch, shown.summary.buckets_done, shown.summary.buckets_total) == (1, 16, 16)
    assert (shown.epochs[0].leases, shown.epochs[0].edges, shown.epochs[0].loss) == (6, 160, 9.0)
    assert require_newest(store, job).sequence == shown.manifest_sequence
    assert len(commit_log(store, job)) == 6
    assert job in [summary.job for summary in client.list_jobs()]
    wait = client.acquire("ann", uuid.uuid4().hex).wait
    assert wait.reason == lockserver_pb2.WAIT_REASON_NO_JOB
    assert 0.2 <= wait.retry_after.ToTimedelta().total_seconds() <= 1


def test_garbage_is_told_of_and_a_finished_job_is_deleted_with_all_its_bytes(
    client: LockServerClient, store: DirectoryStore, job: str
) -> None:
    client.submit(config_yaml(job, priority=3))
    with pytest.raises(JobNotEnded, match=f"{job} is running"):
        client.delete(job)
    told = client.collect(job, dry_run=True)
    assert [list(kept.reasons) for kept in told.kept] == [["newest"]] and told.finished
    client.cancel(job)
    assert {entry.job: entry.priority for entry in client.list_jobs()} == {job: 3}
    deleted = client.delete(job)
    assert deleted.finished and deleted.objects >= 3
    assert job not in [entry.job for entry in client.list_jobs()]
    kept = {key.split("/")[2] for key in store.list(layout.job(job))}
    assert kept == {"generations", "checkpoints"}
    with pytest.raises(JobUnknown):
        client.get_job(job)
    assert client.submit(config_yaml(job, dimension=8)) == (job, True)
    assert client.acquire("t1", uuid.uuid4().hex).HasField("grant")


def test_errors_come_as_the_catalogue_says(client: LockServerClient, job: str) -> None:
    with pytest.raises(JobUnknown, match="no-such-job"):
        client.get_job("no-such-job")
    with pytest.raises(GraphMissing):
        client.submit(config_yaml(job).replace("graph: g", "graph: other"))
    client.submit(config_yaml(job))
    with pytest.raises(ConfigDiffers, match="dimension is 8, was 4"):
        client.submit(config_yaml(job, dimension=8))
    with pytest.raises(InputError, match="trainer_id"):
        client.acquire("", "r")
    grant = grant_of(client, "ann", job)
    with pytest.raises(LeaseLost):
        client.renew("bob", grant.lease_id)
    with pytest.raises(BadReceipt, match="8 rows"):
        commit(client, grant, "ann", rows=8)
    with pytest.raises(BadReceipt, match="not finite"):
        commit(client, grant, "ann", finite=False)
    client.release("ann", "r1", grant.lease_id, lockserver_pb2.RELEASE_REASON_NOT_FINITE, "loss is\nNaN")
    assert client.get_job(job).last_failure == "ann: not_finite: loss is NaN"
    with pytest.raises(LeaseLost):
        commit(client, grant, "ann")
    client.cancel(job)
    assert client.get_job(job).summary.status == lockserver_pb2.JOB_STATUS_CANCELLED


def test_a_second_trainer_waits_until_the_first_has_committed_something(client: LockServerClient, job: str) -> None:
    client.submit(config_yaml(job))
    grant_of(client, "ann", job)
    assert client.acquire("bob", "r1").wait.reason == lockserver_pb2.WAIT_REASON_FIRST_EPOCH
    client.cancel(job)


def test_a_silent_trainers_lease_runs_out(client: LockServerClient, server: LockServer, job: str) -> None:
    client.submit(config_yaml(job, lease={"ttl_seconds": 0.5}))
    lost = grant_of(client, "ann", job)
    until = time.monotonic() + 10
    while client.get_job(job).leases:
        assert time.monotonic() < until
        time.sleep(0.05)
    again = grant_of(client, "bob", job)
    assert again.buckets == lost.buckets
    with pytest.raises(LeaseLost):
        commit(client, lost, "ann")
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as page:
        assert b"graphbed_lockserver_lease_expirations_total 1.0" in page.read()
    client.cancel(job)


def test_a_stopped_server_leaves_a_manifest_of_everything_and_another_one_goes_on(
    store: DirectoryStore, state_url: str, job: str
) -> None:
    first = started(store, state_url)
    with LockServerClient(first.address) as client:
        client.submit(config_yaml(job))
        commit(client, grant_of(client, "ann", job), "ann")
        held = grant_of(client, "ann", job)
    first.stop(5.0)
    assert len(commit_log(store, job)) == 1
    second = started(store, state_url)
    try:
        with LockServerClient(second.address) as client:
            commit(client, held, "ann")
            held = grant_of(client, "ann", job)
            second.revoke_all(job)
            with pytest.raises(LeaseLost):
                commit(client, held, "ann")
            client.cancel(job)
    finally:
        second.stop(1.0)


def run_process(environ: dict[str, str], **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "services.lockserver"],
        env={**os.environ, "GRAPHBED_LISTEN": "127.0.0.1:0", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_the_process_serves_and_stops_on_sigterm(store: DirectoryStore, tmp_path: Path, redis_url: str) -> None:
    addresses = tmp_path / "addresses"
    process = run_process(
        {
            "GRAPHBED_STORE": store.address,
            "GRAPHBED_STATE": redis_url,
            "GRAPHBED_ADDRESS_FILE": str(addresses),
        }
    )
    try:
        until = time.monotonic() + 30
        while not addresses.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until
            time.sleep(0.05)
        with LockServerClient(addresses.read_text().splitlines()[0]) as client:
            client.list_jobs()
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_process_that_cannot_start_says_why_in_one_line(store: DirectoryStore, tmp_path: Path) -> None:
    unused = RedisProcess(tmp_path / "unused")
    for environ, words in (
        ({"GRAPHBED_STORE": store.address, "GRAPHBED_STATE": unused.url}, f"127.0.0.1:{unused.port}"),
        ({"GRAPHBED_STORE": store.address}, "GRAPHBED_STATE"),
        ({"GRAPHBED_STATE": str(tmp_path / "state")}, "GRAPHBED_STORE"),
    ):
        process = run_process(environ)
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 2, complaint
        assert len(complaint.strip().splitlines()) == 1, complaint
        assert words in complaint
