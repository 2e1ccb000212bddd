"""What is counted, when, and for how long."""

from pathlib import Path

import numpy as np
import pytest

from graphbed.errors import (
    InputError,
    JobUnsettled,
    LeaseLost,
    NotFinite,
    ObjectCorrupt,
    PushMissing,
    SettleOld,
    TensorDiffers,
    TensorUnknown,
    TooLarge,
)
from graphbed.storage import layout
from graphbed.storage.parameter_file import unpack_tensors
from services.paramserver.rounds import Round
from services.paramserver.sums import MAX_LIVE_LEASES
from tests.unit.paramserver.world import JOB, LEASES, World, initial


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.jobs.declare(JOB, initial())
    world.settle()
    return world


def test_a_push_is_served_at_once_and_replaced_by_the_next(world: World):
    lease = world.grant()
    world.push(lease, 3)
    assert world.counted() == [3]
    world.push(lease, 5)
    assert world.counted() == [5]


def test_a_push_that_comes_again_or_late_changes_nothing(world: World):
    lease = world.grant()
    world.push(lease, 3)
    world.push(lease, 5)
    late = lease.delta()
    late["a/values"] = late["a/values"] * 7
    world.jobs.push(JOB, lease.id, lease.sequence, late)
    world.jobs.push(JOB, lease.id, lease.sequence - 1, late)
    assert world.counted() == [5]


def test_a_committed_lease_counts_once_and_for_ever(world: World):
    lease = world.grant()
    world.push(lease, 3)
    world.seal(lease)
    world.commit(lease)
    for _ in range(3):
        world.settle()
        assert world.counted() == [3]
    with pytest.raises(LeaseLost):
        world.push(lease, 9)
    assert world.counted() == [3]


def test_a_void_lease_is_subtracted_and_may_push_no_more(world: World):
    lease, other = world.grant(), world.grant()
    world.push(lease, 3)
    world.push(other, 4)
    world.settle()
    lease.status = "void"
    world.settle()
    assert world.counted() == [0, 4]
    with pytest.raises(LeaseLost):
        world.push(lease, 9)
    with pytest.raises(LeaseLost):
        world.jobs.seal(JOB, lease.id, lease.sequence)


def test_a_lease_that_was_granted_after_the_state_was_read_is_not_taken_for_void(world: World):
    reading = world.read()
    lease = world.grant()
    world.push(lease, 3)
    world.settle(reading)
    assert world.counted() == [3]
    world.push(lease, 4)
    assert world.counted() == [4]


def test_a_reading_that_is_older_than_the_newest_settle_changes_nothing(world: World):
    lease = world.grant()
    world.push(lease, 3)
    world.seal(lease)
    old = world.read()
    world.commit(lease)
    world.settle()
    newest = world.seen
    world.settle(old)
    assert world.counted() == [3]
    assert newest is not None
    assert world.seen is not None
    assert world.seen.number > newest.number


def test_a_commit_log_that_was_rolled_back_takes_its_deltas_with_it(world: World):
    first, second = world.grant(), world.grant()
    for lease in (first, second):
        world.push(lease, 3)
        world.seal(lease)
        world.commit(lease)
    world.settle()
    world.committed.remove(second)
    second.status = "void"
    world.settle()
    assert world.counted() == [3, 0]


def test_a_sealed_delta_is_final_and_its_receipt_is_repeated(world: World):
    lease = world.grant()
    world.push(lease, 3)
    receipt = world.seal(lease)
    assert receipt.key == layout.parameter_delta(JOB, lease.id)
    assert receipt.finite
    data = world.store.get(receipt.key)
    assert len(data) == receipt.size
    assert np.array_equal(
        unpack_tensors(data, key=receipt.key, max_bytes=1 << 20)["a/values"], lease.delta()["a/values"]
    )
    assert world.seal(lease) == receipt
    with pytest.raises(LeaseLost):
        world.push(lease, 4)


def test_only_the_push_that_is_held_can_be_sealed(world: World):
    lease = world.grant()
    with pytest.raises(PushMissing):
        world.jobs.seal(JOB, lease.id, 1)
    world.push(lease, 3)
    with pytest.raises(PushMissing):
        world.jobs.seal(JOB, lease.id, 2)
    with pytest.raises(PushMissing):
        world.jobs.seal("other-job", lease.id, 1)


