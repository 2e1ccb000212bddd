"""The coordinator: jobs that come, run, grow, end, and are brought back."""

import threading
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

from graphbed.config.load import dump_job, parse_job
from graphbed.errors import (
    BadConfig,
    CheckpointsGone,
    ConfigDiffers,
    GraphMissing,
    JobUnknown,
    LeaseLost,
    StateContended,
)
from graphbed.graph.schema import GraphSchema
from graphbed.storage import layout
from graphbed.storage.chain import commit_log
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.graph_document import write_graph
from graphbed.storage.manifest import require_newest
from services.lockserver.answers import Granted, Waiting
from services.lockserver.file_store import FileStateStore
from services.lockserver.jobs import ATTEMPTS
from services.lockserver.records import Progress
from services.lockserver.report import summarize
from services.lockserver.scheduler import NoWork
from services.lockserver.state import Status
from services.lockserver.state_store import MemoryStateStore
from tests.unit.lockserver.cluster import WITH_OPERATOR, Cluster, next_hex
from tests.unit.lockserver.examples import make_config, square_schema


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


@pytest.fixture
def cluster(store: DirectoryStore) -> Cluster:
    return Cluster(store)


def status_shown(cluster: Cluster, job: str = "j") -> Status:
    context, state = cluster.coordinator.get_job(job)
    return summarize(context.plan, state).status


def assert_each_bucket_once_an_epoch(store: DirectoryStore, schema: GraphSchema, epochs: int, job: str = "j") -> None:
    counts = Counter((pair, commit.epoch) for commit in commit_log(store, job) for pair in commit.buckets)
    buckets = [(bucket.lhs, bucket.rhs) for bucket in schema.edges_per_bucket("train")]
    assert counts == {(pair, epoch): 1 for pair in buckets for epoch in range(epochs)}


def test_a_submitted_job_is_in_a_manifest_at_once(cluster: Cluster, store: DirectoryStore) -> None:
    config = cluster.submit(square_schema(2))
    assert parse_job(store.get("jobs/j/job.yaml").decode(), source="test") == config
    manifest = require_newest(store, "j")
    assert (manifest.sequence, manifest.status, manifest.commits) == (1, "running", ())
    assert manifest.config_sha256 == config.digest()


def test_submitting_a_job_again_changes_nothing(cluster: Cluster, store: DirectoryStore) -> None:
    config = cluster.submit(square_schema(2))
    cluster.work(1)
    before = cluster.jobs.current("j")
    assert cluster.coordinator.submit(dump_job(config)) == ("j", False)
    assert cluster.jobs.current("j").done == before.done
    assert parse_job(store.get("jobs/j/job.yaml").decode(), source="test") == config


def test_another_configuration_is_refused_by_the_name_of_its_key(cluster: Cluster, store: DirectoryStore) -> None:
    schema = square_schema(2)
    cluster.submit(schema)
    before = store.get("jobs/j/job.yaml")
    with pytest.raises(ConfigDiffers, match="dimension is 8, was 4"):
        cluster.submit(schema, dimension=8)
    with pytest.raises(ConfigDiffers, match="num_epochs is 1, was 2"):
        cluster.submit(schema, num_epochs=1)
    assert store.get("jobs/j/job.yaml") == before


def test_a_configuration_that_its_state_refuses_is_not_written(cluster: Cluster, store: DirectoryStore) -> None:
    schema = square_schema(2)
    cluster.submit(schema)
    key = layout.job_document("j")
    store.put(key, dump_job(make_config(schema, dimension=8)).encode())
    edited = store.get(key)
    with pytest.raises(ConfigDiffers, match=r"job\.yaml was replaced"):
        cluster.submit(schema, dimension=8, num_epochs=5)
    assert store.get(key) == edited
    with pytest.raises(ConfigDiffers, match="dimension is 4, was 8"):
        cluster.submit(schema)


@pytest.mark.parametrize("has_state", [True, False])
def test_a_refused_submit_on_a_graph_that_was_ingested_anew_writes_nothing(
    store: DirectoryStore, has_state: bool
) -> None:
    first = Cluster(store)
    first.submit(square_schema(2))
    before = store.get("jobs/j/job.yaml")
    write_graph(store, square_schema(2, rows=9))
    second = Cluster(store, state=first.state if has_state else None)
    with pytest.raises(ConfigDiffers, match="ingested anew"):
        second.submit(square_schema(2, rows=9), num_epochs=5)
    assert store.get("jobs/j/job.yaml") == before
    assert has_state or second.state.jobs() == []


