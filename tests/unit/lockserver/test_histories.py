"""Whatever trainers, clocks and crashes do, in whatever order: the invariants hold and the work gets done."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from graphbed.errors import BadReceipt, LeaseLost, ManifestForeign
from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.manifest import CommitRecord, Manifest
from graphbed.storage.objects import sha256_hex
from graphbed.storage.receipt import Receipt
from services.lockserver import memory, transitions
from services.lockserver.codec import decode, encode
from services.lockserver.failures import quarantined
from services.lockserver.lifecycle import (
    cancel,
    extend,
    fresh,
    next_manifest,
    pause,
    record_manifest,
    restored,
    resume,
    unquarantine,
)
from services.lockserver.plan import Plan
from services.lockserver.records import Lease, Progress, RequestKind
from services.lockserver.scheduler import NoWork
from services.lockserver.state import Delta, JobState, Status
from tests.unit.lockserver.examples import (
    SHA256,
    bipartite_plan,
    delta_receipt,
    make_config,
    make_schema,
    receipts,
    square_plan,
    square_schema,
)

TRAINERS = st.sampled_from(["ann", "bob", "cat", "dan"])
EPOCHS = 2
WITH_OPERATOR = [{"name": "r", "lhs": "e", "rhs": "e", "operator": "diagonal"}]


def _sparse_plan() -> Plan:
    """Two islands and a bucket on its own: nothing joins them."""
    edges = {bucket: 3 for bucket in square_schema(6).edges_per_bucket("train") if bucket.lhs // 2 == bucket.rhs // 2}
    schema = make_schema({"e": [4] * 6}, [("r", "e", "e")], edges)
    return Plan.from_config(make_config(schema), schema)


PLANS = {
    "one": square_plan(1),
    "pairs": square_plan(4, relations=WITH_OPERATOR),
    "groups": square_plan(7, num_groups=3, relations=WITH_OPERATOR),
    "sides": bipartite_plan(4, 3, num_groups=2),
    "islands": _sparse_plan(),
}


class Histories(RuleBasedStateMachine):
    """One job, four trainers, a store of manifests, and a state that may get lost."""

    @initialize(name=st.sampled_from(sorted(PLANS)))
    def begin(self, name: str) -> None:
        self.plan = PLANS[name]
        self.state = self._fresh()
        self.fields = encode(self.state.as_delta()).written
        self.manifests: list[tuple[Manifest, str]] = []
        self.unnoted: tuple[Manifest, str] | None = None
        self.ids = 0
        self.answers: dict[tuple[str, str], Lease] = {}
        self.finished: dict[tuple[str, str], str] = {}
        self.compacted: dict[str, list[str]] = {}

    # What happens.

    @rule(trainer=TRAINERS)
    def acquire(self, trainer: str) -> None:
        request_id, lease_id = self._new("request"), self._new("lease")
        before = self.state
        ask = {"trainer": trainer, "request_id": request_id, "lease_id": lease_id}
        outcome = transitions.acquire(before, self.plan, **ask)
        assert transitions.acquire(before, self.plan, **ask) == outcome
        others = [lease for lease in before.leases.values() if lease.trainer != trainer]
        self._apply(outcome.delta)
        if not others and self.state.header.status is Status.RUNNING:
            assert isinstance(outcome.answer, Lease), "work is due, nobody works, and nothing was granted"
        if isinstance(outcome.answer, Lease):
            assert self.state.leases_of(trainer) == [lease_id]
            assert {s.partition: s.version for s in outcome.answer.partitions if s.version} == {
                s.partition: before.pointers[s.partition]
                for s in outcome.answer.partitions
                if s.partition in before.pointers
            }
            self.answers[trainer, request_id] = outcome.answer
        else:
            assert not self.state.leases_of(trainer)

    @rule(data=st.data())
    @precondition(lambda self: self._remembered())
    def acquire_again(self, data: st.DataObject) -> None:
        trainer, request_id = data.draw(st.sampled_from(self._remembered()))
        outcome = transitions.acquire(
            self.state, self.plan, trainer=trainer, request_id=request_id, lease_id=self._new("lease")
        )
        assert outcome.delta is None
        assert outcome.answer == self.answers[trainer, request_id]

    @rule(data=st.data(), edges=st.integers(0, 99))
    @precondition(lambda self: self.state.leases)
    def renew(self, data: st.DataObject, edges: int) -> None:
        lease = self._draw_lease(data)
        before = self.state.beats[lease.lease_id].renewals
        self._apply(
            transitions.renew(
                self.state, trainer=lease.trainer, lease_id=lease.lease_id, progress=Progress(edges=edges)
            )
        )
        assert self.state.beats[lease.lease_id].renewals == before + 1

    @rule(data=st.data())
    @precondition(lambda self: self.state.leases)
    def commit(self, data: st.DataObject) -> None:
        self._commit(self._draw_lease(data))

    @rule(data=st.data())
    @precondition(lambda self: self.finished)
    def commit_again(self, data: st.DataObject) -> None:
        trainer, request_id = data.draw(st.sampled_from(sorted(self.finished)))
        lease_id = self.finished[trainer, request_id]
        if self.state.reply_to(trainer, RequestKind.COMMIT, request_id):
            assert self._try_commit(trainer, request_id, lease_id) is None
        else:
            with pytest.raises(LeaseLost):
                self._try_commit(trainer, request_id, lease_id)

    @rule(data=st.data(), stranger=TRAINERS)
    @precondition(lambda self: self.state.leases)
    def meddle(self, data: st.DataObject, stranger: str) -> None:
        """Requests by anyone but the holder are refused; they cannot have changed a state that is a value."""
        lease = self._draw_lease(data)
        if stranger == lease.trainer:
            return
        mine = {"trainer": stranger, "lease_id": lease.lease_id}
        with pytest.raises(LeaseLost):
            transitions.renew(self.state, **mine, progress=Progress())
        with pytest.raises(LeaseLost):
            transitions.release(self.state, self.plan, **mine, request_id=self._new("request"), failure="")
        with pytest.raises(LeaseLost):
            self._try_commit(stranger, self._new("request"), lease.lease_id)

    @rule(data=st.data())
    @precondition(lambda self: self.state.leases)
    def release(self, data: st.DataObject) -> None:
        lease = self._draw_lease(data)
        done, request_id = self.state.done, self._new("request")
        failure = data.draw(st.sampled_from(["", "oh"]))
        facts = {"trainer": lease.trainer, "request_id": request_id, "lease_id": lease.lease_id, "failure": failure}
        self._apply(transitions.release(self.state, self.plan, **facts))
        assert lease.lease_id not in self.state.leases
        assert failure or self.state.done == done
        assert transitions.release(self.state, self.plan, **facts) is None

    @rule(data=st.data(), late=st.booleans())
    @precondition(lambda self: self.state.leases)
    def expire(self, data: st.DataObject, late: bool) -> None:
        lease = self._draw_lease(data)
        seen = self.state.beats[lease.lease_id].renewals - late
        delta = transitions.expire(self.state, self.plan, lease.lease_id, seen)
        assert (delta is None) == late
        self._apply(delta)
        assert (lease.lease_id in self.state.leases) == late

    @rule(data=st.data())
    @precondition(lambda self: self.state.leases)
    def stall(self, data: st.DataObject) -> None:
        lease = self._draw_lease(data)
        self._apply(transitions.stall(self.state, self.plan, lease.lease_id, Progress(edges=-1)))
        assert lease.lease_id in self.state.leases
        seen = transitions.standing(self.state.beats[lease.lease_id])
        self._apply(transitions.stall(self.state, self.plan, lease.lease_id, seen))
        assert lease.lease_id not in self.state.leases

    @rule()
    @precondition(lambda self: not self.state.header.status.has_ended)
    def pause(self) -> None:
        before = self.state
        self._apply(pause(self.state, "j"))
        assert self.state.header.status is Status.PAUSED
        assert self.state.leases == before.leases

    @rule()
    @precondition(lambda self: not self.state.header.status.has_ended)
    def resume(self) -> None:
        self._apply(resume(self.state, "j"))
        assert self.state.header.status is Status.RUNNING

    @rule()
    @precondition(lambda self: self.state.skipped)
    def unquarantine(self) -> None:
        leased = {bucket for lease in self.state.leases.values() for bucket in lease.buckets}
        idle = set(quarantined(self.state)) - leased
        before = self.state
        self._apply(unquarantine(self.state, "j", None))
        assert {b for b, done in before.done.items() if self.state.done.get(b, 0) == done - 1} == idle

    @rule()
    @precondition(lambda self: self.unnoted is None)
    def write_manifest(self) -> None:
        manifest = next_manifest(
            self.state,
            self.plan,
            base=self.state.header.base,
            deltas=self.state.deltas_in_order(),
            nonce=self._new("nonce"),
            written_at=1.5,
        )
        if len(manifest.parameters.deltas) > 2:
            compacted = Receipt(
                key=layout.parameter_base("j", manifest.sequence, self._new("n")), size=5, sha256=SHA256
            )
            self.compacted[compacted.key] = self._parameters()
            manifest = next_manifest(
                self.state, self.plan, base=compacted, deltas=(), nonce=manifest.nonce, written_at=1.5
            )
        data = manifest.to_json()
        self.unnoted = (Manifest.model_validate_json(data), sha256_hex(data))
        self.manifests.append(self.unnoted)

    @rule()
    @precondition(lambda self: self.unnoted is not None)
    def note_manifest(self) -> None:
        assert self.unnoted is not None
        manifest, sha256 = self.unnoted
        later = self.state.commits_in_order()[len(manifest.commits) :]
        self._apply(record_manifest(self.state, manifest, sha256))
        assert self.state.commits_in_order() == later
        assert record_manifest(self.state, manifest, sha256) is None
        with pytest.raises(ManifestForeign):
            record_manifest(self.state, manifest.model_copy(update={"nonce": "other"}), SHA256)
        self.unnoted = None

    @rule()
    def lose_the_state(self) -> None:
        if self.manifests:
            self.state = restored(self.plan, *self.manifests[-1], num_epochs=EPOCHS)
        else:
            self.state = self._fresh()
        self.fields = encode(self.state.as_delta()).written
        self.unnoted = None
        self.answers.clear()

    # What must always hold.

    @invariant()
    def live_leases_never_share_a_partition(self) -> None:
        held = Counter(s.partition for lease in self.state.leases.values() for s in lease.partitions)
        assert max(held.values(), default=1) == 1
        assert self.state.leases.keys() == self.state.beats.keys()

    @invariant()
    def each_bucket_is_committed_once_an_epoch_or_recorded_as_skipped(self) -> None:
        counts = Counter((pair, commit.epoch) for commit in self._log() for pair in commit.buckets)
        counts += Counter(((s.lhs, s.rhs), epoch) for s in self.state.skipped.values() for epoch in s.epochs)
        assert max(counts.values(), default=1) == 1
        epochs = Counter(pair for pair, _ in counts)
        assert epochs == {(b.lhs, b.rhs): done for b, done in self.state.done.items()}

    @invariant()
    def pointers_and_done_marks_tell_of_the_same_commits(self) -> None:
        last: dict[Partition, str] = {}
        for commit in self._log():
            last.update({Partition(*pair): commit.lease_id for pair in commit.partitions})
        assert {p: r.key for p, r in self.state.pointers.items()} == {
            p: layout.partition_version(self.plan.job, p, lease_id) for p, lease_id in last.items()
        }

    @invariant()
    def parameters_are_those_of_the_commits(self) -> None:
        sealed = [c.parameters.key for c in self._log() if c.parameters]
        assert self._parameters() == sealed

    @invariant()
    def the_fields_of_the_store_hold_the_state(self) -> None:
        assert decode(self.fields, job="j", address="test") == self.state

    def teardown(self) -> None:
        """One trainer that lives finishes the job once the others' leases have run out."""
        if not hasattr(self, "plan"):
            return
        self._apply(transitions.void_leases(self.state, list(self.state.leases)))
        if not self.state.header.status.has_ended:
            self.resume()
        for _ in range(len(self.plan.edges) * EPOCHS):
            if self.state.header.status is Status.COMPLETED:
                break
            self.acquire("ann")
            self._commit(self.state.leases[self.state.leases_of("ann")[0]])
            self.each_bucket_is_committed_once_an_epoch_or_recorded_as_skipped()
        assert self.state.header.status is Status.COMPLETED
        assert self.state.done == dict.fromkeys(self.plan.edges, EPOCHS)
        assert sum(t.leases for t in self.state.epochs.values()) == len(self._log())

    # How.

    def _fresh(self) -> JobState:
        return fresh(self.plan, config_sha256="c", graph_sha256="g", num_epochs=EPOCHS)

    def _log(self) -> list[CommitRecord]:
        noted = self.manifests[:-1] if self.unnoted else self.manifests
        return [commit for manifest, _ in noted for commit in manifest.commits] + list(self.state.commits_in_order())

    def _new(self, what: str) -> str:
        self.ids += 1
        return f"{what}-{self.ids}"

    def _parameters(self) -> list[str]:
        """Keys of the sealed deltas that the state's parameters are made of, those in the base included."""
        base = self.state.header.base
        kept = [delta.receipt.key for delta in self.state.deltas_in_order()]
        return (self.compacted[base.key] if base else []) + kept

    def _remembered(self) -> list[tuple[str, str]]:
        return sorted(key for key in self.answers if self.state.reply_to(key[0], RequestKind.ACQUIRE, key[1]))

    def _draw_lease(self, data: st.DataObject) -> Lease:
        return self.state.leases[data.draw(st.sampled_from(sorted(self.state.leases)))]

    def _commit(self, lease: Lease) -> None:
        request_id = self._new("request")
        before = self.state
        delta = self._try_commit(lease.trainer, request_id, lease.lease_id)
        assert delta is not None
        self._apply(delta)
        self.finished[lease.trainer, request_id] = lease.lease_id
        moved = {p for p, receipt in self.state.pointers.items() if before.pointers.get(p) != receipt}
        assert moved == {start.partition for start in lease.partitions}
        assert {b for b, done in self.state.done.items() if before.done.get(b, 0) != done} == set(lease.buckets)

    def _try_commit(self, trainer: str, request_id: str, lease_id: str) -> Delta | None:
        lease = self.state.leases.get(lease_id)
        return transitions.commit(
            self.state,
            self.plan,
            trainer=trainer,
            request_id=request_id,
            lease_id=lease_id,
            versions=receipts(self.plan, lease) if lease else [],
            parameters=delta_receipt(self.plan, lease_id),
            edges=5,
            loss=0.25,
        )

    def _apply(self, delta: Delta | None) -> None:
        if delta is not None:
            self.state = self.state.apply(delta)
            written, removed = encode(delta)
            self.fields = {name: text for name, text in self.fields.items() if name not in removed} | written


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def granted(plan: Plan, trainer: str = "ann") -> tuple[JobState, Lease]:
    state = fresh(plan, config_sha256="c", graph_sha256="g", num_epochs=EPOCHS)
    outcome = transitions.acquire(state, plan, trainer=trainer, request_id="r1", lease_id="l1")
    assert isinstance(outcome.answer, Lease)
    assert outcome.delta is not None
    return state.apply(outcome.delta), outcome.answer


