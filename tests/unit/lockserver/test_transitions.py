"""Transitions: exactly what each request changes in a state, and nothing besides."""

from dataclasses import replace
from typing import Any

import pytest

from graphbed.errors import BadReceipt, LeaseLost, ParentUncommitted
from graphbed.storage import layout
from graphbed.storage.manifest import CommitRecord, EpochTotals, StoredVersion
from graphbed.v1 import lockserver_pb2
from services.lockserver import transitions
from services.lockserver.lifecycle import fresh, pause
from services.lockserver.plan import Plan
from services.lockserver.records import Beat, Failures, Lease, Progress, Reply, RequestKind, SealedDelta, TrainerRecord
from services.lockserver.scheduler import NoWork
from services.lockserver.state import Delta, JobState, Status
from tests.unit.lockserver.cluster import WITH_OPERATOR, next_hex
from tests.unit.lockserver.examples import delta_receipt, receipts, square_plan

PLAN = square_plan(8, num_groups=8, relations=WITH_OPERATOR)
"""Leases of two groups out of eight, so that two trainers have work at once after the first commit."""


def start(plan: Plan = PLAN) -> JobState:
    return fresh(plan, config_sha256="c", graph_sha256="g", num_epochs=2)


def ask(state: JobState, trainer: str, plan: Plan = PLAN, **ids: str) -> transitions.Outcome[Lease | NoWork]:
    asked = {"request_id": next_hex(), "lease_id": next_hex(), **ids}
    return transitions.acquire(state, plan, trainer=trainer, **asked)


def granted(state: JobState, trainer: str = "ann", plan: Plan = PLAN, **ids: str) -> tuple[JobState, Lease]:
    outcome = ask(state, trainer, plan, **ids)
    assert isinstance(outcome.answer, Lease), outcome.answer
    assert outcome.delta is not None
    return state.apply(outcome.delta), outcome.answer


def commit(state: JobState, lease: Lease, plan: Plan = PLAN, **changes: Any) -> Delta | None:
    facts: dict[str, Any] = {
        "trainer": lease.trainer,
        "request_id": next_hex(),
        "lease_id": lease.lease_id,
        "versions": receipts(plan, lease),
        "parameters": delta_receipt(plan, lease.lease_id),
        "edges": 3,
        "loss": 0.5,
    }
    return transitions.commit(state, plan, **{**facts, **changes})


def committed(state: JobState, lease: Lease, plan: Plan = PLAN, **changes: Any) -> JobState:
    delta = commit(state, lease, plan, **changes)
    assert delta is not None
    return state.apply(delta)


def working(plan: Plan = PLAN) -> tuple[JobState, Lease, Lease]:
    """A lease of ann and one of bob, in a job in which one lease was committed before."""
    state, first = granted(start(plan), plan=plan)
    state, ann = granted(committed(state, first, plan), "ann", plan)
    state, bob = granted(state, "bob", plan)
    return state, ann, bob


def test_a_grant_is_a_lease_its_first_beat_and_a_remembered_answer():
    state, ann, _ = working()
    state = committed(state, ann).apply(Delta(trainers={"cat": TrainerRecord(refused_at=1)}))
    outcome = ask(state, "cat", request_id="r", lease_id="l")
    lease = outcome.answer
    assert isinstance(lease, Lease)
    assert (lease.lease_id, lease.trainer, lease.epoch, lease.parent) == ("l", "cat", 0, "")
    assert all(begun.version == state.pointers.get(begun.partition) for begun in lease.partitions)
    assert any(begun.version for begun in lease.partitions)
    turn = state.header.turns + 1
    reply = Reply(kind=RequestKind.ACQUIRE, request_id="r", lease=lease)
    assert outcome.delta == Delta(
        header=replace(state.header, turns=turn),
        leases={"l": lease},
        beats={"l": Beat()},
        trainers={"cat": TrainerRecord(replies=(reply,), turn=turn)},
    )
    assert ask(state.apply(outcome.delta), "cat", request_id="r", lease_id="m") == transitions.Outcome(None, lease)


def test_whoever_asks_anew_loses_the_old_lease_in_the_same_change():
    state, ann, bob = working()
    outcome = ask(state, "ann", lease_id="l")
    assert outcome.delta is not None
    assert outcome.delta.leases == {ann.lease_id: None, "l": outcome.answer}
    assert outcome.delta.beats == {ann.lease_id: None, "l": Beat()}
    assert state.apply(outcome.delta).leases.keys() == {bob.lease_id, "l"}


