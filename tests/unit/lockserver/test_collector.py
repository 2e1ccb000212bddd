"""The collector on a real store: what it deletes and when, pins and readers, several servers, a crash in the middle."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from graphbed import history
from graphbed.clock import ManualClock
from graphbed.errors import (
    CheckpointCondemned,
    CheckpointIncomplete,
    GenerationContended,
    GraphbedError,
    ObjectMissing,
    PinDiffers,
    PinUnknown,
    StoreDenied,
    StoreUnavailable,
)
from graphbed.storage import layout
from graphbed.storage.condemned import condemn, condemned_sequences
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.evaluation_file import EvaluationRecord, read_scores, write_evaluation
from graphbed.storage.manifest import manifest_sequences, read_manifest
from graphbed.storage.objects import StoredObject, sha256_hex
from graphbed.storage.pins import pin_manifest, read_pins, unpin
from graphbed.storage.reading import newest_pinned
from graphbed.storage.retention import Told
from services.lockserver import collector, survey
from services.lockserver.answers import Commitment, Granted
from tests.fixtures.history import check_history
from tests.unit.lockserver.cluster import Cluster, next_hex
from tests.unit.lockserver.examples import receipts, square_schema

JOB = "j"
BYTES = bytes(100)


def started(store: DirectoryStore, *, num_epochs: int = 20) -> Cluster:
    cluster = Cluster(store)
    cluster.submit(square_schema(4), num_epochs=num_epochs)
    return cluster


def work(cluster: Cluster, manifests: int, *, leases: int = 1) -> None:
    """Commit leases with all that trainers would have stored, then write a manifest; so many times."""
    for _ in range(manifests):
        for _ in range(leases):
            commit(cluster, cluster.acquire())
        cluster.manifests.write(JOB)


def commit(cluster: Cluster, granted: Granted) -> None:
    plan = cluster.jobs.context(JOB).plan
    done = Commitment(
        lease_id=granted.lease.lease_id,
        versions=receipts(plan, granted.lease, size=len(BYTES), sha256=sha256_hex(BYTES)),
        parameters=None,
        edges=1,
        loss=1.0,
    )
    for _, receipt in done.versions:
        cluster.store.put(receipt.key, BYTES)
    cluster.coordinator.commit(trainer=granted.lease.trainer, request_id=next_hex(), done=done)


def objects(cluster: Cluster) -> set[str]:
    return {*cluster.store.list(layout.partitions(JOB)), *cluster.store.list(layout.parameters(JOB))}


def newest(cluster: Cluster) -> int:
    return manifest_sequences(cluster.store, JOB)[-1]


def named(cluster: Cluster, sequences: Sequence[int]) -> set[str]:
    return set().union(*(Told.by(read_manifest(cluster.store, JOB, n)[0]).named for n in sequences))


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return started(DirectoryStore(tmp_path))


def test_older_manifests_are_condemned_and_what_only_they_name_is_deleted(cluster: Cluster):
    work(cluster, 8, leases=3)
    before = objects(cluster)
    cluster.collector.tick()
    sequences = manifest_sequences(cluster.store, JOB)
    assert named(cluster, sequences[-3:]) <= objects(cluster) < before
    assert condemned_sequences(cluster.store, JOB) == set(sequences[:-3])
    gone = before - objects(cluster)
    assert cluster.count("collected_objects_total") == len(gone)
    assert cluster.count("collected_bytes_total") == len(gone) * len(BYTES)
    assert cluster.count("objects_bytes", job_name=JOB, kind="live") == 4 * len(BYTES)


def test_the_store_stays_bounded(cluster: Cluster):
    counts = []
    for _ in range(20):
        work(cluster, 1, leases=2)
        cluster.collector.tick()
        counts.append(len(objects(cluster)))
    # Three manifests of four partitions, and what one more manifest's commits had already replaced.
    assert max(counts) <= 3 * 4 + 2 * 2 * 2
    assert counts[-1] <= counts[5]


def test_a_finished_job_keeps_its_history_and_a_whole_last_checkpoint(tmp_path: Path):
    cluster = Cluster(DirectoryStore(tmp_path))
    config = cluster.submit(square_schema(4), num_epochs=6)
    orphan = layout.partition_version(JOB, cluster.acquire().lease.partitions[0].partition, "f" * 32)
    cluster.store.put(orphan, BYTES)
    while isinstance(answer := cluster.coordinator.acquire(trainer="ann", request_id=next_hex()), Granted):
        commit(cluster, answer)
        cluster.manifests.tick()
        cluster.collector.tick()
    assert not cluster.store.exists(orphan)
    check_history(cluster.store, config)
    assert len(condemned_sequences(cluster.store, JOB)) >= 3


def test_what_a_void_lease_stored_goes_two_manifests_later(cluster: Cluster):
    work(cluster, 1)
    granted = cluster.acquire()
    orphan = layout.partition_version(JOB, granted.lease.partitions[0].partition, granted.lease.lease_id)
    cluster.store.put(orphan, BYTES)
    for _ in range(3):
        cluster.manifests.write(JOB)
        cluster.collector.tick()
        assert cluster.store.exists(orphan), "its lease lives"
    cluster.operations.revoke_all(JOB)
    for expected in (True, True, False):
        work(cluster, 1)
        cluster.collector.tick()
        assert cluster.store.exists(orphan) is expected


def test_a_live_lease_may_fetch_what_it_starts_from_however_many_manifests_pass(cluster: Cluster):
    work(cluster, 6)
    slow = cluster.acquire("slow")
    for _ in range(5):
        granted = cluster.coordinator.acquire(trainer="ann", request_id=next_hex())
        if isinstance(granted, Granted):
            commit(cluster, granted)
        cluster.manifests.write(JOB)
        cluster.collector.tick()
    starts = [start.version for start in slow.lease.partitions if start.version]
    assert starts and all(cluster.store.exists(version.key) for version in starts)


def test_a_pinned_manifest_stays_whole_until_it_is_unpinned(cluster: Cluster):
    work(cluster, 3)
    pinned = newest(cluster)
    pin_manifest(cluster.store, JOB, pinned, "good", written_at=0.0)
    work(cluster, 6)
    cluster.collector.tick()
    assert named(cluster, [pinned]) <= objects(cluster)
    assert pinned not in condemned_sequences(cluster.store, JOB)
    assert unpin(cluster.store, JOB, "good") == pinned
    cluster.clock.advance(collector.LOOK_SECONDS)
    cluster.collector.tick()
    assert not named(cluster, [pinned]) <= objects(cluster)


def test_a_pin_of_a_condemned_manifest_is_refused_and_leaves_nothing(cluster: Cluster):
    work(cluster, 6)
    cluster.collector.tick()
    with pytest.raises(CheckpointCondemned, match="checkpoint 1 of j was given up"):
        pin_manifest(cluster.store, JOB, 1, "late", written_at=0.0)
    assert read_pins(cluster.store, JOB) == []


def test_a_pin_of_a_manifest_that_lacks_an_object_is_refused(cluster: Cluster):
    work(cluster, 2)
    lost = sorted(named(cluster, [newest(cluster)]))[0]
    cluster.store.delete(lost)
    with pytest.raises(CheckpointIncomplete, match=lost):
        pin_manifest(cluster.store, JOB, newest(cluster), "x", written_at=0.0)
    assert read_pins(cluster.store, JOB) == []
    with pytest.raises(ObjectMissing):
        pin_manifest(cluster.store, JOB, 99, "x", written_at=0.0)


def test_a_pin_may_be_asked_for_again_but_its_name_is_taken(cluster: Cluster):
    work(cluster, 2)
    for _ in range(2):
        pin_manifest(cluster.store, JOB, 2, "x", written_at=0.0)
    with pytest.raises(PinDiffers, match="pin x is of checkpoint 2"):
        pin_manifest(cluster.store, JOB, 1, "x", written_at=0.0)
    unpin(cluster.store, JOB, "x")
    with pytest.raises(PinUnknown):
        unpin(cluster.store, JOB, "x")


def test_a_manifest_that_was_pinned_first_may_be_pinned_again_although_it_was_marked_since(cluster: Cluster):
    work(cluster, 2)
    pin_manifest(cluster.store, JOB, 2, "x", written_at=0.0)
    condemn(cluster.store, JOB, 2)
    for name in ("x", "y"):
        pin_manifest(cluster.store, JOB, 2, name, written_at=0.0)
    work(cluster, 6)
    cluster.collector.tick()
    assert named(cluster, [2]) <= objects(cluster)


class Meddling(DirectoryStore):
    """Does something once, just before a key with this word is written or its mark is looked for."""

    def __init__(self, path: Path, *, verb: str, word: str) -> None:
        super().__init__(path)
        self.verb, self.word = verb, word
        self.meddle = lambda: None

    def _now(self, verb: str, key: str) -> None:
        if (verb, self.word in key) == (self.verb, True):
            meddle, self.meddle = self.meddle, lambda: None
            meddle()

    def create(self, key: str, data: bytes) -> StoredObject:
        self._now("create", key)
        return super().create(key, data)

    def exists(self, key: str) -> bool:
        self._now("exists", key)
        return super().exists(key)

    def delete_many(self, keys: Sequence[str]) -> None:
        self._now("delete", keys[0] if keys else "")
        super().delete_many(keys)


MOMENTS = [("create", "condemned"), ("delete", "partitions"), ("create", "pins"), ("exists", "condemned")]
"""Of a collection that a pin overtakes: before marks, before deletions; of a pin that a collection overtakes:
before it is visible, and before it looks for marks."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_pin_and_a_collection_at_once_never_both_get_their_way(tmp_path: Path, moment: tuple[str, str]):
    """Whatever overtakes whatever: a pin that was answered is of a whole manifest."""
    store = Meddling(tmp_path, verb=moment[0], word=moment[1])
    cluster = started(store)
    work(cluster, 4)
    target = manifest_sequences(store, JOB)[-4]
    answers: list[object] = []

    def pin() -> None:
        try:
            answers.append(pin_manifest(DirectoryStore(tmp_path), JOB, target, "x", written_at=0.0))
        except CheckpointIncomplete as error:
            answers.append(error)

    if moment in MOMENTS[:2]:
        store.meddle = pin
        cluster.collector.tick()
    else:
        store.meddle = Cluster(DirectoryStore(tmp_path), state=cluster.state).collector.tick
        try:
            answers.append(pin_manifest(store, JOB, target, "x", written_at=0.0))
        except CheckpointIncomplete as error:
            answers.append(error)
    (answer,) = answers
    assert (answer is None) == (read_pins(store, JOB) != [])
    if answer is None:
        assert named(cluster, [target]) <= objects(cluster)