@pytest.mark.parametrize("removed", ["jobs/j/", layout.manifests("j")])
@pytest.mark.parametrize("server_lives", [True, False])
def test_a_state_whose_checkpoints_were_removed_is_not_gone_on_from(
    store: DirectoryStore, tmp_path: Path, removed: str, server_lives: bool
) -> None:
    state = FileStateStore(tmp_path / "state")
    schema = square_schema(2)
    cluster = Cluster(store, state=state)
    cluster.submit(schema)
    cluster.work(2)
    for key in store.list(removed):
        store.delete(key)
    left = store.list("jobs/")
    if not server_lives:
        cluster = Cluster(store, state=state)
    with pytest.raises(CheckpointsGone) as gone:
        cluster.submit(schema)
    assert gone.value.facts == {"job": "j", "state": state.address, "store": store.address}
    assert store.list("jobs/") == left
    # What the message advises.
    (tmp_path / "state" / "j.json").unlink()
    for key in left:
        store.delete(key)
    anew = Cluster(store, state=state)
    anew.submit(schema)
    assert anew.acquire().lease.epoch == 0


@pytest.mark.parametrize("server_lives", [True, False])
def test_a_configuration_that_got_lost_alone_is_written_again_by_the_same_submit_and_no_other(
    store: DirectoryStore, server_lives: bool
) -> None:
    cluster = Cluster(store)
    cluster.submit(square_schema(2))
    cluster.work(2)
    before = store.get(layout.job_document("j"))
    store.delete(layout.job_document("j"))
    if not server_lives:
        cluster = Cluster(store, state=cluster.state)
    with pytest.raises(ConfigDiffers):
        cluster.submit(square_schema(2), dimension=8)
    cluster.submit(square_schema(2))
    assert store.get(layout.job_document("j")) == before
    assert len(cluster.jobs.current("j").pointers) > 0


def test_a_job_on_a_graph_that_was_not_ingested_is_refused_and_leaves_nothing(
    cluster: Cluster, store: DirectoryStore
) -> None:
    with pytest.raises(GraphMissing, match="g"):
        cluster.coordinator.submit(dump_job(make_config(square_schema(2))))
    with pytest.raises(BadConfig, match="unknown key nonsense"):
        cluster.coordinator.submit("nonsense: 1")
    with pytest.raises(BadConfig, match="longer"):
        cluster.coordinator.submit("#" * (2 << 20))
    assert store.list("jobs/") == []
    assert cluster.jobs.names() == []


def test_one_trainer_completes_a_job_and_the_log_tells_each_bucket_once(
    cluster: Cluster, store: DirectoryStore
) -> None:
    schema = square_schema(4)
    cluster.submit(schema, num_epochs=3)
    cluster.work_to_the_end()
    assert status_shown(cluster) is Status.RUNNING, "completed is shown only when the last manifest is written"
    cluster.manifests.tick()
    assert status_shown(cluster) is Status.COMPLETED
    assert require_newest(store, "j").status == "completed"
    assert_each_bucket_once_an_epoch(store, schema, 3)


def test_a_completed_job_with_more_epochs_runs_on(cluster: Cluster, store: DirectoryStore) -> None:
    schema = square_schema(2)
    cluster.submit(schema, num_epochs=1)
    cluster.work_to_the_end()
    cluster.manifests.tick()
    cluster.submit(schema, num_epochs=2)
    assert require_newest(store, "j").status == "running"
    assert parse_job(store.get("jobs/j/job.yaml").decode(), source="test").num_epochs == 2
    cluster.work_to_the_end()
    cluster.manifests.tick()
    assert_each_bucket_once_an_epoch(store, schema, 2)


def test_a_cancelled_job_loses_its_leases_and_is_in_a_manifest(cluster: Cluster, store: DirectoryStore) -> None:
    cluster.submit(square_schema(2))
    granted = cluster.acquire()
    cluster.operations.cancel("j")
    assert require_newest(store, "j").status == "cancelled"
    with pytest.raises(LeaseLost):
        cluster.commit(granted)
    with pytest.raises(LeaseLost):
        cluster.coordinator.renew(trainer="ann", lease_id=granted.lease.lease_id, progress=Progress())
    answer = cluster.coordinator.acquire(trainer="ann", request_id=next_hex())
    assert isinstance(answer, Waiting)
    assert answer.reason is NoWork.NOTHING_DUE
    assert status_shown(cluster) is Status.CANCELLED


def test_an_unknown_job_is_told(cluster: Cluster) -> None:
    with pytest.raises(JobUnknown):
        cluster.coordinator.get_job("nobody")
    with pytest.raises(JobUnknown):
        cluster.operations.cancel("nobody")


