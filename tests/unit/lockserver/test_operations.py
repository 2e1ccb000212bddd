"""What people may do while a cluster works, and how jobs share it."""

from collections import Counter
from pathlib import Path

import pytest

from graphbed.config.load import dump_job
from graphbed.errors import JobEnded, JobUnknown, LeaseLost, TrainerUnknown
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.manifest import require_newest
from graphbed.v1 import lockserver_pb2
from services.lockserver.answers import Granted, Waiting
from services.lockserver.records import Progress
from services.lockserver.scheduler import NoWork
from services.lockserver.state import Status
from tests.unit.lockserver.cluster import WITH_OPERATOR, Cluster, next_hex
from tests.unit.lockserver.examples import make_config, square_schema


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(DirectoryStore(tmp_path / "store"))


def ask(cluster: Cluster, trainer: str = "ann") -> Granted | Waiting:
    return cluster.coordinator.acquire(trainer=trainer, request_id=next_hex())


def refusal(cluster: Cluster, trainer: str = "ann") -> NoWork:
    answer = ask(cluster, trainer)
    assert isinstance(answer, Waiting)
    return answer.reason


def test_a_paused_job_grants_nothing_and_what_runs_may_commit(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), relations=WITH_OPERATOR)
    granted = cluster.acquire("ann")
    cluster.operations.pause("j")
    cluster.operations.pause("j")
    assert require_newest(cluster.store, "j").status == "paused"
    assert refusal(cluster, "bob") is NoWork.NOTHING_DUE
    cluster.clock.advance(5)
    cluster.settler.tick()
    assert cluster.parameters.settled[-1][4] == [granted.lease.lease_id], "its parameters are settled still"
    cluster.commit(granted)
    assert cluster.jobs.current("j").header.status is Status.PAUSED
    cluster.operations.resume("j")
    assert require_newest(cluster.store, "j").status == "running"
    cluster.work_to_the_end()
    assert cluster.jobs.current("j").header.status is Status.COMPLETED


def test_a_pause_survives_the_loss_of_the_state_and_holds_at_every_server(cluster: Cluster) -> None:
    cluster.submit(square_schema(4))
    second = Cluster(cluster.store, state=cluster.state)
    cluster.operations.pause("j")
    assert refusal(second) is NoWork.NOTHING_DUE
    third = Cluster(cluster.store)
    assert third.jobs.current("j").header.status is Status.PAUSED
    third.operations.resume("j")
    assert isinstance(ask(third), Granted)


def test_the_last_commit_of_a_paused_job_completes_it(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), num_epochs=1)
    granted = cluster.acquire()
    cluster.operations.pause("j")
    cluster.commit(granted)
    assert cluster.jobs.current("j").header.status is Status.COMPLETED


def test_a_job_that_has_ended_is_neither_paused_nor_resumed(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), num_epochs=1)
    cluster.work_to_the_end()
    for change in (cluster.operations.pause, cluster.operations.resume):
        with pytest.raises(JobEnded, match="completed"):
            change("j")
        with pytest.raises(JobUnknown):
            change("nobody")


def test_a_revoked_lease_is_void_and_counts_against_nobody(cluster: Cluster) -> None:
    cluster.submit(square_schema(1))
    granted = cluster.acquire("ann")
    job, lease = cluster.operations.revoke(granted.lease.lease_id)
    assert (job, lease.trainer) == ("j", "ann")
    with pytest.raises(LeaseLost):
        cluster.commit(granted)
    with pytest.raises(LeaseLost):
        cluster.operations.revoke(granted.lease.lease_id)
    assert not cluster.jobs.current("j").failures
    assert cluster.acquire("bob").lease.buckets == granted.lease.buckets


def test_a_drained_trainer_finishes_its_lease_and_gets_none_of_any_job(cluster: Cluster) -> None:
    cluster.submit(square_schema(8), job="a")
    granted = cluster.acquire("ann")
    assert cluster.operations.drain("ann", undo=False) == (("a", granted.lease.lease_id),)
    second = Cluster(cluster.store, state=cluster.state)
    cluster.submit(square_schema(8), job="b")
    cluster.commit(granted)
    assert refusal(second, "ann") is NoWork.DRAINING
    assert refusal(cluster, "ann") is NoWork.DRAINING
    assert isinstance(ask(cluster, "bob"), Granted)
    assert [(r.trainer, r.draining, len(r.leases)) for r in second.operations.trainers()] == [
        ("ann", True, 0),
        ("bob", False, 1),
    ]
    second.operations.drain("ann", undo=True)
    assert isinstance(ask(cluster, "ann"), Granted)


