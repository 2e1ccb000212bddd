"""Each process is killed while it has an operation open, and its work is done again by whoever is left."""

import signal
import time
from collections.abc import Iterator

import pytest

from graphbed.config.job import JobConfig
from graphbed.storage import layout
from tests.fault.running import changes, start_job, until, wait_for_commits
from tests.fixtures.cluster import Cluster, OpenOperations, wait_for
from tests.fixtures.proxy import FAIR, Weather

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("kills in the middle")]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, JobConfig]]:
    """One cluster on an S3 server for all tests of this file; at the end, what all of them left is judged."""
    with Cluster(tmp_path_factory.mktemp("cluster"), lockservers=2, s3=True) as cluster:
        config = start_job(cluster, num_uniform_negs=600)
        yield cluster, config
        cluster.require_clean(config)


def stop_in_the_middle(cluster: Cluster, name: str, operation: str, *, stopping: str = "") -> None:
    """Return when the process, or the one that is to be stopped instead, stands still in the middle of an operation."""
    victim = stopping or name
    opened = OpenOperations(cluster.history)

    def caught() -> bool:
        for line in opened.look().get(operation, []):
            if cluster.name_of(line.process) == name and cluster.writes(line.process):
                cluster.freeze(victim)
                if line in opened.look().get(operation, []):
                    return True
                cluster.thaw(victim)
        return False

    # A commit takes some milliseconds: looking seldom would never see one.
    assert wait_for(caught, 120, every=0.002), f"no {operation} of {name}"


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("lockserver-0", "manifest"),
        ("partitionserver-0", "store"),
        ("paramserver", "seal"),
        ("trainer-0", "commit"),
        ("trainer-1", "acquire"),
    ],
)
def test_a_process_that_is_killed_in_mid_operation_costs_its_own_work_alone(
    running: tuple[Cluster, JobConfig], name: str, operation: str
) -> None:
    cluster, config = running
    stop_in_the_middle(cluster, name, operation)
    cluster.end(name, signal.SIGKILL)
    cluster.start(name)
    wait_for_commits(cluster, config, 4)


@pytest.mark.parametrize("operation", ["acquire", "commit"])
def test_a_lock_server_that_is_killed_while_it_is_asked_answers_later_or_another_does(
    running: tuple[Cluster, JobConfig], operation: str
) -> None:
    cluster, config = running
    stop_in_the_middle(cluster, "trainer-0", operation, stopping="lockserver-0")
    cluster.end("lockserver-0", signal.SIGKILL)
    cluster.start("lockserver-0")
    wait_for_commits(cluster, config, 4)


def test_a_manifest_whose_answer_is_lost_is_known_as_ones_own(running: tuple[Cluster, JobConfig]) -> None:
    cluster, config = running
    proxy = cluster.proxies["s3"]
    opened = OpenOperations(cluster.history)
    until(lambda: "manifest" in opened.look(), "a manifest")
    proxy.set(Weather(replies_lost=True))
    time.sleep(2)
    proxy.set(FAIR)
    wait_for_commits(cluster, config, 4)


def test_an_s3_server_that_stalls_cuts_and_restarts_costs_no_commit(running: tuple[Cluster, JobConfig]) -> None:
    cluster, config = running
    assert cluster.s3 is not None
    proxy = cluster.proxies["s3"]
    proxy.set(Weather(half_open=True))
    time.sleep(config.lease.ttl_seconds + 1)
    proxy.set(FAIR)
    wait_for_commits(cluster, config, 2)
    for _ in range(5):
        proxy.cut()
        time.sleep(0.2)
    cluster.s3.kill()
    time.sleep(1)
    cluster.s3.start()
    wait_for_commits(cluster, config, 4)


def test_everything_killed_and_redis_wiped_the_object_store_alone_is_enough(running: tuple[Cluster, JobConfig]) -> None:
    cluster, config = running
    for name in (*cluster.trainers, *cluster.servers):
        cluster.end(name)
    cluster.redis.kill()
    cluster.redis.forget()
    told = cluster.store.list(layout.manifests(config.job))[-1]
    cluster.redis.start()
    for name in (*cluster.servers, *cluster.trainers):
        cluster.start(name)
    wait_for_commits(cluster, config, 4)
    begun = [line for line in changes(cluster, config) if not line.facts["before"]][-1]
    assert layout.manifest(config.job, begun.facts["manifest"]) >= told