def commit_of(state: JobState, plan: Plan, lease: Lease, **changes: Any) -> Delta | None:
    facts: dict[str, Any] = {
        "trainer": lease.trainer,
        "request_id": "r2",
        "lease_id": lease.lease_id,
        "versions": receipts(plan, lease),
        "parameters": delta_receipt(plan, lease.lease_id),
        "edges": 1,
        "loss": 0.0,
    }
    return transitions.commit(state, plan, **{**facts, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 8}, "8 rows"),
        ({"dimension": 5}, "dimension 5"),
        ({"finite": False}, "not finite"),
        ({"size": 0}, "no size"),
        ({"sha256": "abc"}, "no size or no SHA-256"),
        ({"key": "jobs/j/partitions/e/0/other.safetensors"}, "other.safetensors"),
    ],
)
def test_a_receipt_of_another_shape_or_name_is_refused(changes: dict[str, Any], message: str) -> None:
    plan = square_plan(2)
    state, lease = granted(plan)
    with pytest.raises(BadReceipt, match=message):
        commit_of(state, plan, lease, versions=receipts(plan, lease, **changes))


def test_receipts_must_be_those_of_exactly_the_leased_partitions() -> None:
    plan = square_plan(4)
    state, lease = granted(plan)
    good = receipts(plan, lease)
    other = next(p for p in plan.rows if p not in {start.partition for start in lease.partitions})
    for versions, message in (
        (good[:1], "is missing"),
        ([*good, (other, good[0][1])], "is not in the lease"),
        ([*good, good[0]], "two of them"),
    ):
        with pytest.raises(BadReceipt, match=message):
            commit_of(state, plan, lease, versions=versions)