def test_a_restarted_server_asks_for_tensors_then_for_a_settle_of_its_own_life(world: World):
    lease, running = world.grant(), world.grant()
    world.push(lease, 3)
    world.push(running, 4)
    world.seal(lease)
    world.commit(lease)
    world.start()
    with pytest.raises(TensorUnknown):
        world.push(running, 4)
    with pytest.raises(TensorUnknown):
        world.jobs.pull(JOB, [])
    world.jobs.declare(JOB, initial())
    with pytest.raises(JobUnsettled):
        world.jobs.pull(JOB, [])
    world.settle()  # read with a round of the earlier life
    with pytest.raises(JobUnsettled):
        world.push(running, 4)
    world.settle()
    assert world.counted() == [3, 0]
    world.push(running, 4)
    assert world.counted() == [3, 4]


def test_a_delta_that_was_sealed_before_a_restart_counts_before_its_commit_is_told(world: World):
    lease = world.grant()
    world.push(lease, 3)
    world.seal(lease)
    world.start()
    world.jobs.declare(JOB, initial())
    world.settle()
    world.settle()
    assert world.counted() == [3]
    with pytest.raises(PushMissing):
        world.jobs.seal(JOB, lease.id, lease.sequence)
    world.push(lease, 3)
    world.seal(lease)
    world.commit(lease)
    world.settle()
    assert world.counted() == [3]


def test_after_a_restart_the_base_names_the_tensors_without_any_declaration(world: World):
    lease = world.grant()
    world.push(lease, 3)
    world.seal(lease)
    world.commit(lease)
    world.settle()
    world.compact()
    world.start()
    world.settle()
    world.settle()
    assert world.counted() == [3]
    world.jobs.declare(JOB, initial())
    assert world.counted() == [3]
    with pytest.raises(TensorDiffers):
        world.jobs.declare(JOB, {"a/values": np.zeros((2, LEASES), np.float32)})


def test_compact_is_the_same_from_memory_and_from_objects(world: World):
    rng = np.random.default_rng(7)
    for _ in range(5):
        lease = world.grant()
        noise = {name: rng.normal(size=tensor.shape).astype(np.float32) for name, tensor in initial().items()}
        world.jobs.push(JOB, lease.id, 1, noise)
        lease.sequence = 1
        world.seal(lease)
        world.commit(lease)
    deltas = [(lease.id, lease.receipt) for lease in world.committed if lease.receipt is not None]
    world.settle()
    from_memory = world.jobs.compact(JOB, 1, None, deltas, "memory")
    middle = world.jobs.compact(JOB, 1, None, deltas[:3], "middle")
    world.start()
    with pytest.raises(JobUnsettled):
        world.jobs.compact(JOB, 1, None, deltas, "objects")
    in_steps = world.jobs.compact(JOB, 1, middle, deltas[3:], "steps")
    world.jobs.declare(JOB, initial())
    from_objects = world.jobs.compact(JOB, 1, None, deltas, "objects")
    assert from_memory.sha256 == from_objects.sha256 == in_steps.sha256
    assert len({from_memory.key, from_objects.key, in_steps.key}) == 3


def test_a_lease_that_was_folded_into_a_base_before_any_settle_told_of_it_counts_once(world: World):
    first, second = world.grant(), world.grant()
    for lease in (first, second):
        world.push(lease, 3)
        world.seal(lease)
        world.commit(lease)
        world.compact()
    world.settle()
    assert world.counted() == [3, 3]
    with pytest.raises(LeaseLost):
        world.push(first, 4)


@pytest.mark.parametrize("leave", [0, 1, 2])
def test_commits_go_on_while_bases_are_written(world: World, leave: int):
    expected: list[float] = []
    for round_number in range(4):
        for _ in range(2):
            lease = world.grant()
            world.push(lease, 3)
            world.seal(lease)
            world.commit(lease)
            expected.append(3)
        for _ in range(round_number % 3):
            world.settle()
            assert world.counted() == expected
        world.compact(leave=leave)
        for _ in range(3):
            world.settle()
            assert world.counted() == expected


def test_a_delta_whose_bytes_changed_is_refused_and_named(world: World):
    lease = world.grant()
    world.push(lease, 3)
    receipt = world.seal(lease)
    world.commit(lease)
    data = bytearray(world.store.get(receipt.key))
    data[-1] ^= 1
    world.store.put(receipt.key, bytes(data))
    world.start()
    world.jobs.declare(JOB, initial())
    world.settle()
    with pytest.raises(ObjectCorrupt, match=receipt.key):
        world.settle()
    with pytest.raises(JobUnsettled):
        world.jobs.pull(JOB, [])


