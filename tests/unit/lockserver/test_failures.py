"""Failed leases: buckets that are tried alone, given up for an epoch, and made due again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from graphbed.errors import InputError, JobEnded, JobUnknown
from graphbed.graph.partition import Bucket
from graphbed.storage.chain import commit_log
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.manifest import require_newest
from services.lockserver.answers import Granted
from services.lockserver.report import summarize
from services.lockserver.state import JobState, Status
from tests.fixtures.history import check_log
from tests.unit.lockserver.cluster import Cluster, next_hex
from tests.unit.lockserver.examples import square_schema

POISON = Bucket(1, 2)
End = Callable[[Cluster, Granted], None]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(DirectoryStore(tmp_path / "store"))


def fail(cluster: Cluster, granted: Granted) -> None:
    """The trainer says that it could not train the lease."""
    hand_back(cluster, granted, failure=f"{granted.lease.trainer}: failed: no memory")


def hand_back(cluster: Cluster, granted: Granted, failure: str = "") -> None:
    cluster.coordinator.release(
        trainer=granted.lease.trainer,
        request_id=next_hex(),
        lease_id=granted.lease.lease_id,
        reason="failed" if failure else "shutdown",
        failure=failure,
    )


def die(cluster: Cluster, granted: Granted) -> None:
    """The trainer is killed; the lock server finds out by its silence."""
    while granted.lease.lease_id in state(cluster).leases:
        cluster.clock.advance(1)
        cluster.expiry.tick()


def state(cluster: Cluster) -> JobState:
    return cluster.jobs.current("j")


def train(cluster: Cluster, *, end: End, trainers: tuple[str, ...] = ("ann",), leases: int = 200) -> list[Granted]:
    """Trainers take turns; a lease with POISON ends badly, any other is committed. Returns the bad ones."""
    bad = []
    for number in range(leases):
        answer = cluster.coordinator.acquire(trainer=trainers[number % len(trainers)], request_id=next_hex())
        if not isinstance(answer, Granted):
            break
        if POISON in answer.lease.buckets:
            bad.append(answer)
            end(cluster, answer)
        else:
            cluster.commit(answer)
    return bad


def test_a_failed_bucket_is_granted_alone_and_its_companions_too(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=1)
    first = cluster.acquire("ann")
    assert len(first.lease.buckets) > 1
    fail(cluster, first)
    alone = set()
    while set(first.lease.buckets) - alone:
        granted = cluster.acquire("bob")
        if set(granted.lease.buckets) & set(first.lease.buckets):
            assert len(granted.lease.buckets) == 1
            alone.update(granted.lease.buckets)
        cluster.commit(granted)
    assert not state(cluster).failures


@pytest.mark.parametrize("trainers", [("ann",), ("ann", "bob"), ("ann", "bob", "cat", "dan")])
def test_a_bucket_that_fails_everywhere_is_skipped_in_each_epoch_and_the_job_ends(
    cluster: Cluster, trainers: tuple[str, ...]
) -> None:
    config = cluster.submit(square_schema(4), num_epochs=2)
    bad = train(cluster, end=fail, trainers=trainers)
    assert state(cluster).header.status is Status.COMPLETED
    assert state(cluster).skipped[POISON].epochs == (0, 1)
    assert [lease.lease.buckets for lease in bad[1:]] == [(POISON,)] * (len(bad) - 1)
    per_epoch = len([lease for lease in bad if lease.lease.epoch == 0])
    assert per_epoch == 3
    cluster.manifests.tick()
    manifest = require_newest(cluster.store, "j")
    assert [(entry.bucket, entry.epochs) for entry in manifest.skipped] == [(POISON, (0, 1))]
    assert "no memory" in manifest.skipped[0].reason
    check_log(cluster.store, config)


def test_k_is_the_configurations(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=1, lease={"max_failures": 5})
    assert len(train(cluster, end=fail)) == 5


def test_one_trainer_that_fails_all_it_gets_does_not_condemn_what_others_can_train(cluster: Cluster) -> None:
    cluster.submit(square_schema(8), num_epochs=2)
    for _ in range(300):
        for trainer in ("broken", "sound"):
            answer = cluster.coordinator.acquire(trainer=trainer, request_id=next_hex())
            if isinstance(answer, Granted) and trainer == "broken":
                fail(cluster, answer)
            elif isinstance(answer, Granted):
                cluster.commit(answer)
    assert state(cluster).header.status is Status.COMPLETED
    assert not state(cluster).skipped


def test_hand_backs_never_count(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=1)
    for _ in range(20):
        hand_back(cluster, cluster.acquire("ann"))
    assert not state(cluster).failures
    assert state(cluster).header.failed_in_a_row == 0
    cluster.work_to_the_end()
    assert not state(cluster).skipped


def test_a_bucket_that_kills_its_trainers_is_skipped_too(cluster: Cluster) -> None:
    config = cluster.submit(square_schema(4), num_epochs=1, lease={"ttl_seconds": 3})
    bad = train(cluster, end=die)
    # Twice among others, and as often alone as a failure that is told.
    assert [len(lease.lease.buckets) > 1 for lease in bad] == [True, True, False, False, False]
    assert state(cluster).skipped[POISON].epochs == (0,)
    assert "silent" in state(cluster).skipped[POISON].reason
    cluster.manifests.tick()
    check_log(cluster.store, config)


def test_a_trainer_that_dies_and_asks_anew_under_its_name_counts_as_dead(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=1)
    assert len(train(cluster, end=lambda _cluster, _granted: None)) == 5
    assert state(cluster).skipped[POISON].epochs == (0,)


def test_deaths_that_are_not_in_a_row_do_not_count(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), num_epochs=6, lease={"ttl_seconds": 3})
    for _ in range(2):
        die(cluster, cluster.acquire("ann"))
        die(cluster, cluster.acquire("ann"))
        hand_back(cluster, cluster.acquire("ann"))
    for _ in range(2):
        die(cluster, cluster.acquire("ann"))
        cluster.work(1)
    assert not state(cluster).failures
    assert state(cluster).header.status is Status.RUNNING


def test_a_skipped_bucket_is_tried_again_in_the_next_epoch_alone(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=2, barrier=True)
    train(cluster, end=fail)
    assert state(cluster).skipped[POISON].epochs == (0, 1)
    cluster.submit(square_schema(4), num_epochs=3, barrier=True)
    while (granted := cluster.acquire("ann")).lease.buckets != (POISON,):
        assert POISON not in granted.lease.buckets
        cluster.commit(granted)
    cluster.commit(granted)
    assert cluster.operations.buckets("j")[0].quarantined is False
    assert cluster.operations.buckets("j")[0].skipped_epochs == (0, 1)


def test_a_job_that_only_fails_is_paused_before_it_is_skipped_away(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=1)
    for _ in range(1000):
        answer = cluster.coordinator.acquire(trainer="ann", request_id=next_hex())
        if not isinstance(answer, Granted):
            break
        fail(cluster, answer)
    assert state(cluster).header.status is Status.PAUSED
    assert "more than half of epoch 0 fails: ann: failed: no memory" in state(cluster).header.last_failure
    assert 2 * len(state(cluster).skipped) < 16
    cluster.operations.resume("j")
    assert not state(cluster).failures
    cluster.work_to_the_end()
    assert state(cluster).header.status is Status.COMPLETED


def test_an_only_bucket_is_never_skipped(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), num_epochs=1)
    for _ in range(3):
        fail(cluster, cluster.acquire("ann"))
    assert (state(cluster).header.status, dict(state(cluster).skipped)) == (Status.PAUSED, {})


def test_a_bucket_is_made_due_again_and_a_completed_job_runs_on(cluster: Cluster) -> None:
    config = cluster.submit(square_schema(4), num_epochs=1)
    train(cluster, end=fail)
    cluster.manifests.tick()
    context, told = cluster.coordinator.get_job("j")
    summary = summarize(context.plan, told)
    assert (summary.status, summary.buckets_skipped, summary.buckets_quarantined) == (Status.COMPLETED, 1, 1)
    with pytest.raises(InputError, match="bucket 0/0 of j is not quarantined"):
        cluster.operations.unquarantine("j", Bucket(0, 0))
    assert cluster.operations.unquarantine("j", POISON) == [POISON]
    assert require_newest(cluster.store, "j").status == "running"
    assert require_newest(cluster.store, "j").skipped == ()
    granted = cluster.acquire("ann")
    assert (granted.lease.buckets, granted.lease.epoch) == ((POISON,), 0)
    cluster.commit(granted)
    cluster.manifests.tick()
    assert len(check_log(cluster.store, config)) == len(commit_log(cluster.store, "j"))
    assert cluster.operations.unquarantine("j", None) == []


def test_what_is_leased_in_its_next_epoch_is_not_made_due_again(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=1)
    train(cluster, end=fail)
    cluster.submit(square_schema(4), num_epochs=2)
    while POISON not in cluster.acquire("ann").lease.buckets:
        granted = next(iter(state(cluster).leases.values()))
        cluster.coordinator.release(
            trainer="ann", request_id=next_hex(), lease_id=granted.lease_id, reason="shutdown", failure=""
        )
        cluster.work(1)
    assert cluster.operations.unquarantine("j", None) == []
    assert state(cluster).skipped[POISON].epochs == (0,)


def test_skips_survive_the_loss_of_the_state(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=2, barrier=True)
    train(cluster, end=fail, leases=12)
    cluster.manifests.write("j")
    second = Cluster(cluster.store)
    assert state(second).skipped == state(cluster).skipped
    assert state(second).done == state(cluster).done


def test_a_cancelled_job_has_nothing_due_again(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), num_epochs=1)
    cluster.operations.cancel("j")
    with pytest.raises(JobEnded, match="cancelled"):
        cluster.operations.unquarantine("j", None)
    with pytest.raises(JobUnknown):
        cluster.operations.unquarantine("nobody", None)
    with pytest.raises(JobUnknown):
        cluster.operations.buckets("nobody")