def test_requests_that_come_again_get_the_first_answer_even_when_the_job_has_ended(cluster: Cluster) -> None:
    cluster.submit(square_schema(1), num_epochs=1)
    first = cluster.coordinator.acquire(trainer="ann", request_id="a")
    assert isinstance(first, Granted)
    assert cluster.coordinator.acquire(trainer="ann", request_id="a") == first
    cluster.commit(first, request_id="c")
    cluster.commit(first, request_id="c")
    assert cluster.coordinator.acquire(trainer="ann", request_id="a") == first
    assert cluster.jobs.current("j").epochs[0].leases == 1
    with pytest.raises(LeaseLost):
        cluster.commit(first, request_id="another")


def test_the_job_with_fewest_leases_comes_first(cluster: Cluster) -> None:
    schema = square_schema(8)
    for job in ("b", "a"):
        cluster.submit(schema, job=job)
        cluster.commit(cluster.acquire())
    names = [cluster.acquire(trainer).job for trainer in ("t1", "t2", "t3", "t4")]
    assert sorted(names[:2]) == sorted(names[2:]) == ["a", "b"]


def test_a_server_of_one_job_grants_leases_of_no_other(store: DirectoryStore) -> None:
    cluster = Cluster(store, only_job="b")
    for job in ("a", "b"):
        cluster.submit(square_schema(2), job=job)
    cluster.work_to_the_end()
    assert cluster.jobs.current("b").header.status is Status.COMPLETED
    assert not cluster.jobs.current("a").done


def test_a_trainer_that_asks_anew_holds_one_lease_over_all_jobs(cluster: Cluster) -> None:
    schema = square_schema(4)
    cluster.submit(schema, job="a")
    cluster.submit(schema, job="b")
    for _ in range(5):
        cluster.acquire("ann")
        assert sum(len(cluster.jobs.current(job).leases) for job in ("a", "b")) == 1


def test_a_released_lease_is_due_at_once_and_its_failure_is_shown(cluster: Cluster) -> None:
    cluster.submit(square_schema(1))
    lease = cluster.acquire("ann").lease
    cluster.coordinator.release(
        trainer="ann", request_id="r", lease_id=lease.lease_id, reason="failed", failure="ann: failed: no memory"
    )
    assert cluster.acquire("bob").lease.buckets == lease.buckets
    assert cluster.jobs.current("j").header.last_failure == "ann: failed: no memory"
    assert cluster.count("releases_total", reason="failed") == 1


def fail(cluster: Cluster, granted: Granted) -> None:
    """Hand a lease back as a trainer does that cannot train it."""
    cluster.coordinator.release(
        trainer=granted.lease.trainer,
        request_id=next_hex(),
        lease_id=granted.lease.lease_id,
        reason="not_finite",
        failure="ann: not_finite: loss is NaN",
    )


def test_a_job_whose_leases_fail_starves_no_other(cluster: Cluster) -> None:
    cluster.submit(square_schema(8), job="a-broken")
    cluster.submit(square_schema(8), job="sound")
    fail(cluster, cluster.acquire("ann"))
    jobs = []
    for _ in range(4):
        granted = cluster.acquire("ann")
        jobs.append(granted.job)
        if granted.job == "a-broken":
            fail(cluster, granted)
        else:
            cluster.commit(granted)
    assert jobs == ["sound"] * 4
    assert cluster.jobs.current("a-broken").header.last_failure


def test_a_job_that_failed_is_tried_again_when_no_other_has_work_and_counts_as_sound_after_a_commit(
    cluster: Cluster,
) -> None:
    cluster.submit(square_schema(1), job="a", num_epochs=3)
    cluster.submit(square_schema(1), job="b", num_epochs=2)
    fail(cluster, cluster.acquire("ann"))
    others = cluster.acquire("bob")
    again = cluster.acquire("ann")
    assert (others.job, again.job) == ("b", "a")
    cluster.commit(again)
    cluster.commit(others)
    assert cluster.acquire("ann").job == "a"
    assert cluster.jobs.current("a").header.last_failure, "people are still told"


def test_progress_of_live_leases_is_in_the_summary(cluster: Cluster) -> None:
    cluster.submit(square_schema(2), num_epochs=1)
    lease = cluster.acquire().lease
    cluster.coordinator.renew(trainer="ann", lease_id=lease.lease_id, progress=Progress(edges=7))
    context, state = cluster.coordinator.get_job("j")
    summary = summarize(context.plan, state)
    assert (summary.edges_done, summary.edges_total, summary.live_leases) == (7, 40, 1)
    cluster.coordinator.renew(trainer="ann", lease_id=lease.lease_id, progress=Progress(edges=10**9))
    assert summarize(context.plan, cluster.jobs.current("j")).edges_done == 40