def test_a_parameter_delta_is_asked_for_exactly_if_the_job_has_parameters() -> None:
    plain, with_operator = square_plan(2), square_plan(2, relations=WITH_OPERATOR)
    receipt = Receipt(key=layout.parameter_delta("j", "l1"), size=1, sha256=SHA256)
    state, lease = granted(plain)
    with pytest.raises(BadReceipt, match="not asked for"):
        commit_of(state, plain, lease, parameters=receipt)
    state, lease = granted(with_operator)
    with pytest.raises(BadReceipt, match="missing"):
        commit_of(state, with_operator, lease, parameters=None)
    with pytest.raises(BadReceipt, match="the parameter delta is named"):
        commit_of(state, with_operator, lease, parameters=replace(receipt, key="elsewhere"))
    with pytest.raises(BadReceipt, match="the parameter delta holds a number"):
        commit_of(state, with_operator, lease, parameters=replace(receipt, finite=False))
    assert commit_of(state, with_operator, lease, parameters=receipt) is not None


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_refused(loss: float) -> None:
    plan = square_plan(2)
    state, lease = granted(plan)
    with pytest.raises(BadReceipt, match="loss"):
        commit_of(state, plan, lease, loss=loss)


def test_likely_next_is_what_the_trainer_is_granted_next() -> None:
    plan = square_plan(6)
    state, lease = granted(plan)
    delta = commit_of(state, plan, lease)
    assert delta is not None
    following = transitions.acquire(state.apply(delta), plan, trainer="ann", request_id="r3", lease_id="l2").answer
    assert isinstance(following, Lease)
    assert lease.likely_next == tuple(start.partition for start in following.partitions)
    assert {p.index for p in lease.likely_next} & {start.partition.index for start in lease.partitions}