def test_a_job_that_does_not_run_ends_what_was_forgotten_and_grants_nothing():
    state, ann, _ = working()
    paused = pause(state, "j")
    assert paused is not None
    outcome = ask(state.apply(paused), "ann")
    assert outcome.answer is NoWork.NOTHING_DUE
    assert outcome.delta is not None
    assert (outcome.delta.leases, outcome.delta.trainers) == ({ann.lease_id: None}, {})


def test_no_more_trainers_at_work_than_the_job_may_have():
    plan = square_plan(8, num_groups=8, relations=WITH_OPERATOR, max_trainers=2)
    state, ann, bob = working(plan)
    assert ask(state, "cat", plan) == transitions.Outcome(None, NoWork.TRAINERS_ENOUGH)
    assert isinstance(ask(state, "ann", plan).answer, Lease), "it stands in nobody's way"
    assert isinstance(ask(committed(state, bob, plan), "cat", plan).answer, Lease)
    assert isinstance(ask(committed(state, ann, plan), "cat", plan).answer, Lease)


def test_a_deterministic_job_has_one_lease_at_a_time():
    plan = square_plan(8, num_groups=8, deterministic=True)
    state, lease = granted(start(plan), plan=plan)
    state, lease = granted(committed(state, lease, plan), plan=plan)
    assert ask(state, "bob", plan) == transitions.Outcome(None, NoWork.PARTITIONS_BUSY)
    assert isinstance(ask(committed(state, lease, plan), "bob", plan).answer, Lease)


def test_who_must_wait_is_noted_once_and_who_has_nothing_to_wait_for_is_not():
    state, _ = granted(start())
    outcome = ask(state, "bob")
    noted = Delta(trainers={"bob": TrainerRecord(refused_at=state.header.turns)})
    assert outcome == transitions.Outcome(noted, NoWork.FIRST_EPOCH)
    assert ask(state.apply(noted), "bob") == transitions.Outcome(None, NoWork.FIRST_EPOCH)
    over = state.apply(Delta(done=dict.fromkeys(PLAN.edges, 2)))
    assert ask(over, "bob") == transitions.Outcome(None, NoWork.NOTHING_DUE)
    forgotten = ask(over, "ann")
    assert forgotten.answer is NoWork.NOTHING_DUE
    assert forgotten.delta is not None
    assert (list(forgotten.delta.leases.values()), forgotten.delta.trainers) == ([None], {})


def test_who_has_forgotten_a_lease_and_must_wait_loses_it_and_is_noted():
    state, ann, bob = working()
    state = state.apply(Delta(done={bucket: 2 for bucket in PLAN.edges if bucket not in ann.buckets}))
    outcome = ask(state, "bob")
    assert outcome.answer is NoWork.PARTITIONS_BUSY
    assert outcome.delta is not None
    assert outcome.delta.leases == {bob.lease_id: None}
    assert outcome.delta.trainers["bob"] == replace(state.trainers["bob"], refused_at=state.header.turns)


def test_a_successor_is_granted_like_any_lease_and_waits_for_its_parent():
    state, ann, _ = working()
    asked = {"trainer": "ann", "request_id": "r", "parent": ann.lease_id, "lease_id": "s"}
    refused = transitions.succeed(state, PLAN, **asked, refused=NoWork.TRAINERS_ENOUGH)
    assert refused == transitions.Outcome(None, NoWork.TRAINERS_ENOUGH)
    outcome = transitions.succeed(state, PLAN, **asked, refused=None)
    lease = outcome.answer
    assert isinstance(lease, Lease)
    assert (lease.lease_id, lease.trainer, lease.epoch, lease.parent) == ("s", "ann", 0, ann.lease_id)
    assert outcome.delta is not None
    assert (outcome.delta.leases, outcome.delta.beats) == ({"s": lease}, {"s": Beat()})
    state = state.apply(outcome.delta)
    assert transitions.succeed(state, PLAN, **asked, refused=None) == transitions.Outcome(None, lease)
    with pytest.raises(ParentUncommitted) as uncommitted:
        commit(state, lease)
    assert uncommitted.value.facts == {"lease": "s", "parent": ann.lease_id}
    after = committed(state, ann)
    # Where its parent has moved them, and nowhere else.
    shared = next(begun.partition for begun in lease.partitions if begun.from_parent)
    elsewhere = replace(after.pointers[shared], key=layout.partition_version("j", shared, next_hex()))
    with pytest.raises(AssertionError, match="has moved"):
        commit(after.apply(Delta(pointers={shared: elsewhere})), lease)
    with pytest.raises(AssertionError, match="has moved"):
        commit(after.apply(Delta(pointers={shared: None})), lease)
    assert committed(after, lease).leases.keys() == after.leases.keys() - {"s"}


