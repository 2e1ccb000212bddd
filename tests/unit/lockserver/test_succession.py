"""Successors: what a trainer is granted before its lease is committed, and what becomes of it."""

from dataclasses import replace
from typing import Any

import pytest

from graphbed.errors import BadReceipt, LeaseLost, ParentUncommitted
from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.objects import ObjectStore
from services.lockserver import transitions
from services.lockserver.answers import Granted, Waiting
from services.lockserver.codec import decode, encode
from services.lockserver.failures import SILENT_LEASES
from services.lockserver.lifecycle import cancel, fresh, pause
from services.lockserver.plan import Plan
from services.lockserver.records import Failures, Lease
from services.lockserver.scheduler import NoWork
from services.lockserver.state import Delta, JobState
from services.lockserver.succession import somebody_waits
from tests.simulation.stores import Objects
from tests.unit.lockserver.cluster import Cluster, next_hex
from tests.unit.lockserver.examples import receipts, square_plan, square_schema

PLAN = square_plan(8, num_groups=8, num_epochs=2)


def start(plan: Plan = PLAN) -> JobState:
    return fresh(plan, config_sha256="c", graph_sha256="g", num_epochs=2)


def apply(state: JobState, delta: Delta | None) -> JobState:
    assert delta is not None
    return state.apply(delta)


def acquire(state: JobState, trainer: str = "ann", plan: Plan = PLAN) -> tuple[JobState, Lease]:
    outcome = transitions.acquire(state, plan, trainer=trainer, request_id=next_hex(), lease_id=next_hex())
    assert isinstance(outcome.answer, Lease), outcome.answer
    return apply(state, outcome.delta), outcome.answer


def ask(
    state: JobState, parent: Lease, plan: Plan = PLAN, *, request_id: str = "", **changes: Any
) -> transitions.Outcome[Lease | NoWork]:
    asked = {"trainer": parent.trainer, "parent": parent.lease_id, "refused": None, **changes}
    return transitions.succeed(state, plan, request_id=request_id or next_hex(), lease_id=next_hex(), **asked)


def succeed(state: JobState, parent: Lease, plan: Plan = PLAN) -> tuple[JobState, Lease]:
    outcome = ask(state, parent, plan)
    assert isinstance(outcome.answer, Lease), outcome.answer
    return apply(state, outcome.delta), outcome.answer


def commit(state: JobState, lease: Lease, plan: Plan = PLAN) -> JobState:
    delta = transitions.commit(
        state,
        plan,
        trainer=lease.trainer,
        request_id=next_hex(),
        lease_id=lease.lease_id,
        versions=receipts(plan, lease),
        parameters=None,
        edges=1,
        loss=1.0,
    )
    return apply(state, delta)


def family(plan: Plan = PLAN) -> tuple[JobState, Lease, Lease]:
    """A lease of ann and its successor, in a job in which one lease was committed before."""
    state, first = acquire(start(plan), plan=plan)
    state, parent = acquire(commit(state, first, plan), plan=plan)
    state, successor = succeed(state, parent, plan)
    return state, parent, successor


def partitions(lease: Lease) -> set[Partition]:
    return {begun.partition for begun in lease.partitions}


def test_a_successor_is_what_the_trainer_would_get_after_the_commit():
    state, parent, successor = family()
    after = commit(state.apply(Delta(leases={successor.lease_id: None})), parent)
    _, sequential = acquire(after)
    assert (successor.epoch, successor.buckets) == (sequential.epoch, sequential.buckets)
    assert partitions(successor) == set(parent.likely_next)
    assert successor.parent == parent.lease_id


def test_shared_partitions_start_from_the_parent_and_others_from_what_is_current():
    state, parent, successor = family()
    shared = partitions(parent) & partitions(successor)
    assert len(shared) == 1
    for begun in successor.partitions:
        assert begun.from_parent is (begun.partition in shared)
        assert begun.version == (None if begun.from_parent else state.pointers.get(begun.partition))


def test_a_successor_is_committed_after_its_parent():
    state, parent, successor = family()
    with pytest.raises(ParentUncommitted):
        commit(state, successor)
    state = commit(commit(state, parent), successor)
    assert not state.leases
    for partition in partitions(successor):
        assert state.pointers[partition].key == layout.partition_version("j", partition, successor.lease_id)
    assert all(state.done[bucket] == 1 for bucket in (*parent.buckets, *successor.buckets))


