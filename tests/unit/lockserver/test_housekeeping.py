"""Expiry by observed renewals, and settling with the parameter server."""

import math
import threading
from pathlib import Path

import pytest

from graphbed.clock import SystemClock
from graphbed.errors import LeaseLost, StoreUnavailable
from graphbed.storage.directory import DirectoryStore
from services.lockserver.housekeeper import Repeater
from services.lockserver.lifecycle import pause
from services.lockserver.records import Progress
from services.lockserver.watch import LeaseWatch, Watched
from tests.unit.lockserver.cluster import WITH_OPERATOR, Cluster
from tests.unit.lockserver.examples import square_schema


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(DirectoryStore(tmp_path / "store"))


def pass_time(cluster: Cluster, seconds: float) -> None:
    """Let time pass with a look at the leases every half second."""
    for _ in range(round(seconds * 2)):
        cluster.clock.advance(0.5)
        cluster.expiry.tick()


def test_a_lease_that_is_not_renewed_for_its_ttl_ends_and_its_work_is_due(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), lease={"ttl_seconds": 10})
    lost = cluster.acquire("ann")
    cluster.expiry.tick()
    pass_time(cluster, 9.5)
    assert cluster.jobs.current("j").leases
    pass_time(cluster, 0.5)
    assert not cluster.jobs.current("j").leases
    assert cluster.count("lease_expirations_total") == 1
    assert cluster.acquire("bob").lease.buckets == lost.lease.buckets
    with pytest.raises(LeaseLost):
        cluster.commit(lost)


def test_a_lease_that_is_renewed_lives_on(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), lease={"ttl_seconds": 10})
    granted = cluster.acquire("ann")
    for _ in range(10):
        pass_time(cluster, 9)
        ttl = cluster.coordinator.renew(trainer="ann", lease_id=granted.lease.lease_id, progress=Progress())
        assert ttl == 10
    cluster.commit(granted)


def test_a_server_that_slept_does_not_take_its_sleep_for_the_trainers_silence(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), lease={"ttl_seconds": 10})
    granted = cluster.acquire("ann")
    cluster.expiry.tick()
    cluster.clock.advance(3600)
    cluster.expiry.tick()
    cluster.commit(granted)


def test_a_new_server_watches_a_whole_ttl_before_it_ends_a_lease(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), lease={"ttl_seconds": 10})
    cluster.acquire("ann")
    pass_time(cluster, 8)
    second = Cluster(cluster.store, state=cluster.state)
    pass_time(second, 9)
    assert second.jobs.current("j").leases
    pass_time(second, 2)
    assert not second.jobs.current("j").leases


def test_a_watch_forgets_leases_that_are_gone() -> None:
    watch: LeaseWatch[int] = LeaseWatch()
    lease = Watched(lease_id="l", mark=0, patience_seconds=2)
    watch.look([lease], 0.0)
    watch.look([lease], 1.0)
    watch.look([], 2.0)
    assert watch.look([lease], 3.0) == []
    watch.look([lease], 4.0)
    assert watch.look([lease], 5.0) == [lease]


def test_gauges_show_how_the_jobs_are(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=1)
    cluster.work(1)
    cluster.acquire()
    cluster.observer.tick()
    assert cluster.count("jobs", status="running") == 1
    assert cluster.count("leases_active", job_name="j") == 1
    assert cluster.count("trainers_active", job_name="j") == 1
    assert cluster.count("buckets_pending", job_name="j") == 12
    assert cluster.count("epoch", job_name="j") == 0
    assert cluster.count("progress_ratio", job_name="j") == 0.25
    assert math.isnan(cluster.count("eta_seconds", job_name="j"))
    assert cluster.count("commits_unrecorded", job_name="j") == 1


def test_the_time_left_follows_from_the_pace_of_the_last_minutes(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=1)
    for _ in range(3):
        cluster.observer.tick()
        cluster.clock.advance(10.0)
        cluster.work(1)
    cluster.observer.tick()
    done = cluster.count("progress_ratio", job_name="j")
    assert cluster.count("eta_seconds", job_name="j") == pytest.approx(30.0 * (1 - done) / done)
    cluster.work_to_the_end()
    cluster.observer.tick()
    assert cluster.count("eta_seconds", job_name="j") == 0
    assert cluster.count("progress_ratio", job_name="j") == 1
    assert cluster.count("jobs", status="completed") == 1


def test_a_paused_job_has_no_pace(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=2)
    for _ in range(2):
        cluster.observer.tick()
        cluster.clock.advance(10.0)
        cluster.work(1)
    cluster.observer.tick()
    assert cluster.count("running", job_name="j") == 1
    assert cluster.count("eta_seconds", job_name="j") > 0
    cluster.jobs.update("j", lambda state: pause(state, "j"))
    cluster.observer.tick()
    assert cluster.count("running", job_name="j") == 0
    assert math.isnan(cluster.count("eta_seconds", job_name="j"))
    assert cluster.count("buckets_pending", job_name="j") > 0


def test_settling_tells_what_is_committed_and_live_with_the_round_known_before(cluster: Cluster) -> None:
    cluster.submit(square_schema(8), relations=WITH_OPERATOR)
    cluster.settler.tick()
    committed = cluster.acquire("ann")
    cluster.commit(committed)
    live = cluster.acquire("bob")
    cluster.settler.tick()
    assert cluster.parameters.settled == [
        ("j", None, None, [], []),
        ("j", 1, None, [committed.lease.lease_id], [live.lease.lease_id]),
    ]


def test_a_lease_granted_while_settling_was_not_live_in_a_later_round_than_was_seen(cluster: Cluster) -> None:
    """The round that is told must be older than the state that is told: both come from before the call."""
    cluster.submit(square_schema(8), relations=WITH_OPERATOR)
    for _ in range(3):
        cluster.clock.advance(1)
        cluster.settler.tick()
    seen = [entry[1] for entry in cluster.parameters.settled]
    assert seen == [None, 1, 2]


def test_settling_is_repeated_every_second_while_the_job_runs_and_once_when_it_ends(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), relations=WITH_OPERATOR, num_epochs=1)
    for _ in range(9):
        cluster.settler.tick()
        cluster.clock.advance(0.25)
    assert len(cluster.parameters.settled) == 3
    cluster.work_to_the_end()
    for _ in range(20):
        cluster.settler.tick()
        cluster.clock.advance(1)
    assert len(cluster.parameters.settled) == 4
    assert len(cluster.parameters.settled[-1][3]) == 1


def test_a_failed_settle_is_tried_again_a_second_later(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), relations=WITH_OPERATOR, num_epochs=1)
    cluster.settler.tick()
    cluster.parameters.reachable = False
    cluster.work_to_the_end()
    for _ in range(4):
        cluster.settler.tick()
        cluster.clock.advance(0.25)
    assert cluster.count("settle_failures_total") == 1
    cluster.parameters.reachable = True
    cluster.settler.tick()
    assert [entry[1] for entry in cluster.parameters.settled] == [None, 1]


def test_jobs_without_parameters_are_not_settled(cluster: Cluster) -> None:
    cluster.submit(square_schema(2))
    cluster.work(1)
    cluster.settler.tick()
    assert cluster.parameters.settled == []


@pytest.mark.parametrize("error", [StoreUnavailable(address="nowhere"), ZeroDivisionError()])
def test_a_tick_that_fails_does_not_end_the_ticking(error: Exception) -> None:
    again = threading.Event()
    ticks = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) > 2:
            again.set()
        raise error

    repeater = Repeater("test", tick, period_seconds=0.01, clock=SystemClock())
    repeater.start()
    assert again.wait(10)
    repeater.stop(10)