def test_without_its_state_a_job_resumes_from_the_newest_manifest(store: DirectoryStore) -> None:
    schema = square_schema(4)
    first = Cluster(store)
    first.submit(schema, relations=WITH_OPERATOR)
    first.work(5)
    first.manifests.write("j")
    told = first.jobs.current("j")
    first.work(2)
    lost = first.acquire()

    second = Cluster(store)
    state = second.jobs.current("j")
    assert state.pointers == told.pointers
    assert state.done == told.done
    assert state.deltas_in_order() == told.deltas_in_order()
    assert not state.leases
    with pytest.raises(LeaseLost):
        second.commit(lost)
    second.work_to_the_end()
    second.manifests.tick()
    assert_each_bucket_once_an_epoch(store, schema, 2)


def test_a_state_that_gets_lost_under_a_running_server_is_restored(store: DirectoryStore) -> None:
    schema = square_schema(4)
    cluster = Cluster(store)
    cluster.submit(schema)
    cluster.work(3)
    cluster.manifests.write("j")
    assert isinstance(cluster.state, MemoryStateStore)
    cluster.state.__init__()  # type: ignore[misc] # forgets everything, as FLUSHALL does
    cluster.work_to_the_end()
    cluster.manifests.tick()
    assert_each_bucket_once_an_epoch(store, schema, 2)


def test_a_job_without_state_and_manifests_begins_anew(store: DirectoryStore) -> None:
    schema = square_schema(2)
    write_graph(store, schema)
    store.create(layout.job_document("j"), dump_job(make_config(schema)).encode())
    cluster = Cluster(store)
    assert cluster.jobs.names() == ["j"]
    assert cluster.acquire().lease.epoch == 0


def test_a_restored_job_that_completed_stays_completed(store: DirectoryStore) -> None:
    first = Cluster(store)
    first.submit(square_schema(1))
    first.work_to_the_end()
    first.manifests.tick()
    assert status_shown(Cluster(store)) is Status.COMPLETED


def test_a_graph_that_was_ingested_anew_stops_its_jobs_and_no_others(store: DirectoryStore) -> None:
    first = Cluster(store)
    first.submit(square_schema(2), job="old")
    first.manifests.tick()
    write_graph(store, square_schema(2, rows=9))
    second = Cluster(store, state=first.state)
    second.submit(square_schema(2, rows=9), job="new")
    assert second.acquire("ann").job == "new"
    with pytest.raises(ConfigDiffers, match="ingested anew"):
        second.coordinator.get_job("old")


def test_ending_all_leases_leaves_what_was_committed(cluster: Cluster) -> None:
    cluster.submit(square_schema(8), num_groups=8)
    cluster.work(2)
    done = cluster.jobs.current("j").done
    leases = [cluster.acquire(trainer) for trainer in ("ann", "bob")]
    cluster.operations.revoke_all("j")
    state = cluster.jobs.current("j")
    assert not state.leases
    assert state.done == done
    with pytest.raises(LeaseLost):
        cluster.commit(leases[0])


class ContendedStateStore(MemoryStateStore):
    """A state store where somebody else is faster, `times` times."""

    def __init__(self, times: int = 0) -> None:
        super().__init__()
        self.times = times

    def apply(
        self, job: str, expected_tag: str, new_tag: str, written: Mapping[str, str], removed: AbstractSet[str]
    ) -> bool:
        if self.times:
            self.times -= 1
            super().apply(job, expected_tag, next_hex(), {}, set())
        return super().apply(job, expected_tag, new_tag, written, removed)


def test_a_change_that_loses_to_others_is_tried_again_but_not_for_ever(store: DirectoryStore) -> None:
    state = ContendedStateStore()
    cluster = Cluster(store, state=state)
    cluster.submit(square_schema(2))
    state.times = ATTEMPTS - 1
    granted = cluster.acquire()
    state.times = ATTEMPTS
    with pytest.raises(StateContended, match="j "):
        cluster.commit(granted)
    assert cluster.count("state_conflicts_total") == 2 * ATTEMPTS - 1
    cluster.commit(granted)
    assert len(cluster.jobs.current("j").commits) == 1


def test_two_servers_and_four_trainers_at_once_commit_each_bucket_once(store: DirectoryStore) -> None:
    schema = square_schema(8)
    first = Cluster(store)
    first.submit(schema)
    servers = [first, Cluster(store, state=first.state)]
    failures: list[BaseException] = []

    def train(name: str, server: Cluster) -> None:
        try:
            while server.jobs.current("j").header.status is Status.RUNNING:
                answer = server.coordinator.acquire(trainer=name, request_id=next_hex())
                if isinstance(answer, Granted):
                    server.coordinator.renew(trainer=name, lease_id=answer.lease.lease_id, progress=Progress())
                    server.commit(answer)
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=train, args=(f"t{number}", servers[number % 2]), daemon=True) for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    servers[1].manifests.tick()
    assert_each_bucket_once_an_epoch(store, schema, 2)
