"""Trainers that are killed or stopped in the middle of a lease; real processes, real signals."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from graphbed.config.load import dump_job
from graphbed.storage.address import open_store
from graphbed.v1 import lockserver_pb2
from services.standalone.cluster import StandaloneCluster
from tests.fixtures.graphs import codex_job, ingest_quietly, store_url
from tests.fixtures.history import check_history

T = TypeVar("T")

pytestmark = pytest.mark.timeout(240)

# Leases of some seconds each on one core, to hit their middle; renewals that come late on a busy machine end none.
SLOW = {"dimension": 256, "num_uniform_negs": 10_000, "num_epochs": 1, "lease": {"ttl_seconds": 4.0}}


def wait_for(look: Callable[[], T | None], *, seconds: float, what: str) -> T:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def lease_in_training(cluster: StandaloneCluster, job: str) -> lockserver_pb2.LeaseInfo:
    """A live lease whose trainer has trained some of its edges."""

    def look() -> lockserver_pb2.LeaseInfo | None:
        leases = cluster.locks.get_job(job).leases
        return next((lease for lease in leases if lease.progress.edges > 0), None)

    return wait_for(look, seconds=90, what="a lease in training")


def pid_of(lease: lockserver_pb2.LeaseInfo) -> int:
    """Trainer ids are host-pid-random."""
    return int(lease.trainer_id.rsplit("-", 2)[1])


def leases_of(cluster: StandaloneCluster, job: str, trainer_id: str) -> set[str]:
    """Ids of the live leases of a trainer: one, or one and its successor."""
    return {lease.lease_id for lease in cluster.locks.get_job(job).leases if lease.trainer_id == trainer_id}


def buckets_of(lease: lockserver_pb2.LeaseInfo) -> set[tuple[int, int, int]]:
    """Its bucket epochs."""
    return {(bucket.lhs, bucket.rhs, lease.epoch) for bucket in lease.buckets}


def wait_until_given_away(cluster: StandaloneCluster, job: str, lost: lockserver_pb2.LeaseInfo) -> None:
    """Return when each bucket of `lost` was seen in a live lease of another trainer."""
    missing = buckets_of(lost)

    def look() -> bool | None:
        for lease in cluster.locks.get_job(job).leases:
            if lease.trainer_id != lost.trainer_id:
                missing.difference_update(buckets_of(lease))
        return None if missing else True

    wait_for(look, seconds=90, what="that others get the buckets of the lost lease")


def wait_until_completed(cluster: StandaloneCluster, job: str) -> None:
    def look() -> bool | None:
        cluster.trainers.tend()
        return cluster.locks.get_job(job).summary.status == lockserver_pb2.JOB_STATUS_COMPLETED or None

    wait_for(look, seconds=150, what="the end of the job")


def test_killing_a_trainer_in_mid_lease_repeats_only_its_lease(tmp_path: Path) -> None:
    config = codex_job(store_url(tmp_path), **SLOW)
    store = open_store(config.store, {})
    ingest_quietly(config, store)
    with StandaloneCluster(config.store, job=config.job, trainers=2, threads=1, environ={}) as cluster:
        cluster.submit(dump_job(config))
        victim = lease_in_training(cluster, config.job)
        os.kill(pid_of(victim), signal.SIGKILL)
        killed_at = time.monotonic()
        lost = leases_of(cluster, config.job, victim.trainer_id)

        def given_away() -> float | None:
            left = leases_of(cluster, config.job, victim.trainer_id)
            return time.monotonic() - killed_at if not left else None

        seconds = wait_for(given_away, seconds=30, what="the end of the dead trainer's leases")
        wait_until_completed(cluster, config.job)
        grants = cluster.registry.get_sample_value("graphbed_lockserver_grants_total", {"outcome": "granted"})
    assert seconds <= config.lease.ttl_seconds + 2.0
    commits = check_history(store, config)
    assert not lost & {commit.lease_id for commit in commits}
    assert sum(commit.edges for commit in commits) == 32_888 * config.num_epochs
    assert grants == len(commits) + len(lost), "something besides the victim's leases was trained again"


def test_a_stopped_trainer_that_wakes_after_its_lease_was_given_away_changes_nothing(tmp_path: Path) -> None:
    config = codex_job(store_url(tmp_path), **SLOW)
    store = open_store(config.store, {})
    ingest_quietly(config, store)
    with StandaloneCluster(config.store, job=config.job, trainers=2, threads=1, environ={}) as cluster:
        cluster.submit(dump_job(config))
        sleeper = lease_in_training(cluster, config.job)
        os.kill(pid_of(sleeper), signal.SIGSTOP)
        try:
            wait_until_given_away(cluster, config.job, sleeper)
        finally:
            os.kill(pid_of(sleeper), signal.SIGCONT)
        wait_until_completed(cluster, config.job)
        assert pid_of(sleeper) in cluster.trainers.pids
    commits = check_history(store, config)
    assert sleeper.lease_id not in {commit.lease_id for commit in commits}
    assert sum(commit.edges for commit in commits) == 32_888


def test_a_drained_trainer_commits_its_lease_and_ends_and_is_not_replaced(tmp_path: Path) -> None:
    config = codex_job(store_url(tmp_path), **SLOW)
    store = open_store(config.store, {})
    ingest_quietly(config, store)
    with StandaloneCluster(config.store, job=config.job, trainers=2, threads=1, environ={}) as cluster:
        cluster.submit(dump_job(config))
        last = lease_in_training(cluster, config.job)
        held = {lease.lease_id for lease in cluster.locks.drain_trainer(last.trainer_id)}
        assert last.lease_id in held
        wait_for(
            lambda: pid_of(last) not in cluster.trainers.pids or None, seconds=90, what="the end of the drained trainer"
        )
        wait_until_completed(cluster, config.job)
        assert len(cluster.trainers.pids) == 1
        grants = cluster.registry.get_sample_value("graphbed_lockserver_grants_total", {"outcome": "granted"})
    commits = check_history(store, config)
    assert {commit.lease_id for commit in commits if commit.trainer_id == last.trainer_id} >= held
    assert grants == len(commits), "a lease was lost"
