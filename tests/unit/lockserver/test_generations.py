"""Generations: what a state store may forget, and what a job goes on with then."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

from graphbed.errors import (
    CheckpointMissing,
    CheckpointsDamaged,
    CheckpointsGone,
    GenerationContended,
    GenerationOld,
    LeaseLost,
    ObjectTooNew,
    StoreUnavailable,
)
from graphbed.storage import layout
from graphbed.storage.chain import commit_log
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.generation import Generation, claim_generation, generation_numbers, read_generation
from graphbed.storage.manifest import Manifest, manifest_sequences, read_manifest, require_newest
from graphbed.storage.objects import StoredObject
from services.lockserver.answers import Granted, Waiting
from services.lockserver.generations import Standing, standing
from services.lockserver.standings import GRACE_SECONDS
from services.lockserver.state import Header, Status
from services.lockserver.state_store import MemoryStateStore
from tests.unit.lockserver.cluster import WITH_OPERATOR, Cluster, next_hex
from tests.unit.lockserver.examples import square_schema


class ForgetfulStates(MemoryStateStore):
    """A state store that can be restarted with what it had, with what it had before, or with nothing.

    Its next change is not answered if `failing` is set: "after" it has happened, or before it happens "late".
    """

    def __init__(self) -> None:
        super().__init__()
        self.life = 1
        self.failing = ""
        self._late: Callable[[], object] | None = None

    def identity(self) -> str:
        return f"life {self.life}"

    def copy(self) -> dict[str, tuple[str, dict[str, str]]]:
        return {job: (tag, dict(fields)) for job, (tag, fields) in self._jobs.items()}

    def apply(
        self, job: str, expected_tag: str, new_tag: str, written: Mapping[str, str], removed: AbstractSet[str]
    ) -> bool:
        def happen() -> bool:
            return super(ForgetfulStates, self).apply(job, expected_tag, new_tag, written, removed)

        failing, self.failing = self.failing, ""
        if failing == "late":
            self._late = happen
        elif self._late is not None:
            self._late()
            self._late = None
        if failing == "after":
            happen()
        if failing:
            raise StoreUnavailable(address=self.address)
        return happen()

    def restart(self, content: dict[str, tuple[str, dict[str, str]]]) -> None:
        self._jobs = dict(content)
        self.life += 1


class EventfulStore(DirectoryStore):
    """A directory whose next creation of a key with `failing` in it does not answer, whether it happened or not."""

    failing = ""
    happens = False

    def create(self, key: str, data: bytes) -> StoredObject:
        if not self.failing or self.failing not in key:
            return super().create(key, data)
        self.failing = ""
        if self.happens:
            super().create(key, data)
        raise StoreUnavailable(address=self.address)


@pytest.fixture
def store(tmp_path: Path) -> EventfulStore:
    return EventfulStore(tmp_path / "store")


@pytest.fixture
def states() -> ForgetfulStates:
    return ForgetfulStates()


@pytest.fixture
def cluster(store: EventfulStore, states: ForgetfulStates) -> Cluster:
    cluster = Cluster(store, state=states)
    cluster.submit(square_schema(8), relations=WITH_OPERATOR, num_groups=8, checkpoint={"interval_seconds": 1e6})
    return cluster


def newest(cluster: Cluster) -> Manifest:
    return require_newest(cluster.store, "j")


def spoil(cluster: Cluster, sequence: int) -> None:
    """Cut a manifest in half."""
    key = layout.manifest("j", sequence)
    data = cluster.store.get(key)
    cluster.store.put(key, data[: len(data) // 2])


def finish(cluster: Cluster) -> None:
    """Work to the end; every bucket was committed once an epoch along the parents of the newest manifest."""
    cluster.work_to_the_end()
    cluster.manifests.tick()
    assert newest(cluster).status == "completed"
    done = [(*bucket, record.epoch) for record in commit_log(cluster.store, "j") for bucket in record.buckets]
    assert len(done) == len(set(done)) == 2 * 8 * 8


# What a server does with a state: the pure part.


@pytest.mark.parametrize(
    ("own", "lived_on", "newest", "claimed_here", "first_look", "in_grace", "expected"),
    [
        (2, True, 2, None, True, False, Standing.WORK),
        (2, True, 2, None, False, False, Standing.WORK),
        (2, False, 2, None, False, False, Standing.CLAIM),
        (2, True, 3, True, False, True, Standing.WAIT),
        (2, False, 3, True, False, True, Standing.WAIT),
        (2, True, 3, True, False, False, Standing.CLAIM),
        (2, True, 3, False, False, True, Standing.STOP),
        (2, True, 3, False, False, False, Standing.STOP),
        (2, True, 3, False, True, False, Standing.CLAIM),
        (2, False, 3, False, False, True, Standing.CLAIM),
    ],
)
def test_the_standing_of_a_state(
    own: int,
    lived_on: bool,
    newest: int,
    claimed_here: bool | None,
    first_look: bool,
    in_grace: bool,
    expected: Standing,
) -> None:
    header = Header(
        status=Status.RUNNING,
        config_sha256="c",
        graph_sha256="g",
        num_epochs=1,
        generation=own,
        state_identity="here" if lived_on else "before",
    )
    claim = None if claimed_here is None else a_claim(newest, "here" if claimed_here else "elsewhere")
    found = standing(
        header, identity="here", newest=newest, newest_claim=claim, first_look=first_look, in_grace=in_grace
    )
    assert found is expected


def a_claim(number: int, identity: str) -> Generation:
    return Generation(
        job="j",
        number=number,
        nonce=next_hex(),
        server="another",
        reason="test",
        state_identity=identity,
        claimed_at=0.0,
    )


# State stores that forget.


def test_a_new_job_begins_its_first_generation_with_its_first_manifest(cluster: Cluster) -> None:
    assert generation_numbers(cluster.store, "j") == [1]
    assert (newest(cluster).sequence, newest(cluster).generation) == (1, 1)
    assert cluster.jobs.current("j").header.generation == 1
    assert cluster.count("generations_total", reason="new") == 1


def test_a_restarted_store_that_kept_everything_costs_the_live_leases_and_no_commit(
    cluster: Cluster, states: ForgetfulStates
) -> None:
    cluster.work(3)
    request_id = next_hex()
    committed, held = cluster.acquire("ann"), cluster.acquire("bob")
    cluster.commit(committed, request_id=request_id)
    before = cluster.jobs.current("j")
    states.restart(states.copy())
    cluster.jobs.look()
    after = cluster.jobs.current("j")
    assert (after.pointers, after.done, after.leases) == (before.pointers, before.done, {})
    assert (newest(cluster).generation, newest(cluster).sequence, len(newest(cluster).commits)) == (2, 2, 4)
    assert read_generation(cluster.store, "j", 2).reason == "store_changed"
    assert cluster.count("generation_leases_void_total") == 1
    assert cluster.count("generation_commits_lost_total") == 0
    with pytest.raises(LeaseLost):
        cluster.commit(held)
    cluster.commit(committed, request_id=request_id)
    assert cluster.jobs.current("j").done == before.done, "a commit that was answered stays answered"
    finish(cluster)


def test_a_request_for_work_of_before_gets_new_work_and_not_a_void_lease(
    cluster: Cluster, states: ForgetfulStates
) -> None:
    first = cluster.coordinator.acquire(trainer="ann", request_id="r")
    states.restart(states.copy())
    cluster.jobs.look()
    second = cluster.coordinator.acquire(trainer="ann", request_id="r")
    assert isinstance(first, Granted)
    assert isinstance(second, Granted)
    assert first.lease.lease_id != second.lease.lease_id


def test_the_last_second_is_lost_and_the_rest_is_kept(cluster: Cluster, states: ForgetfulStates) -> None:
    cluster.work(3)
    remembered = states.copy()
    lost = [cluster.acquire("ann").lease.lease_id]
    cluster.work(1, "bob")
    states.restart(remembered)
    cluster.jobs.look()
    assert cluster.jobs.current("j").header.generation == 2
    assert len(newest(cluster).commits) == 3
    assert cluster.count("generation_commits_lost_total") == 1
    assert cluster.count("generation_leases_void_total") == len(lost)
    finish(cluster)


def test_a_state_older_than_the_newest_manifest_is_not_gone_on_from(cluster: Cluster, states: ForgetfulStates) -> None:
    cluster.work(2)
    remembered = states.copy()
    cluster.work(3)
    cluster.manifests.write("j")
    told = cluster.jobs.current("j")
    cluster.work(2)
    states.restart(remembered)
    cluster.jobs.look()
    state = cluster.jobs.current("j")
    assert (state.pointers, state.done) == (told.pointers, told.done)
    assert (newest(cluster).parent, newest(cluster).commits) == (2, ())
    assert cluster.count("generation_commits_lost_total") == 2
    finish(cluster)


def test_a_state_that_is_gone_is_made_from_the_newest_manifest_in_a_new_generation(
    cluster: Cluster, states: ForgetfulStates
) -> None:
    cluster.work(3)
    cluster.manifests.write("j")
    cluster.work(1)
    cluster.acquire()
    states._jobs.clear()
    cluster.jobs.current("j")
    assert (newest(cluster).generation, newest(cluster).sequence) == (2, 3)
    assert cluster.count("generations_total", reason="state_missing") == 1
    assert cluster.count("generation_commits_lost_total") == 1
    assert cluster.count("generation_leases_void_total") == 1
    finish(cluster)


def test_a_manifest_that_nobody_noted_is_noted_by_the_state_that_it_follows(
    cluster: Cluster, store: EventfulStore, states: ForgetfulStates
) -> None:
    cluster.work(2)
    store.failing, store.happens = "checkpoints", True
    with pytest.raises(StoreUnavailable):
        cluster.manifests.write("j")
    cluster.work(1)
    states.restart(states.copy())
    cluster.jobs.look()
    cluster.jobs.current("j")
    assert [len(read_manifest(store, "j", n)[0].commits) for n in manifest_sequences(store, "j")] == [0, 2, 1]
    assert cluster.count("generation_commits_lost_total") == 0
    finish(cluster)


def test_a_pointer_to_nothing_is_not_gone_on_from(cluster: Cluster, states: ForgetfulStates) -> None:
    cluster.work(3)
    cluster.manifests.write("j")
    told = cluster.jobs.current("j")
    cluster.work(1)
    state = cluster.jobs.current("j")
    moved = next(receipt for place, receipt in state.pointers.items() if told.pointers.get(place) != receipt)
    cluster.store.delete(moved.key)
    states.restart(states.copy())
    cluster.jobs.look()
    assert cluster.jobs.current("j").pointers == told.pointers
    assert cluster.count("generation_commits_lost_total") == 1
    finish(cluster)


def test_a_memory_of_a_branch_that_was_forgotten_changes_nothing(cluster: Cluster, states: ForgetfulStates) -> None:
    """As many changes on the other branch: a counter in the place of the random tag would not tell them apart."""
    cluster.work(2)
    other = Cluster(cluster.store, state=states)
    before = states.copy()
    held = other.acquire("bob")
    states._jobs = before
    mine = cluster.acquire("ann")
    with pytest.raises(LeaseLost):
        other.commit(held)
    assert list(cluster.jobs.current("j").leases) == [mine.lease.lease_id]


# Manifests that are not whole.


@pytest.mark.parametrize("damage", ["truncated", "object missing", "object cut"])
def test_a_newest_manifest_that_is_not_whole_is_passed_over(
    cluster: Cluster, states: ForgetfulStates, damage: str
) -> None:
    cluster.work(2)
    cluster.manifests.write("j")
    told = cluster.jobs.current("j")
    cluster.work(2)
    cluster.manifests.write("j")
    if damage == "truncated":
        spoil(cluster, 3)
    else:
        key = next(p.version.key for p in newest(cluster).pointers if told.pointers.get(p.partition) is None)
        cluster.store.delete(key)
        if damage == "object cut":
            cluster.store.put(key, b"")
    states._jobs.clear()
    state = cluster.jobs.current("j")
    assert (state.pointers, state.done) == (told.pointers, told.done)
    assert (newest(cluster).sequence, newest(cluster).parent) == (4, 2)
    assert cluster.count("manifests_damaged_total") == 1
    finish(cluster)


def test_without_any_whole_manifest_a_job_is_left_out_and_nothing_is_written(
    cluster: Cluster, states: ForgetfulStates
) -> None:
    spoil(cluster, 1)
    states._jobs.clear()
    with pytest.raises(CheckpointsDamaged, match="fsck"):
        cluster.jobs.current("j")
    assert isinstance(cluster.coordinator.acquire(trainer="ann", request_id="r"), Waiting)
    assert (states.jobs(), generation_numbers(cluster.store, "j"), manifest_sequences(cluster.store, "j")) == (
        [],
        [1],
        [1],
    )


def test_a_manifest_of_a_later_version_is_refused_and_the_server_is_unfit(
    cluster: Cluster, states: ForgetfulStates
) -> None:
    key = layout.manifest("j", 1)
    cluster.store.put(key, cluster.store.get(key).replace(b'"format": 2', b'"format": 3'))
    assert cluster.jobs.unfit() is None
    states._jobs.clear()
    assert list(cluster.jobs.usable()) == []
    assert isinstance(cluster.jobs.unfit(), ObjectTooNew)
    with pytest.raises(ObjectTooNew, match="later version"):
        Cluster(cluster.store)


# Several lock servers.


def test_another_server_joins_the_generation_that_one_began(cluster: Cluster, states: ForgetfulStates) -> None:
    cluster.work(4)
    other = Cluster(cluster.store, state=states)
    states.restart(states.copy())
    for server in (cluster, other):
        server.jobs.look()
        server.acquire("ann" if server is cluster else "bob")
    assert generation_numbers(cluster.store, "j") == [1, 2]
    assert len(other.jobs.current("j").leases) == 2


def test_a_server_left_behind_in_an_old_store_writes_nothing_more_and_stops(
    cluster: Cluster, states: ForgetfulStates
) -> None:
    promoted = ForgetfulStates()
    promoted.restart(states.copy())
    cluster.work(2)
    ahead = Cluster(cluster.store, state=promoted)
    ahead.work(1, "bob")
    before = manifest_sequences(cluster.store, "j")
    with pytest.raises(GenerationOld, match="generation 1"):
        cluster.manifests.write("j")
    assert manifest_sequences(cluster.store, "j") == before
    assert isinstance(cluster.coordinator.acquire(trainer="ann", request_id="r"), Waiting)
    assert isinstance(cluster.jobs.unfit(), GenerationOld)
    with pytest.raises(GenerationOld):
        cluster.jobs.confirm("j", 1)
    finish(ahead)


def test_a_claim_that_its_server_did_not_finish_is_passed_over_when_it_had_its_time(
    cluster: Cluster, states: ForgetfulStates
) -> None:
    cluster.work(1)
    assert claim_generation(cluster.store, a_claim(2, states.identity()))
    with pytest.raises(GenerationContended):
        cluster.jobs.confirm("j", 1)
    cluster.clock.advance(GRACE_SECONDS + 1)
    state = cluster.jobs.current("j")
    assert (state.header.generation, len(newest(cluster).commits)) == (3, 1)
    finish(cluster)


@pytest.mark.parametrize("happens", [True, False])
@pytest.mark.parametrize("failing", ["generations", "checkpoints"])
def test_a_claim_whose_answer_was_lost_is_gone_on_with(
    cluster: Cluster, store: EventfulStore, states: ForgetfulStates, failing: str, happens: bool
) -> None:
    cluster.work(2)
    states.restart(states.copy())
    cluster.jobs.look()
    store.failing, store.happens = failing, happens
    with pytest.raises(StoreUnavailable):
        cluster.jobs.current("j")
    cluster.jobs.current("j")
    assert len(generation_numbers(store, "j")) == 2
    assert cluster.count("generation_commits_lost_total") == 0
    finish(cluster)


def test_a_state_whose_generations_were_removed_is_not_gone_on_from(cluster: Cluster) -> None:
    for key in cluster.store.list(layout.generations("j")):
        cluster.store.delete(key)
    assert isinstance(cluster.state, ForgetfulStates)
    cluster.state.restart(cluster.state.copy())
    cluster.jobs.look()
    with pytest.raises(CheckpointsGone):
        cluster.jobs.current("j")


# Going back on purpose.


def test_a_restore_goes_back_to_an_older_manifest_and_the_job_runs_on_from_there(cluster: Cluster) -> None:
    cluster.work(3)
    cluster.manifests.write("j")
    told = cluster.jobs.current("j")
    cluster.work(5)
    cluster.manifests.write("j")
    cluster.work(1)
    held = cluster.acquire()
    manifest = cluster.coordinator.restore("j", 2)
    assert (manifest.sequence, manifest.parent, manifest.generation) == (4, 2, 2)
    assert newest(cluster) == manifest
    state = cluster.jobs.current("j")
    assert (state.pointers, state.done, state.leases) == (told.pointers, told.done, {})
    assert cluster.count("generations_total", reason="restore") == 1
    with pytest.raises(LeaseLost):
        cluster.commit(held)
    finish(cluster)


@pytest.mark.parametrize("failing", ["after", "late"])
def test_a_restore_whose_answer_was_lost_is_done_when_it_is_asked_for_again(
    cluster: Cluster, states: ForgetfulStates, failing: str
) -> None:
    cluster.work(3)
    cluster.manifests.write("j")
    told = cluster.jobs.current("j")
    cluster.work(5)
    states.failing = failing
    with pytest.raises(StoreUnavailable):
        cluster.coordinator.restore("j", 2)
    if failing == "late":
        with pytest.raises(GenerationContended):
            cluster.coordinator.restore("j", 2)
    cluster.work(1)
    # Its generation has begun, and leases were granted in it: going back once more takes another.
    begun = cluster.jobs.current("j").header.generation
    manifest = cluster.coordinator.restore("j", 2)
    assert manifest.generation == begun + 1
    state = cluster.jobs.current("j")
    assert (state.header.generation, state.header.manifest_sequence) == (manifest.generation, manifest.sequence)
    assert (state.pointers, state.done) == (told.pointers, told.done)
    finish(cluster)


@pytest.mark.parametrize("damage", ["truncated", "object missing"])
def test_a_restore_of_what_is_not_whole_goes_back_to_its_parent(cluster: Cluster, damage: str) -> None:
    cluster.work(2)
    cluster.manifests.write("j")
    told = cluster.jobs.current("j")
    cluster.work(2)
    cluster.manifests.write("j")
    if damage == "truncated":
        spoil(cluster, 3)
    else:
        moved = [p.version.key for p in newest(cluster).pointers if told.pointers.get(p.partition) is None]
        cluster.store.delete(moved[0])
    manifest = cluster.coordinator.restore("j", 3)
    assert (manifest.sequence, manifest.parent) == (4, 2)
    state = cluster.jobs.current("j")
    assert (state.pointers, state.done) == (told.pointers, told.done)
    assert cluster.count("manifests_damaged_total") == 1
    finish(cluster)


def test_a_restore_of_what_is_not_there_or_has_no_whole_one_before_it_changes_nothing(cluster: Cluster) -> None:
    cluster.work(2)
    cluster.manifests.write("j")
    before = cluster.jobs.current("j")
    with pytest.raises(CheckpointMissing):
        cluster.coordinator.restore("j", 7)
    spoil(cluster, 1)
    cluster.store.delete(newest(cluster).pointers[0].version.key)
    with pytest.raises(CheckpointsDamaged):
        cluster.coordinator.restore("j", 2)
    assert cluster.jobs.current("j") == before
    assert generation_numbers(cluster.store, "j") == [1]