def test_a_generation_that_goes_back_between_survey_and_marks_stops_the_deletion(tmp_path: Path):
    """Its manifest had no mark when it was gone back to."""
    store = Meddling(tmp_path, verb="create", word="condemned")
    cluster = started(store)
    work(cluster, 4)
    target = cluster.collector.collect(JOB, dry_run=True).survey.decision.condemned[-1]
    other = Cluster(DirectoryStore(tmp_path), state=cluster.state)
    store.meddle = lambda: other.coordinator.restore(JOB, target)
    with pytest.raises(GenerationContended):
        cluster.collector.collect(JOB)
    assert named(cluster, [target]) == named(cluster, [newest(cluster)]) <= objects(cluster)


def test_a_pin_that_becomes_visible_after_the_marks_stops_the_deletion(tmp_path: Path):
    store = DirectoryStore(tmp_path)
    cluster = started(store)
    work(cluster, 6)
    surveyed = cluster.collector._surveyor.survey(JOB)
    condemn(store, JOB, 1)
    pin_key = layout.pin(JOB, "visible")
    store.create(pin_key, b'{"sequence": 2, "written_at": 0}')
    needed = cluster.collector._surveyor.needed_now(JOB, surveyed)
    assert needed == named(cluster, [2])


def test_two_collectors_and_a_crash_in_the_middle_end_where_one_would(tmp_path: Path):
    store = DirectoryStore(tmp_path)
    one = started(store)
    work(one, 8, leases=2)
    garbage = one.collector.collect(JOB, dry_run=True).survey.decision.garbage
    assert set(garbage) <= objects(one), "a dry run deletes nothing"
    assert condemned_sequences(store, JOB) == set()
    # A server that dies here has marked, and deleted a part.
    for sequence in one.collector.collect(JOB, dry_run=True).survey.decision.condemned:
        condemn(store, JOB, sequence)
    store.delete_many(garbage[: len(garbage) // 2])
    two = Cluster(store, state=one.state)
    for _ in range(3):
        work(one, 1)
        one.collector.tick()
        two.collector.tick()
    sequences = manifest_sequences(store, JOB)
    assert not set(garbage) & objects(one)
    assert named(one, sequences[-3:]) <= objects(one)


def test_a_damaged_pin_stops_the_collection_and_is_named(cluster: Cluster):
    work(cluster, 6)
    cluster.store.create(layout.pin(JOB, "torn"), b'{"sequence":')
    before = objects(cluster)
    cluster.collector.tick()
    assert objects(cluster) == before
    assert cluster.count("collection_failures_total") == 1
    with pytest.raises(GraphbedError, match=r"pins/torn\.json"):
        cluster.collector.collect(JOB)


def test_a_reader_keeps_what_it_reads_and_leaves_no_pin(cluster: Cluster):
    work(cluster, 3)
    with newest_pinned(
        cluster.store, JOB, reader_id="r1", clock=ManualClockThatWaits(), unprotected=pytest.fail
    ) as manifest:
        work(cluster, 6)
        cluster.collector.tick()
        assert named(cluster, [manifest.sequence]) <= objects(cluster)
    assert read_pins(cluster.store, JOB) == []


class ManualClockThatWaits(ManualClock):
    """Waiting waits for the event, for a renewing thread that has nothing to renew yet."""

    def wait(self, event: object, seconds: float) -> bool:
        event.wait()  # type: ignore[attr-defined]
        return True


def test_a_reader_that_was_killed_is_forgotten_when_it_was_watched_long_enough(cluster: Cluster):
    work(cluster, 3)
    cluster.store.put(layout.reader(JOB, "dead"), b'{"sequence": 3, "written_at": 9e9}')
    cluster.store.put(layout.reader(JOB, "lives"), b'{"sequence": 3, "written_at": 0}')
    work(cluster, 6)
    looks = int(survey.READER_SECONDS // collector.LOOK_SECONDS) + 2
    for look in range(looks):
        renewed = b'{"sequence": 3, "written_at": 0, "renewals": %d}' % look
        cluster.store.put(layout.reader(JOB, "lives"), renewed)
        cluster.collector.tick()
        cluster.clock.advance(collector.LOOK_SECONDS)
    assert [pin.name for pin in read_pins(cluster.store, JOB)] == ["lives"]
    assert named(cluster, [3]) <= objects(cluster)


def test_a_reader_takes_the_next_manifest_if_its_own_was_condemned_meanwhile(tmp_path: Path):
    store = Meddling(tmp_path, verb="exists", word="condemned")
    cluster = started(store)
    work(cluster, 3)

    def overtake() -> None:
        work(cluster, 4)
        store.put(layout.condemned_manifest(JOB, 4), b"")

    store.meddle = overtake
    with newest_pinned(store, JOB, reader_id="r", clock=ManualClockThatWaits(), unprotected=pytest.fail) as manifest:
        assert manifest.sequence == 8


class ReadOnly(DirectoryStore):
    def put(self, key: str, data: bytes | memoryview) -> StoredObject:
        raise StoreDenied(address=self.address)


def test_a_store_that_cannot_be_written_is_read_without_protection_and_that_is_said(tmp_path: Path):
    cluster = started(DirectoryStore(tmp_path))
    work(cluster, 1)
    said: list[GraphbedError] = []
    with newest_pinned(
        ReadOnly(tmp_path), JOB, reader_id="r", clock=ManualClock(), unprotected=said.append
    ) as manifest:
        assert manifest.sequence == 2
    assert len(said) == 1


class Unreachable(DirectoryStore):
    down = False

    def delete_many(self, keys: Sequence[str]) -> None:
        if self.down:
            raise StoreUnavailable(address=self.address)
        super().delete_many(keys)


def test_a_store_that_is_away_is_asked_again_later(tmp_path: Path):
    store = Unreachable(tmp_path)
    cluster = started(store)
    work(cluster, 8, leases=2)
    store.down = True
    before = objects(cluster)
    cluster.collector.tick()
    assert (objects(cluster), cluster.count("collection_failures_total")) == (before, 1)
    store.down = False
    cluster.collector.tick()
    assert objects(cluster) == before, "not at once"
    cluster.clock.advance(collector.RETRY_SECONDS)
    cluster.collector.tick()
    assert len(objects(cluster)) < len(before)


def test_a_dry_run_deletes_nothing_and_tells_what_a_run_would(cluster: Cluster):
    work(cluster, 8, leases=3)
    before = objects(cluster)
    promised = cluster.operations.collect(JOB, dry_run=True)
    assert (objects(cluster), condemned_sequences(cluster.store, JOB)) == (before, set())
    done = cluster.operations.collect(JOB, dry_run=False)
    assert (done.objects, done.bytes) == (promised.objects, promised.bytes) != (0, 0)
    assert before - objects(cluster) == set(promised.survey.decision.garbage)
    assert condemned_sequences(cluster.store, JOB) == set(promised.survey.decision.condemned)


def test_the_checkpoint_that_was_evaluated_best_stays_whole(cluster: Cluster):
    scores = {2: 0.3, 3: 0.4, 4: 0.2}
    for _ in range(8):
        work(cluster, 1)
        if newest(cluster) in scores:
            write_evaluation(cluster.store, JOB, evaluation(newest(cluster), "test", scores[newest(cluster)]))
        cluster.collector.tick()
    last = newest(cluster)
    assert named(cluster, [3]) <= objects(cluster)
    assert condemned_sequences(cluster.store, JOB) == set(range(1, last - 2)) - {3}


def test_the_score_is_of_filtered_ranks_and_of_the_validation_edges_if_there_are_any(cluster: Cluster):
    write_evaluation(cluster.store, JOB, evaluation(1, "test", 0.1))
    write_evaluation(cluster.store, JOB, evaluation(2, "test", 0.9, filtered=False))
    assert read_scores(cluster.store, JOB, [1, 2, 3]) == {1: 0.1}
    write_evaluation(cluster.store, JOB, evaluation(3, "valid", 0.2))
    assert read_scores(cluster.store, JOB, [1, 2, 3]) == {3: 0.2}
    assert read_scores(cluster.store, JOB, [1, 2]) == {}


def evaluation(checkpoint: int, split: str, mrr: float, *, filtered: bool = True) -> EvaluationRecord:
    return EvaluationRecord(
        checkpoint=checkpoint,
        split=split,
        mrr=mrr,
        mean_rank=9.0,
        hits_at_1=0.0,
        hits_at_3=0.0,
        hits_at_10=0.0,
        protocol={"filtered": filtered},
    )


def test_a_collection_is_told_to_the_history_as_one_operation(cluster: Cluster, tmp_path: Path):
    work(cluster, 8)
    history.configure(str(tmp_path / "history"), "lockserver")
    try:
        cluster.collector.tick()
    finally:
        history.configure(None, "lockserver")
    (file,) = (tmp_path / "history").iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    begun, ended = (line for line in lines if line["event"].startswith("collect"))
    assert (begun["event"], begun["job"], ended["event"]) == ("collect", JOB, "collect ended")
    assert ended["op"] == begun["op"] and ended["condemned"] == len(condemned_sequences(cluster.store, JOB))