def test_asking_anew_while_a_lease_is_live_voids_it() -> None:
    plan = square_plan(4)
    state, old = granted(plan)
    outcome = transitions.acquire(state, plan, trainer="ann", request_id="r9", lease_id="l9")
    assert outcome.delta is not None
    state = state.apply(outcome.delta)
    assert list(state.leases) == ["l9"]
    with pytest.raises(LeaseLost):
        commit_of(state, plan, old)


def test_a_cancelled_job_has_no_leases_and_gives_none() -> None:
    plan = square_plan(4)
    state, lease = granted(plan)
    delta = cancel(state)
    assert delta is not None
    state = state.apply(delta)
    assert state.header.status is Status.CANCELLED
    assert cancel(state) is None
    with pytest.raises(LeaseLost):
        commit_of(state, plan, lease)
    answer = transitions.acquire(state, plan, trainer="bob", request_id="r1", lease_id="l2").answer
    assert answer is NoWork.NOTHING_DUE


def test_a_completed_job_runs_on_when_it_is_given_more_epochs() -> None:
    plan = square_plan(1)
    state = fresh(plan, config_sha256="c", graph_sha256="g", num_epochs=1)
    outcome = transitions.acquire(state, plan, trainer="ann", request_id="r1", lease_id="l1")
    assert isinstance(outcome.answer, Lease)
    assert outcome.delta is not None
    state = state.apply(outcome.delta)
    delta = commit_of(state, plan, outcome.answer)
    assert delta is not None
    state = state.apply(delta)
    assert state.header.status is Status.COMPLETED
    assert extend(state, plan, 1) is None
    longer = extend(state, plan, 3)
    assert longer is not None
    state = state.apply(longer)
    assert state.header.status is Status.RUNNING
    again = transitions.acquire(state, plan, trainer="ann", request_id="r3", lease_id="l3").answer
    assert isinstance(again, Lease)
    assert again.epoch == 1


def test_a_job_remembers_a_bounded_number_of_trainers_and_answers() -> None:
    plan = square_plan(1)
    state = fresh(plan, config_sha256="c", graph_sha256="g", num_epochs=EPOCHS)
    for number in range(memory.TRAINERS_KEPT + 20):
        outcome = transitions.acquire(state, plan, trainer=f"t{number}", request_id="r1", lease_id=f"l{number}")
        assert outcome.delta is not None
        state = state.apply(outcome.delta)
        released = transitions.release(
            state, plan, trainer=f"t{number}", request_id="r2", lease_id=f"l{number}", failure=""
        )
        assert released is not None
        state = state.apply(released)
    assert len(state.trainers) == memory.TRAINERS_KEPT
    assert "t0" not in state.trainers
    for number in range(10):
        outcome = transitions.acquire(state, plan, trainer="last", request_id=f"r{number}", lease_id=f"x{number}")
        assert outcome.delta is not None
        state = state.apply(outcome.delta)
        released = transitions.release(
            state, plan, trainer="last", request_id=f"s{number}", lease_id=f"x{number}", failure=""
        )
        assert released is not None
        state = state.apply(released)
    assert len(state.trainers["last"].replies) == memory.REPLIES_KEPT