def test_a_renewal_counts_one_and_notes_the_progress():
    state, ann, _ = working()
    progress = Progress(edges=7, bytes=9)
    for renewals in (1, 2, 3):
        delta = transitions.renew(state, trainer="ann", lease_id=ann.lease_id, progress=progress)
        assert delta == Delta(beats={ann.lease_id: Beat(renewals=renewals, progress=progress)})
        state = state.apply(delta)


def test_nobody_but_the_holder_renews_commits_or_releases():
    state, ann, _ = working()
    for lease, trainer in ((ann.lease_id, "bob"), ("gone", "ann")):
        mine = {"trainer": trainer, "lease_id": lease}
        with pytest.raises(LeaseLost) as lost:
            transitions.renew(state, **mine, progress=Progress())
        assert lost.value.facts == {"lease": lease}
        with pytest.raises(LeaseLost):
            transitions.release(state, PLAN, **mine, request_id="r", failure="")
        with pytest.raises(LeaseLost):
            commit(state, ann, **mine)


def test_a_commit_moves_pointers_marks_buckets_and_ends_the_lease_at_once():
    state, ann, _ = working()
    failed = {bucket: Failures(trainers=("cat",), turns=(1,)) for bucket in ann.buckets[:1]}
    state = state.apply(Delta(header=replace(state.header, failed_in_a_row=4), failures=failed))
    parameters = delta_receipt(PLAN, ann.lease_id)
    assert parameters is not None
    delta = commit(state, ann, request_id="r", edges=4, loss=0.25)
    number, turn = state.header.next_commit, state.header.turns + 1
    record = state.trainers["ann"]
    reply = Reply(kind=RequestKind.COMMIT, request_id="r", lease=None)
    assert delta == Delta(
        header=replace(state.header, next_commit=number + 1, turns=turn, failed_in_a_row=0),
        pointers=dict(receipts(PLAN, ann)),
        done=dict.fromkeys(ann.buckets, 1),
        leases={ann.lease_id: None},
        beats={ann.lease_id: None},
        trainers={
            "ann": replace(
                record, last_commit=ann.lease_id, replies=(*record.replies, reply), turn=turn, refused_at=None
            )
        },
        commits={
            number: CommitRecord(
                lease_id=ann.lease_id,
                trainer_id="ann",
                epoch=0,
                buckets=tuple((bucket.lhs, bucket.rhs) for bucket in ann.buckets),
                partitions=tuple((begun.partition.entity_type, begun.partition.index) for begun in ann.partitions),
                parameters=StoredVersion.from_receipt(parameters),
                edges=4,
                loss=0.25,
            )
        },
        deltas={number: SealedDelta(lease_id=ann.lease_id, receipt=parameters)},
        epochs={0: EpochTotals(epoch=0, edges=3 + 4, loss=0.5 + 0.25, leases=2)},
        failures=dict.fromkeys(failed),
    )
    assert commit(state.apply(delta), ann, request_id="r") is None


def test_the_last_commit_completes_the_job_and_one_without_parameters_seals_none():
    plan = square_plan(1)
    state, lease = granted(start(plan), plan=plan)
    delta = commit(state, lease, plan)
    assert delta is not None
    assert (delta.deltas, delta.commits[1].parameters if delta.commits[1] else "") == ({}, None)
    assert delta.epochs == {0: EpochTotals(epoch=0, edges=3, loss=0.5, leases=1)}
    state, lease = granted(state.apply(delta), plan=plan)
    state = committed(state, lease, plan)
    assert (state.header.status, state.done) == (Status.COMPLETED, dict.fromkeys(plan.edges, 2))