def test_an_unknown_trainer_cannot_be_drained(cluster: Cluster) -> None:
    cluster.submit(square_schema(2))
    with pytest.raises(TrainerUnknown, match="nobody"):
        cluster.operations.drain("nobody", undo=False)


def test_leases_are_shared_out_by_weight(cluster: Cluster) -> None:
    for job, share in (("a", 1.0), ("b", 3.0)):
        cluster.submit(square_schema(16), job=job, share=share, num_groups=16)
        cluster.work(60)
        cluster.operations.pause(job)
    cluster.operations.resume("a")
    cluster.operations.resume("b")
    jobs = Counter(cluster.acquire(f"t{number}").job for number in range(8))
    assert jobs == {"a": 2, "b": 6}


def test_a_job_of_higher_priority_is_served_while_it_has_work(cluster: Cluster) -> None:
    cluster.submit(square_schema(2), job="a", num_epochs=1)
    cluster.submit(square_schema(2), job="urgent", num_epochs=1, priority=1, share=0.001)
    assert cluster.acquire("ann").job == "urgent"
    assert cluster.acquire("bob").job == "a", "there is no work of the other for a second trainer"


def test_no_more_trainers_work_for_a_job_than_it_may_have(cluster: Cluster) -> None:
    cluster.submit(square_schema(8), num_groups=8, max_trainers=2)
    cluster.work(10)
    first = cluster.acquire("ann")
    cluster.acquire("bob")
    assert refusal(cluster, "cat") is NoWork.TRAINERS_ENOUGH
    assert isinstance(ask(cluster, "bob"), Granted), "who asks anew does not stand in its own way"
    cluster.commit(first)
    assert isinstance(ask(cluster, "cat"), Granted)


def test_how_jobs_share_the_cluster_may_change_and_every_server_knows(cluster: Cluster) -> None:
    config = cluster.submit(square_schema(8), max_trainers=1)
    second = Cluster(cluster.store, state=cluster.state)
    second.acquire("ann")
    assert refusal(second, "bob") is NoWork.TRAINERS_ENOUGH
    changes = {"max_trainers": 3, "priority": 7, "share": 2.5, "barrier": True}
    changed = make_config(square_schema(8), **changes)
    assert changed.digest() == config.digest()
    assert cluster.coordinator.submit(dump_job(changed)) == ("j", False)
    second.jobs.current("j")
    assert second.jobs.context("j").config == changed
    assert second.jobs.context("j").plan.rules.max_trainers == 3


def test_with_a_barrier_no_epoch_begins_before_the_last_lease_of_the_one_before(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), barrier=True, num_groups=4)
    epochs = []
    held = cluster.acquire("slow")
    for _ in range(100):
        answer = ask(cluster, "fast")
        if not isinstance(answer, Granted):
            cluster.commit(held)
            held = cluster.acquire("slow")
            epochs.append(held.lease.epoch)
            if cluster.jobs.current("j").header.status is not Status.RUNNING or held.lease.epoch == 1:
                break
        else:
            assert answer.lease.epoch == held.lease.epoch
            cluster.commit(answer)
    assert epochs[-1] == 1
    assert all(done >= 1 for done in cluster.jobs.current("j").done.values())


def renew(cluster: Cluster, granted: Granted, progress: Progress) -> None:
    cluster.coordinator.renew(trainer=granted.lease.trainer, lease_id=granted.lease.lease_id, progress=progress)


def test_a_lease_that_is_renewed_and_gets_nowhere_is_ended(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), lease={"ttl_seconds": 10, "stall_seconds": 30})
    granted = cluster.acquire("ann")
    stuck = Progress(edges=5, bytes=7, phase=lockserver_pb2.PHASE_TRAIN)
    for _ in range(29):
        cluster.clock.advance(1)
        renew(cluster, granted, stuck)
        cluster.expiry.tick()
    for _ in range(3):
        cluster.clock.advance(1)
        cluster.expiry.tick()
    with pytest.raises(LeaseLost):
        renew(cluster, granted, stuck)
    assert cluster.count("lease_stalls_total") == 1
    assert cluster.count("lease_expirations_total") == 0


@pytest.mark.parametrize("waiting", [True, False])
def test_edges_bytes_and_waiting_are_progress(cluster: Cluster, waiting: bool) -> None:
    cluster.submit(square_schema(1), lease={"ttl_seconds": 10, "stall_seconds": 30})
    granted = cluster.acquire("ann")
    for second in range(200):
        cluster.clock.advance(1)
        moved = Progress(phase=lockserver_pb2.PHASE_WAITING) if waiting else Progress(bytes=second // 20)
        renew(cluster, granted, moved)
        cluster.expiry.tick()
    cluster.commit(granted)