def test_a_refused_commit_is_not_remembered():
    state, parent, successor = family()
    known = state.trainers["ann"].replies
    with pytest.raises(ParentUncommitted):
        commit(state, successor)
    assert state.trainers["ann"].replies == known
    with pytest.raises(BadReceipt):
        commit(commit(state, parent), replace(successor, partitions=parent.partitions))


ENDS = {
    "released": lambda s, x: transitions.release(
        s, PLAN, trainer="ann", request_id="r", lease_id=x.lease_id, failure=""
    ),
    "failed": lambda s, x: transitions.release(
        s, PLAN, trainer="ann", request_id="r", lease_id=x.lease_id, failure="no memory"
    ),
    "expired": lambda s, x: transitions.expire(s, PLAN, x.lease_id, 0),
    "stalled": lambda s, x: transitions.stall(s, PLAN, x.lease_id, transitions.standing(s.beats[x.lease_id])),
    "revoked": lambda s, x: transitions.void_leases(s, [x.lease_id]),
    "forgotten": lambda s, _: transitions.forget(s, PLAN, "ann"),
    "cancelled": lambda s, _: cancel(s),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_successor_is_void_when_its_parent_is(end: str):
    state, parent, _ = family()
    after = apply(state, ENDS[end](state, parent))
    assert (after.leases, after.beats) == ({}, {})


@pytest.mark.parametrize("end", ["released", "failed", "expired", "stalled", "revoked"])
def test_a_parent_outlives_its_successor(end: str):
    state, parent, successor = family()
    after = apply(state, ENDS[end](state, successor))
    assert set(after.leases) == set(after.beats) == {parent.lease_id}


def test_a_successor_lives_on_when_its_parent_is_committed():
    state, parent, successor = family()
    state = commit(state, parent)
    assert set(state.leases) == {successor.lease_id}
    state, third = succeed(state, successor)
    assert third.parent == successor.lease_id


def test_a_trainer_holds_one_successor_at_a_time():
    state, parent, successor = family()
    assert ask(state, parent).answer is NoWork.PARTITIONS_BUSY
    assert ask(state, successor).answer is NoWork.PARTITIONS_BUSY


def test_the_same_request_gets_the_same_successor():
    state, first = acquire(start())
    state, parent = acquire(commit(state, first))
    granted = ask(state, parent, request_id="r7")
    state = apply(state, granted.delta)
    again = ask(state, parent, request_id="r7", refused=NoWork.STORE_AWAY)
    assert (again.delta, again.answer) == (None, granted.answer)


def test_only_the_holder_of_a_live_lease_gets_a_successor():
    state, parent, _ = family()
    with pytest.raises(LeaseLost):
        ask(state, parent, trainer="bob")
    with pytest.raises(LeaseLost):
        ask(commit(state, parent), parent)


def test_a_successor_shares_with_nobody_but_its_parent():
    state = start()
    for _ in range(8):
        state, first = acquire(state)
        state = commit(state, first)
    state, parent = acquire(state)
    state, other = acquire(state, "bob")
    state, successor = succeed(state, parent)
    assert not partitions(successor) & partitions(other)
    state, late = acquire(state, "eve")
    assert not partitions(late) & (partitions(successor) | partitions(parent) | partitions(other))


def test_whoever_waits_comes_before_successors_until_it_is_silent_for_long():
    plan = square_plan(4, num_groups=4, num_epochs=9)
    state, first = acquire(start(plan), plan=plan)
    state = commit(state, first, plan)
    for trainer in ("ann", "bob"):
        state, _ = acquire(state, trainer, plan)
    refusal = transitions.acquire(state, plan, trainer="eve", request_id="r", lease_id="x")
    assert refusal.answer is NoWork.PARTITIONS_BUSY
    state = apply(state, refusal.delta)
    assert somebody_waits(state, "ann")
    assert not somebody_waits(state, "eve")
    repeated = transitions.acquire(state, plan, trainer="eve", request_id="r2", lease_id="x")
    assert repeated.delta is None
    bob = next(lease for lease in state.leases.values() if lease.trainer == "bob")
    state = apply(state, transitions.void_leases(state, [bob.lease_id]))
    ann = next(iter(state.leases.values()))
    assert ask(state, ann, plan).answer is NoWork.PARTITIONS_BUSY
    later = replace(state, header=replace(state.header, turns=state.header.turns + 4))
    assert isinstance(ask(later, ann, plan).answer, Lease)
    granted, _ = acquire(state, "eve", plan)
    assert not somebody_waits(granted, "ann")


def test_what_failed_is_no_successor_and_has_none():
    state, parent, successor = family()
    without = apply(state, transitions.void_leases(state, [successor.lease_id]))
    suspicious = replace(without, failures={parent.buckets[0]: Failures(silent=SILENT_LEASES)})
    assert ask(suspicious, parent).answer is NoWork.PARTITIONS_BUSY
    failed = dict.fromkeys(PLAN.edges.keys() - set(parent.buckets), Failures(trainers=("bob",), turns=(1,)))
    assert ask(replace(without, failures=failed), parent).answer is NoWork.PARTITIONS_BUSY


def test_a_death_is_counted_for_both_and_a_failure_for_the_one_that_failed():
    state, parent, successor = family()
    silent = apply(state, transitions.expire(state, PLAN, parent.lease_id, 0)).failures
    assert set(silent) == {*parent.buckets, *successor.buckets}
    assert {failures.silent for failures in silent.values()} == {1}
    failed = apply(state, ENDS["failed"](state, parent)).failures
    assert set(failed) == set(parent.buckets)


def test_a_successor_condemns_no_bucket():
    """The marks of its bucket come after its parent's, which may train the same bucket an epoch before."""
    plan = square_plan(1, num_groups=1, num_epochs=2)
    state, parent = acquire(start(plan), plan=plan)
    state, successor = succeed(state, parent, plan)
    assert successor.buckets == parent.buckets
    failures = {successor.buckets[0]: Failures(trainers=("ann",) * 5, turns=(0,) * 5)}
    state = replace(state, failures=failures)
    failed = transitions.release(
        state, plan, trainer="ann", request_id="r", lease_id=successor.lease_id, failure="no memory"
    )
    after = apply(state, failed)
    assert (after.done, after.skipped) == ({}, {})
    assert commit(after, parent, plan).done == {parent.buckets[0]: 1}


def test_deterministic_jobs_have_no_successors():
    plan = square_plan(8, num_groups=8, deterministic=True, trainer={"threads": 1})
    state, parent = acquire(start(plan), plan=plan)
    assert ask(state, parent, plan).answer is NoWork.PARTITIONS_BUSY


def test_under_a_barrier_no_successor_begins_an_epoch():
    for barrier in (False, True):
        plan = square_plan(1, num_groups=1, num_epochs=2, barrier=barrier)
        state, parent = acquire(start(plan), plan=plan)
        answer = ask(state, parent, plan).answer
        assert (answer is NoWork.PARTITIONS_BUSY) is barrier


def test_a_paused_job_a_drained_trainer_and_a_refusal_give_no_successors():
    state, parent, successor = family()
    state = apply(state, transitions.void_leases(state, [successor.lease_id]))
    assert ask(apply(state, pause(state, "j")), parent).answer is NoWork.NOTHING_DUE
    assert ask(apply(state, transitions.drain(state, "ann", undo=False)), parent).answer is NoWork.DRAINING
    assert ask(state, parent, refused=NoWork.STORE_AWAY).answer is NoWork.STORE_AWAY


def test_a_successor_is_no_further_trainer():
    plan = square_plan(8, num_groups=8, max_trainers=2)
    state, _, _ = family(plan)
    state, _ = acquire(state, "bob", plan)
    refused = transitions.acquire(state, plan, trainer="eve", request_id="r", lease_id="x")
    assert refused.answer is NoWork.TRAINERS_ENOUGH


def test_a_successor_survives_the_state_store():
    state, _, _ = family()
    assert decode(encode(state.as_delta()).written, job="j", address="a") == state


@pytest.fixture
def store() -> ObjectStore:
    return Objects()


def test_a_job_that_comes_before_gets_the_trainer(store: ObjectStore):
    cluster = Cluster(store)
    cluster.submit(square_schema(8), num_groups=8)
    granted = cluster.acquire()
    cluster.submit(square_schema(8), job="urgent", priority=1, num_groups=8)

    def successor(granted: Granted) -> Granted | Waiting:
        return cluster.coordinator.succeed(trainer="ann", request_id=next_hex(), parent=granted.lease.lease_id)

    assert isinstance(successor(granted), Waiting)
    cluster.commit(granted)
    urgent = cluster.acquire()
    assert urgent.job == "urgent"
    assert isinstance(successor(urgent), Granted)
    assert cluster.count("successors_total") == 1


def test_revoking_a_lease_ends_its_successor(store: ObjectStore):
    cluster = Cluster(store)
    cluster.submit(square_schema(8), num_groups=8)
    granted = cluster.acquire()
    parent = granted.lease.lease_id
    assert isinstance(cluster.coordinator.succeed(trainer="ann", request_id="r", parent=parent), Granted)
    cluster.operations.revoke(parent)
    assert not cluster.jobs.current("j").leases
