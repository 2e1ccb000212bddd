"""Deleting a job: what is refused, what a crash leaves, what other lock servers see, and using the name again."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from graphbed.config.load import dump_job
from graphbed.errors import (
    CheckpointCondemned,
    CheckpointMissing,
    GraphMissing,
    JobDeleted,
    JobEnded,
    JobNeeded,
    JobNotEnded,
    JobUnknown,
    ServerUnreachable,
    StoreUnavailable,
)
from graphbed.storage import layout
from graphbed.storage.chain import commit_log
from graphbed.storage.condemned import condemned_sequences
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.evaluation_file import EvaluationRecord, write_evaluation
from graphbed.storage.fsck import check_job
from graphbed.storage.manifest import manifest_sequences, read_manifest, require_newest
from graphbed.storage.objects import StoredObject
from graphbed.storage.pins import pin_manifest, unpin
from graphbed.storage.reading import newest_pinned
from graphbed.storage.tombstone import tombstone
from services.lockserver import deletion, lifecycle
from services.lockserver.answers import Waiting
from services.lockserver.messages import grant_or_wait
from services.lockserver.state import Status
from services.lockserver.state_store import MemoryStateStore
from tests.unit.lockserver.cluster import WITH_OPERATOR, Cluster, next_hex
from tests.unit.lockserver.examples import make_config, square_schema

JOB = "j"


class Dying(Exception):
    """The process is gone."""


class FailingStore(DirectoryStore):
    """A directory whose changes fail, or kill whoever asks, after so many more of them."""

    left: int | None = None
    error: type[Exception] = Dying

    def _spend(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise self.error(address="here") if self.error is StoreUnavailable else self.error
            self.left -= 1

    def create(self, key, data):
        self._spend()
        return super().create(key, data)

    def put(self, key, data):
        self._spend()
        return super().put(key, data)

    def delete(self, key):
        self._spend()
        super().delete(key)

    def delete_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.delete(key)


class PutBack(MemoryStateStore):
    """A state store in another life, to which it came with what it was before."""

    def identity(self) -> str:
        return "another life"


def trained(store: DirectoryStore, state: MemoryStateStore | None = None) -> Cluster:
    """A job that is completed, with several manifests."""
    cluster = Cluster(store, state=state)
    cluster.submit(square_schema(4), relations=WITH_OPERATOR)
    cluster.work(3)
    cluster.manifests.write(JOB)
    cluster.work_to_the_end()
    cluster.manifests.tick()
    return cluster


def delete(cluster: Cluster) -> None:
    while not cluster.operations.delete(JOB).finished:
        pass


def left(store: DirectoryStore) -> list[str]:
    """What is in the store of the job, but for what shows that there was one."""
    return [key for key in store.list(layout.job(JOB)) if not key.startswith(layout.generations(JOB))]


def is_deleted_to_the_end(cluster: Cluster) -> bool:
    buried = tombstone(cluster.store, JOB)
    return (
        buried is not None
        and left(cluster.store) == [layout.manifest(JOB, buried.sequence)]
        and not cluster.state.jobs()
    )


@pytest.fixture
def store(tmp_path: Path) -> FailingStore:
    return FailingStore(tmp_path)


@pytest.fixture
def cluster(store: FailingStore) -> Cluster:
    return trained(store)


def test_a_job_goes_with_all_its_bytes(cluster: Cluster):
    kept = layout.graph_document(cluster.jobs.context(JOB).config.graph)
    objects, size = len(left(cluster.store)), sum(cluster.store.sizes(layout.job(JOB)).values())
    deleted = cluster.operations.delete(JOB)
    assert deleted.finished and is_deleted_to_the_end(cluster)
    assert deleted.objects >= objects and deleted.bytes >= size * 0.9
    assert cluster.store.exists(kept), "graphs are shared"
    assert cluster.jobs.names() == [] and list(cluster.jobs.usable()) == []
    assert cluster.parameters.forgotten == [JOB]
    with pytest.raises(JobUnknown):
        cluster.jobs.current(JOB)


def test_nobody_marks_manifests_beside_a_deletion(store: FailingStore, cluster: Cluster):
    cluster.jobs.update(JOB, lambda state: lifecycle.delete(state, JOB))
    cluster.manifests.record(JOB)
    before = condemned_sequences(store, JOB)
    cluster.collector.tick()
    assert condemned_sequences(store, JOB) == before
    delete(cluster)
    assert is_deleted_to_the_end(cluster)


def test_deleting_again_finds_nothing_left_and_an_unknown_job_is_told(cluster: Cluster):
    delete(cluster)
    again = cluster.operations.delete(JOB)
    assert (again.objects, again.finished) == (0, True)
    with pytest.raises(JobUnknown):
        cluster.operations.delete("nobody")


def test_a_job_that_may_still_be_trained_is_refused_and_stays_as_it_is(tmp_path: Path):
    cluster = Cluster(DirectoryStore(tmp_path))
    cluster.submit(square_schema(4))
    granted = cluster.acquire()
    before = cluster.store.list(layout.job(JOB))
    with pytest.raises(JobNotEnded, match="is running; cancel it first"):
        cluster.operations.delete(JOB)
    cluster.operations.pause(JOB)
    with pytest.raises(JobNotEnded, match="is paused"):
        cluster.operations.delete(JOB)
    cluster.operations.resume(JOB)
    cluster.commit(granted)
    assert set(before) <= set(cluster.store.list(layout.job(JOB)))
    cluster.operations.cancel(JOB)
    delete(cluster)
    assert is_deleted_to_the_end(cluster)


def test_a_pinned_job_is_refused_until_it_is_unpinned(cluster: Cluster):
    pin_manifest(cluster.store, JOB, 2, "good", written_at=0.0)
    before = cluster.store.list(layout.job(JOB))
    with pytest.raises(JobNeeded, match=r"checkpoint 2 of j is needed \(pin good\)"):
        cluster.operations.delete(JOB)
    assert cluster.store.list(layout.job(JOB)) == before
    assert cluster.jobs.current(JOB).header.status is Status.COMPLETED
    unpin(cluster.store, JOB, "good")
    delete(cluster)
    assert is_deleted_to_the_end(cluster)


def test_whoever_reads_is_waited_for(cluster: Cluster):
    def unprotected(error: Exception) -> None:
        raise AssertionError(error)

    reading = newest_pinned(cluster.store, JOB, reader_id=next_hex(), clock=cluster.clock, unprotected=unprotected)
    with reading as manifest:
        with pytest.raises(JobNeeded, match="reader"):
            cluster.operations.delete(JOB)
        assert all(cluster.store.exists(pointer.version.key) for pointer in manifest.pointers)
    delete(cluster)


def test_a_reader_that_comes_while_objects_go_is_refused_or_waited_for(store: FailingStore, cluster: Cluster):
    state = cluster.jobs.current(JOB)
    pinned = state.header.manifest_sequence

    class PinningStates(MemoryStateStore):
        """Somebody pins right after the state says that the job is deleted."""

        def apply(self, job, expected_tag, new_tag, written, removed):
            done = super().apply(job, expected_tag, new_tag, written, removed)
            if "deleted" in written.get("header", "") and not store.exists(layout.pin(JOB, "late")):
                pin_manifest(store, JOB, pinned, "late", written_at=0.0)
            return done

    states = PinningStates()
    states.create(JOB, *cluster.state.read(JOB))
    late = Cluster(store, state=states)
    with pytest.raises(JobNeeded, match="pin late"):
        late.operations.delete(JOB)
    manifest, _ = read_manifest(store, JOB, pinned)
    assert all(store.exists(pointer.version.key) for pointer in manifest.pointers)
    unpin(store, JOB, "late")
    with pytest.raises(CheckpointCondemned):
        pin_manifest(store, JOB, 1, "later", written_at=0.0)
    delete(late)
    assert is_deleted_to_the_end(late)


def test_the_state_may_get_lost_and_any_server_may_go_on_wherever_the_deletion_stopped(tmp_path: Path):
    whole = trained(FailingStore(tmp_path / "whole"))
    document = dump_job(make_config(square_schema(4), relations=WITH_OPERATOR))
    stops = 0
    whole_state = whole.state.read(JOB)
    for forgets in ("nothing", "everything", "the deletion"):
        for step in range(200):
            shutil.copytree(tmp_path / "whole", tmp_path / f"{forgets}-{step}")
            store, state = FailingStore(tmp_path / f"{forgets}-{step}"), MemoryStateStore()
            state.create(JOB, *whole_state)
            cluster = Cluster(store, state=state)
            store.left = step
            try:
                delete(cluster)
            except Dying:
                stops += 1
            else:
                break
            store.left = None
            if forgets != "nothing":
                state = MemoryStateStore()
            if forgets == "the deletion":
                state = PutBack()
                state.create(JOB, *whole_state)
            other = Cluster(store, state=state)
            unusable_or_whole(other, document)
            delete(other)
            assert is_deleted_to_the_end(other), step
    assert stops > 60


def unusable_or_whole(cluster: Cluster, document: str) -> None:
    """A job whose deletion was not finished gives out no work, whatever it is asked for; or nothing was done yet."""
    assert isinstance(cluster.coordinator.acquire(trainer="ann", request_id=next_hex()), Waiting)
    if tombstone(cluster.store, JOB) is None:
        if JOB in cluster.jobs.names() and cluster.jobs.current(JOB).header.status is Status.COMPLETED:
            assert check_job(cluster.store, JOB, deep=False).damages == []
        return
    with pytest.raises(JobDeleted):
        cluster.coordinator.submit(document)
    with pytest.raises((JobEnded, JobUnknown)):
        cluster.operations.resume(JOB)
    with pytest.raises((CheckpointCondemned, JobDeleted, JobUnknown, CheckpointMissing)):
        cluster.coordinator.restore(JOB, 1)


def test_a_store_that_fails_in_the_middle_is_told_and_the_rest_goes_when_asked_again(
    store: FailingStore, cluster: Cluster
):
    store.left, store.error = 12, StoreUnavailable
    with pytest.raises(StoreUnavailable):
        delete(cluster)
    assert [summary.header.status for _, summary in cluster.jobs.usable()] == [Status.DELETED]
    store.left = None
    delete(cluster)
    assert is_deleted_to_the_end(cluster)


def test_a_parameter_server_that_is_away_is_told_and_asked_again(cluster: Cluster):
    cluster.parameters.reachable = False
    with pytest.raises(ServerUnreachable):
        delete(cluster)
    cluster.parameters.reachable = True
    delete(cluster)
    assert cluster.parameters.forgotten == [JOB] and is_deleted_to_the_end(cluster)


def test_a_large_job_goes_in_parts(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deletion, "BATCH", 2)
    monkeypatch.setattr(deletion, "BATCHES", 2)
    parts = [cluster.operations.delete(JOB)]
    while not parts[-1].finished:
        parts.append(cluster.operations.delete(JOB))
    assert len(parts) > 2 and is_deleted_to_the_end(cluster)


def test_the_name_can_be_used_again_for_another_job_at_every_server(store: FailingStore, cluster: Cluster):
    other = Cluster(store, state=cluster.state)
    old_generation, old_manifest = 1, require_newest(store, JOB).sequence
    delete(cluster)
    config = cluster.submit(square_schema(4), relations=WITH_OPERATOR, dimension=8)
    other.manifests.tick()
    for server in (cluster, other):
        granted = server.acquire(trainer=f"of {id(server)}")
        assert grant_or_wait(granted).grant.config_sha256 == config.digest()
        server.commit(granted)
    header = other.jobs.current(JOB).header
    assert header.generation > old_generation and cluster.count("generations_total", reason="new") == 2
    manifest = cluster.manifests.write(JOB)
    assert manifest.sequence > old_manifest and len(commit_log(store, JOB)) == 2
    assert check_job(store, JOB, deep=False).damages == []
    with pytest.raises(CheckpointMissing):
        cluster.coordinator.restore(JOB, manifest_sequences(store, JOB)[0])
    for _ in range(3):
        cluster.work(1)
        cluster.manifests.write(JOB)
        cluster.collector.tick()
    assert check_job(store, JOB, deep=False, condemned=frozenset(condemned_sequences(store, JOB))).damages == []


def test_a_server_that_remembers_the_deleted_job_begins_no_state_of_it_beside_the_new_ones_document(tmp_path: Path):
    class SlowStore(DirectoryStore):
        """Between the document of a new job and its state, `meanwhile` happens."""

        meanwhile: Callable[[], None] | None = None

        def create(self, key: str, data: bytes) -> StoredObject:
            stored = super().create(key, data)
            if key == layout.job_document(JOB) and self.meanwhile is not None:
                meanwhile, self.meanwhile = self.meanwhile, None
                meanwhile()
            return stored

    store = SlowStore(tmp_path)
    cluster = trained(store)
    other = Cluster(DirectoryStore(tmp_path), state=cluster.state)
    delete(cluster)
    store.meanwhile = other.manifests.tick
    config = cluster.submit(square_schema(4), relations=WITH_OPERATOR, dimension=8)
    for server in (cluster, other):
        assert server.jobs.current(JOB).header.config_sha256 == config.digest()


def test_a_new_job_of_the_name_survives_the_loss_of_its_state(store: FailingStore, cluster: Cluster):
    delete(cluster)
    cluster.submit(square_schema(4), relations=WITH_OPERATOR)
    cluster.work(2)
    cluster.manifests.write(JOB)
    again = Cluster(store)
    state = again.jobs.current(JOB)
    assert state.header.status is Status.RUNNING and len(state.pointers) > 0
    assert len(commit_log(store, JOB)) == 2


@pytest.mark.parametrize("buried", [False, True])
def test_a_new_job_of_the_name_survives_a_state_store_put_back_to_the_old_ones_state(
    store: FailingStore, cluster: Cluster, buried: bool
):
    if buried:
        cluster.jobs.update(JOB, lambda now: lifecycle.delete(now, JOB))
        cluster.manifests.record(JOB)
    old = cluster.state.read(JOB)
    delete(cluster)
    config = cluster.submit(square_schema(4), relations=WITH_OPERATOR, dimension=8)
    if not buried:  # else its only manifest follows the tombstone directly
        cluster.work(2)
        cluster.manifests.write(JOB)
    state = PutBack()
    state.create(JOB, *old)
    again = Cluster(store, state=state)
    begun = again.jobs.current(JOB)
    assert (begun.header.config_sha256, begun.header.status) == (config.digest(), Status.RUNNING)
    again.work_to_the_end()
    again.manifests.write(JOB)
    assert len(commit_log(store, JOB)) > 2


def test_a_server_that_remembers_the_job_forgets_it_when_another_has_deleted_it(store: FailingStore, cluster: Cluster):
    other = Cluster(store, state=cluster.state)
    other.observer.tick()
    assert other.registry.get_sample_value("graphbed_lockserver_progress_ratio", {"job_name": JOB}) == 1.0
    delete(cluster)
    for tick in (other.manifests.tick, other.collector.tick, other.expiry.tick, other.observer.tick):
        tick()
    assert other.jobs.names() == [] and is_deleted_to_the_end(other)
    assert other.registry.get_sample_value("graphbed_lockserver_progress_ratio", {"job_name": JOB}) is None


def test_a_job_whose_graph_was_removed_is_left_out_and_can_be_cancelled_and_deleted(tmp_path: Path):
    store = DirectoryStore(tmp_path)
    before = Cluster(store)
    config = before.submit(square_schema(4))
    before.work(3)
    before.manifests.write(JOB)
    told = require_newest(store, JOB)
    store.delete(layout.graph_document(config.graph))
    for state in (before.state, MemoryStateStore()):
        cluster = Cluster(store, state=state)
        assert isinstance(cluster.coordinator.acquire(trainer="ann", request_id=next_hex()), Waiting)
        assert list(cluster.jobs.usable()) == []
        with pytest.raises(GraphMissing):
            cluster.coordinator.get_job(JOB)
        cluster.operations.cancel(JOB)
        newest = require_newest(store, JOB)
        assert newest.status == "cancelled" and newest.progress == told.progress
    delete(cluster)
    assert is_deleted_to_the_end(cluster)


def test_a_deletion_that_slept_until_the_name_was_used_again_leaves_the_new_job_alone_or_able_to_go_on(tmp_path: Path):
    class SleepingStore(DirectoryStore):
        """Whoever deletes the configuration through it falls asleep before, and `meanwhile` happens."""

        meanwhile: Callable[[], None] | None = None

        def delete_many(self, keys: Sequence[str]) -> None:
            if layout.job_document(JOB) in keys and self.meanwhile is not None:
                meanwhile, self.meanwhile = self.meanwhile, None
                meanwhile()
            super().delete_many(keys)

    store = SleepingStore(tmp_path)
    sleeper = trained(store)
    other = Cluster(DirectoryStore(tmp_path), state=sleeper.state)
    record = {"checkpoint": 1, "split": "test", "mrr": 0.5, "mean_rank": 2.0, "hits_at_1": 0.4, "hits_at_3": 0.5}
    evaluation = EvaluationRecord(**record, hits_at_10=0.6, protocol={"filtered": False})
    write_evaluation(store, JOB, evaluation)

    def use_again() -> None:
        delete(other)
        other.submit(square_schema(4), relations=WITH_OPERATOR)
        other.work(1)
        write_evaluation(store, JOB, evaluation)
        pin_manifest(store, JOB, require_newest(store, JOB).sequence, "new", written_at=0.0)

    store.meanwhile = use_again
    deleted = sleeper.operations.delete(JOB)
    assert not deleted.finished
    assert store.exists(layout.pin(JOB, "new")) and store.exists(layout.evaluation(JOB, "test"))
    # What was asked to go when it slept has gone. The job goes on, and submitting it again mends it.
    assert not store.exists(layout.job_document(JOB))
    other.work(1)
    other.manifests.write(JOB)
    other.submit(square_schema(4), relations=WITH_OPERATOR)
    again = Cluster(DirectoryStore(tmp_path))
    assert len(commit_log(store, JOB)) == 2
    again.work_to_the_end()


def test_two_servers_may_delete_at_once(store: FailingStore, cluster: Cluster):
    other = Cluster(store, state=cluster.state)
    for _ in range(10):
        results = [server.operations.delete(JOB) for server in (cluster, other)]
        if all(result.finished for result in results):
            break
    assert is_deleted_to_the_end(cluster)