def test_a_commit_that_the_state_contradicts_is_refused():
    state, ann, _ = working()
    with pytest.raises(BadReceipt, match="the loss is not finite"):
        commit(state, ann, loss=float("nan"))
    with pytest.raises(AssertionError, match="done by somebody else"):
        commit(state.apply(Delta(done={ann.buckets[-1]: 1})), ann)
    begun = next(begun for begun in ann.partitions if begun.version)
    with pytest.raises(AssertionError, match="has moved"):
        commit(state.apply(Delta(pointers={begun.partition: None})), ann)


@pytest.mark.parametrize("failure", ["", "out of memory"])
def test_a_release_ends_the_lease_and_is_remembered(failure: str):
    state, ann, bob = working()
    asked = {"trainer": "ann", "request_id": "r", "lease_id": ann.lease_id, "failure": failure}
    delta = transitions.release(state, PLAN, **asked)
    assert delta is not None
    after = state.apply(delta)
    assert (after.leases.keys(), after.beats.keys()) == ({bob.lease_id}, {bob.lease_id})
    assert after.header.turns == after.trainers["ann"].turn == state.header.turns + 1
    assert after.trainers["ann"].replies[-1] == Reply(kind=RequestKind.RELEASE, request_id="r", lease=None)
    assert after.header.failed_in_a_row == bool(failure)
    assert {noted.reason for noted in after.failures.values()} == ({failure} if failure else set())
    assert transitions.release(after, PLAN, **asked) is None


def test_a_lease_expires_only_if_it_was_not_renewed_since_it_was_seen():
    state, ann, _ = working()
    state = state.apply(transitions.renew(state, trainer="ann", lease_id=ann.lease_id, progress=Progress()))
    assert transitions.expire(state, PLAN, ann.lease_id, 0) is None
    assert transitions.expire(state, PLAN, "gone", 0) is None
    delta = transitions.expire(state, PLAN, ann.lease_id, 1)
    assert delta is not None
    assert (delta.leases, delta.beats) == ({ann.lease_id: None}, {ann.lease_id: None})
    assert {noted.silent for noted in delta.failures.values() if noted} == {1}


def test_a_lease_stalls_if_it_stands_where_it_was_seen_and_does_not_wait():
    state, ann, _ = working()
    stuck, away = Progress(edges=7), Progress(edges=7, phase=lockserver_pb2.PHASE_WAITING)
    assert transitions.standing(Beat(renewals=3, progress=stuck)) == stuck
    assert transitions.standing(Beat(renewals=3, progress=away)) == Beat(renewals=3, progress=away)
    state = state.apply(transitions.renew(state, trainer="ann", lease_id=ann.lease_id, progress=stuck))
    assert transitions.stall(state, PLAN, ann.lease_id, Progress(edges=6)) is None
    assert transitions.stall(state, PLAN, "gone", stuck) is None
    delta = transitions.stall(state, PLAN, ann.lease_id, stuck)
    assert delta is not None
    assert delta.leases == {ann.lease_id: None}


def test_forgetting_ends_a_lease_and_its_successor_once():
    state, ann, bob = working()
    asked = {"trainer": "ann", "request_id": "r", "parent": ann.lease_id, "lease_id": "s", "refused": None}
    outcome = transitions.succeed(state, PLAN, **asked)
    assert outcome.delta is not None
    delta = transitions.forget(state.apply(outcome.delta), PLAN, "ann")
    assert delta is not None
    assert (delta.leases, delta.beats) == (dict.fromkeys([ann.lease_id, "s"]), dict.fromkeys([ann.lease_id, "s"]))
    assert {noted.silent for noted in delta.failures.values() if noted} == {1}
    assert transitions.forget(state, PLAN, "cat") is None
    assert bob.lease_id in state.leases


def test_a_trainer_is_drained_once_and_undrained_once():
    state = start()
    drained = Delta(draining={"ann": True})
    assert transitions.drain(state, "ann", undo=False) == drained
    assert transitions.drain(state, "ann", undo=True) is None
    assert transitions.drain(state.apply(drained), "ann", undo=False) is None
    assert transitions.drain(state.apply(drained), "ann", undo=True) == Delta(draining={"ann": None})


def test_leases_are_made_void_through_no_fault_of_theirs():
    state, ann, _ = working()
    gone = {ann.lease_id: None}
    assert transitions.void_leases(state, [ann.lease_id, "gone"]) == Delta(leases=gone, beats=gone)
    assert transitions.void_leases(state, ["gone"]) is None
