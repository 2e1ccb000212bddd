"""A trainer that works on a lease and its successor is stopped or killed: both are committed or due again."""

import signal
import time
from collections.abc import Iterator

import pytest

from graphbed.config.job import JobConfig
from tests.fault.running import TTL_SECONDS, changes, live_leases, start_job, until, wait_for_commits
from tests.fixtures.cluster import GRACE_SECONDS, Cluster
from tests.fixtures.proxy import FAIR, Weather

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("trainers with successors")]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, JobConfig]]:
    """One trainer, so that each lease may have a successor; at the end, what all tests left is judged."""
    with Cluster(tmp_path_factory.mktemp("cluster"), trainers=1) as cluster:
        config = start_job(cluster, num_uniform_negs=1500)
        yield cluster, config
        cluster.require_clean(config)


def two_leases(cluster: Cluster, config: JobConfig) -> list[str]:
    """Those of the trainer as soon as it holds a lease and its successor, the older one first."""

    def look() -> list[str]:
        held = live_leases(cluster, config, "trainer-0")
        return held if len(held) == 2 else []

    return list(until(look, "a successor"))


def ended(cluster: Cluster, config: JobConfig) -> set[str]:
    return {lease for line in changes(cluster, config) for lease in line.facts.get("ended", [])}


def test_leases_are_granted_before_the_ones_before_them_are_committed(running: tuple[Cluster, JobConfig]) -> None:
    cluster, config = running
    wait_for_commits(cluster, config, 6)
    granted = [lease for line in changes(cluster, config) for lease in line.facts.get("granted", [])]
    assert 2 * sum(bool(lease["parent"]) for lease in granted) > len(granted)


def test_sigterm_commits_or_hands_back_both(running: tuple[Cluster, JobConfig]) -> None:
    cluster, config = running
    held = two_leases(cluster, config)
    assert cluster.end("trainer-0", signal.SIGTERM) == 0
    assert set(held) <= ended(cluster, config)
    assert live_leases(cluster, config, "trainer-0") == []
    assert "lease expired" not in cluster.logs()
    cluster.start("trainer-0")
    wait_for_commits(cluster, config, 2)


def test_sigterm_while_the_store_of_the_older_one_is_stuck_hands_back_both(
    running: tuple[Cluster, JobConfig],
) -> None:
    cluster, config = running
    proxy = cluster.proxies["partitionserver-0"]
    held = two_leases(cluster, config)
    proxy.set(Weather(half_open=True))
    time.sleep(2)
    begun = time.monotonic()
    assert cluster.end("trainer-0", signal.SIGTERM) == 0
    proxy.set(FAIR)
    assert set(held) <= ended(cluster, config)
    assert max(line.at for line in changes(cluster, config) if line.facts.get("ended")) < begun + GRACE_SECONDS
    assert live_leases(cluster, config, "trainer-0") == []
    assert "lease expired" not in cluster.logs()
    cluster.start("trainer-0")
    wait_for_commits(cluster, config, 2)


def test_a_killed_trainer_costs_both_and_no_more_than_the_ttl(running: tuple[Cluster, JobConfig]) -> None:
    cluster, config = running
    held = two_leases(cluster, config)
    cluster.end("trainer-0", signal.SIGKILL)
    killed_at = time.monotonic()
    until(lambda: set(held) <= ended(cluster, config), "the end of both leases")
    assert time.monotonic() - killed_at <= TTL_SECONDS + 2
    cluster.start("trainer-0")
    wait_for_commits(cluster, config, 2)
