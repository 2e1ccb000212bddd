"""Manifests: when they are written, what they hold, and what is found in their place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from graphbed.errors import ManifestForeign, StoreUnavailable
from graphbed.storage import layout
from graphbed.storage.chain import commit_log
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.manifest import Manifest, manifest_sequences, read_manifest, require_newest
from graphbed.storage.objects import StoredObject
from services.lockserver.lifecycle import next_manifest
from services.lockserver.manifests import COMPACT_ABOVE
from tests.unit.lockserver.cluster import WITH_OPERATOR, Cluster, next_hex
from tests.unit.lockserver.examples import square_schema


class EventfulStore(DirectoryStore):
    """A directory where something happens just after the next object is created: the world goes on, or ends."""

    after_create: Callable[[], None] | None = None

    def create(self, key: str, data: bytes) -> StoredObject:
        stored = super().create(key, data)
        happens, self.after_create = self.after_create, None
        if happens is not None:
            happens()
        return stored


@pytest.fixture
def store(tmp_path: Path) -> EventfulStore:
    return EventfulStore(tmp_path / "store")


@pytest.fixture
def cluster(store: EventfulStore) -> Cluster:
    cluster = Cluster(store)
    cluster.submit(square_schema(8), checkpoint={"interval_seconds": 60}, relations=WITH_OPERATOR)
    return cluster


def newest(cluster: Cluster) -> Manifest:
    return require_newest(cluster.store, "j")


def write_behind_the_back(cluster: Cluster, **changes: object) -> Manifest:
    """What a lock server leaves that dies between writing a manifest and noting it."""
    state = cluster.jobs.current("j")
    manifest = next_manifest(
        state,
        cluster.jobs.context("j").plan,
        base=state.header.base,
        deltas=state.deltas_in_order(),
        nonce=next_hex(),
        written_at=0.0,
    ).model_copy(update=changes)
    cluster.store.create(layout.manifest("j", manifest.sequence), manifest.to_json())
    return manifest


def test_a_manifest_is_written_when_the_interval_has_passed_and_something_was_committed(cluster: Cluster) -> None:
    cluster.manifests.tick()
    cluster.work(3)
    cluster.clock.advance(59)
    cluster.manifests.tick()
    assert newest(cluster).sequence == 1
    cluster.clock.advance(2)
    cluster.manifests.tick()
    assert (newest(cluster).sequence, len(newest(cluster).commits)) == (2, 3)
    cluster.clock.advance(600)
    cluster.manifests.tick()
    assert newest(cluster).sequence == 2, "nothing was committed since"


def test_a_manifest_is_written_when_every_bucket_has_completed_an_epoch(cluster: Cluster) -> None:
    plan = cluster.jobs.context("j").plan
    while any(cluster.jobs.current("j").done.get(bucket, 0) < 1 for bucket in plan.edges):
        cluster.manifests.tick()
        assert newest(cluster).sequence == 1
        cluster.work(1)
    cluster.manifests.tick()
    assert newest(cluster).sequence == 2
    assert min(entry.epochs for entry in newest(cluster).progress) == 1


def test_a_manifest_holds_the_state(cluster: Cluster) -> None:
    cluster.work(4)
    cluster.manifests.write("j")
    state, manifest = cluster.jobs.current("j"), newest(cluster)
    assert {p.partition: p.version.to_receipt() for p in manifest.pointers} == state.pointers
    assert {p.bucket: p.epochs for p in manifest.progress if p.epochs} == state.done
    assert [version.key for version in manifest.parameters.deltas] == [
        delta.receipt.key for delta in state.deltas_in_order()
    ]
    assert manifest.epochs == tuple(state.epochs.values())


def test_manifests_are_gapless_and_each_names_its_parent(cluster: Cluster) -> None:
    for _ in range(4):
        cluster.work(2)
        cluster.manifests.write("j")
    assert manifest_sequences(cluster.store, "j") == [1, 2, 3, 4, 5]
    assert len(commit_log(cluster.store, "j")) == 8


def test_a_commit_while_a_manifest_is_written_is_in_the_next_one(cluster: Cluster, store: EventfulStore) -> None:
    cluster.work(2)
    store.after_create = lambda: cluster.work(1, "bob")
    cluster.manifests.write("j")
    assert [record.trainer_id for record in newest(cluster).commits] == ["ann", "ann"]
    assert [record.trainer_id for record in cluster.jobs.current("j").commits_in_order()] == ["bob"]
    cluster.manifests.write("j")
    assert [record.trainer_id for record in newest(cluster).commits] == ["bob"]


def test_a_manifest_whose_answer_was_lost_is_recognised(cluster: Cluster, store: EventfulStore) -> None:
    def lost() -> None:
        raise StoreUnavailable(address="somewhere")

    cluster.work(2)
    store.after_create = lost
    with pytest.raises(StoreUnavailable):
        cluster.manifests.write("j")
    cluster.work(1)
    cluster.manifests.write("j")
    assert [len(read_manifest(store, "j", sequence)[0].commits) for sequence in (1, 2, 3)] == [0, 2, 1]
    assert cluster.count("manifest_failures_total") == 1


def test_a_manifest_that_nobody_noted_is_adopted_and_the_next_follows_it(cluster: Cluster) -> None:
    cluster.work(2)
    write_behind_the_back(cluster)
    cluster.work(1)
    cluster.manifests.write("j")
    assert manifest_sequences(cluster.store, "j") == [1, 2, 3]
    assert len(commit_log(cluster.store, "j")) == 3
    assert not cluster.jobs.current("j").commits


@pytest.mark.parametrize("changes", [{"parent_sha256": "0" * 64}, {"commits": "of another life"}])
def test_a_manifest_that_does_not_follow_is_refused_and_changes_nothing(
    cluster: Cluster, changes: dict[str, object]
) -> None:
    cluster.work(2)
    if "commits" in changes:
        newest_first = tuple(reversed(cluster.jobs.current("j").commits_in_order()))
        changes = {"commits": newest_first}
    write_behind_the_back(cluster, **changes)
    before = cluster.jobs.current("j")
    with pytest.raises(ManifestForeign, match="2"):
        cluster.manifests.write("j")
    assert cluster.jobs.current("j") == before


def test_a_failing_store_is_tried_again_some_seconds_later(cluster: Cluster, store: EventfulStore) -> None:
    def lost() -> None:
        raise StoreUnavailable(address="somewhere")

    cluster.manifests.tick()
    cluster.work(1)
    cluster.clock.advance(61)
    store.after_create = lost
    cluster.manifests.tick()
    cluster.manifests.tick()
    assert cluster.jobs.current("j").header.manifest_sequence == 1
    cluster.clock.advance(6)
    cluster.manifests.tick()
    assert not cluster.jobs.current("j").commits


def test_many_parameter_deltas_are_compacted_into_a_base_that_replaces_exactly_them(
    cluster: Cluster, store: EventfulStore
) -> None:
    cluster.work(COMPACT_ABOVE)
    cluster.manifests.write("j")
    assert len(newest(cluster).parameters.deltas) == COMPACT_ABOVE, "few deltas are cheaper than a new base"
    cluster.work(2)
    ids = [delta.lease_id for delta in cluster.jobs.current("j").deltas_in_order()]
    store.after_create = lambda: cluster.work(1, "bob")
    cluster.manifests.write("j")
    manifest, state = newest(cluster), cluster.jobs.current("j")
    assert manifest.parameters.base is not None
    assert manifest.parameters.deltas == ()
    assert cluster.parameters.contents[manifest.parameters.base.key] == ids
    assert state.header.base == manifest.parameters.base.to_receipt()
    assert [delta.lease_id for delta in state.deltas_in_order()] == [
        record.lease_id for record in state.commits_in_order()
    ]


def test_without_the_parameter_server_a_manifest_names_base_and_deltas(cluster: Cluster) -> None:
    cluster.work(COMPACT_ABOVE + 1)
    cluster.parameters.reachable = False
    cluster.manifests.write("j")
    assert newest(cluster).parameters.base is None
    assert len(newest(cluster).parameters.deltas) == COMPACT_ABOVE + 1
    cluster.parameters.reachable = True
    cluster.work(1)
    cluster.manifests.write("j")
    assert newest(cluster).parameters.deltas == ()


def test_at_the_end_what_no_manifest_tells_is_written_and_nothing_else(cluster: Cluster) -> None:
    cluster.work(1)
    cluster.manifests.write_unrecorded(until=cluster.clock.monotonic())
    assert newest(cluster).sequence == 1, "no time was left"
    cluster.manifests.write_unrecorded(until=cluster.clock.monotonic() + 1)
    cluster.manifests.write_unrecorded(until=cluster.clock.monotonic() + 1)
    assert newest(cluster).sequence == 2