def test_numbers_that_are_not_finite_are_refused(world: World):
    lease = world.grant()
    world.push(lease, 3)
    bad = lease.delta()
    bad["a/values"][0, 0] = np.inf
    with pytest.raises(NotFinite, match="a/values"):
        world.jobs.push(JOB, lease.id, 9, bad)
    assert world.counted() == [3]


def test_tensors_must_be_known_and_keep_their_shape(world: World):
    with pytest.raises(TensorUnknown, match="b/values"):
        world.jobs.push(JOB, "lease", 1, {"b/values": np.zeros(3, np.float32)})
    with pytest.raises(TensorDiffers):
        world.jobs.push(JOB, "lease", 1, {"a/sums": np.zeros(3, np.float32)})
    with pytest.raises(TensorUnknown, match="b/values"):
        world.jobs.pull(JOB, ["b/values"])
    with pytest.raises(TensorDiffers, match="b/values"):
        world.jobs.declare(JOB, {**initial(), "b/values": np.zeros(3, np.float32)})
    with pytest.raises(InputError):
        world.jobs.push(JOB, "lease", 0, initial())
    world.jobs.declare(JOB, {name: tensor * 9 for name, tensor in initial().items()})
    assert np.array_equal(world.jobs.pull(JOB, [])["a/sums"], initial()["a/sums"])


def test_leases_that_push_at_once_are_bounded(world: World):
    for number in range(MAX_LIVE_LEASES):
        world.jobs.push(JOB, f"lease-{number}", 1, {"a/sums": np.ones(LEASES, np.float32)})
    with pytest.raises(TooLarge):
        world.jobs.push(JOB, "one-more", 1, {"a/sums": np.ones(LEASES, np.float32)})


def test_a_job_that_was_forgotten_for_others_starts_as_after_a_restart(world: World):
    lease = world.grant()
    world.push(lease, 3)
    world.seal(lease)
    world.commit(lease)
    world.settle()
    stale = world.read()
    for number in range(4):
        world.jobs.declare(f"other-{number}", initial())
    with pytest.raises(TensorUnknown):
        world.jobs.pull(JOB, [])
    world.jobs.declare(JOB, initial())
    world.settle(stale)
    with pytest.raises(JobUnsettled):
        world.jobs.pull(JOB, [])
    world.settle()
    assert world.counted() == [3]


def test_a_settle_of_a_job_without_parameters_takes_no_memory_and_still_gives_rounds(world: World):
    first = world.jobs.settle("plain", None, None, [], [])
    second = world.jobs.settle("plain", first, None, [], ["lease"])
    assert isinstance(second, Round)
    assert second.number > first.number
    with pytest.raises(TensorUnknown):
        world.jobs.pull("plain", [])


def test_a_newer_generation_subtracts_what_it_does_not_know_and_an_older_one_is_refused(world: World):
    kept, forgotten, void = (world.grant() for _ in range(3))
    for value, lease in enumerate((kept, forgotten, void), start=3):
        world.push(lease, value)
    for lease in (kept, forgotten):
        world.seal(lease)
        world.commit(lease)
    world.settle()
    old = world.read()
    assert world.counted() == [3, 4, 5]
    world.jobs.settle(JOB, old.seen, None, old.committed[:1], [], generation=2)
    assert world.counted() == [3, 0, 0]
    with pytest.raises(SettleOld, match="generation 2"):
        world.jobs.settle(JOB, old.seen, None, old.committed, old.live, generation=1)
    with pytest.raises(LeaseLost):
        world.push(void, 6)
    assert world.counted() == [3, 0, 0]


def test_a_job_that_is_forgotten_may_begin_anew_with_other_tensors(world: World):
    lease = world.grant()
    world.push(lease, 3)
    world.jobs.forget(JOB)
    with pytest.raises(TensorUnknown):
        world.jobs.pull(JOB, [])
    other = {name: np.zeros((2, 2), np.float32) for name in initial()}
    world.jobs.declare(JOB, other)
    world.jobs.settle(JOB, None, None, [], [], generation=2)
    assert {name: values.tolist() for name, values in world.jobs.pull(JOB, list(other)).items()} == {
        name: values.tolist() for name, values in other.items()
    }
