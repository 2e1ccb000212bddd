"""A network that loses replies, loses requests, stays half-open, is slow, or cuts: commits go on, nothing is lost."""

import time
from collections.abc import Iterator

import pytest

from graphbed.config.job import JobConfig
from graphbed.storage.generation import newest_generation
from tests.fault.running import (
    TTL_SECONDS,
    changes,
    commits,
    live_leases,
    operations_of,
    start_job,
    until,
    wait_for_commits,
)
from tests.fixtures.cluster import Cluster
from tests.fixtures.proxy import FAIR, Weather

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("bad networks")]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, JobConfig]]:
    """One cluster for all tests of this file, each leaves it as it was; at the end, what all of them left is judged."""
    with Cluster(tmp_path_factory.mktemp("cluster"), partitionservers=2) as cluster:
        config = start_job(cluster)
        yield cluster, config
        cluster.require_clean(config)


def test_a_grant_whose_reply_was_lost_is_given_again_and_leaks_no_lease(running: tuple[Cluster, JobConfig]) -> None:
    cluster, config = running
    proxy = cluster.proxies["trainer-0"]
    before = len(operations_of(cluster, config, "acquire", "trainer-0"))
    proxy.set(Weather(replies_lost=True))

    def unanswered() -> list[str]:
        """Requests of trainer-0 that got a lease, as a lock server told, while the trainer got no answer.

        Not those for successors: what succeeds a lease that is void by now is void, too, and is not asked for again.
        """
        asked = operations_of(cluster, config, "acquire", "trainer-0")[before:]
        failed = {o.facts["request"] for o in asked if o.ended and not o.succeeded and "parent" not in o.facts}
        told = {a[2] for line in changes(cluster, config) if "granted" in line.facts for a in line.facts["answers"]}
        return sorted(failed & told)

    try:
        requests = until(unanswered, "a grant whose reply is lost")
    finally:
        proxy.set(FAIR)

    def answered() -> set[str]:
        asked = operations_of(cluster, config, "acquire", "trainer-0")
        return {o.facts["lease"] for o in asked if o.succeeded and o.facts["request"] == requests[0]} - {None}

    leases = until(answered, "the answer to the same request")
    grants = [
        lease["lease"]
        for line in changes(cluster, config)
        for lease in line.facts.get("granted", [])
        if any(answer[2] == requests[0] for answer in line.facts["answers"])
    ]
    assert leases == set(grants)
    assert len(grants) == 1


def test_a_trainer_whose_renewals_are_lost_stops_by_its_own_clock_and_others_get_its_work(
    running: tuple[Cluster, JobConfig],
) -> None:
    cluster, config = running
    proxy = cluster.proxies["trainer-1"]
    # Slow transfers, so that the lease outlives the look at it.
    _slow_down(cluster)
    try:
        lease = until(lambda: live_leases(cluster, config, "trainer-1"), "a lease of trainer-1")[-1]
        proxy.set(Weather(requests_lost=True))
        until(lambda: lease in _ended(cluster, config), "the end of the lease that is not renewed")
        assert lease not in commits(cluster, config)
        _calm_down(cluster)
        wait_for_commits(cluster, config, 4)
    finally:
        _calm_down(cluster)
        proxy.set(FAIR)
    _wait_until_it_commits(cluster, config, "trainer-1")


def test_a_half_open_partition_server_holds_a_call_for_its_deadline_at_most(running: tuple[Cluster, JobConfig]) -> None:
    cluster, config = running
    cluster.proxies["partitionserver-0"].set(Weather(half_open=True))
    try:
        # The deadline is 30 s, and the server that was silent is avoided then.
        wait_for_commits(cluster, config, 1, seconds=75)
    finally:
        cluster.proxies["partitionserver-0"].set(FAIR)


def test_a_transfer_that_takes_longer_than_the_ttl_costs_no_lease(running: tuple[Cluster, JobConfig]) -> None:
    cluster, config = running
    _slow_down(cluster)
    began = time.monotonic()

    def long_lives() -> list[str]:
        """Leases that were granted since and ended after more than the ttl."""
        lines = [line for line in changes(cluster, config) if line.at >= began]
        granted = {lease["lease"]: line.at for line in lines for lease in line.facts.get("granted", [])}
        ended = {lease: line.at for line in lines for lease in line.facts.get("ended", [])}
        return [x for x, at in granted.items() if x in ended and ended[x] - at > TTL_SECONDS]

    try:
        leases = until(long_lives, "the end of a lease with slow transfers", seconds=120)
    finally:
        _calm_down(cluster)
    assert set(leases) <= set(commits(cluster, config)), "a lease that made progress was ended"


def test_connections_that_are_cut_again_and_again_cost_nothing(running: tuple[Cluster, JobConfig]) -> None:
    cluster, config = running
    done = len(commits(cluster, config))
    for _ in range(10):
        for proxy in cluster.proxies.values():
            proxy.cut()
        time.sleep(0.3)
    wait_for_commits(cluster, config, 4)
    assert len(commits(cluster, config)) > done


def test_a_redis_that_stands_still_beyond_the_ttl_costs_no_lease_twice(running: tuple[Cluster, JobConfig]) -> None:
    cluster, config = running
    generation = newest_generation(cluster.store, config.job)
    cluster.redis.pause()
    time.sleep(config.lease.ttl_seconds + 2)
    cluster.redis.resume()
    wait_for_commits(cluster, config, 4)
    assert newest_generation(cluster.store, config.job) == generation, "it is the same Redis"


def _slow_down(cluster: Cluster) -> None:
    """A version has 34 kB here: storing one takes longer than the ttl."""
    for name in cluster.partitionservers:
        cluster.proxies[name].set(Weather(bytes_per_second=6_000))


def _calm_down(cluster: Cluster) -> None:
    for name in cluster.partitionservers:
        cluster.proxies[name].set(FAIR)


def _ended(cluster: Cluster, config: JobConfig) -> set[str]:
    return {lease for line in changes(cluster, config) for lease in line.facts.get("ended", [])}


def _wait_until_it_commits(cluster: Cluster, config: JobConfig, trainer: str) -> None:
    before = len(_committed_by(cluster, config, trainer))
    until(lambda: len(_committed_by(cluster, config, trainer)) > before, f"a commit of {trainer}")


def _committed_by(cluster: Cluster, config: JobConfig, trainer: str) -> list[str]:
    return [o.facts["lease"] for o in operations_of(cluster, config, "commit", trainer) if o.succeeded]
